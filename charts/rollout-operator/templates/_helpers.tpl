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

{{- /* What the operator may do, and nothing else; the same rules in a ClusterRole or in Roles. */ -}}
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
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
# Only to tell why pods do not become Ready.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
{{- if eq .Values.models.digests "Pin" }}
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
