package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTargetProblems holds each problem of SMI's access objects to its place and
// code.
func TestTargetProblems(t *testing.T) {
	target := func(spec string) string {
		return "apiVersion: access.smi-spec.io/v1alpha3\nkind: TrafficTarget\nmetadata: {name: a, namespace: cinema}\nspec:\n  " + spec + "\n"
	}
	const (
		destination = "destination: {kind: ServiceAccount, name: catalog, namespace: cinema}\n  "
		sources     = "sources: [{kind: ServiceAccount, name: web, namespace: front}]\n  "
		rules       = "rules: [{kind: HTTPRouteGroup, name: api, matches: [read]}, {kind: TCPRoute, name: feed}]"
	)
	group := func(spec string) string {
		return "apiVersion: specs.smi-spec.io/v1alpha4\nkind: HTTPRouteGroup\nmetadata: {name: a}\nspec:\n  matches:\n  - " + spec + "\n"
	}
	route := func(spec string) string {
		return "apiVersion: specs.smi-spec.io/v1alpha4\nkind: TCPRoute\nmetadata: {name: a}\nspec: " + spec + "\n"
	}
	for _, tt := range []struct{ name, text, want, hint string }{
		{"target", target(destination + sources + rules), "", ""},
		{"an older version", strings.Replace(target(destination+sources+rules), "v1alpha3", "v1alpha2", 1), "", ""},
		{"the oldest version, whose fields stand elsewhere", strings.Replace(target(destination+sources+rules), "v1alpha3", "v1alpha1", 1), "1:13 error SL1004 apiVersion", "v1alpha3, v1alpha2"},
		{"no destination", target(sources + rules), "5:3 error SL2001 spec.destination", ""},
		{"destination without a name", target("destination: {kind: ServiceAccount}\n  " + sources + rules), "5:3 error SL2001 spec.destination.name", ""},
		{"destination elsewhere", target("destination: {kind: ServiceAccount, name: a, namespace: b}\n  " + sources + rules), "5:48 error SL1007 spec.destination.namespace", "move it to namespace b"},
		{"a port, which is gone since v1alpha2", target("destination: {kind: ServiceAccount, name: a, port: 80}\n  " + sources + rules), "5:48 error SL1006 spec.destination.port", ""},
		{"no sources", target(destination + rules), "5:3 error SL2001 spec.sources", "AuthorizationPolicy without rules"},
		{"a source that is a group", target(destination + "sources: [{kind: Group, name: staff}]\n  " + rules), "6:14 error SL1009 spec.sources[0].kind", "service accounts"},
		{"a source that is no account", target(destination + "sources: [{kind: ServiceAccount, name: 'we*'}]\n  " + rules), "6:36 error SL1005 spec.sources[0].name", ""},
		{"a source of no namespace", target(destination + "sources: [{kind: ServiceAccount, name: web, namespace: 'a/b'}]\n  " + rules), "6:47 error SL1005 spec.sources[0].namespace", ""},
		{"no rules", target(destination + sources), "5:3 error SL2001 spec.rules", "HTTPRouteGroup"},
		{"a rule of another kind", target(destination + sources + "rules: [{kind: UDPRoute, name: a}]"), "7:12 error SL1007 spec.rules[0].kind", ""},
		{"a rule without a name", target(destination + sources + "rules: [{kind: TCPRoute}]"), "7:11 error SL2001 spec.rules[0].name", ""},
		{"matches of a TCPRoute", target(destination + sources + "rules: [{kind: TCPRoute, name: a, matches: [b]}]"), "7:37 error SL1007 spec.rules[0].matches", ""},
		{"group", group("{name: read, pathRegex: '/movies/.*', methods: [GET, HEAD], headers: {host: 'catalog.*'}}"), "", ""},
		{"group without matches", "apiVersion: specs.smi-spec.io/v1alpha4\nkind: HTTPRouteGroup\nmetadata: {name: a}\nspec: {matches: []}\n", "4:8 error SL2001 spec.matches", ""},
		{"an expression", group("{pathRegex: '/a(?!b)'}"), "6:6 error SL2003 spec.matches[0].pathRegex", "RE2"},
		{"a method", group("{methods: [GET, 'P UT']}"), "6:21 error SL1007 spec.matches[0].methods[1]", ""},
		{"a header", group("{headers: {'x y': a}}"), "6:16 error SL2010 spec.matches[0].headers[x y]", ""},
		{"headers as v1alpha3 has them", strings.Replace(group("{headers: [{x-a: b}]}"), "v1alpha4", "v1alpha3", 1), "6:15 error SL1007 spec.matches[0].headers", ""},
		{"one name twice", group("{name: a}\n  - {name: a}"), "7:6 error SL2008 spec.matches[1].name", ""},
		{"TCP", route("{matches: {ports: [6000]}}"), "", ""},
		{"TCP on all ports", route("{}"), "", ""},
		{"a port", route("{matches: {ports: [0]}}"), "4:26 error SL2005 spec.matches.ports[0]", ""},
		{"the Gateway API's TCPRoute", strings.Replace(route("{}"), "specs.smi-spec.io/v1alpha4", "gateway.networking.k8s.io/v1alpha2", 1), "2:7 error SL1004 kind", "VirtualService"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got, hints []string
			for _, d := range decodeFile("x.yaml", []byte(tt.text)) {
				for _, p := range d.problems {
					got = append(got, fmt.Sprintf("%d:%d %s %s %s", p.Line, p.Column, p.Severity, p.Code, p.Path))
					hints = append(hints, p.Hint)
				}
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, "\n")); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if all := strings.Join(hints, "\n"); !strings.Contains(all, tt.hint) {
				t.Errorf("hint = %q, want it to say %q", all, tt.hint)
			}
		})
	}
}
