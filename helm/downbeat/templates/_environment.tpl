{{/* Region of the queue: said, or read from its URL. */}}
{{- define "downbeat.region" -}}
{{- $inUrl := regexFind "^https://sqs\\.[a-z0-9-]+\\.amazonaws\\.com" .Values.queue.url | trimPrefix "https://sqs." | trimSuffix ".amazonaws.com" -}}
{{ .Values.queue.region | default $inUrl | default "us-east-1" }}
{{- end }}

{{- define "downbeat.queueUrl" -}}
{{ if .Values.queue.bundled }}http://localstack:4566/000000000000/{{ .Values.queue.name }}{{ else }}{{ .Values.queue.url }}{{ end }}
{{- end }}

{{- define "downbeat.queueEndpoint" -}}
{{ if .Values.queue.bundled }}http://localstack:4566{{ else }}{{ .Values.queue.endpoint }}{{ end }}
{{- end }}

{{/* Name of the queue: the last part of its URL. */}}
{{- define "downbeat.queueName" -}}
{{ include "downbeat.queueUrl" . | splitList "/" | last }}
{{- end }}

{{/* ARN of the queue, or a placeholder that says what to put there. */}}
{{- define "downbeat.queueArn" -}}
{{- $parts := regexFind "^https://sqs\\.[a-z0-9-]+\\.amazonaws\\.com(\\.cn)?/[0-9]{12}/[A-Za-z0-9_-]+$" .Values.queue.url | splitList "/" }}
{{- $region := include "downbeat.region" . }}
{{- $partition := ternary "aws-cn" (ternary "aws-us-gov" "aws" (hasPrefix "us-gov-" $region)) (hasPrefix "cn-" $region) }}
{{- if .Values.queue.arn }}{{ .Values.queue.arn }}
{{- else if eq (len $parts) 5 }}arn:{{ $partition }}:sqs:{{ $region }}:{{ index $parts 3 }}:{{ index $parts 4 }}
{{- else if .Values.queue.bundled }}arn:aws:sqs:{{ $region }}:000000000000:{{ .Values.queue.name }}
{{- else }}<the queue's ARN>{{ end }}
{{- end }}

{{/* Whether the chart keeps a Secret of its own, and for what. */}}
{{- define "downbeat.ownsDatabaseUrl" -}}
{{ if not .Values.database.existingSecret.name }}true{{ end }}
{{- end }}
{{- define "downbeat.ownsSecretKeys" -}}
{{ if not .Values.secretKeys.existingSecret.name }}true{{ end }}
{{- end }}

{{/* DATABASE_URL of one role. Call with (dict "root" $ "role" "executor"). */}}
{{- define "downbeat.databaseEnv" -}}
{{- $existing := .root.Values.database.existingSecret }}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      {{- if $existing.name }}
      name: {{ $existing.name | quote }}
      key: {{ get $existing.keys .role | default $existing.key | quote }}
      {{- else }}
      name: {{ .secret | default "downbeat-secrets" }}
      key: {{ .role }}-database-url
      {{- end }}
{{- end }}

{{- define "downbeat.secretKeysEnv" -}}
{{- $existing := .Values.secretKeys.existingSecret }}
- name: DOWNBEAT_SECRET_KEYS
  valueFrom:
    secretKeyRef:
      name: {{ $existing.name | default "downbeat-secrets" | quote }}
      key: {{ $existing.key | default "secret-keys" | quote }}
{{- end }}

{{/* The operations port of pods that stay: probes and metrics. */}}
{{- define "downbeat.operationsEnv" -}}
- name: METRICS_HOST
  value: 0.0.0.0
- name: METRICS_PORT
  value: "9464"
- name: METRICS_TENANT_LABEL
  value: {{ .Values.metrics.tenantLabel | quote }}
{{- end }}

{{- define "downbeat.envFrom" -}}
- configMapRef: { name: scheduler-env }
{{- with .Values.envFrom }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Liveness asks the process alone, never the database: a restart mends nothing that is wrong there (rule K4). */}}
{{- define "downbeat.probes" -}}
startupProbe:
  httpGet: { path: /livez, port: metrics }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 30
livenessProbe:
  httpGet: { path: /livez, port: metrics }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: { path: /readyz, port: metrics }
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end }}

{{/* Pods restart when what they read at start changes. Generated secrets are left out: they never change, and would make each rendering another one. */}}
{{- define "downbeat.checksums" -}}
checksum/scheduler-env: {{ include (print .Template.BasePath "/scheduler-env-configmap.yaml") . | sha256sum }}
checksum/secrets: {{ toJson (list .Values.database .Values.secretKeys.value .Values.secretKeys.existingSecret) | sha256sum }}
{{- end }}

{{/* Annotations of a role's pods. Call with (dict "root" $ "role" .Values.executor). */}}
{{- define "downbeat.podAnnotations" -}}
{{ include "downbeat.checksums" .root }}
{{- with mergeOverwrite (dict) .root.Values.podAnnotations .role.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "downbeat.volumes" -}}
- name: tmp
  emptyDir: { sizeLimit: {{ .Values.tmpSizeLimit }} }
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "downbeat.volumeMounts" -}}
- { name: tmp, mountPath: /tmp }
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
