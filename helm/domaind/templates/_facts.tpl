{{/*
A string of domain.toml with its variables replaced by what `env` states and by their defaults. What cannot be known
stays as it is written. Takes (dict "text" … "env" …).
*/}}
{{- define "domaind.interpolate" -}}
{{- $text := toString .text -}}
{{- $env := .env -}}
{{- range regexFindAll "\\$\\{[^}]*\\}" $text -1 -}}
{{- $inner := trimSuffix "}" (trimPrefix "${" .) -}}
{{- $name := regexFind "^[A-Za-z_][A-Za-z0-9_]*" $inner -}}
{{- $rest := trimPrefix $name $inner -}}
{{- if hasKey $env $name -}}
{{- $text = replace . (toString (get $env $name)) $text -}}
{{- else if hasPrefix "|" $rest -}}
{{- $text = replace . (trimPrefix "|" $rest) $text -}}
{{- else if hasPrefix ":-" $rest -}}
{{- $text = replace . (trimPrefix ":-" $rest) $text -}}
{{- end -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{/* domain.toml with the overlay that is in force, as JSON; {} where the chart does not know it. */}}
{{- define "domaind.config" -}}
{{- $config := dict -}}
{{- if .Values.config -}}
{{- $config = fromToml .Values.config -}}
{{- if and (hasKey $config "Error") (eq (len $config) 1) -}}
{{- fail (printf "config is not TOML: %s" (get $config "Error")) -}}
{{- end -}}
{{- with .Values.environment -}}
{{- if kindIs "map" (get $config .) -}}
{{- $config = mergeOverwrite (deepCopy $config) (deepCopy (get $config .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $config | toJson -}}
{{- end -}}

{{/*
What the chart needs to know of domain.toml, as JSON. `known` is false with an existing ConfigMap. A host, a port or an
address that hangs on a variable nobody states here is empty.
*/}}
{{- define "domaind.facts" -}}
{{- $config := include "domaind.config" . | fromJson -}}
{{- $known := not (empty .Values.config) -}}
{{- $env := merge (dict) .Values.env (ternary (dict "DOMAIND_ENV" .Values.environment) (dict) (not (empty .Values.environment))) -}}
{{- range .Values.extraEnv -}}
{{- if hasKey . "value" -}}{{- $_ := set $env .name .value -}}{{- end -}}
{{- end -}}
{{- $server := $config.server | default dict -}}
{{- $health := $server.health | default dict -}}
{{- $ingress := $server.ingress | default dict -}}
{{- $lanes := $server.priority_lanes | default dict -}}
{{- $facts := dict "known" $known "env" $env -}}

{{- $name := include "domaind.interpolate" (dict "text" ($config.name | default "") "env" $env) -}}
{{- $_ := set $facts "name" $name -}}
{{- $_ := set $facts "domain" (regexReplaceAll "[^a-z0-9_]+" (lower $name) "_" | trimAll "_") -}}
{{- $_ := set $facts "plainName" (regexMatch "^[ -~]+$" $name) -}}

{{- $_ := set $facts "healthEnabled" (ternary $health.enabled true (hasKey $health "enabled") | toString | eq "true") -}}
{{- $_ := set $facts "healthHost" (include "domaind.interpolate" (dict "text" ($health.host | default "127.0.0.1") "env" $env)) -}}
{{- $port := include "domaind.interpolate" (dict "text" (toString (ternary $health.port 8080 (hasKey $health "port"))) "env" $env) -}}
{{- $_ := set $facts "healthPort" (ternary (int $port) (int .Values.healthPort) (and $known (regexMatch "^[0-9]+$" $port))) -}}

{{- $on := include "domaind.interpolate" (dict "text" (toString ($ingress.enabled | default false)) "env" $env) -}}
{{- $_ := set $facts "ingressEnabled" (eq $on "true") -}}
{{- $_ := set $facts "ingressHost" (include "domaind.interpolate" (dict "text" ($ingress.host | default "127.0.0.1") "env" $env)) -}}
{{- $ingressPort := include "domaind.interpolate" (dict "text" (toString ($ingress.port | default 8081)) "env" $env) -}}
{{- $_ := set $facts "ingressPort" (ternary (int $ingressPort) 8081 (regexMatch "^[0-9]+$" $ingressPort)) -}}

{{- $drain := 25 -}}
{{- if hasKey $server "drain_timeout" -}}{{- $drain = $server.drain_timeout -}}{{- end -}}
{{- if hasKey $server "drain_timeout_seconds" -}}{{- $drain = $server.drain_timeout_seconds -}}{{- end -}}
{{- $drain = include "domaind.interpolate" (dict "text" (toString $drain) "env" $env) -}}
{{- $_ := set $facts "drainSeconds" (ternary (float64 $drain) 25.0 (regexMatch "^[0-9.]+$" $drain)) -}}
{{- $startup := include "domaind.interpolate" (dict "text" (toString (ternary $server.startup_timeout_seconds 60 (hasKey $server "startup_timeout_seconds"))) "env" $env) -}}
{{- $_ := set $facts "startupSeconds" (ternary (float64 $startup) 60.0 (regexMatch "^[0-9.]+$" $startup)) -}}

{{- $_ := set $facts "laneSuffix" "" -}}
{{- if eq (toString $lanes.enabled) "true" -}}
{{- $_ := set $facts "laneSuffix" ($lanes.backfill_suffix | default "backfill") -}}
{{- end -}}
{{- $_ := set $facts "outbox" (ternary $config.enable_outbox true (hasKey $config "enable_outbox") | toString | eq "true") -}}
{{- $_ := set $facts "handlersPath" ((($config.handlers | default dict).path) | default "") -}}

{{- $providers := list -}}
{{- range $_, $each := $config.databases | default dict -}}
{{- $providers = append $providers ($each.provider | default "memory") -}}
{{- end -}}
{{- $_ := set $facts "postgresql" (or (not $known) (has "postgresql" $providers)) -}}
{{- $_ := set $facts "memory" (and $known (or (empty $providers) (has "memory" $providers))) -}}

{{- $brokers := dict -}}
{{- range $key, $each := $config.brokers | default dict -}}
{{- $uri := include "domaind.interpolate" (dict "text" ($each.URI | default ($each.uri | default ($each.url | default ""))) "env" $env) -}}
{{- $authority := regexReplaceAll "^rediss?://([^/?#]*).*$" $uri "${1}" -}}
{{- $found := dict "provider" ($each.provider | default "inline") "hashTag" (eq (toString $each.hash_tag) "true") "address" "" "databaseIndex" "0" "tls" (hasPrefix "rediss:" $uri) "authenticated" (contains "@" $authority) -}}
{{- if and (regexMatch "^rediss?://" $uri) (not (contains "${" $uri)) -}}
{{- $host := regexReplaceAll "^.*@" $authority "" -}}
{{- $_ := set $found "address" (ternary $host (printf "%s:6379" $host) (regexMatch ":[0-9]+$" $host)) -}}
{{- $_ := set $found "databaseIndex" (regexReplaceAll "^rediss?://[^/?#]*/?([0-9]*).*$" $uri "${1}" | default "0") -}}
{{- end -}}
{{- $_ := set $brokers $key $found -}}
{{- end -}}
{{- $_ := set $facts "brokers" $brokers -}}
{{- $_ := set $facts "inline" (and $known (eq (toString (($brokers.default | default dict).provider | default "inline")) "inline")) -}}
{{- $facts | toJson -}}
{{- end -}}
