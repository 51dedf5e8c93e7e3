{{- define "model.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- /* Labels of one track: list of the top and "stable" or "canary". */ -}}
{{- define "model.selector" -}}
app.kubernetes.io/name: model
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
track: {{ index . 1 }}
{{- end }}

{{- define "model.labels" -}}
app.kubernetes.io/name: model
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_." }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The tracks there are, by name. */ -}}
{{- define "model.tracks" -}}
stable: {{ include "model.name" . }}
{{- if .Values.canary.enabled }}
canary: {{ include "model.name" . }}-canary
{{- end }}
{{- end }}
