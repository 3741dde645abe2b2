package scrape

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/collector/target"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
)

// serveTLS is a target over TLS, by one listener for the whole test.
func serveTLS(t *testing.T, config *tls.Config) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // each scrape shakes hands
		_, _ = w.Write([]byte("up_and_well 1\n"))
	}))
	s.Listener = tls.NewListener(s.Listener, config)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestTargetsOverTLS scrapes targets that ask who asks: each that fails says what
// is wrong, and comes through when certificates are right, without a restart.
func TestTargetsOverTLS(t *testing.T) {
	here, elsewhere := identitytest.New(t, "cluster.local"), identitytest.New(t, "cluster.local")
	own := &identity.Source{}
	own.Set(here.Issue(mesh.SystemNamespace, mesh.CollectorAccount, time.Hour))
	sidecarOf := func(s *identity.Source) string {
		return serveTLS(t, identity.Listener{Identity: s, Mutual: true, Only: mesh.CollectorAccount}.TLS("http/1.1"))
	}
	impostor, rotating := elsewhere.Source("cinema", "web"), here.Source("cinema", "catalog")
	hosts := identitytest.NewFiles(t, "metrics.example")
	good, bad, outside := sidecarOf(rotating), sidecarOf(impostor), serveTLS(t, &tls.Config{Certificates: []tls.Certificate{hosts.Pair}})
	_, _, in := start(t, Options{Identity: own, Sources: []target.Source{target.Static{
		{Address: good, Scheme: "https"}, {Address: bad, Scheme: "https"}, {Address: outside, Scheme: "https"},
	}}})
	last := func(address, want string) {
		t.Helper()
		in.until(t, address, func(b []mesh.EdgeBatch) bool {
			return len(b) > 0 && b[len(b)-1].Up == (want == "") && strings.Contains(b[len(b)-1].Error, want)
		})
	}
	last(good, "")
	last(bad, "peer's certificate")
	last(outside, "certificate") // of no authority that this machine knows

	rotating.Set(here.Issue("cinema", "catalog", time.Hour))
	in.until(t, good, count(len(in.of(good))+3))
	last(good, "")
	own.Set(here.Issue(mesh.SystemNamespace, mesh.CollectorAccount, -30*time.Second))
	last(good, "the target does not take this collector's certificate: docs/identity.md")
	own.Set(here.Issue("cinema", "web", time.Hour)) // no collector
	last(good, "the target does not take this collector's certificate")
	own.Set(here.Issue(mesh.SystemNamespace, mesh.CollectorAccount, time.Hour))
	last(good, "")
	impostor.Set(here.Issue("cinema", "web", time.Hour))
	last(bad, "")
}
