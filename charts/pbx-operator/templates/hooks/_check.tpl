{{/* The Pod of a hook: our own image, the operator's rights and `pbx-operator check`, on the operator's nodes; takes root,
args, values (those of the Pod) and, if it is to be seen, the name of the Secret with the exchange's certificate. */}}
{{- define "pbx-operator.check" -}}
{{- include "pbx-operator.pod" (dict "root" .root "account" (include "pbx-operator.serviceAccountName" .root)) }}
restartPolicy: Never
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "pbx-operator.placement" . }}
containers:
  - name: check
    {{- include "pbx-operator.container" .root | nindent 4 }}
    command: [pbx-operator, check]
    args:
      {{- toYaml .args | nindent 6 }}
      {{- range .root.Values.watchNamespaces }}
      - --watch-namespace={{ . }}
      {{- end }}
    {{- include "pbx-operator.surroundings" . | nindent 4 }}
{{ include "pbx-operator.volumes" . }}
{{- end -}}

{{/* The values of a hook's Pod, as YAML: those of the operator's Pods, and over them those of the hooks. */}}
{{- define "pbx-operator.hookValues" -}}
{{- toYaml (merge (deepCopy .Values.hooks) (omit .Values "hooks" "resources")) -}}
{{- end -}}
