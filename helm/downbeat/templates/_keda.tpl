{{/* How KEDA signs in: said, or what fits the queue. */}}
{{- define "downbeat.kedaAuthentication" -}}
{{ .Values.executor.keda.authentication | default (ternary "environment" "podIdentity" (or .Values.queue.bundled .Values.queue.emulator)) }}
{{- end }}
