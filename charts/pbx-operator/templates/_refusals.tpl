{{/* Values that are right each by itself and do not work together. What a single value may be is in the schema; the
schema could only say of two values that one of its conditions did not hold. Each line is one refusal: the value, why it
does not work, and what to do. `refusals.yaml` tells them. */}}

{{/* Of the operator, its service accounts and its CustomResourceDefinitions. */}}
{{- define "pbx-operator.refusals.installation" -}}
{{- if and (gt (int .Values.replicas) 1) (not .Values.leaderElection.enabled) }}
replicas: {{ .Values.replicas }} does not work without the Lease, since operators would disturb each other; set leaderElection.enabled: true, or replicas: 1
{{- end }}
{{- range $value, $account := dict "serviceAccount" .Values.serviceAccount "exchange.serviceAccount" .Values.exchange.serviceAccount }}
{{- if not (or $account.create $account.name (and (hasPrefix "exchange" $value) (not $.Values.exchange.enabled))) }}
{{ $value }}.name: "" grants these Pods' rights to the service account default, and so to every Pod of the namespace that names none; name one that exists, or set {{ $value }}.create: true
{{- end }}
{{- end }}
{{- if and .Values.crds.enabled (not .Values.crds.keep) }}
{{- if .Values.policies.enabled }}
crds.keep: false cannot be obeyed beside policies.enabled: true, which refuses to delete CustomResourceDefinitions, used or not; set crds.keep: true, and delete them by hand after an uninstallation
{{- end }}
{{- if .Values.watchNamespaces }}
crds.keep: false deletes the objects of all namespaces at an uninstallation, whose guard sees watchNamespaces alone; set crds.keep: true, and delete the CustomResourceDefinitions by hand when nobody needs them
{{- end }}
{{- end }}
{{- end }}

{{/* Of labels that would be given twice. */}}
{{- define "pbx-operator.refusals.labels" -}}
{{- $own := concat (include "pbx-operator.ownLabels" . | fromYaml | keys) (list "app.kubernetes.io/component" "pbx-operator.io/metrics") }}
{{- range $value, $labels := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels "exchange.podLabels" .Values.exchange.podLabels "hooks.podLabels" .Values.hooks.podLabels }}
{{- range $label, $_ := $labels }}
{{- if has $label $own }}
{{ $value }}: {{ $label }} is what the chart gives itself; take another label
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Of networks that the operator, or Kubernetes, would not take. */}}
{{- define "pbx-operator.refusals.networks" -}}
{{- range $value, $networks := dict "network.forbid" .Values.network.forbid "network.allow" .Values.network.allow "exchange.service.loadBalancerSourceRanges" .Values.exchange.service.loadBalancerSourceRanges }}
{{- range $network := $networks }}
{{- with include "pbx-operator.networkProblem" . }}
{{ $value }}: {{ $network }} {{ . }}; write it like 10.0.0.0/8 or 2001:db8::/32
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Of the exchange, and of what leads to it. */}}
{{- define "pbx-operator.refusals.exchange" -}}
{{- with .Values.exchange }}
{{- if not .enabled }}
{{- with .endpoints }}
exchange.endpoints: {{ . }} lead to an exchange that does not run; set exchange.enabled: true, or exchange.endpoints: []
{{- end }}
{{- with .certificateSecretName }}
exchange.certificateSecretName: {{ . }} is of an exchange that does not run; set exchange.enabled: true, or leave it empty
{{- end }}
{{- end }}
{{- if and .enabled (eq (int .port) 9090) }}
exchange.port: 9090 is where the exchange has its metrics; take another one, for example 8443
{{- end }}
{{- if and .enabled (not .endpoints) }}
exchange.endpoints: [] leaves others without an address of the exchange; name where they reach it, for example [https://pbx.example.com], or set exchange.enabled: false
{{- end }}
{{- range $door, $chosen := dict "exchange.ingress" .ingress "exchange.route" .route }}
{{- if and $chosen.enabled (not $.Values.exchange.enabled) }}
{{ $door }}.enabled: true leads to an exchange that does not run; set exchange.enabled: true and exchange.endpoints, or {{ $door }}.enabled: false
{{- else if and $chosen.enabled $.Values.exchange.endpoints (not (include "pbx-operator.exchangeHosts" $ | fromYamlArray)) }}
{{ $door }}.enabled: true needs a host name, which an address has not, to find the exchange by in TLS; add an endpoint with a name to exchange.endpoints, or set {{ $door }}.enabled: false
{{- end }}
{{- end }}
{{- if and .route.enabled (not .route.parentRefs) }}
exchange.route.parentRefs: [] attaches the TLSRoute to no Gateway; name one, for example [{name: public, sectionName: tls}]
{{- end }}
{{- end }}
{{- end }}

{{/* Of the Service of the exchange. */}}
{{- define "pbx-operator.refusals.service" -}}
{{- with .Values.exchange }}
{{- with .service.nodePort | int }}
{{- if eq $.Values.exchange.service.type "ClusterIP" }}
exchange.service.nodePort: {{ . }} is for no port with exchange.service.type: ClusterIP; set that to NodePort or LoadBalancer, or exchange.service.nodePort: 0
{{- else if or (lt . 30000) (gt . 32767) }}
exchange.service.nodePort: {{ . }} is not a port that nodes give to Services; take one from 30000 to 32767, or 0 for any
{{- end }}
{{- end }}
{{- if ne .service.type "LoadBalancer" }}
{{- range $value := list "loadBalancerClass" "loadBalancerSourceRanges" }}
{{- with get $.Values.exchange.service $value }}
exchange.service.{{ $value }}: {{ . }} is for no load balancer with exchange.service.type: {{ $.Values.exchange.service.type }}; set that to LoadBalancer, or leave exchange.service.{{ $value }} empty
{{- end }}
{{- end }}
{{- end }}
{{- if and (eq .service.ipFamilyPolicy "SingleStack") (gt (len .service.ipFamilies) 1) }}
exchange.service.ipFamilies: {{ .service.ipFamilies }} are more than exchange.service.ipFamilyPolicy: SingleStack has; name one, or set PreferDualStack or RequireDualStack
{{- end }}
{{- end }}
{{- end }}

{{/* Of what Prometheus would read twice, or not find. */}}
{{- define "pbx-operator.refusals.metrics" -}}
{{- with .Values.metrics }}
{{- if and .podMonitor.enabled .serviceMonitor.enabled }}
metrics.podMonitor.enabled: true makes Prometheus read everything twice beside metrics.serviceMonitor; set one of them false
{{- end }}
{{- if and .serviceMonitor.enabled (not .service.enabled) }}
metrics.serviceMonitor.enabled: true finds no Service; set metrics.service.enabled: true, or take metrics.podMonitor instead
{{- end }}
{{- end }}
{{- end }}
