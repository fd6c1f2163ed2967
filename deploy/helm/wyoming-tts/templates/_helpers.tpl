{{/* The name of everything that belongs to the servers. */}}
{{- define "wyoming-tts.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Labels by which pods are selected: a list of the root and the component. */}}
{{- define "wyoming-tts.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "wyoming-tts.labels" -}}
{{- $root := index . 0 -}}
{{ include "wyoming-tts.selector" . }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{/* Name and labels of an object: a list of the root, the component, and what follows the name. */}}
{{- define "wyoming-tts.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "wyoming-tts.name" $root }}{{ index . 2 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "wyoming-tts.labels" . | nindent 2 }}
{{- end }}

{{- define "wyoming-tts.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "wyoming-tts.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "wyoming-tts.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10200
runAsGroup: 10200
fsGroup: 10200
fsGroupChangePolicy: OnRootMismatch # or each start would go over all files of the volume
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "wyoming-tts.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Volumes of the servers and of the Job. */}}
{{- define "wyoming-tts.volumes" -}}
- name: data
  {{- if .Values.voices.bucket }}
  emptyDir:
    sizeLimit: {{ .Values.voices.size }}
  {{- else }}
  persistentVolumeClaim:
    claimName: {{ .Values.voices.existingClaim | default (printf "%s-voices" (include "wyoming-tts.name" .)) }}
  {{- end }}
- name: tmp # the root is read-only
  emptyDir:
    sizeLimit: 128Mi
{{- end }}

{{/* The file that `serve --config` reads: what the chart sets, and the values. */}}
{{- define "wyoming-tts.settings" -}}
{{- $name := include "wyoming-tts.name" . -}}
{{- $origins := list (printf "http://%s.%s:8880" $name .Release.Namespace) (printf "http://%s.%s.svc:8880" $name .Release.Namespace) -}}
{{- if .Values.ingress.enabled }}{{ $origins = append $origins (printf "%s://%s" (ternary "https" "http" (ne .Values.ingress.tlsSecret "")) .Values.ingress.host) }}{{ end -}}
{{- $settings := dict "http_host" "0.0.0.0" "data_dir" (list "/data") "compute_threads" .Values.cores "intra_op_threads" .Values.cores -}}
{{- if .Values.haproxy.enabled }}{{ $settings = merge $settings (dict "agent_port" 8881 "busy_status" 503 "max_connections" 1024) }}{{ end -}}
{{- if .Values.voices.bucket }}{{ $settings = merge $settings (dict "voices_url" .Values.voices.bucket) }}{{ end -}}
{{- if .Values.cache.enabled }}{{ $settings = merge $settings (dict "cache_url" (printf "redis://%s-cache" $name)) }}{{ end -}}
{{- $settings = merge $settings (omit .Values.settings "cors_origins") -}}
{{- toYaml (merge $settings (dict "cors_origins" (concat $origins .Values.settings.cors_origins))) -}}
{{- end }}
