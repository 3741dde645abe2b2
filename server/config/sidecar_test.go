package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestSidecar(t *testing.T) {
	for _, tt := range []struct{ name, spec, want string }{
		{"everything", "{workloadSelector: {labels: {app: a}}, egress: [{hosts: ['./*', '*/b.example', 'c/*.d.example', '~/*']}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}}", ""},
		{"no namespace", "{egress: [{hosts: [b.example]}]}", "SL2009 spec.egress[0].hosts[0]"},
		{"no hosts", "{egress: [{}]}", "SL2001 spec.egress[0].hosts"},
		{"no host", "{egress: [{hosts: ['a/b c']}]}", "SL2009 spec.egress[0].hosts[0]"},
		{"two lists", "{egress: [{hosts: ['*/*']}, {hosts: ['*/*']}]}", "SL2008 spec.egress[1]"},
		{"a port", "{egress: [{hosts: ['*/*'], port: {number: 80, name: http, protocol: HTTP}}]}", "SL1009 spec.egress[0].port"},
		{"ingress", "{ingress: [{defaultEndpoint: '127.0.0.1:80'}]}", "SL1009 spec.ingress"},
		{"mode", "{outboundTrafficPolicy: {mode: SOME}}", "SL1007 spec.outboundTrafficPolicy.mode"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			docs := decodeFile("f.yaml", []byte("apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: a, namespace: b}\nspec: "+tt.spec+"\n"))
			var got []string
			for _, p := range docs[0].problems {
				got = append(got, fmt.Sprintf("%s %s", p.Code, p.Path))
			}
			if s := strings.Join(got, ", "); s != tt.want {
				t.Errorf("got %q, want %q", s, tt.want)
			}
		})
	}
}
