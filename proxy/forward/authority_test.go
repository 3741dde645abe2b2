package forward

import (
	"fmt"
	"testing"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestServiceFromAuthority(t *testing.T) {
	const full = "catalog.cinema.svc.cluster.local"
	for host, want := range map[string]string{
		"catalog": full, "Catalog:8080": full, "catalog.cinema": full, "catalog.cinema.svc": full,
		full: full, full + ":8080": full, "catalog.cinema.svc.mesh.example": "catalog.cinema.svc.mesh.example",
		"catalog.other": "", "catalog.other.svc.cluster.local": "", "api.example.com": "", "127.0.0.1:80": "",
		"10.0.0.7": "", "[::1]:80": "", "localhost": "", "": "", "a b": "", "-x": "", "catalog..svc": "", "ünïcode": "",
	} {
		got := parseService(host, "cinema")
		if got.Host != want || (want != "" && (got.Name != "catalog" || got.Namespace != "cinema")) {
			t.Errorf("%q: got %+v, want %q", host, got, want)
		}
	}
}

func TestAuthoritiesAreBounded(t *testing.T) {
	a := newAuthorities("cinema")
	first := a.service("catalog")
	for i := range 1000 {
		a.service(fmt.Sprintf("invented-%d", i))
	}
	if len(a.known) != maxAuthorities || a.service("one-more") != (mesh.Service{}) || a.service("catalog") != first {
		t.Errorf("%d names are believed", len(a.known))
	}
}

func FuzzParseService(f *testing.F) {
	f.Add("catalog.cinema.svc.cluster.local:80")
	f.Fuzz(func(t *testing.T, host string) {
		if s := parseService(host, "cinema"); s.Host != "" && (s.Name == "" || s.Namespace != "cinema") {
			t.Errorf("%q: %+v", host, s)
		}
	})
}
