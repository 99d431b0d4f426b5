{{/* Names, labels and what all Pods of this chart have in common. */}}

{{- define "pbx-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "pbx-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := include "pbx-operator.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "pbx-operator.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{/* The name of objects outside the installation's namespace: several installations may share a cluster. */}}
{{- define "pbx-operator.sharedName" -}}
{{- printf "%s-%s" (include "pbx-operator.namespace" .) (include "pbx-operator.fullname" .) -}}
{{- end -}}

{{/* Service accounts: of the operator, and of the exchange. */}}
{{- define "pbx-operator.serviceAccountName" -}}
{{- $account := .Values.serviceAccount -}}
{{- $account.name | default (ternary (include "pbx-operator.fullname" .) "default" $account.create) -}}
{{- end -}}

{{- define "pbx-operator.exchange.serviceAccountName" -}}
{{- $account := .Values.exchange.serviceAccount -}}
{{- $account.name | default (ternary (printf "%s-exchange" (include "pbx-operator.fullname" .)) "default" $account.create) -}}
{{- end -}}

{{/* Labels by which Services, PodDisruptionBudgets and others select Pods; takes root and component. */}}
{{- define "pbx-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "pbx-operator.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of every object; those of a component have one more, and take root and component. */}}
{{- define "pbx-operator.labels" -}}
app.kubernetes.io/name: {{ include "pbx-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: pbx-operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "pbx-operator.componentLabels" -}}
{{ include "pbx-operator.labels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "pbx-operator.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What every Pod's spec begins with; takes root and account. */}}
{{- define "pbx-operator.pod" -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: true
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/* What every container begins with. The uid is the image's, unless the cluster assigns one. */}}
{{- define "pbx-operator.container" -}}
image: {{ include "pbx-operator.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Where Pods may run; takes root, component and values (those of the Pods). */}}
{{- define "pbx-operator.scheduling" -}}
affinity:
  {{- with .values.affinity }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- if not (hasKey (.values.affinity | default dict) "podAntiAffinity") }}
  {{- $selectorLabels := include "pbx-operator.selectorLabels" . }}
  {{- /* No TopologySpreadConstraint: with one over zones the scheduler ignores all of them on nodes without a zone. */}}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      {{- range $key, $weight := dict "kubernetes.io/hostname" 100 "topology.kubernetes.io/zone" 50 }}
      - weight: {{ $weight }}
        podAffinityTerm:
          topologyKey: {{ $key }}
          labelSelector:
            matchLabels:
              {{- $selectorLabels | nindent 14 }}
          matchLabelKeys: [pod-template-hash]
      {{- end }}
  {{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Metadata of a Pod template; takes root, component and values (those of the Pods). */}}
{{- define "pbx-operator.podMetadata" -}}
labels:
  {{- include "pbx-operator.componentLabels" . | nindent 2 }}
  {{- with .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  kubectl.kubernetes.io/default-container: {{ .component }}
  {{- with .values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Environment, mounts and resources of a long-running container; takes root and values (those of the Pods). */}}
{{- define "pbx-operator.surroundings" -}}
env:
  - name: POD_NAMESPACE
    valueFrom:
      fieldRef:
        fieldPath: metadata.namespace
  {{- with .values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
resources:
  {{- toYaml .values.resources | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- if and .root.Values.exchange.enabled .root.Values.exchange.certificateSecretName }}
  - name: certificate
    mountPath: {{ include "pbx-operator.certificatePath" .root }}
    readOnly: true
  {{- end }}
  {{- with .values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Volumes of a long-running Pod; takes root and values (those of the Pods). */}}
{{- define "pbx-operator.volumes" -}}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 16Mi
  {{- if and .root.Values.exchange.enabled .root.Values.exchange.certificateSecretName }}
  - name: certificate
    secret:
      secretName: {{ .root.Values.exchange.certificateSecretName }}
  {{- end }}
  {{- with .values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "pbx-operator.certificatePath" -}}
/etc/pbx-operator/certificate
{{- end -}}

{{/* The host names among the exchange's endpoints, as a YAML list: addresses have no server name in TLS. */}}
{{- define "pbx-operator.exchangeHosts" -}}
{{- $hosts := list -}}
{{- range .Values.exchange.endpoints -}}
{{- $host := get (urlParse .) "hostname" -}}
{{- if not (or (contains ":" $host) (regexMatch `^[0-9.]+$` $host)) -}}
{{- $hosts = append $hosts $host -}}
{{- end -}}
{{- end -}}
{{- if not $hosts -}}
{{- fail "exchange.endpoints: an Ingress or a TLSRoute finds the exchange by the host name in TLS, and none of these addresses has one; add an endpoint with a name, or turn exchange.ingress and exchange.route off" -}}
{{- end -}}
{{- toYaml (uniq $hosts) -}}
{{- end -}}
