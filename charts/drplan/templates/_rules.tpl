{{/* What the operator may do in the namespaces that it looks after. */}}
{{- define "drplan.rules" -}}
# To know what there is: lists at the start and every reconcile interval, watches between.
# patch: the finalizers that it sets and takes, and annotations with commands, which it takes off once they are answered.
- apiGroups: [dr.bkbcs.tencent.com]
  resources: [drworkflows, drplans, drplanexecutions]
  verbs: [get, list, watch, patch]
# The records: phase, attempts, outputs, history, the lock of a plan. patch: a claim, and what a Revert has undone.
- apiGroups: [dr.bkbcs.tencent.com]
  resources: [drworkflows/status, drplans/status, drplanexecutions/status]
  verbs: [update]
- apiGroups: [dr.bkbcs.tencent.com]
  resources: [drplanexecutions/status]
  verbs: [patch]
{{- if .Values.operator.triggerAnnotations }}
# For the annotation `trigger` on a plan.
- apiGroups: [dr.bkbcs.tencent.com]
  resources: [drplanexecutions]
  verbs: [create]
{{- end }}
# What an execution was started with, and texts that do not fit into its status. patch: a Revert becomes an owner too.
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, create, patch]
# What happened, in sentences.
- apiGroups: [""]
  resources: [events]
  verbs: [create]
# To learn at once that a Job has ended. Jobs are made, and their Pods and logs read, as the plan's ServiceAccount.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch]
# Whether the plan's ServiceAccount has the rights that the plan needs, asked before the plan runs.
- apiGroups: [authorization.k8s.io]
  resources: [localsubjectaccessreviews{{ if not .Values.namespaces }}, subjectaccessreviews{{ end }}]
  verbs: [create]
{{- with .Values.rbac.extraRules }}
# Of your own.
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Names of ServiceAccounts that may be impersonated in every namespace looked after; "*" alone: all. As JSON. */}}
{{- define "drplan.impersonatedEverywhere" -}}
{{- $names := list }}
{{- range .Values.rbac.impersonate }}
{{- $parts := splitList "/" . }}
{{- if eq (first $parts) "*" }}{{ $names = append $names (last $parts) }}{{ end }}
{{- end }}
{{- if has "*" $names }}{{ list "*" | toJson }}{{ else }}{{ $names | uniq | sortAlpha | toJson }}{{ end }}
{{- end }}

{{/* The names by namespace, for those that are limited to one. As JSON. */}}
{{- define "drplan.impersonatedIn" -}}
{{- $found := dict }}
{{- range .Values.rbac.impersonate }}
{{- $parts := splitList "/" . }}
{{- $namespace := first $parts }}
{{- if ne $namespace "*" }}
{{- $names := append (get $found $namespace | default list) (last $parts) }}
{{- if has "*" $names }}{{ $names = list "*" }}{{ end }}
{{- $_ := set $found $namespace ($names | uniq | sortAlpha) }}
{{- end }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/* A rule that lets these ServiceAccounts be impersonated. */}}
{{- define "drplan.impersonate" -}}
# Actions run as the ServiceAccount of their plan, with its rights and no others.
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [impersonate]
  {{- if not (has "*" .) }}
  resourceNames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
