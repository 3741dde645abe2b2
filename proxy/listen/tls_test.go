package listen_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// secured is a set whose engines say who they think called.
func secured(t *testing.T, id *identity.Source, rejected func(why string)) (*listen.Set, string) {
	t.Helper()
	s := listen.NewSet(listen.Options{
		Identity: id, HeaderTimeout: 2 * time.Second,
		Engines: listen.Engines{
			HTTP: func(_ *listen.Config, w http.ResponseWriter, r *http.Request) {
				info := listen.InfoOf(r.Context())
				fmt.Fprintf(w, "%v %s %s", info.Mutual, info.Principal, r.Proto)
			},
			TCP: func(ctx context.Context, _ *listen.Config, c net.Conn) {
				b := make([]byte, 3)
				n, _ := io.ReadFull(c, b)
				info := listen.InfoOf(ctx)
				fmt.Fprintf(c, "%v %s %q", info.Mutual, info.Principal, b[:n])
			},
			Rejected: func(_ *listen.Config, _ net.Addr, why string) { rejected(why) },
		},
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.Drain(ctx)
	})
	address, err := s.Reserve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return s, address
}

func serveMode(t *testing.T, s *listen.Set, address string, kind listen.Kind, mode listen.TLSMode) {
	t.Helper()
	c := listen.Config{Name: "in", Address: address, Direction: listen.Inbound, Kind: kind, TLS: mode, TLSObject: "PeerAuthentication a/b"}
	if c.RouteName = "r"; kind == listen.TCP {
		c.RouteName, c.Cluster = "", "c"
	}
	if err := s.Apply([]listen.Config{c}); err != nil {
		t.Fatal(err)
	}
}

// ask makes one request, over TLS when there is a configuration for it.
func ask(address string, config *tls.Config, http2 bool) (string, error) {
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: config, ForceAttemptHTTP2: http2}
	defer transport.CloseIdleConnections()
	scheme := "http"
	if config != nil {
		scheme = "https"
	}
	res, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Get(scheme + "://" + address)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

