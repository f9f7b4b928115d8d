{{/* The ConfigMap that has domain.toml. `hook`: the one that exists before the chart does. Takes (dict "root" $ "hook" bool). */}}
{{- define "domaind.configMapName" -}}
{{- if .root.Values.existingConfigMap -}}
{{- .root.Values.existingConfigMap -}}
{{- else -}}
{{- include "domaind.fullname" .root }}{{ if .hook }}-migration{{ end -}}
{{- end -}}
{{- end -}}

{{/* The ConfigMap that has the handlers. */}}
{{- define "domaind.handlersConfigMapName" -}}
{{- if .root.Values.handlers.configMap.name -}}
{{- .root.Values.handlers.configMap.name -}}
{{- else -}}
{{- include "domaind.fullname" .root }}-handlers{{ if .hook }}-migration{{ end -}}
{{- end -}}
{{- end -}}

{{/* Variables that every container of domaind has. Takes (dict "root" $ "memory" "512Mi"). */}}
{{- define "domaind.env" -}}
{{- $values := .root.Values -}}
{{- with $values.environment }}
- name: DOMAIND_ENV
  value: {{ . | quote }}
{{- end }}
{{- range $name, $value := $values.env }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- if and .memory (not (hasKey $values.env "NODE_OPTIONS")) }}
{{- $memory := toString .memory }}
{{- $unit := regexFind "[MG]i$" $memory }}
{{- if and $unit (regexMatch "^[0-9]+[MG]i$" $memory) }}
{{- $mebibytes := mul (trimSuffix $unit $memory | int) (ternary 1024 1 (eq $unit "Gi")) }}
- name: NODE_OPTIONS
  value: {{ printf "--max-old-space-size=%d" (div (mul $mebibytes 3) 4) | quote }}
{{- end }}
{{- end }}
{{- range $name, $key := $values.secrets.env }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $values.secrets.existingSecret }}
      key: {{ $key }}
{{- end }}
{{- range $name, $key := $values.secrets.files }}
- name: {{ $name }}_FILE
  value: /etc/domaind/secrets/{{ $key }}
{{- end }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "domaind.volumeMounts" -}}
{{- $values := .root.Values -}}
- name: config
  mountPath: /app/domain.toml
  subPath: {{ $values.configMapKey }}
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- if ne $values.handlers.source "image" }}
- name: handlers
  mountPath: {{ $values.handlers.mountPath }}
  readOnly: true
  {{- if and (eq $values.handlers.source "persistentVolumeClaim") $values.handlers.persistentVolumeClaim.subPath }}
  subPath: {{ $values.handlers.persistentVolumeClaim.subPath }}
  {{- end }}
{{- end }}
{{- if $values.secrets.files }}
- name: secrets
  mountPath: /etc/domaind/secrets
  readOnly: true
{{- end }}
{{- with $values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "domaind.volumes" -}}
{{- $values := .root.Values -}}
- name: config
  configMap:
    name: {{ include "domaind.configMapName" . }}
