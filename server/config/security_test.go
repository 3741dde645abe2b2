package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func authz(spec string) string {
	return "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: b}\nspec:\n  " + spec + "\n"
}

func TestSecurityObjects(t *testing.T) {
	peer := func(spec string) string {
		return "apiVersion: security.istio.io/v1beta1\nkind: PeerAuthentication\nmetadata: {name: a, namespace: b}\nspec:\n  " + spec + "\n"
	}
	source := func(s string) string { return authz("rules: [{from: [{source: {" + s + "}}]}]") }
	operation := func(o string) string { return authz("rules: [{to: [{operation: {" + o + "}}]}]") }
	when := func(w string) string { return authz("rules: [{when: [{" + w + "}]}]") }
	tests := []struct {
		name, yaml string
		want       string // code and path of the one problem; "" for none
		hint       string // a word of its message or hint
	}{
		{"deny all", authz("{}"), "", ""},
		{"everything of a rule", source("principals: ['*', 'a*', '*b'], notNamespaces: [c], serviceAccounts: [d, e/f], ipBlocks: [10.0.0.0/8, '::1']"), "", ""},
		{"everything of an operation", operation("hosts: [a.b], methods: [GET], paths: ['/a*', '/{*}/b/{**}'], notPorts: ['80']"), "", ""},
		{"conditions", when("key: 'request.headers[x-user]', values: ['*']"), "", ""},
		{"custom", authz("action: CUSTOM"), "SL1009 spec.action", "CUSTOM"},
		{"audit", authz("action: AUDIT"), "SL1009 spec.action", "AUDIT"},
		{"provider", authz("provider: {name: x}"), "SL1009 spec.provider", ""},
		{"target", authz("targetRefs: [{kind: Service, name: x}]"), "SL1009 spec.targetRefs", ""},
		{"tokens", source("requestPrincipals: ['*']"), "SL1009 spec.rules[0].from[0].source.requestPrincipals", ""},
		{"claims", when("key: 'request.auth.claims[a]', values: [b]"), "SL1009 spec.rules[0].when[0].key", "source.principal"},
		{"remote address", when("key: remote.ip, values: [10.0.0.1]"), "SL1009 spec.rules[0].when[0].key", "source.ip"},
		{"unknown key", when("key: source.color, values: [red]"), "SL1007 spec.rules[0].when[0].key", "connection.sni"},
		{"no values", when("key: source.ip"), "SL2001 spec.rules[0].when[0]", ""},
		{"empty source", source(""), "SL2001 spec.rules[0].from[0].source", ""},
		{"empty text", operation("paths: ['']"), "SL1007 spec.rules[0].to[0].operation.paths[0]", ""},
		{"wildcard in the middle", source("principals: ['a*b']"), "SL1007 spec.rules[0].from[0].source.principals[0]", "wildcard"},
		{"two wildcards", operation("paths: ['*a*']"), "SL1007 spec.rules[0].to[0].operation.paths[0]", "wildcard"},
		{"template", operation("paths: ['/a/{**}/b']"), "SL1007 spec.rules[0].to[0].operation.paths[0]", "at the end"},
		{"half a template", operation("paths: ['/a{*}']"), "SL1007 spec.rules[0].to[0].operation.paths[0]", "neither"},
		{"port", operation("ports: ['http']"), "SL2005 spec.rules[0].to[0].operation.ports[0]", ""},
		{"block", source("ipBlocks: [10.0.0.0/33]"), "SL1007 spec.rules[0].from[0].source.ipBlocks[0]", ""},
		{"trial", strings.Replace(authz("{}"), "namespace: b", "namespace: b, annotations: {istio.io/dry-run: maybe}", 1), "SL1007 metadata.annotations[istio.io/dry-run]", ""},
		{"nobody restricted", authz("{action: ALLOW, rules: [{to: [{operation: {paths: [/a]}}]}, {}]}"), "SL2014 spec.rules[1]", "restrict nothing"},
		{"all allowed", authz("rules: [{}]"), "", ""},
		{"all denied", authz("{action: DENY, rules: [{to: [{operation: {paths: [/a]}}]}, {}]}"), "", ""},
		{"who may not", source("notPrincipals: [a]"), "SL2014 spec.rules[0].from[0].source", "without a certificate"},
		{"who may not of those with a certificate", source("principals: ['*'], notNamespaces: [a]"), "", ""},
		{"plain text", peer("mtls: {mode: DISABLE}"), "SL2014 spec.mtls.mode", "PERMISSIVE"},
		{"a port in plain text", peer("{selector: {matchLabels: {app: a}}, portLevelMtls: {80: {mode: DISABLE}}}"), "SL2014 spec.portLevelMtls[80].mode", ""},
		{"strict", peer("mtls: {mode: STRICT}"), "", ""},
		{"ports", peer("{selector: {matchLabels: {app: a}}, portLevelMtls: {80: {mode: PERMISSIVE}}}"), "", ""},
		{"ports of nobody", peer("portLevelMtls: {80: {mode: STRICT}}"), "SL2001 spec.portLevelMtls", "selector"},
		{"networking version", strings.Replace(peer("{}"), "v1beta1", "v1alpha3", 1), "SL1004 apiVersion", "v1beta1"},
		{"another group", strings.Replace(peer("{}"), "security.", "networking.", 1), "SL1004 apiVersion", ""},
		{"request authentication", strings.Replace(peer("{}"), "PeerAuthentication", "RequestAuthentication", 1), "SL1004 kind", "source.principals"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			docs := decodeFile("f.yaml", []byte(tt.yaml))
			var got []string
			for _, p := range docs[0].problems {
				got = append(got, fmt.Sprintf("%s %s", p.Code, p.Path))
				if !strings.Contains(p.Message+" "+p.Hint, tt.hint) {
					t.Errorf("%q in neither %q nor %q", tt.hint, p.Message, p.Hint)
				}
			}
			want := []string{tt.want}
			if tt.want == "" {
				want = nil
			}
			if !slices.Equal(got, want) {
				t.Errorf("problems %v, want %v", docs[0].problems, tt.want)
			}
		})
	}
}
