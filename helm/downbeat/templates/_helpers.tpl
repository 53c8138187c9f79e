{{/* Labels of an object. Call with (dict "root" $ "app" "schedule-executor" "component" "executor"). */}}
{{- define "downbeat.labels" -}}
{{ include "downbeat.podIdentityLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels that pods carry: those of objects without the chart's version, which would restart pods for nothing. */}}
{{- define "downbeat.podIdentityLabels" -}}
app: {{ .app }}
app.kubernetes.io/name: downbeat
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{ include "downbeat.releaseLabels" .root }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{- define "downbeat.podLabels" -}}
{{ include "downbeat.podIdentityLabels" . }}
{{- with mergeOverwrite (dict) .root.Values.commonLabels .root.Values.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What selects every pod of this release, and no other. */}}
{{- define "downbeat.releaseLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/part-of: downbeat
{{- end }}

{{/* What selects the pods of one role. Immutable in Deployments, so it names neither version nor component. */}}
{{- define "downbeat.selectorLabels" -}}
app: {{ .app }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- end }}

{{/* An image's full name. Call with (dict "image" … "registry" … "tag" …); the digest decides when there is one. */}}
{{- define "downbeat.image" -}}
{{- $name := .image.repository }}
{{- with .registry }}{{ $name = printf "%s/%s" (trimSuffix "/" .) $name }}{{ end }}
{{- if .image.digest }}{{ $name }}@{{ .image.digest }}{{ else }}{{ $name }}:{{ .image.tag | default .tag }}{{ end }}
{{- end }}

{{- define "downbeat.schedulerImage" -}}
{{ include "downbeat.image" (dict "image" .Values.image.scheduler "registry" .Values.image.registry "tag" (.Values.image.tag | default .Chart.AppVersion)) }}
{{- end }}

{{- define "downbeat.apiImage" -}}
{{ include "downbeat.image" (dict "image" .Values.image.api "registry" .Values.image.registry "tag" (.Values.image.tag | default .Chart.AppVersion)) }}
{{- end }}

{{/* A map of environment variables as a container's list. Whole numbers of a YAML file arrive as floats, and would print as 1e+06. */}}
{{- define "downbeat.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ if and (kindIs "float64" $value) (eq (floor $value) $value) }}{{ $value | int64 | quote }}{{ else }}{{ $value | toString | quote }}{{ end }}
{{- end }}
{{- end }}

{{/* What the restricted pod-security level asks of a pod (rule K1). Call with the user's id. */}}
{{- define "downbeat.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* And of a container. Call with whether its root file system is read-only. */}}
{{- define "downbeat.securityContext" -}}
allowPrivilegeEscalation: false
capabilities: { drop: [ALL] }
readOnlyRootFilesystem: {{ . }}
{{- end }}

{{/* Where pods run: the role's own setting, else that of all pods. Call with (dict "root" $ "role" .Values.executor). */}}
{{- define "downbeat.placement" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- range $field := list "nodeSelector" "tolerations" "affinity" }}
{{- with (get $.role $field) | default (get $.root.Values $field) }}
{{ $field }}: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Spread constraints with the role's selector filled in. Call with (dict "root" $ "app" … "constraints" …). */}}
{{- define "downbeat.topologySpread" -}}
{{- range .constraints }}
- {{ toYaml (merge (deepCopy .) (dict "labelSelector" (dict "matchLabels" (include "downbeat.selectorLabels" $ | fromYaml)) "matchLabelKeys" (list "pod-template-hash"))) | nindent 2 }}
{{- end }}
{{- end }}
