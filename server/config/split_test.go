package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// trafficSplit is a TrafficSplit of catalog, in version v1alpha4, with this spec
// after its service.
func trafficSplit(spec string) string {
	return "apiVersion: split.smi-spec.io/v1alpha4\nkind: TrafficSplit\nmetadata: {name: a}\nspec:\n  service: catalog\n  " + spec + "\n"
}

// TestSplitProblems holds each problem of a TrafficSplit to its place and code.
func TestSplitProblems(t *testing.T) {
	good := trafficSplit("backends: [{service: catalog-v1, weight: 90}, {service: catalog-v2.cinema.svc.cluster.local, weight: 0}]")
	for _, tt := range []struct{ name, text, want, hint string }{
		{"good", good, "", ""},
		{"version", strings.Replace(good, "v1alpha4", "v1beta1", 1), "1:13 error SL1004 apiVersion", "v1alpha4, v1alpha3, v1alpha2, v1alpha1"},
		{"group", strings.Replace(good, "split.", "access.", 1), "1:13 error SL1004 apiVersion", "TrafficSplit of split.smi-spec.io"},
		{"unknown field", trafficSplit("backend: []"), "6:3 error SL1006 spec.backend", `did you mean "backends"?`},
		{"no service", strings.Replace(good, "  service: catalog\n", "", 1), "5:3 error SL2001 spec.service", ""},
		{"service with a port", strings.Replace(good, "service: catalog\n", "service: catalog:80\n", 1), "5:3 error SL2009 spec.service", "port"},
		{"no backends", trafficSplit("backends: []"), "6:3 error SL2001 spec.backends", ""},
		{"a quantity of v1alpha1", strings.Replace(strings.Replace(good, "v1alpha4", "v1alpha1", 1), "weight: 90", "weight: 500m", 1), "6:44 error SL1007 spec.backends[0].weight", ""},
		{"no weight", trafficSplit("backends: [{service: catalog-v1}]"), "6:14 error SL2001 spec.backends[0].weight", ""},
		{"negative weight", trafficSplit("backends: [{service: catalog-v1, weight: -1}]"), "6:36 error SL2002 spec.backends[0].weight", ""},
		{"no weight at all", trafficSplit("backends: [{service: catalog-v1, weight: 0}, {service: catalog-v2, weight: 0}]"), "6:3 error SL2002 spec.backends", "at least one"},
		{"too much weight", trafficSplit("backends: [{service: a, weight: 2147483647}, {service: b, weight: 2147483647}, {service: c, weight: 2}]"), "6:3 error SL2002 spec.backends", ""},
		{"backend twice", trafficSplit("backends: [{service: catalog-v1, weight: 1}, {service: catalog-v1, weight: 2}]"), "6:49 error SL2008 spec.backends[1].service", ""},
		{"pattern", trafficSplit("backends: [{service: '*', weight: 1}]"), "6:15 error SL2009 spec.backends[0].service", ""},
		{"matches", trafficSplit("backends: [{service: catalog-v1, weight: 1}]\n  matches: [{apiGroup: specs.smi-spec.io, kind: HTTPRouteGroup, name: testers}]"), "", ""},
		{"matches of another kind", trafficSplit("backends: [{service: catalog-v1, weight: 1}]\n  matches: [{kind: TCPRoute, name: testers}]"), "7:14 error SL1007 spec.matches[0].kind", ""},
		{"matches of another group", trafficSplit("backends: [{service: catalog-v1, weight: 1}]\n  matches: [{apiGroup: a, kind: HTTPRouteGroup, name: testers}]"), "7:14 error SL1007 spec.matches[0].apiGroup", "specs.smi-spec.io"},
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

// A change of one share is told as that, whatever the order of the backends.
func TestSplitCompared(t *testing.T) {
	before, _ := decodeText([]byte(trafficSplit("backends: [{service: catalog-v1, weight: 90}, {service: catalog-v2, weight: 10}]")))
	after, _ := decodeText([]byte(trafficSplit("backends: [{service: catalog-v2, weight: 20}, {service: catalog-v1, weight: 90}]")))
	var got []string
	for _, d := range Compare(before, after) {
		for _, f := range d.Fields {
			got = append(got, fmt.Sprintf("%s %s %s: %s -> %s", d.Op, d.Name, f.Path, f.Before, f.After))
		}
	}
	want := []string{"changed a spec.backends[0].weight: 10 -> 20"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("difference (-want +got):\n%s", diff)
	}
}
