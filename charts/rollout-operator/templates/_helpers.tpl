{{- define "operator.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_." }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "operator.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "operator.fullname" .) }}
{{- end }}

{{- /* An image by registry, repository and digest or tag: list of image and default tag. */ -}}
{{- define "operator.image" -}}
{{- $image := index . 0 }}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default (index . 1) }}{{ end }}
{{- end }}

{{- /* A CA and a client certificate, as files of a projected volume. */ -}}
{{- define "operator.tlsFiles" -}}
{{- with .ca }}
{{- if or .secret .configMap }}
- {{ .secret | empty | ternary "configMap" "secret" }}:
    name: {{ .secret | default .configMap }}
    items:
    - {key: {{ .key }}, path: ca.crt}
{{- end }}
{{- end }}
{{- with .clientCertificate.secret }}
- secret:
    name: {{ . }}
    items:
    - {key: tls.crt, path: tls.crt}
    - {key: tls.key, path: tls.key}
{{- end }}
{{- end }}

{{- /* How Prometheus is reached: the files, by the names that prometheusEnv has. */ -}}
{{- define "operator.prometheusFiles" -}}
{{- with .Values.prometheus }}
{{- if and .auth.tokenKey (not .auth.secret) }}
{{- fail "prometheus.auth.tokenKey is a key of a Secret: set prometheus.auth.secret to its name" }}
{{- end }}
{{- if and .ca.secret .ca.configMap }}
{{- fail "prometheus.ca names a Secret and a ConfigMap: leave one of them out" }}
{{- end }}
{{- if and (hasPrefix "http://" .url) (or .ca.secret .ca.configMap .clientCertificate.secret) }}
{{- fail "prometheus.ca and prometheus.clientCertificate are for TLS: write https:// in prometheus.url" }}
{{- end }}
{{- with .auth }}
{{- if .secret }}
- secret:
    name: {{ .secret }}
    items:
    {{- if .tokenKey }}
    - {key: {{ .tokenKey }}, path: token}
    {{- else }}
    - {key: {{ .usernameKey }}, path: username}
    - {key: {{ .passwordKey }}, path: password}
    {{- end }}
{{- end }}
{{- end }}
{{- include "operator.tlsFiles" . }}
{{- end }}
{{- end }}

{{- define "operator.prometheusEnv" -}}
{{- $folder := "/etc/rollout-operator/prometheus" }}
{{- with .Values.prometheus }}
{{- if and .auth.secret .auth.tokenKey }}
- {name: PROMETHEUS_TOKEN_FILE, value: {{ $folder }}/token}
{{- else if .auth.secret }}
- {name: PROMETHEUS_USERNAME_FILE, value: {{ $folder }}/username}
- {name: PROMETHEUS_PASSWORD_FILE, value: {{ $folder }}/password}
{{- end }}
{{- if or .ca.secret .ca.configMap }}
- {name: PROMETHEUS_CA_FILE, value: {{ $folder }}/ca.crt}
{{- end }}
{{- if .clientCertificate.secret }}
- {name: PROMETHEUS_CERT_FILE, value: {{ $folder }}/tls.crt}
- {name: PROMETHEUS_KEY_FILE, value: {{ $folder }}/tls.key}
{{- end }}
{{- with .headers }}
- {name: PROMETHEUS_HEADERS, value: {{ toJson . | quote }}}
{{- end }}
{{- end }}
{{- end }}

{{- /* How MLflow is reached with TLS: the files, by the names that mlflowEnv has. */ -}}
{{- define "operator.mlflowFiles" -}}
{{- with .Values.mlflow }}
{{- if and .ca.secret .ca.configMap }}
{{- fail "mlflow.ca names a Secret and a ConfigMap: leave one of them out" }}
{{- end }}
{{- if and (hasPrefix "http://" .trackingUri) (or .ca.secret .ca.configMap .clientCertificate.secret) }}
{{- fail "mlflow.ca and mlflow.clientCertificate are for TLS: write https:// in mlflow.trackingUri" }}
{{- end }}
{{- include "operator.tlsFiles" . }}
{{- end }}
{{- end }}

