{{/* What is wrong with networks, for the refusals: the operator takes none with host bits, and would not start. The
schema has seen to the characters and to the length of the prefix. */}}

{{/* What is wrong with one, in words, or nothing; takes the network, for example 10.0.0.0/8 or 2001:db8::/32. */}}
{{- define "pbx-operator.networkProblem" -}}
{{- $prefix := last (splitList "/" .) | int -}}
{{- $width := ternary 16 8 (contains ":" .) -}}
{{- $hostBits := false -}}
{{- $parts := include "pbx-operator.addressParts" (first (splitList "/" .)) | fromYamlArray -}}
{{- range $index, $part := $parts -}}
{{- $unit := 1 -}}
{{- range until (max 0 (min $width (sub (mul $width (add1 $index)) $prefix)) | int) -}}
{{- $unit = mul $unit 2 -}}
{{- end -}}
{{- $hostBits = or $hostBits (ne (mod $part $unit) 0) -}}
{{- end -}}
{{- if not $parts -}}
has no IPv4 or IPv6 address before the /
{{- else if $hostBits -}}
has bits set behind its prefix
{{- end -}}
{{- end -}}

{{/* The numbers that an address consists of, as a YAML list: 4 octets, or 8 groups of 16 bits; empty if it is none. */}}
{{- define "pbx-operator.addressParts" -}}
{{- $parts := list -}}
{{- if regexMatch `^(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$` . -}}
{{- $parts = splitList "." . -}}
{{- else if not (regexMatch `\.|^:[^:]|[^:]:$|:::|::.*::|[0-9a-f]{5}` .) -}}
{{- $zeros := repeat (max 0 (sub 8 (splitList ":" . | compact | len)) | int) "0:" -}}
{{- range splitList ":" (replace "::" (printf ":%s" $zeros) . | trimAll ":") -}}
{{- $parts = append $parts (printf "0x%s" .) -}}
{{- end -}}
{{- $parts = ternary $parts list (eq (len $parts) 8) -}}
{{- end -}}
{{- range $parts }}
- {{ int64 . }}
{{- end }}
{{- end -}}
