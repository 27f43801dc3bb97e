{{/*
The Corefile that servers and extraConfig say.
*/}}

{{- define "coredns.corefile" -}}
{{- range $name, $config := .Values.extraConfig }}
{{- $name }}{{ with $config.parameters }} {{ . }}{{ end }}
{{ end }}
{{- range $index, $server := .Values.servers }}
{{- if $index }}
{{ end }}
{{- include "coredns.corefile.keys" $server }} {
{{- range .plugins }}
    {{ .name }}{{ if hasKey . "parameters" }} {{ .parameters }}{{ end }}
    {{- with .configBlock }} {
{{ . | trim | indent 8 }}
    }
    {{- end }}
{{- end }}
}
{{ end }}
{{- end }}

{{/* The keys of a block. The port stands behind each zone: without one, a zone is served on its scheme's port. */}}
{{- define "coredns.corefile.keys" -}}
{{- $keys := list -}}
{{- $port := ternary (printf ":%v" .port) "" (hasKey . "port") -}}
{{- range .zones | default (list dict) }}
{{- $keys = append $keys (printf "%s%s%s" (.scheme | default "") (.zone | default ".") $port) }}
{{- end -}}
{{- join " " $keys -}}
{{- end }}

{{/* Whether some block is not read again by itself, so that pods have to be replaced after a change. */}}
{{- define "coredns.needsRestart" -}}
{{- $reloads := false -}}
{{- range .Values.servers }}{{ range .plugins }}{{ if eq .name "reload" }}{{ $reloads = true }}{{ end }}{{ end }}{{ end -}}
{{- if not $reloads }}true{{ end -}}
{{- end }}

{{/* The data of the ConfigMap: the Corefile and the zone files. */}}
{{- define "coredns.configData" -}}
{{- $data := dict "Corefile" (include "coredns.corefile" .) -}}
{{- range .Values.zoneFiles }}{{ $_ := set $data .filename .contents }}{{ end -}}
{{- toYaml $data }}{{ "\n" -}}
{{- end }}

{{/*
Stops if the cluster's Corefile would be lost. It is not what this chart wrote (an annotation has the digest of that)
and not what it is about to write; or it belongs to this release, which would delete it because it no longer has it.
Without a cluster (helm template) there is nothing to look at.
*/}}
{{- define "coredns.keepsCorefile" -}}
{{- $name := include "coredns.configMapName" . -}}
{{- $found := lookup "v1" "ConfigMap" .Release.Namespace $name -}}
{{- $annotations := dig "metadata" "annotations" dict $found -}}
{{- if and $found (not (include "coredns.writesConfigMap" .)) -}}
{{- $own := eq (get $annotations "meta.helm.sh/release-name") .Release.Name -}}
{{- if and $own (ne (get $annotations "helm.sh/resource-policy") "keep") -}}
{{- fail (printf "ConfigMap %s/%s belongs to this release, and Helm would delete it now. Let it stay first: kubectl -n %s annotate configmap %s helm.sh/resource-policy=keep" .Release.Namespace $name .Release.Namespace $name) -}}
{{- end -}}
{{- else if and $found (not .Values.overwriteCorefile) -}}
{{- $there := dig "data" dict $found | toJson | sha256sum -}}
{{- $ours := include "coredns.configData" . | fromYaml | toJson | sha256sum -}}
{{- if not (has $there (list $ours (get $annotations "fastdns/data-sha256"))) -}}
{{- fail (printf "ConfigMap %s/%s has a Corefile that this chart did not write, and it stays. Serve it as it is: existingConfigMap=%s. Or bring it into servers, and replace it: overwriteCorefile=true." .Release.Namespace $name $name) -}}
{{- end -}}
{{- end -}}
{{- end }}