- name: tmp
  emptyDir: {}
{{- with $values.handlers }}
{{- if eq .source "imageVolume" }}
- name: handlers
  image:
    reference: {{ .imageVolume.reference }}
    pullPolicy: {{ .imageVolume.pullPolicy }}
{{- else if eq .source "initContainer" }}
- name: handlers
  emptyDir: {}
{{- else if eq .source "configMap" }}
- name: handlers
  configMap:
    name: {{ include "domaind.handlersConfigMapName" $ }}
{{- else if eq .source "persistentVolumeClaim" }}
- name: handlers
  persistentVolumeClaim:
    claimName: {{ .persistentVolumeClaim.claimName }}
    readOnly: true
{{- end }}
{{- end }}
{{- if $values.secrets.files }}
- name: secrets
  secret:
    secretName: {{ $values.secrets.existingSecret }}
    defaultMode: 0440
    items:
      {{- range $values.secrets.files | values | uniq | sortAlpha }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
{{- end }}
{{- with $values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Copies the handlers out of their image. */}}
{{- define "domaind.handlersContainer" -}}
{{- with .Values.handlers.initContainer }}
- name: handlers
  image: {{ .image }}
  command:
    {{- toYaml .command | nindent 4 }}
  securityContext:
    {{- toYaml $.Values.securityContext | nindent 4 }}
  resources:
    {{- toYaml $.Values.migration.resources | nindent 4 }}
  volumeMounts:
    - name: handlers
      mountPath: /handlers
{{- end }}
{{- end -}}

{{/* What is the same of every pod, the migration's too. */}}
{{- define "domaind.podPlace" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The pod template of every Deployment. Takes (dict "root" $ "facts" … "component" … "only" "" | "relay" | "subscriptions" "resources" … "podAnnotations" …). */}}
{{- define "domaind.podTemplate" -}}
{{- $values := .root.Values -}}
{{- $facts := .facts -}}
{{- $selector := dict "root" .root "component" .component -}}
metadata:
  labels:
    {{- include "domaind.labels" $selector | nindent 4 }}
    domaind-daemon: "true"
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: domaind
    {{- if $values.config }}
    checksum/config: {{ $values.config | sha256sum }}
    {{- end }}
    {{- if and (eq $values.handlers.source "configMap") $values.handlers.configMap.files }}
    checksum/handlers: {{ $values.handlers.configMap.files | toJson | sha256sum }}
    {{- end }}
    {{- with merge (dict) (.podAnnotations | default dict) $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "domaind.serviceAccountName" .root }}
  {{- include "domaind.podPlace" .root | trim | nindent 2 }}
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    {{- $constraint := . }}
    {{- if not (hasKey . "labelSelector") }}
    {{- $constraint = merge (dict "labelSelector" (dict "matchLabels" (include "domaind.selectorLabels" $selector | fromYaml))) . }}
    {{- end }}
    - {{- toYaml $constraint | nindent 6 }}
    {{- end }}
  {{- end }}
  {{- if or (eq $values.handlers.source "initContainer") $values.extraInitContainers }}
  initContainers:
    {{- if eq $values.handlers.source "initContainer" }}
    {{- include "domaind.handlersContainer" .root | trim | nindent 4 }}
    {{- end }}
    {{- with $values.extraInitContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  containers:
    - name: domaind
      image: {{ include "domaind.image" .root }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args:
        - server
        {{- with .only }}
        - --only
        - {{ . }}
        {{- end }}
        {{- with $values.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      env:
        {{- include "domaind.env" (dict "root" .root "memory" (dig "limits" "memory" "" .resources)) | trim | nindent 8 }}
      {{- with $values.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: health
          containerPort: {{ $facts.healthPort }}
          protocol: TCP
        {{- if $facts.ingressEnabled }}
        - name: ingress
          containerPort: {{ $facts.ingressPort }}
          protocol: TCP
        {{- end }}
      {{- with $values.probes }}
      startupProbe:
        httpGet:
          path: /startupz
          port: health
        periodSeconds: {{ .startup.periodSeconds }}
        timeoutSeconds: {{ .startup.timeoutSeconds }}
        failureThreshold: {{ ceil (divf (addf $facts.startupSeconds 30) .startup.periodSeconds) | int }}
      livenessProbe:
        httpGet:
          path: /livez
          port: health
        periodSeconds: {{ .liveness.periodSeconds }}
        timeoutSeconds: {{ .liveness.timeoutSeconds }}
        failureThreshold: {{ .liveness.failureThreshold }}
      readinessProbe:
        httpGet:
          path: /readyz
          port: health
        periodSeconds: {{ .readiness.periodSeconds }}
        timeoutSeconds: {{ .readiness.timeoutSeconds }}
        failureThreshold: {{ .readiness.failureThreshold }}
      {{- end }}
      {{- if gt (int $values.preStopSleepSeconds) 0 }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ $values.preStopSleepSeconds }}
      {{- end }}
      securityContext:
        {{- toYaml $values.securityContext | nindent 8 }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      volumeMounts:
        {{- include "domaind.volumeMounts" . | nindent 8 }}
    {{- with $values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "domaind.volumes" (dict "root" .root "hook" false) | nindent 4 }}
{{- end -}}
