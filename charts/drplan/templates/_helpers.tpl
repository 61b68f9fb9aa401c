{{/* Labels of everything. */}}
{{- define "drplan.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/name: drplan
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Labels by which Services and others find the Pods. They never change. */}}
{{- define "drplan.selector" -}}
app: drplan-controller
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "drplan.serviceAccount" -}}
{{ .Values.serviceAccount.name | default .Values.name }}
{{- end }}

{{- define "drplan.subject" -}}
- kind: ServiceAccount
  name: {{ include "drplan.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "drplan.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* What the operator calls the webhooks and the policy that it registers. */}}
{{- define "drplan.registration" -}}
{{- if .Values.namespaces -}}
drplan-operator-{{ .Values.namespaces | uniq | sortAlpha | join "," | sha256sum | trunc 10 }}
{{- else -}}
drplan-operator
{{- end -}}
{{- end }}

{{- define "drplan.webhookSecret" -}}
{{ .Values.name }}-webhook-certificate
{{- end }}

{{- define "drplan.webhookService" -}}
{{ .Values.name }}-webhook
{{- end }}
