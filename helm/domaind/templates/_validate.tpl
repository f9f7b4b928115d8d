{{/* Refuses values that contradict each other or domain.toml: all of them at once, each with what to do. */}}
{{- define "domaind.validate" -}}
{{- $values := .Values -}}
{{- $facts := include "domaind.facts" . | fromJson -}}
{{- $faults := list -}}
{{- $scaled := or $values.autoscaling.hpa.enabled $values.autoscaling.keda.enabled -}}

{{- if and $values.config $values.existingConfigMap -}}
{{- $faults = append $faults "config and existingConfigMap are both given: give one of them" -}}
{{- end -}}
{{- if not (or $values.config $values.existingConfigMap) -}}
{{- $faults = append $faults "no configuration: give --set-file config=domain.toml, or existingConfigMap" -}}
{{- end -}}

{{- if $facts.known -}}
{{- with $values.environment -}}
{{- if not (kindIs "map" (get (fromToml $values.config) .)) -}}
{{- $faults = append $faults (printf "environment is %q, but config has no table [%s.…]" . .) -}}
{{- end -}}
{{- end -}}
{{- if not $facts.healthEnabled -}}
{{- $faults = append $faults "[server.health] enabled is false in config: the probes need it" -}}
{{- end -}}
{{- if has $facts.healthHost (list "127.0.0.1" "localhost" "::1") -}}
{{- $faults = append $faults (printf "[server.health] host is %s in config, where no probe reaches it: write host = \"${HEALTH_HOST|127.0.0.1}\" and set env.HEALTH_HOST to 0.0.0.0" $facts.healthHost) -}}
{{- end -}}
{{- if eq (int $facts.healthPort) 0 -}}
{{- $faults = append $faults "[server.health] port is 0 in config, any free one: name the port that the probes are to ask" -}}
{{- end -}}
{{- if and $facts.ingressEnabled (has $facts.ingressHost (list "127.0.0.1" "localhost" "::1")) -}}
{{- $faults = append $faults (printf "[server.ingress] host is %s in config, where no Service reaches it: write 0.0.0.0 and a token" $facts.ingressHost) -}}
{{- end -}}
{{- if and $facts.inline (eq $values.mode "split") -}}
{{- $faults = append $faults "mode is split, but the default broker of config is inline, within one process: use provider = \"redis\"" -}}
{{- end -}}
{{- if and (or $facts.inline $facts.memory) (or $scaled (gt (int $values.replicas) 1)) -}}
{{- $faults = append $faults "more than one pod, but config keeps messages in the memory of one: use PostgreSQL and Redis" -}}
{{- end -}}
{{- if and (eq $values.mode "split") (not $facts.outbox) -}}
{{- $faults = append $faults "mode is split, but enable_outbox is false in config: there is nothing to relay" -}}
{{- end -}}
{{- if and (ne $values.handlers.source "image") (kindIs "string" $facts.handlersPath) -}}
{{- $path := clean (ternary $facts.handlersPath (printf "/app/%s" $facts.handlersPath) (hasPrefix "/" $facts.handlersPath)) -}}
{{- if not (hasPrefix (printf "%s/" (clean $values.handlers.mountPath)) (printf "%s/" $path)) -}}
{{- $faults = append $faults (printf "handlers are mounted at %s, but [handlers] path in config is %q, which is %s" $values.handlers.mountPath $facts.handlersPath $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- $needed := addf $facts.drainSeconds $values.preStopSleepSeconds 5 -}}
{{- if lt (float64 $values.terminationGracePeriodSeconds) $needed -}}
{{- $faults = append $faults (printf "terminationGracePeriodSeconds is %v: a drain takes up to %v s, so at least %v are needed (drain_timeout_seconds + preStopSleepSeconds + 5)" $values.terminationGracePeriodSeconds $facts.drainSeconds $needed) -}}
{{- end -}}

{{- with $values.handlers -}}
{{- if and (eq .source "imageVolume") (not .imageVolume.reference) -}}
{{- $faults = append $faults "handlers.source is imageVolume: name the image in handlers.imageVolume.reference" -}}
{{- end -}}
{{- if and (eq .source "initContainer") (not .initContainer.image) -}}
{{- $faults = append $faults "handlers.source is initContainer: name the image in handlers.initContainer.image" -}}
{{- end -}}
{{- if and (eq .source "configMap") (not .configMap.name) (not .configMap.files) -}}
{{- $faults = append $faults "handlers.source is configMap: give handlers.configMap.name or handlers.configMap.files" -}}
{{- end -}}
{{- if and .configMap.name .configMap.files -}}
{{- $faults = append $faults "handlers.configMap.name and handlers.configMap.files are both given: give one of them" -}}
{{- end -}}
{{- if and (eq .source "persistentVolumeClaim") (not .persistentVolumeClaim.claimName) -}}
{{- $faults = append $faults "handlers.source is persistentVolumeClaim: name it in handlers.persistentVolumeClaim.claimName" -}}
{{- end -}}
{{- end -}}

{{- if and (or $values.secrets.env $values.secrets.files) (not $values.secrets.existingSecret) -}}
{{- $faults = append $faults "secrets.env and secrets.files name keys of a Secret: name it in secrets.existingSecret" -}}
{{- end -}}
{{- $stated := list -}}
{{- range $name, $_ := $values.env -}}{{- $stated = append $stated $name -}}{{- end -}}
{{- range $name, $_ := $values.secrets.env -}}{{- $stated = append $stated $name -}}{{- end -}}
{{- range $name, $_ := $values.secrets.files -}}{{- $stated = append $stated $name -}}{{- end -}}
{{- range $values.extraEnv -}}{{- $stated = append $stated .name -}}{{- end -}}
{{- range $stated | uniq -}}
{{- $name := . -}}
{{- $count := 0 -}}
{{- range $stated -}}{{- if eq . $name -}}{{- $count = add $count 1 -}}{{- end -}}{{- end -}}
{{- if gt (int $count) 1 -}}
{{- $faults = append $faults (printf "the variable %s is given more than once, by env, extraEnv, secrets.env or secrets.files" $name) -}}
{{- end -}}
{{- end -}}

{{- with $values.autoscaling -}}
{{- if and .hpa.enabled .keda.enabled -}}
{{- $faults = append $faults "autoscaling.hpa and autoscaling.keda are both enabled: KEDA makes a HorizontalPodAutoscaler itself, so enable one of them" -}}
{{- end -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- $faults = append $faults (printf "autoscaling.minReplicas is %v, more than maxReplicas, %v" .minReplicas .maxReplicas) -}}
{{- end -}}
{{- if and .hpa.enabled (eq (int .minReplicas) 0) -}}
{{- $faults = append $faults "autoscaling.minReplicas is 0: a HorizontalPodAutoscaler keeps at least 1, KEDA may go to 0" -}}
{{- end -}}
{{- if and .hpa.enabled (not (dig "requests" "cpu" "" $values.resources)) -}}
{{- $faults = append $faults "autoscaling.hpa measures CPU against what is asked for: set resources.requests.cpu" -}}
{{- end -}}
{{- if .keda.enabled -}}
{{- if and (eq (int .minReplicas) 0) (ne $values.mode "split") -}}
{{- $faults = append $faults "autoscaling.minReplicas is 0 with mode all: without a pod nothing relays the outbox; use mode split" -}}
{{- end -}}
{{- if not (or .keda.handlers .keda.plan) -}}
{{- $faults = append $faults "autoscaling.keda knows no handler: give --set-file autoscaling.keda.plan with what `domaind server --dry-run --json` prints, or autoscaling.keda.handlers" -}}
{{- end -}}
{{- if and .keda.handlers (not .keda.plan) (not $facts.plainName) -}}
{{- $faults = append $faults "names of streams begin with the domain's: write name in config, of plain letters, or give autoscaling.keda.plan" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- with $values.podDisruptionBudget -}}
{{- if .enabled -}}
{{- $min := not (kindIs "invalid" .minAvailable) -}}
{{- $max := not (kindIs "invalid" .maxUnavailable) -}}
{{- if eq $min $max -}}
{{- $faults = append $faults "podDisruptionBudget takes minAvailable or maxUnavailable, one of them: set the other to null" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- with $values.metrics -}}
{{- if and .podMonitor.enabled .serviceMonitor.enabled -}}
{{- $faults = append $faults "metrics.podMonitor and metrics.serviceMonitor are both enabled: every pod would be asked twice" -}}
{{- end -}}
{{- if and .serviceMonitor.enabled (not $values.service.enabled) -}}
{{- $faults = append $faults "metrics.serviceMonitor needs service.enabled" -}}
{{- end -}}
{{- end -}}

{{- if $faults -}}
{{- fail (printf "\n\n- %s\n" (join "\n- " $faults)) -}}
{{- end -}}
{{- end -}}
