package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oneObject decodes one document.
func oneObject(t *testing.T, text string) *Object {
	t.Helper()
	docs := decodeFile("x.yaml", []byte(text))
	if len(docs) != 1 || docs[0].object == nil {
		t.Fatalf("not one object: %+v", docs)
	}
	return docs[0].object
}

func TestCompare(t *testing.T) {
	const head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a, namespace: cinema}\nspec:\n"
	const dr = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a, namespace: cinema}\nspec:\n  host: a\n"
	const two = "  hosts: [a, b]\n  http:\n  - name: x\n    match: [{uri: {prefix: /x}}]\n    route: [{destination: {host: x}}]\n  - name: y\n    route:\n    - {destination: {host: y, subset: v1}, weight: 90}\n    - {destination: {host: y, subset: v2}, weight: 10}\n"
	for _, tt := range []struct{ name, before, after, want string }{
		{"defaults and order", head + two, head + `  http:
  - {name: x, match: [{uri: {prefix: /x}}], route: [{destination: {host: x}, weight: 100}]}
  - name: y
    route:
    - {destination: {host: y, subset: v2}, weight: 10}
    - {destination: {host: y, subset: v1}, weight: 90}
  gateways: [mesh]
  exportTo: ["*"]
  hosts: [b, a]
`, ""},
		{"weights", head + two, head + strings.NewReplacer("weight: 90", "weight: 80", "weight: 10", "weight: 20").Replace(two), `
changed spec.http[1].route[0].weight 12>12 90 => 80
changed spec.http[1].route[1].weight 13>13 10 => 20`},
		{"a route goes first", head + two, head + `  hosts: [a, b]
  http:
  - match: [{uri: {exact: /new}}]
    directResponse: {status: 404}
  - name: y
    route:
    - {destination: {host: y, subset: v1}, weight: 90}
    - {destination: {host: y, subset: v2}, weight: 10}
  - name: x
    match: [{uri: {prefix: /x}}]
    timeout: 1.5s
    route: [{destination: {host: x}}]
`, `
added spec.http[0] 0>7  => directResponse:
    status: 404
match:
    - uri:
        exact: /new
moved spec.http[2] 7>13 position 1 => position 3
added spec.http[2].timeout 0>15  => 1.500s`},
		{"a route goes", head + two, head + `  hosts: [a]
  http:
  - route:
    - {destination: {host: y, subset: v1}, weight: 90}
    - {destination: {host: y, subset: v2}, weight: 10}
`, `
removed spec.hosts[1] 5>0 b => 
removed spec.http[1].name 10>0 y => 
removed spec.http[0] 7>0 match:
    - uri:
        prefix: /x
name: x
route:
    - destination:
        host: x => `},
		{
			"subsets", dr + "  subsets:\n  - {name: v1, labels: {version: v1}}\n  - {name: v2, labels: {version: v2}}\n",
			dr + "  trafficPolicy: {loadBalancer: {simple: RANDOM}}\n  subsets:\n  - {name: v2, labels: {version: v3}}\n  - {name: v1, labels: {version: v1}}\n", `
added spec.trafficPolicy 0>6  => loadBalancer:
    simple: RANDOM
changed spec.subsets[0].labels[version] 8>8 v2 => v3`,
		},
		{"metadata", strings.Replace(head, "}", ", labels: {a: b, c: d}}", 1) + two, strings.Replace(head, "}", ", labels: {a: x}}", 1) + two, `
changed metadata.labels[a] 3>3 b => x
removed metadata.labels[c] 3>0 d => `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			diffs := Compare([]*Object{oneObject(t, tt.before)}, []*Object{oneObject(t, tt.after)})
			var got strings.Builder
			for _, d := range diffs {
				for _, f := range d.Fields {
					fmt.Fprintf(&got, "\n%s %s %d>%d %s => %s", f.Op, f.Path, f.BeforeLine, f.AfterLine, f.Before, f.After)
				}
			}
			if diff := cmp.Diff(tt.want, got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompareObjects(t *testing.T) {
	f := openFolder(t, Options{}, map[string]string{"one.yaml": vs("a", "1s"), "two.yaml": vs("b", "1s")})
	f.remove("one.yaml")
	f.write("two.yaml", "\n"+vs("b", "2s")+"---\n"+vs("c", "1s"))
	f.reload()
	before, err := f.store.Content(1)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range Compare(before, f.store.Objects()) {
		written := "" // of an object that only one side has: all of it
		for _, o := range slices.Concat(before, f.store.Objects()) {
			if d.YAML != "" && o.Key() == d.Key() && o.YAML == d.YAML {
				written = "whole"
			}
		}
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %v %v %d %s", d.Op, d.Key(), d.Before, d.After, len(d.Fields), written)))
	}
	want := []string{
		"removed VirtualService cinema/a &{one.yaml 1} <nil> 0 whole",
		"changed VirtualService cinema/b &{two.yaml 1} &{two.yaml 2} 1",
		"added VirtualService cinema/c <nil> &{two.yaml 11} 0 whole",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
