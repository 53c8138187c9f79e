{{/* The dispatcher's pod template, the same in a Job and in a Deployment but for how long it lives. Call with (dict "root" $ "lives" "cronjob"|"deployment"). */}}
{{- define "downbeat.dispatcherPod" -}}
{{- $values := .root.Values }}
{{- $stays := eq .lives "deployment" }}
metadata:
  labels: {{- include "downbeat.podLabels" (dict "root" .root "app" "schedule-dispatcher" "component" "dispatcher") | nindent 4 }}
  annotations: {{- include "downbeat.podAnnotations" (dict "root" .root "role" $values.dispatcher) | nindent 4 }}
spec:
  serviceAccountName: schedule-dispatcher
  automountServiceAccountToken: false
  enableServiceLinks: false
  restartPolicy: {{ ternary "Always" "Never" $stays }}
  terminationGracePeriodSeconds: {{ $values.dispatcher.terminationGracePeriodSeconds | int64 }}
  securityContext: {{- include "downbeat.podSecurityContext" 1000 | nindent 4 }}
  {{- include "downbeat.placement" (dict "root" .root "role" $values.dispatcher) | nindent 2 }}
  {{- if $stays }}
  {{- with include "downbeat.topologySpread" (dict "root" .root "app" "schedule-dispatcher" "constraints" $values.dispatcher.topologySpreadConstraints) }}
  topologySpreadConstraints: {{- . | nindent 4 }}
  {{- end }}
  {{- end }}
  containers:
    - name: dispatcher
      image: {{ include "downbeat.schedulerImage" .root }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      command: ["node", "/app/lib/dispatcher.js"]
      envFrom: {{- include "downbeat.envFrom" .root | nindent 8 }}
      env:
        {{- include "downbeat.databaseEnv" (dict "root" .root "role" "dispatcher") | nindent 8 }}
        - name: DISPATCH_FOR_SECONDS
          value: {{ ternary "forever" ($values.dispatcher.cronjob.dispatchForSeconds | int64 | toString) $stays | quote }}
        {{- if $stays }}
        {{- include "downbeat.operationsEnv" .root | nindent 8 }}
        {{- end }}
        {{- with $values.dispatcher.env }}{{ include "downbeat.env" . | nindent 8 }}{{ end }}
      {{- if $stays }}
      ports:
        - { name: metrics, containerPort: 9464, protocol: TCP }
      {{- include "downbeat.probes" .root | nindent 6 }}
      {{- end }}
      resources: {{- toYaml $values.dispatcher.resources | nindent 8 }}
      securityContext: {{- include "downbeat.securityContext" true | nindent 8 }}
      volumeMounts: {{- include "downbeat.volumeMounts" .root | nindent 8 }}
  volumes: {{- include "downbeat.volumes" .root | nindent 4 }}
{{- end }}
