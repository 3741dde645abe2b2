package identity_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
)

// handshake joins two configurations over a real socket and gives what each
// side made of it.
func handshake(t *testing.T, client, server *tls.Config) (principal string, clientErr, serverErr error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := ln.Accept()
		if err != nil {
			serverErr = err
			return
		}
		defer raw.Close()
		conn := tls.Server(raw, server)
		if serverErr = conn.Handshake(); serverErr == nil {
			principal = identity.Principal(conn.ConnectionState())
			_, _ = io.WriteString(conn, "hello")
		}
	}()
	raw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	conn := tls.Client(raw, client)
	if clientErr = conn.Handshake(); clientErr == nil {
		_, clientErr = io.ReadAll(conn) // in TLS 1.3 the client hears of a refusal here
	}
	raw.Close()
	<-done
	return principal, clientErr, serverErr
}

func TestMutualTLS(t *testing.T) {
	here, elsewhere := identitytest.New(t, "cluster.local"), identitytest.New(t, "elsewhere.example")
	impostor := identitytest.New(t, "cluster.local") // the same name, another root
	web, catalog := here.Source("cinema", "web"), here.Source("cinema", "catalog")
	expired := &identity.Source{}
	expired.Set(here.Issue("cinema", "web", -30*time.Second))

	names := []string{here.ID("cinema", "catalog")}
	tests := []struct {
		name             string
		client           *identity.Source
		server           *identity.Source
		names            []string
		clientErr, srvEr string // "" = none
	}{
		{"right name", web, catalog, names, "", ""},
		{"any name", web, catalog, nil, "", ""},
		{"wrong name", web, here.Source("cinema", "payments"), names, "/sa/payments is none of", "bad certificate"},
		{"server of another trust domain", web, elsewhere.Source("cinema", "catalog"), names, "could not get X509 bundle", "bad certificate"},
		{"client of another trust domain", elsewhere.Source("cinema", "web"), catalog, nil, "could not get X509 bundle", ""},
		{"server under another root", web, impostor.Source("cinema", "catalog"), names, "unknown authority", "bad certificate"},
		{"expired client", expired, catalog, nil, "", "expired"},
		{"client without certificate", &identity.Source{}, catalog, nil, "no certificate", ""},
		{"server without certificate", web, &identity.Source{}, nil, "remote error", "no certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			principal, cerr, serr := handshake(t, tt.client.ClientTLS("", []string{"istio"}, tt.names), tt.server.ServerTLS([]string{"istio"}))
			check := func(side, want string, err error) {
				if want == "" {
					return
				}
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v, want %q", side, err, want)
				}
			}
			if tt.clientErr == "" && tt.srvEr == "" {
				if cerr != nil || serr != nil || principal != here.ID("cinema", "web") {
					t.Fatalf("principal %q, client %v, server %v", principal, cerr, serr)
				}
				return
			}
			if cerr == nil && serr == nil {
				t.Fatal("the handshake succeeded")
			}
			check("client", tt.clientErr, cerr)
			check("server", tt.srvEr, serr)
		})
	}
}

func TestClientMustShowACertificate(t *testing.T) {
	here := identitytest.New(t, "cluster.local")
	_, cerr, serr := handshake(t, &tls.Config{InsecureSkipVerify: true}, here.Source("cinema", "web").ServerTLS(nil))
	if cerr == nil || serr == nil {
		t.Errorf("client %v, server %v: want both to fail", cerr, serr)
	}
}

func TestNewCertificateRefusesWhatDoesNotBelongTogether(t *testing.T) {
	a, b := identitytest.New(t, "cluster.local"), identitytest.New(t, "cluster.local")
	bundle := x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString("cluster.local"), nil)
	bundle.AddX509Authority(b.Root)
	if _, err := identity.NewCertificate(a.SVID("cinema", "web", time.Hour), bundle, time.Now()); err == nil {
		t.Error("a certificate that the roots do not vouch for is taken")
	}
	if _, err := identity.NewCertificate(b.SVID("cinema", "web", time.Hour), bundle, time.Now().Add(2*time.Hour)); err == nil {
		t.Error("an expired certificate is taken")
	}
	mixed := a.SVID("cinema", "web", time.Hour)
	mixed.PrivateKey = b.SVID("cinema", "web", time.Hour).PrivateKey
	bundle.AddX509Authority(a.Root)
	if _, err := identity.NewCertificate(mixed, bundle, time.Now()); err == nil {
		t.Error("a key of another certificate is taken")
	}
	var none *identity.Source
	if none.Current() != nil {
		t.Error("a nil source has a certificate")
	}
}

func TestID(t *testing.T) {
	if id, err := identity.ID("cluster.local", "cinema", "web"); err != nil || id != "spiffe://cluster.local/ns/cinema/sa/web" {
		t.Errorf("%q, %v", id, err)
	}
	for _, bad := range [][3]string{{"", "a", "b"}, {"x y", "a", "b"}, {"cluster.local", "", "b"}, {"cluster.local", "a/..", "b"}} {
		if id, err := identity.ID(bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("%v gives %q", bad, id)
		}
	}
}
