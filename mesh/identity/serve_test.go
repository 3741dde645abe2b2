package identity_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
)

// serve greets whoever is let in, on one listener for the whole test.
func serve(t *testing.T, config *tls.Config) (address string) {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "hello")
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = ln.Close(); serving.Wait() })
	return ln.Addr().String()
}

// greeted connects and gives the certificate that was shown.
func greeted(t *testing.T, address string, config *tls.Config) (serial string, err error) {
	t.Helper()
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, config)
	defer func() { _ = conn.Close() }()
	text, err := io.ReadAll(conn) // in TLS 1.3 the client hears of a refusal here
	if err == nil && string(text) != "hello" {
		err = io.ErrUnexpectedEOF
	}
	if shown := conn.ConnectionState().PeerCertificates; len(shown) > 0 {
		serial = shown[0].SerialNumber.Text(16)
	}
	return serial, err
}

func TestListener(t *testing.T) {
	here, elsewhere := identitytest.New(t, "cluster.local"), identitytest.New(t, "cluster.local")
	collector, web := here.Source(mesh.SystemNamespace, mesh.CollectorAccount), here.Source("cinema", "web")
	expired := &identity.Source{}
	expired.Set(here.Issue("cinema", "web", -30*time.Second))
	hosts := identitytest.NewFiles(t, "spans.example")
	files, err := identity.OpenHostFiles(hosts.Certificate, hosts.Key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	byName := &tls.Config{RootCAs: hosts.Roots, ServerName: "spans.example"}

	for _, tt := range []struct {
		name     string
		listener identity.Listener
		client   *tls.Config
		refused  string // what the listener says; "" nothing
		fails    string // what the client says; "" it is let in, "any" does not matter
	}{
		{"of the mesh", identity.Listener{Identity: collector, Mutual: true}, web.CollectorOfMeshTLS(), "", ""},
		{"nobody, where all are welcome", identity.Listener{Identity: collector}, &tls.Config{InsecureSkipVerify: true}, "", ""},
		{"nobody", identity.Listener{Identity: collector, Mutual: true}, &tls.Config{InsecureSkipVerify: true}, "the client shows none", "any"},
		{"of another root", identity.Listener{Identity: collector}, elsewhere.Client("cinema", "web"), "unknown authority", "any"},
		{"expired", identity.Listener{Identity: collector, Mutual: true}, expired.CollectorOfMeshTLS(), "expired", "any"},
		{"another than the only one", identity.Listener{Identity: web, Mutual: true, Only: mesh.CollectorAccount}, here.Source("cinema", "jobs").ClientTLS("", nil, nil), "cinema/sa/jobs is not the mesh's collector", "any"},
		{"the only one", identity.Listener{Identity: web, Mutual: true, Only: mesh.CollectorAccount}, collector.ClientTLS("", nil, nil), "", ""},
		{"who serves is no collector", identity.Listener{Identity: web}, web.CollectorOfMeshTLS(), "", "cinema/sa/web is not the mesh's collector"},
		{"who serves is of another root", identity.Listener{Identity: elsewhere.Source(mesh.SystemNamespace, mesh.CollectorAccount)}, web.CollectorOfMeshTLS(), "", "unknown authority"},
		{"who serves has no certificate", identity.Listener{Identity: &identity.Source{}}, web.CollectorOfMeshTLS(), "", "any"},
		{"outside of the mesh, by host name", identity.Listener{Hosts: files}, byName, "", ""},
		{"outside of the mesh, beside the mesh", identity.Listener{Identity: collector, Hosts: files}, byName, "", ""},
		{"of the mesh, beside the outside", identity.Listener{Identity: collector, Hosts: files, Mutual: true}, web.CollectorOfMeshTLS(), "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refused := make(chan string, 1)
			tt.listener.Refused = func(_ string, err error) { refused <- err.Error() }
			_, err := greeted(t, serve(t, tt.listener.TLS()), tt.client)
			switch {
			case tt.fails == "" && err != nil:
				t.Errorf("the client is not let in: %v", err)
			case tt.fails != "" && (err == nil || tt.fails != "any" && !strings.Contains(err.Error(), tt.fails)):
				t.Errorf("the client: %v, want %q", err, tt.fails)
			}
			if tt.refused == "" {
				return
			}
			select {
			case why := <-refused:
				if !strings.Contains(why, tt.refused) {
					t.Errorf("the listener: %s, want %q", why, tt.refused)
				}
			case <-time.After(20 * time.Second):
				t.Errorf("the listener says nothing, want %q", tt.refused)
			}
		})
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// A listener shows the certificates of the moment, and believes by the roots of
// the moment.
func TestListenerRotates(t *testing.T) {
	here, next := identitytest.New(t, "cluster.local"), identitytest.New(t, "cluster.local")
	source, hosts := &identity.Source{}, identitytest.NewFiles(t, "spans.example")
	var log lockedBuffer
	files, err := identity.OpenHostFiles(hosts.Certificate, hosts.Key, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, identity.Listener{Identity: source, Hosts: files, Mutual: true}.TLS())
	for i, ca := range []*identitytest.Authority{here, here, next} {
		c := ca.Issue(mesh.SystemNamespace, mesh.CollectorAccount, time.Hour)
		source.Set(c)
		serial, err := greeted(t, address, ca.Source("cinema", "web").CollectorOfMeshTLS())
		if err != nil || serial != c.Serial() {
			t.Errorf("certificate %d: shown %s, want %s; %v", i+1, serial, c.Serial(), err)
		}
	}
	if _, err := greeted(t, address, here.Source("cinema", "web").CollectorOfMeshTLS()); err == nil {
		t.Error("a root that is gone is believed")
	}

	shown := func() string {
		serial, _ := greeted(t, address, &tls.Config{InsecureSkipVerify: true, ServerName: "spans.example"})
		return serial
	}
	first := shown()
	renewed := identitytest.NewFiles(t, "spans.example")
	if err := os.WriteFile(hosts.Certificate, []byte("half of a"), 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(log.String(), "the earlier one serves"); time.Sleep(10 * time.Millisecond) {
		if shown() != first || time.Now().After(deadline) {
			t.Fatalf("with half a file another certificate is shown, or nothing said: %s", log.String())
		}
	}
	for from, to := range map[string]string{renewed.Certificate: hosts.Certificate, renewed.Key: hosts.Key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); shown() == first; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the files' new certificate is not shown")
		}
	}
}
