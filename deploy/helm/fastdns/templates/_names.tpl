{{/*
Names and labels, and the templates that CoreDNS's chart has for them: values may use these.
*/}}

{{- define "coredns.name" -}}
{{- .Values.nameOverride | default "coredns" | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "coredns.fullname" -}}
{{- $name := include "coredns.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "coredns.k8sapplabel" -}}
{{- .Values.k8sAppLabelOverride | default "coredns" | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* What selects the pods. It must not change between releases: the field is immutable. */}}
{{- define "coredns.selector" -}}
{{- include "coredns.selectorOf" (dict "root" . "part" "") -}}
{{- end }}

{{/* The selector of a part: "" for DNS, "-autoscaler". */}}
{{- define "coredns.selectorOf" -}}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/name: {{ printf "%s%s" (include "coredns.name" .root) .part | quote }}
{{- if .root.Values.isClusterService }}
k8s-app: {{ printf "%s%s" (include "coredns.k8sapplabel" .root) .part | quote }}
{{- end }}
{{- end }}

{{/* Labels of an object: its selector, and what a cluster service has. */}}
{{- define "coredns.labels" -}}
{{- include "coredns.labelsOf" (dict "root" . "part" "") -}}
{{- end }}

{{- define "coredns.labelsOf" -}}
{{ include "coredns.selectorOf" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | quote }}
{{- if .root.Values.isClusterService }}
kubernetes.io/cluster-service: "true"
kubernetes.io/name: CoreDNS
{{- end }}
{{- end }}

{{/*
The fields of an object's metadata. A dict: "root", "name", "namespace" (the release's; "" for an object of the
cluster), "part", "labels" and "annotations" (lists of maps beside the customary ones).
*/}}
{{- define "coredns.metadata" -}}
{{- $namespace := .root.Release.Namespace -}}
{{- if hasKey . "namespace" }}{{ $namespace = .namespace }}{{ end -}}
name: {{ .name }}
{{- with $namespace }}
namespace: {{ . }}
{{- end }}
{{- $part := .part | default "" }}
{{- $labels := include "coredns.labelsOf" (dict "root" .root "part" $part) | fromYaml }}
{{ include "coredns.labelsAndAnnotations" (merge (dict "first" $labels) .) }}
{{- end }}

{{/* The metadata of a pod: it has the labels of its selector, and yours. The arguments are those of metadata. */}}
{{- define "coredns.podMetadata" -}}
{{- $selector := include "coredns.selectorOf" (dict "root" .root "part" (.part | default "")) | fromYaml -}}
{{ include "coredns.labelsAndAnnotations" (merge (dict "first" $selector) .) }}
{{- end }}

{{/* Of two labels with one name, the earlier in "first", customLabels, "labels" is taken: selectors stay true. */}}
{{- define "coredns.labelsAndAnnotations" -}}
{{- $labels := merge (dict) .first (deepCopy .root.Values.customLabels) -}}
{{- range .labels }}{{ $labels = merge $labels (deepCopy (. | default dict)) }}{{ end -}}
labels:
  {{- toYaml $labels | nindent 2 }}
{{- $annotations := deepCopy .root.Values.customAnnotations }}
{{- range .annotations }}{{ $annotations = mergeOverwrite $annotations (deepCopy (. | default dict)) }}{{ end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "coredns.serviceAccountName" -}}
{{- $made := ternary (include "coredns.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $made -}}
{{- end }}

{{- define "coredns.clusterRoleName" -}}
{{- .Values.clusterRole.nameOverride | default (include "coredns.fullname" .) -}}
{{- end }}

{{- define "coredns.deploymentName" -}}
{{- .Values.deployment.name | default (include "coredns.fullname" .) -}}
{{- end }}

{{/* The ConfigMap that the pods mount, and whether it is ours to write. */}}
{{- define "coredns.configMapName" -}}
{{- .Values.existingConfigMap | default (include "coredns.fullname" .) -}}
{{- end }}

{{- define "coredns.writesConfigMap" -}}
{{- if not (or .Values.existingConfigMap .Values.deployment.skipConfig) }}true{{ end -}}
{{- end }}

{{- define "coredns.priorityClassName" -}}
{{- .Values.priorityClassName | default (ternary "system-cluster-critical" "" .Values.isClusterService) -}}
{{- end }}

{{/* The settings of a probe without its switch. */}}
{{- define "coredns.probe" -}}
{{ toYaml (omit . "enabled") }}
{{- end }}
