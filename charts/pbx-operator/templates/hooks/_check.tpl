{{/* The Pod of a hook: our own image, the operator's rights, and `pbx-operator check`; takes root, args and, if it is
to be seen, the name of the Secret with the exchange's certificate. */}}
{{- define "pbx-operator.check" -}}
{{- include "pbx-operator.pod" (dict "root" .root "account" (include "pbx-operator.serviceAccountName" .root)) }}
restartPolicy: Never
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: check
    {{- include "pbx-operator.container" .root | nindent 4 }}
    command: [pbx-operator, check]
    args:
      {{- toYaml .args | nindent 6 }}
      {{- range .root.Values.watchNamespaces }}
      - --watch-namespace={{ . }}
      {{- end }}
    env:
      - name: POD_NAMESPACE
        valueFrom:
          fieldRef:
            fieldPath: metadata.namespace
    resources:
      requests:
        cpu: 50m
        memory: 96Mi
      limits:
        memory: 256Mi
    volumeMounts:
      - name: tmp
        mountPath: /tmp
      {{- if .certificate }}
      - name: certificate
        mountPath: {{ include "pbx-operator.certificatePath" .root }}
        readOnly: true
      {{- end }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 16Mi
  {{- with .certificate }}
  - name: certificate
    secret:
      secretName: {{ . }}
  {{- end }}
{{- end -}}
