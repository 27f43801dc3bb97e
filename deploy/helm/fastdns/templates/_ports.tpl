{{/*
The ports of servers, as JSON: {"53": {"udp": true, "tcp": true, "servicePort": 53, "nodePort": ..., "hostPort": ...}}.

DNS over UDP, and over TCP where a zone has use_tcp; other schemes over TCP.
*/}}
{{- define "coredns.ports" -}}
{{- $ports := dict -}}
{{- range .Values.servers }}
{{- $port := .port | default 53 | toString -}}
{{- $one := get $ports $port | default dict -}}
{{- range .zones | default (list dict) }}
{{- if has (.scheme | default "") (list "" "dns://") }}
{{- $_ := set $one "udp" true }}
{{- if .use_tcp }}{{ $_ := set $one "tcp" true }}{{ end }}
{{- else }}
{{- $_ := set $one "tcp" true }}
{{- end }}
{{- end }}
{{- range $name, $value := pick . "servicePort" "nodePort" "hostPort" }}{{ $_ := set $one $name (int $value) }}{{ end }}
{{- $_ := set $ports $port $one }}
{{- end }}
{{- toJson $ports -}}
{{- end }}

{{/* The ports of prometheus, as a JSON list of numbers in text. */}}
{{- define "coredns.metricsPorts" -}}
{{- $found := list -}}
{{- range .Values.servers }}
{{- range .plugins }}
{{- if eq .name "prometheus" }}
{{- $found = append $found (.parameters | default "localhost:9153" | toString | splitList ":" | last) }}
{{- end }}
{{- end }}
{{- end }}
{{- $found | uniq | toJson -}}
{{- end }}

{{/* The fields of a Service's ports. */}}
{{- define "coredns.servicePorts" -}}
{{- $list := list -}}
{{- range $port, $one := include "coredns.ports" . | fromJson }}
{{- range $protocol := list "udp" "tcp" }}
{{- if get $one $protocol }}
{{- $field := dict "name" (printf "%s-%s" $protocol $port) "protocol" (upper $protocol) "targetPort" (int $port) }}
{{- $_ := set $field "port" ($one.servicePort | default $port | int) }}
{{- with $one.nodePort }}{{ $_ := set $field "nodePort" (int .) }}{{ end }}
{{- $list = append $list $field }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $list -}}
{{- end }}

{{/* The fields of a container's ports: those of servers and metrics. */}}
{{- define "coredns.containerPorts" -}}
{{- $ports := include "coredns.ports" . | fromJson -}}
{{- range include "coredns.metricsPorts" . | fromJsonArray }}
{{- $_ := set $ports . (set (get $ports . | default dict) "tcp" true) }}
{{- end }}
{{- $list := list -}}
{{- range $port, $one := $ports }}
{{- range $protocol := list "udp" "tcp" }}
{{- if get $one $protocol }}
{{- $field := dict "name" (printf "%s-%s" $protocol $port) "protocol" (upper $protocol) "containerPort" (int $port) }}
{{- with $one.hostPort }}{{ $_ := set $field "hostPort" (int .) }}{{ end }}
{{- $list = append $list $field }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $list -}}
{{- end }}
