{{/* A policy document that allows these actions on these resources and nothing else (rule K3). Call with (dict "actions" (list …) "resources" (list …)). */}}
{{- define "downbeat.iamPolicy" -}}
{ "Version": "2012-10-17",
  "Statement": [{ "Effect": "Allow",
    "Action": [{{ range $index, $action := .actions }}{{ if $index }}, {{ end }}{{ $action | quote }}{{ end }}],
    "Resource": [{{ range $index, $resource := .resources }}{{ if $index }}, {{ end }}{{ $resource | quote }}{{ end }}] }] }
{{- end }}
