package forward_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// outside is a server outside of the mesh, and the files that go with it. Its
// certificate is for example.com.
type outside struct {
	endpoint      cluster.Endpoint
	ca, cert, key string
}

func newOutside(t *testing.T, mutual bool) outside {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto+" to "+r.TLS.ServerName)
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if mutual {
		server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	o := outside{endpoint: cluster.Endpoint{Address: server.Listener.Addr().String()}}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	der := server.TLS.Certificates[0].Certificate[0]
	o.ca, o.cert = write("ca.pem", "CERTIFICATE", der), write("cert.pem", "CERTIFICATE", der)
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	o.key = write("key.pem", "PRIVATE KEY", key)
	return o
}

func TestTLSOrigination(t *testing.T) {
	plain, mutual := newOutside(t, false), newOutside(t, true)
	for _, tt := range []struct {
		name  string
		to    outside
		tls   cluster.TLS
		http2 bool

		status int
		body   string // of the service, or in the details
	}{
		{"simple", plain, cluster.TLS{SNI: "example.com", CAFile: plain.ca}, false, 200, "HTTP/1.1 to example.com"},
		{"HTTP/2", plain, cluster.TLS{SNI: "example.com", CAFile: plain.ca}, true, 200, "HTTP/2.0 to example.com"},
		{"other name", plain, cluster.TLS{SNI: "example.com", CAFile: plain.ca, Names: []string{"bank.example", "127.0.0.1"}}, false, 200, "HTTP/1.1"},
		{"wrong name", plain, cluster.TLS{SNI: "bank.example", CAFile: plain.ca}, false, 503, "certificate_verify_failed"},
		{"unknown issuer", plain, cluster.TLS{SNI: "example.com"}, false, 503, "certificate_verify_failed"},
		{"believe anybody", plain, cluster.TLS{SNI: "bank.example", SkipVerify: true}, false, 200, "HTTP/1.1 to bank.example"},
		{"no roots", plain, cluster.TLS{SNI: "example.com", CAFile: "/nowhere"}, false, 503, "handshake_failed"},
		{"mutual", mutual, cluster.TLS{SNI: "example.com", CAFile: mutual.ca, CertFile: mutual.cert, KeyFile: mutual.key}, false, 200, "HTTP/1.1 to example.com"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSidecar(t, tickets, listen.Outbound)
			c := paymentsCluster(tt.to.endpoint)
			c.TLS, c.HTTP2, c.External = &tt.tls, tt.http2, true
			s.apply([]route.Route{{Name: "r", Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "payments"}}}}}, c)
			a := s.get("/")
			x := s.seen.next(t)
			where := a.body
			if tt.status != 200 {
				where = x.Details
			}
			if a.StatusCode != tt.status || !strings.Contains(where, tt.body) {
				t.Errorf("got %d %q, %s", a.StatusCode, a.body, x.Details)
			}
			if want := map[bool]string{true: "tls", false: "none"}[tt.status == 200]; x.TLS != want {
				t.Errorf("security %s, want %s", x.TLS, want)
			}
			if tt.status != 200 && x.Flags.String() != "UF" {
				t.Errorf("flags %s", x.Flags)
			}
		})
	}
}
