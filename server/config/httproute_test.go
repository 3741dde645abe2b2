package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// httpRoute is an HTTPRoute whose one rule has these lines.
func httpRoute(lines ...string) string {
	return "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\nspec:\n" +
		"  parentRefs: [{group: '', kind: Service, name: catalog}]\n  rules:\n  - backendRefs: [{name: catalog, port: 80}]\n    " + strings.Join(lines, "\n    ") + "\n"
}

func grpcRoute(rule string) string {
	return "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: a}\nspec:\n" +
		"  parentRefs: [{group: '', kind: Service, name: catalog}]\n  rules:\n  - backendRefs: [{name: catalog, port: 80}]\n    " + rule + "\n"
}

// TestRouteProblems holds each problem of an HTTPRoute or GRPCRoute to its place
// and code, told as "line:column severity code path".
func TestRouteProblems(t *testing.T) {
	for _, tt := range []struct{ name, text, want, hint string }{
		{"good", httpRoute("name: a"), "", ""},
		{"unknown field", httpRoute("timeout: 5s"), "8:5 error SL1006 spec.rules[0].timeout", `did you mean "timeouts"?`},
		{"session", httpRoute("sessionPersistence: {type: Cookie}"), "8:5 error SL1009 spec.rules[0].sessionPersistence", ""},
		{"version", strings.Replace(httpRoute("name: a"), "/v1\n", "/v1alpha2\n", 1), "1:13 error SL1004 apiVersion", "v1beta1"},
		{"other group", strings.Replace(httpRoute("name: a"), "gateway.networking.k8s.io", "networking.istio.io", 1), "1:13 error SL1004 apiVersion", "HTTPRoute of gateway.networking.k8s.io"},
		{"no parent", strings.Replace(httpRoute("name: a"), "parentRefs: [{group: '', kind: Service, name: catalog}]", "parentRefs: []", 1), "5:3 error SL2001 spec.parentRefs", "kind: Service"},
		{"gateway parent", strings.Replace(httpRoute("name: a"), "group: '', kind: Service, ", "", 1), "5:16 error SL1009 spec.parentRefs[0]", "VirtualService"},
		{"parent group", strings.Replace(httpRoute("name: a"), "group: '', ", "", 1), "5:16 error SL1007 spec.parentRefs[0].group", `group: ""`},
		{"parent host", strings.Replace(httpRoute("name: a"), "name: catalog}", "name: catalog.cinema}", 1), "5:43 error SL1005 spec.parentRefs[0].name", "namespace"},
		{"parent twice", strings.Replace(httpRoute("name: a"), "catalog}]", "catalog}, {group: '', kind: Service, name: catalog}]", 1), "5:59 error SL2008 spec.parentRefs[1]", ""},
		{"hostnames", strings.Replace(httpRoute("name: a"), "  rules:", "  hostnames: [a.example]\n  rules:", 1), "6:3 warning SL2013 spec.hostnames", ""},
		{"path", httpRoute("matches: [{path: {value: movies}}]"), "8:23 error SL1007 spec.rules[0].matches[0].path.value", ""},
		{"path that is never sent", httpRoute("matches: [{path: {value: /a/../b}}]"), "8:23 error SL1007 spec.rules[0].matches[0].path.value", ""},
		{"path type", httpRoute("matches: [{path: {type: Prefix, value: /a}}]"), "8:29 error SL1007 spec.rules[0].matches[0].path.type", ""},
		{"regex", httpRoute("matches: [{path: {type: RegularExpression, value: '(?=a)'}}]"), "8:48 error SL2003 spec.rules[0].matches[0].path.value", "RE2"},
		{"method", httpRoute("matches: [{method: GETS}]"), "8:16 error SL1007 spec.rules[0].matches[0].method", "did you mean GET?"},
		{"header twice", httpRoute("matches: [{headers: [{name: X-a, value: b}, {name: x-A, value: c}]}]"), "8:50 error SL2008 spec.rules[0].matches[0].headers[1].name", ""},
		{"header value", httpRoute("matches: [{headers: [{name: x-a}]}]"), "8:26 error SL2001 spec.rules[0].matches[0].headers[0].value", ""},
		{"same match", httpRoute("matches: [{path: {value: /a}}, {path: {value: /a/}}]"), "8:36 warning SL2011 spec.rules[0].matches[1]", ""},
		{"filter type", httpRoute("filters: [{type: UrlRewrite, urlRewrite: {hostname: a}}]"), "8:16 error SL1007 spec.rules[0].filters[0].type", "URLRewrite"},
		{"filter without its part", httpRoute("filters: [{type: URLRewrite}]"), "8:15 error SL2001 spec.rules[0].filters[0]", ""},
		{"part of another filter", httpRoute("filters: [{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}}, urlRewrite: {hostname: a}}]"), "8:87 error SL2007 spec.rules[0].filters[0].urlRewrite", ""},
		{"extension", httpRoute("filters: [{type: ExtensionRef}]"), "8:16 error SL1009 spec.rules[0].filters[0].type", ""},
		{"filter twice", httpRoute("filters: [{type: URLRewrite, urlRewrite: {hostname: a}}, {type: URLRewrite, urlRewrite: {hostname: b}}]"), "8:62 error SL2008 spec.rules[0].filters[1]", ""},
		{"redirect with backends", httpRoute("filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]"), "7:5 error SL2007 spec.rules[0].backendRefs", ""},
		{"prefix of what has none", httpRoute("filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /a}}}]", "matches: [{path: {type: Exact, value: /a}}]"), "8:15 error SL2007 spec.rules[0].filters[0]", ""},
		{"path modifier", httpRoute("filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replacePrefixMatch: /a}}}]"), "8:47 error SL2001 spec.rules[0].filters[0].urlRewrite.path", ""},
		{"rewrite of a backend", strings.Replace(httpRoute("name: a"), "port: 80}", "port: 80, filters: [{type: URLRewrite, urlRewrite: {hostname: a}}]}", 1), "7:56 error SL1009 spec.rules[0].backendRefs[0].filters[0].type", ""},
		{"fraction", httpRoute("filters: [{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}, fraction: {numerator: 5, denominator: 4}}}]"), "8:86 error SL1007 spec.rules[0].filters[0].requestMirror.fraction", ""},
		{"weight", strings.Replace(httpRoute("name: a"), "port: 80}", "port: 80, weight: -1}", 1), "7:45 error SL2002 spec.rules[0].backendRefs[0].weight", ""},
		{"no weight", strings.Replace(httpRoute("name: a"), "port: 80}", "port: 80, weight: 0}", 1), "7:5 warning SL2002 spec.rules[0].backendRefs", "weight"},
		{"no port", strings.Replace(httpRoute("name: a"), ", port: 80}", "}", 1), "7:19 error SL2001 spec.rules[0].backendRefs[0].port", ""},
		{"backend kind", strings.Replace(httpRoute("name: a"), "port: 80}", "port: 80, kind: ServiceImport}", 1), "7:19 error SL1009 spec.rules[0].backendRefs[0]", "Hostname"},
		{"nothing to do", strings.Replace(httpRoute("name: a"), "backendRefs: [{name: catalog, port: 80}]", "matches: []", 1), "7:5 warning SL2007 spec.rules[0]", "backendRefs"},
		{"one try longer than all", httpRoute("timeouts: {request: 1s, backendRequest: 2s}"), "8:29 error SL2006 spec.rules[0].timeouts.backendRequest", ""},
		{"retry code", httpRoute("retry: {codes: [200]}"), "8:21 error SL1007 spec.rules[0].retry.codes[0]", ""},
		{"rule twice", httpRoute("name: a\n  - name: a\n    matches: [{path: {value: /b}}]\n    backendRefs: [{name: catalog, port: 80}]"), "9:5 error SL2008 spec.rules[1].name", ""},

		{"good gRPC", grpcRoute("matches: [{method: {service: a.B}}]"), "", ""},
		{"gRPC v1beta1", strings.Replace(grpcRoute("name: a"), "/v1\n", "/v1beta1\n", 1), "1:13 error SL1004 apiVersion", "GRPCRoute has v1"},
		{"no method", grpcRoute("matches: [{method: {}}]"), "8:16 error SL2001 spec.rules[0].matches[0].method", ""},
		{"method form", grpcRoute("matches: [{method: {service: /a.B}}]"), "8:25 error SL1007 spec.rules[0].matches[0].method.service", ""},
		{"gRPC redirect", grpcRoute("filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]"), "8:16 error SL1009 spec.rules[0].filters[0].type", ""},
		{"gRPC timeouts", grpcRoute("timeouts: {request: 1s}"), "8:5 error SL1006 spec.rules[0].timeouts", ""},
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

// Replacing a prefix gives what the table of the Gateway API's reference says.
func TestReplacement(t *testing.T) {
	for _, tt := range []struct{ prefix, by, want string }{
		{"/foo", "/xyz", "/xyz"},
		{"/foo", "/xyz/", "/xyz"},
		{"/foo", "", "/"},
		{"/foo", "/", "/"},
		{"/", "/xyz", "/xyz/"},
		{"/", "/", "/"},
	} {
		if got := replacement(tt.prefix, tt.by); got != tt.want {
			t.Errorf("%q by %q: got %q, want %q", tt.prefix, tt.by, got, tt.want)
		}
	}
}
