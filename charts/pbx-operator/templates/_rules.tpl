{{/* What the operator and the exchange may do. Secrets are read by name; nobody may list or watch them. */}}

{{/* Of the operator, in every namespace that it looks after. */}}
{{- define "pbx-operator.rules.watched" -}}
- apiGroups: [pbx-operator.io]
  resources: [pbxaccounts, commservers]
  verbs: [get, list, watch, patch]
- apiGroups: [pbx-operator.io]
  resources: [internalnumbers]
  verbs: [get, list, watch]
- apiGroups: [pbx-operator.io]
  resources: [interlinks]
  verbs: [get, list, watch, patch, delete]
- apiGroups: [pbx-operator.io]
  resources: [pbxaccounts/status, interlinks/status, internalnumbers/status, commservers/status]
  verbs: [update]
- apiGroups: [pbx-operator.io]
  resources: [dialplanslices]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* Of the operator, for what lies in no namespace: the records, and the UID by which the cluster is known. */}}
{{- define "pbx-operator.rules.cluster" -}}
- apiGroups: [pbx-operator.io]
  resources: [linkrecords, equipmentrecords]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [pbx-operator.io]
  resources: [linkrecords/status, equipmentrecords/status]
  verbs: [update]
- apiGroups: [""]
  resources: [namespaces]
  resourceNames: [kube-system]
  verbs: [get]
{{- end -}}

{{/* Of the operator, in its own namespace: identity, certificate, the Lease and when peers were heard. */}}
{{- define "pbx-operator.rules.home" -}}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [pbx-operator-identity, pbx-operator-exchange-tls]
  verbs: [{{ if .Values.watchNamespaces }}get, {{ end }}update]
{{- if .Values.watchNamespaces }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
{{- end }}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
{{- end -}}

{{/* Of the exchange, for what lies in no namespace. */}}
{{- define "pbx-operator.rules.exchangeCluster" -}}
- apiGroups: [pbx-operator.io]
  resources: [linkrecords, equipmentrecords]
  verbs: [get, update]
- apiGroups: [pbx-operator.io]
  resources: [linkrecords/status, equipmentrecords/status]
  verbs: [update]
- apiGroups: [""]
  resources: [namespaces]
  resourceNames: [kube-system]
  verbs: [get]
{{- end -}}

{{/* Of the exchange, in its own namespace. */}}
{{- define "pbx-operator.rules.exchangeHome" -}}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [pbx-operator-identity]
  verbs: [get]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [pbx-operator-exchange-tls]
  verbs: [get, update]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
{{- end -}}

{{/* A ClusterRole or Role with its binding; takes root, component, kind, name, namespace (of a Role), account and rules. */}}
{{- define "pbx-operator.grant" -}}
{{ include "pbx-operator.role" . }}
---
{{ include "pbx-operator.binding" . }}
{{- end -}}

{{/* What a grant takes, for the role alone. */}}
{{- define "pbx-operator.role" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "pbx-operator.componentLabels" . | nindent 4 }}
rules:
  {{- .rules | nindent 2 }}
{{- end -}}

{{/* What a grant takes, for the binding alone: a RoleBinding if there is a namespace. */}}
{{- define "pbx-operator.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "Role" "ClusterRole" (hasKey . "namespace") }}Binding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "pbx-operator.componentLabels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .account }}
    namespace: {{ include "pbx-operator.namespace" .root }}
{{- end -}}
