package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDeadRoutes(t *testing.T) {
	for _, tt := range []struct{ name, routes, want string }{
		{"special first", `
  - match: [{uri: {exact: /a}}]
  - match: [{uri: {prefix: /a}, headers: {x: {exact: y}}}]
  - match: [{uri: {prefix: /a}}]
  - match: [{uri: {prefix: /a}, method: {exact: GET}}]
  - {}`, "spec.http[3]"},
		{"prefix before what it holds", `
  - match: [{uri: {prefix: /a}}]
  - match: [{uri: {exact: /a/b}}, {uri: {prefix: /b}}]
  - match: [{uri: {prefix: /ab}, headers: {x: {}}}]
  - match: [{uri: {regex: /a/.*}}]`, "spec.http[1].match[0] spec.http[2]"},
		{"all first", `
  - match: [{uri: {prefix: /}}]
  - match: [{uri: {prefix: /a}}]
  - {}`, "spec.http[1]"},
		{"asks for less", `
  - match: [{headers: {x: {exact: a}}, port: 80}]
  - match: [{headers: {x: {exact: a}, y: {exact: b}}, port: 80}]
  - match: [{headers: {x: {exact: a}}}]
  - match: [{headers: {x: {exact: b}}, port: 80}]`, "spec.http[1]"},
		{"case", `
  - match: [{uri: {prefix: /A}, ignoreUriCase: true}]
  - match: [{uri: {exact: /a/b}}]
  - match: [{uri: {prefix: /c}}]
  - match: [{uri: {prefix: /c}, ignoreUriCase: true}]`, "spec.http[1]"},
		{"the same twice in one route", `
  - match: [{uri: {prefix: /a}}, {uri: {exact: /a}}]`, "spec.http[0].match[1]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			routes := strings.NewReplacer("]\n", "], directResponse: {status: 200}}\n", "- match", "- {match", "- {}", "- {directResponse: {status: 200}}").Replace(tt.routes + "\n")
			docs := decodeFile("x.yaml", []byte(header+"spec:\n  hosts: [a]\n  http:"+routes))
			var got []string
			for _, p := range docs[0].problems {
				if p.Code != CodeUnreachable {
					t.Fatal(p)
				}
				got = append(got, p.Path)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