func TestWhoMayConnectToHTTP(t *testing.T) {
	ca, other := identitytest.New(t, "cluster.local"), identitytest.New(t, "elsewhere.example")
	web := ca.ID("cinema", "web")
	var rejected atomic.Int64
	s, address := secured(t, ca.Source("cinema", "catalog"), func(string) { rejected.Add(1) })
	anonymous := &tls.Config{InsecureSkipVerify: true}
	tests := []struct {
		name   string
		mode   listen.TLSMode
		config *tls.Config
		http2  bool
		want   string // "" = the connection breaks
	}{
		{"plain, disable", listen.TLSDisable, nil, false, "false  HTTP/1.1"},
		{"plain, permissive", listen.TLSPermissive, nil, false, "false  HTTP/1.1"},
		{"plain, strict", listen.TLSStrict, nil, false, ""},
		{"certificate, permissive", listen.TLSPermissive, ca.Client("cinema", "web"), false, "true " + web + " HTTP/1.1"},
		{"certificate, strict", listen.TLSStrict, ca.Client("cinema", "web"), false, "true " + web + " HTTP/1.1"},
		{"certificate, h2", listen.TLSStrict, ca.Client("cinema", "web"), true, "true " + web + " HTTP/2.0"},
		{"no certificate, permissive", listen.TLSPermissive, anonymous, false, ""},
		{"no certificate, strict", listen.TLSStrict, anonymous, false, ""},
		{"another trust domain", listen.TLSStrict, other.Client("cinema", "web"), false, ""},
		{"TLS, disable", listen.TLSDisable, ca.Client("cinema", "web"), false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			serveMode(t, s, address, listen.HTTP, tt.mode)
			before := rejected.Load()
			got, err := ask(address, tt.config, tt.http2)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
			if tt.want != "" || tt.mode == listen.TLSDisable {
				return
			}
			for range 1000 { // the client may know before the server's side has told
				if rejected.Load() > before {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
			t.Error("nobody was told of the rejection")
		})
	}
}

func TestWhoMayConnectToTCP(t *testing.T) {
	ca := identitytest.New(t, "cluster.local")
	s, address := secured(t, ca.Source("cinema", "catalog"), func(string) {})
	sidecar := ca.Source("cinema", "web").ClientTLS("", []string{"istio"}, nil)
	speak := func(config *tls.Config) string {
		t.Helper()
		var c net.Conn
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		if config != nil {
			c = tls.Client(c, config)
		}
		_, _ = io.WriteString(c, "abcdef")
		b, _ := io.ReadAll(c)
		return string(b)
	}
	serveMode(t, s, address, listen.TCP, listen.TLSPermissive)
	if got := speak(sidecar); got != "true "+ca.ID("cinema", "web")+` "abc"` {
		t.Errorf("a sidecar: %q", got)
	}
	if got := speak(nil); got != `false  "abc"` {
		t.Errorf("plain text: %q", got)
	}
	// The app's own TLS passes as bytes: the client gets plain text for an answer.
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	err = tls.Client(raw, &tls.Config{InsecureSkipVerify: true}).Handshake()
	if err == nil || !strings.Contains(err.Error(), "first record does not look like a TLS handshake") {
		t.Errorf("the app's own TLS: %v", err)
	}
	// A client that waits for the server to speak first is let through.
	silent, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	serveMode(t, s, address, listen.TCP, listen.TLSStrict)
	if got := speak(sidecar); got != "true "+ca.ID("cinema", "web")+` "abc"` {
		t.Errorf("a sidecar, strict: %q", got)
	}
	if got := speak(nil); got != "" {
		t.Errorf("plain text, strict: %q", got)
	}
	_ = silent.SetDeadline(time.Now().Add(10 * time.Second))
	if b, _ := io.ReadAll(silent); len(b) > 0 {
		t.Errorf("a connection of before, without TLS, got %q", b)
	}
}

func TestGarbageOnATLSPort(t *testing.T) {
	ca := identitytest.New(t, "cluster.local")
	s, address := secured(t, ca.Source("cinema", "catalog"), func(string) {})
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
	for _, kind := range []listen.Kind{listen.HTTP, listen.TCP} {
		for _, mode := range []listen.TLSMode{listen.TLSPermissive, listen.TLSStrict} {
			serveMode(t, s, address, kind, mode)
			for _, garbage := range []string{"\x16", hello, hello + strings.Repeat("\xff", 1<<16), "\x16\x03\x01\x00\x00", "\x00\x00", strings.Repeat("\x16", 100)} {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				_ = c.SetDeadline(time.Now().Add(5 * time.Second))
				_, _ = io.WriteString(c, garbage)
				_ = c.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, c)
				c.Close()
			}
		}
	}
	serveMode(t, s, address, listen.HTTP, listen.TLSStrict)
	if _, err := ask(address, ca.Client("cinema", "web"), false); err != nil {
		t.Errorf("after the garbage: %v", err)
	}
}

// Connections that stay open see neither new certificates nor new roots; new
// ones use them; no request is lost.
func TestRotationUnderLoad(t *testing.T) {
	ca := identitytest.New(t, "cluster.local")
	server, client := ca.Source("cinema", "catalog"), ca.Source("cinema", "web")
	s, address := secured(t, server, func(why string) { t.Error("rejected:", why) })
	serveMode(t, s, address, listen.HTTP, listen.TLSStrict)
	var requests atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for i := range 4 {
		load.Go(func() {
			transport := &http.Transport{
				DisableKeepAlives: i%2 == 0, // half of them make a handshake each time
				DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					raw, err := (&net.Dialer{}).DialContext(ctx, network, addr)
					if err != nil {
						return nil, err
					}
					conn := tls.Client(raw, client.ClientTLS("", []string{"istio-http/1.1"}, []string{ca.ID("cinema", "catalog")}))
					return conn, conn.HandshakeContext(ctx)
				},
			}
			defer transport.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				res, err := (&http.Client{Transport: transport}).Get("https://" + address)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				requests.Add(1)
			}
		})
	}
	for range 20 {
		server.Set(ca.Issue("cinema", "catalog", time.Hour))
		client.Set(ca.Issue("cinema", "web", time.Hour))
		for before := requests.Load(); requests.Load() < before+20 && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
	}
	close(stop)
	load.Wait()
}