{{- define "operator.mlflowEnv" -}}
{{- $folder := "/etc/rollout-operator/mlflow" }}
{{- with .Values.mlflow }}
{{- if or .ca.secret .ca.configMap }}
- {name: REGISTRY_CA_FILE, value: {{ $folder }}/ca.crt}
{{- end }}
{{- if .clientCertificate.secret }}
- {name: REGISTRY_CERT_FILE, value: {{ $folder }}/tls.crt}
- {name: REGISTRY_KEY_FILE, value: {{ $folder }}/tls.key}
{{- end }}
{{- end }}
{{- end }}

{{- /* What the operator may do, and nothing else; the same rules in a ClusterRole or in Roles. */ -}}
{{- /* Where messages go: the destinations as the operator reads them, each with a folder for its Secret. */ -}}
{{- define "operator.messages" -}}
{{- $given := list }}
{{- $names := list }}
{{- range .Values.messages.destinations }}
{{- if and .namespaceSelector $.Values.watchNamespaces }}
{{- fail (printf "messages.destinations: %s chooses namespaces by label, which the roles of watchNamespaces do not allow: write namespaces" .name) }}
{{- end }}
{{- if has .name $names }}
{{- fail (printf "messages.destinations names %s twice: give each its own name" .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- $given = append $given (merge (dict "folder" (printf "/etc/rollout-operator/messages/%s" .name)) (omit . "secret")) }}
{{- end }}
{{- toJson $given }}
{{- end }}

{{- /* Their Secrets, as sources of a volume: one that is missing or lacks a key keeps no pod from starting. */ -}}
{{- define "operator.messageFiles" -}}
{{- range .Values.messages.destinations }}
- secret:
    name: {{ .secret }}
    optional: true
    items:
    {{- $name := .name }}
    {{- range (eq (default "Text" .format) "CloudEvents") | ternary (list "url" "token" "signingKey") (list "url") }}
    - {key: {{ . }}, path: {{ $name }}/{{ . }}}
    {{- end }}
{{- end }}
{{- end }}

{{- /* Whether a destination chooses namespaces by their labels. */ -}}
{{- define "operator.readsNamespaces" -}}
{{- range .Values.messages.destinations }}{{ if .namespaceSelector }}true{{ end }}{{ end }}
{{- end }}

{{- define "operator.rules" -}}
- apiGroups: [rollouts.mlops.dev]
  resources: [modelrollouts]
  verbs: [get, list, watch]
- apiGroups: [rollouts.mlops.dev]
  resources: [modelrollouts/status]
  verbs: [update]
# For owner references that block deletion, where OwnerReferencesPermissionEnforcement (OpenShift's default) admits objects.
- apiGroups: [rollouts.mlops.dev]
  resources: [modelrollouts/finalizers]
  verbs: [update]
# Server-side apply is a patch, and a create where the object does not exist yet.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
{{- if include "operator.readsNamespaces" . }}
# Only for destinations of messages that are chosen by labels of namespaces.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end }}
{{- if .Values.routes.ask }}
# Only to know where a route can be asked.
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]
  verbs: [get]
{{- end }}
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# Never deleted: a budget goes with its ModelRollout.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
# Only to tell why pods do not become Ready.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
{{- if ne .Values.models.digests "Require" }}
# One pod for a version without a digest, which looks at its files; it goes once it has said what it saw.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, create, patch, delete]
{{- end }}
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{- /* The webhook bridge: a component of its own, so that nothing that selects the operator selects it. */ -}}
{{- define "bridge.fullname" -}}
{{ include "operator.fullname" . }}-bridge
{{- end }}

{{- define "bridge.selector" -}}
app.kubernetes.io/name: rollout-bridge
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bridge.labels" -}}
{{ include "bridge.selector" . }}
app.kubernetes.io/component: bridge
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_." }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "bridge.serviceAccount" -}}
{{ .Values.bridge.serviceAccount.name | default (include "bridge.fullname" .) }}
{{- end }}

{{- /* The dashboard: a component of its own, whose ServiceAccount may do nothing at all. */ -}}
{{- define "dashboard.fullname" -}}
{{ include "operator.fullname" . }}-dashboard
{{- end }}

{{- define "dashboard.selector" -}}
app.kubernetes.io/name: rollout-dashboard
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "dashboard.labels" -}}
{{ include "dashboard.selector" . }}
app.kubernetes.io/component: dashboard
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_." }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "dashboard.serviceAccount" -}}
{{ .Values.dashboard.serviceAccount.name | default (include "dashboard.fullname" .) }}
{{- end }}
