package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

func TestNodeSaysWhyItHasNoNewCertificate(t *testing.T) {
	now := time.Now()
	failure := &mesh.IdentityFailure{Since: now, Reason: "refused", Error: "token \x1b[31mused", Remedy: "make a join token"}
	for name, tt := range map[string]struct {
		identity *mesh.Identity
		want     []string
		not      string
	}{
		"none asked for": {nil, []string{"none: it speaks plain text only"}, "to do"},
		"renewed":        {&mesh.Identity{Principal: "spiffe://a/b", NotAfter: now.Add(time.Hour)}, []string{"spiffe://a/b, ends in"}, "to do"},
		"late":           {&mesh.Identity{Principal: "spiffe://a/b", NotAfter: now.Add(time.Hour), Failure: failure}, []string{"ends in", "since " + now.Format("15:04:05") + ": token", "make a join token"}, "\x1b"},
		"never had one":  {&mesh.Identity{Failure: failure}, []string{"none yet", "make a join token"}, "\x1b"},
	} {
		var out bytes.Buffer
		if err := writeNode(&out, skew.NodeDetail{Identity: tt.identity}); err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", name, want, out.String())
			}
		}
		if strings.Contains(out.String(), tt.not) {
			t.Errorf("%s: %q in\n%s", name, tt.not, out.String())
		}
	}
}
