{{/* Ways out that several roles share. Each is a list of egress rules. */}}
{{- define "downbeat.egressDns" -}}
- to: {{- toYaml .Values.networkPolicy.dns.to | nindent 4 }}
  ports:
    - { protocol: UDP, port: 53 }
    - { protocol: TCP, port: 53 }
{{- end }}

{{- define "downbeat.egressDatabase" -}}
{{- $database := .Values.networkPolicy.database }}
{{- if .Values.database.bundled }}
- to:
    - podSelector:
        matchLabels: {{- include "downbeat.selectorLabels" (dict "root" . "app" "postgresql") | nindent 10 }}
  ports:
    - { protocol: TCP, port: 5432 }
{{- else }}
- {{ with $database.cidrs }}to: {{- include "downbeat.ipBlocks" . | nindent 4 }}
  {{ end }}ports: {{- include "downbeat.tcpPorts" $database.ports | nindent 4 }}
{{- end }}
{{- end }}

{{/* Call with (dict "root" $ "anywhere" true): without given addresses, either any or none. */}}
{{- define "downbeat.egressQueue" -}}
{{- $queue := .root.Values.networkPolicy.queue }}
{{- if .root.Values.queue.bundled }}
- to:
    - podSelector:
        matchLabels: {{- include "downbeat.selectorLabels" (dict "root" .root "app" "localstack") | nindent 10 }}
  ports:
    - { protocol: TCP, port: 4566 }
{{- else if or $queue.cidrs .anywhere }}
- {{ with $queue.cidrs }}to: {{- include "downbeat.ipBlocks" . | nindent 4 }}
  {{ end }}ports: {{- include "downbeat.tcpPorts" $queue.ports | nindent 4 }}
{{- end }}
{{- if .root.Values.networkPolicy.podIdentity }}
- to:
    - ipBlock: { cidr: 169.254.170.23/32 }
    - ipBlock: { cidr: "fd00:ec2::23/128" }
  ports:
    - { protocol: TCP, port: 80 }
{{- end }}
{{- end }}

{{- define "downbeat.ipBlocks" -}}
{{- range . }}
- ipBlock: { cidr: {{ . | quote }} }
{{- end }}
{{- end }}

{{- define "downbeat.tcpPorts" -}}
{{- range . }}
- { protocol: TCP, port: {{ . | int64 }} }
{{- end }}
{{- end }}

{{/* Where Prometheus may come in. */}}
{{- define "downbeat.ingressMetrics" -}}
{{- with .Values.networkPolicy.metrics.from }}
- from: {{- toYaml . | nindent 4 }}
  ports:
    - { protocol: TCP, port: 9464 }
{{- end }}
{{- end }}
