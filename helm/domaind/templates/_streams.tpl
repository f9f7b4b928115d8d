{{/* The streams to scale on: {"streams": [{"stream", "group", "broker"}]}, with names as they are in Redis. */}}
{{- define "domaind.streams" -}}
{{- $facts := include "domaind.facts" . | fromJson -}}
{{- $keda := .Values.autoscaling.keda -}}
{{- $found := list -}}
{{- if $keda.plan -}}
{{- $plan := (printf "{\"plan\":%s}" $keda.plan) | fromJson -}}
{{- if not (kindIs "slice" $plan.plan) -}}
{{- fail "\n\n- autoscaling.keda.plan is not what `domaind server --dry-run --json` prints\n" -}}
{{- end -}}
{{- range $row := $plan.plan -}}
{{- if eq ($row.type | default "stream") "stream" -}}
{{- range $row.streams -}}
{{- $found = append $found (dict "stream" . "group" $row.group "broker" ($row.broker | default "default")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- range $handler := $keda.handlers -}}
{{- $kind := $handler.kind -}}
{{- $streams := list -}}
{{- if eq $kind "subscriber" -}}
{{- $streams = list $handler.stream -}}
{{- else -}}
{{- range $category := $handler.categories | default (list $handler.category) -}}
{{- $stream := ternary $category (printf "%s::%s" $facts.domain $category) (contains "::" $category) -}}
{{- if eq $kind "command" -}}{{- $stream = printf "%s:command" $stream -}}{{- end -}}
{{- $streams = append $streams $stream -}}
{{- if $facts.laneSuffix -}}{{- $streams = append $streams (printf "%s:%s" $stream $facts.laneSuffix) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $streams -}}
{{- $found = append $found (dict "stream" . "group" ($handler.group | default (printf "%s.%s" $facts.domain $handler.name)) "broker" "default") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $streams := list -}}
{{- range $found -}}
{{- $broker := get $facts.brokers .broker | default dict -}}
{{- $key := .stream -}}
{{- if $broker.hashTag -}}
{{- $category := regexFind "^([^:]|::)+" $key -}}
{{- $key = printf "{%s}%s" $category (trimPrefix $category $key) -}}
{{- end -}}
{{- $streams = append $streams (merge (dict "stream" $key) .) -}}
{{- end -}}
{{- dict "streams" $streams | toJson -}}
{{- end -}}

{{/* Where KEDA finds the Redis of a broker, as the metadata of a trigger: strings all. Takes (dict "root" $ "facts" … "broker" name). */}}
{{- define "domaind.redis" -}}
{{- $redis := .root.Values.autoscaling.keda.redis -}}
{{- $broker := get .facts.brokers .broker | default (dict "address" "" "databaseIndex" "0" "tls" false "authenticated" false) -}}
{{- $address := $redis.address | default $broker.address -}}
{{- if not $address -}}
{{- fail (printf "\n\n- config does not tell where the Redis of [brokers.%s] is, for its URI is a variable or there is none: give autoscaling.keda.redis.address\n" .broker) -}}
{{- end -}}
{{- if and $broker.authenticated (not $redis.passwordFromEnv) (not $redis.authenticationRef) -}}
{{- fail (printf "\n\n- the URI of [brokers.%s] has a password, which KEDA needs and a ScaledObject must not show: give autoscaling.keda.redis.passwordFromEnv or authenticationRef\n" .broker) -}}
{{- end -}}
{{- $metadata := dict (ternary "addresses" "address" $redis.cluster) $address -}}
{{- $tls := ternary $broker.tls $redis.enableTLS (kindIs "invalid" $redis.enableTLS) -}}
{{- $_ := set $metadata "enableTLS" (toString $tls) -}}
{{- if not $redis.cluster -}}
{{- $_ := set $metadata "databaseIndex" (ternary $broker.databaseIndex $redis.databaseIndex (kindIs "invalid" $redis.databaseIndex) | toString) -}}
{{- end -}}
{{- with $redis.usernameFromEnv -}}{{- $_ := set $metadata "usernameFromEnv" . -}}{{- end -}}
{{- with $redis.passwordFromEnv -}}{{- $_ := set $metadata "passwordFromEnv" . -}}{{- end -}}
{{- $metadata | toJson -}}
{{- end -}}
