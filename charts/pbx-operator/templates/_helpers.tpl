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

{{/* Service accounts: of the operator, and of the exchange; `_refusals.tpl` sees to it that others are named. */}}
{{- define "pbx-operator.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "pbx-operator.fullname" .) -}}
{{- end -}}

{{- define "pbx-operator.exchange.serviceAccountName" -}}
{{- .Values.exchange.serviceAccount.name | default (printf "%s-exchange" (include "pbx-operator.fullname" .)) -}}
{{- end -}}

{{/* Labels by which Services, PodDisruptionBudgets and others select Pods; takes root and component. */}}
{{- define "pbx-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "pbx-operator.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels that the chart itself gives; `_refusals.tpl` keeps them from being given otherwise. */}}
{{- define "pbx-operator.ownLabels" -}}
app.kubernetes.io/name: {{ include "pbx-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: pbx-operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Labels of every object; those of a component have one more, and take root and component. */}}
{{- define "pbx-operator.labels" -}}
{{ include "pbx-operator.ownLabels" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "pbx-operator.componentLabels" -}}
{{ include "pbx-operator.labels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels and further ones, which come before commonLabels; takes labels, as text, and further. */}}
{{- define "pbx-operator.furtherLabels" -}}
{{- toYaml (merge (dict) .further (fromYaml .labels)) -}}
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

{{/* Where the Pods of a Deployment run, and how they spread; takes root, component and values (those of the Pods). */}}
{{- define "pbx-operator.spread" -}}
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
{{- end -}}

{{/* What a Pod needs of nodes and their network; takes values (those of the Pods). */}}
{{- define "pbx-operator.placement" -}}
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
{{- with .values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Metadata of a Pod template; takes root, component and values (those of the Pods). */}}
{{- define "pbx-operator.podMetadata" -}}
labels:
  {{- include "pbx-operator.furtherLabels" (dict "further" .values.podLabels "labels" (include "pbx-operator.componentLabels" .)) | nindent 2 }}
annotations:
  kubectl.kubernetes.io/default-container: {{ .component }}
  {{- with .values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Environment, mounts and resources of a container; takes values (those of the Pods) and, if it is to be seen, the
name of the Secret with the exchange's certificate. */}}
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
  {{- if .certificate }}
  - name: certificate
    mountPath: {{ include "pbx-operator.certificatePath" . }}
    readOnly: true
  {{- end }}
  {{- with .values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Volumes of a Pod; takes values (those of the Pods) and certificate, as above. */}}
{{- define "pbx-operator.volumes" -}}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 16Mi
  {{- with .certificate }}
  - name: certificate
    secret:
      secretName: {{ . }}
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
{{- toYaml (uniq $hosts) -}}
{{- end -}}

{{/* The endpoints with a port that a LoadBalancer or the nodes do not open, as a YAML list. */}}
{{- define "pbx-operator.otherPorts" -}}
{{- $service := .Values.exchange.service -}}
{{- $open := get (dict "LoadBalancer" $service.port "NodePort" $service.nodePort) $service.type | default 0 | int -}}
{{- range ternary .Values.exchange.endpoints list (ne $open 0) }}
{{- if ne $open (regexFind `:[0-9]+$` . | default ":443" | trimPrefix ":" | int) }}
- {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}
