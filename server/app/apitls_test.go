package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// makeCert writes a certificate for loopback that vouches for itself.
func makeCert(t *testing.T, certFile, keyFile string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// The API over TLS, its socket too, by files that are renewed while it serves.
func TestAPIOverTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	first := makeCert(t, certFile, keyFile)
	a := start(t, func(o *Options) { o.APICert, o.APIKey = certFile, keyFile })
	url := a.Addrs().URL
	if !strings.HasPrefix(url, "https://127.0.0.1:") {
		t.Fatalf("URL %s", url)
	}

	trust := func(c *x509.Certificate) *tls.Config {
		pool := x509.NewCertPool()
		pool.AddCert(c)
		return &tls.Config{RootCAs: pool}
	}
	// ask gives the certificate by which the API answers.
	ask := func(c *x509.Certificate) (*x509.Certificate, error) {
		transport := &http.Transport{TLSClientConfig: trust(c), ForceAttemptHTTP2: true, DisableKeepAlives: true}
		defer transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/api/v1/status", nil)
		if err != nil {
			return nil, err
		}
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
			t.Errorf("%s %s", resp.Proto, resp.Status)
		}
		return resp.TLS.PeerCertificates[0], nil
	}
	if got, err := ask(first); err != nil || !got.Equal(first) {
		t.Fatalf("answered by %v: %v", got, err)
	}
	dialer := websocket.Dialer{TLSClientConfig: trust(first), Subprotocols: []string{"sidelight.v1"}}
	conn, resp, err := dialer.DialContext(t.Context(), strings.Replace(url, "https", "wss", 1)+"/api/v1/live", nil)
	if err != nil {
		t.Fatalf("live socket: %v", err)
	}
	defer resp.Body.Close()
	defer conn.Close()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"op":"subscribe","id":"n","channel":"nodes"}`)); err != nil {
		t.Fatal(err)
	}
	if _, frame, err := conn.ReadMessage(); err != nil || !strings.Contains(string(frame), `"snapshot"`) {
		t.Errorf("live socket: %s, %v", frame, err)
	}

	// Half of it renewed, then the other half.
	if err := os.WriteFile(keyFile, []byte("not yet"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond) // files are looked at each second
	if got, err := ask(first); err != nil || !got.Equal(first) {
		t.Errorf("between two writes it is answered by %v: %v", got, err)
	}
	second := makeCert(t, certFile, keyFile)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if got, err := ask(second); err == nil && got.Equal(second) {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the renewed certificate is not used: %v", err)
		}
	}
}

func TestAPIWithoutCertificate(t *testing.T) {
	dir := t.TempDir()
	_, err := New(Options{
		ConfigDir: dir, API: "127.0.0.1:0", Admin: "127.0.0.1:0", XDS: "127.0.0.1:0", Secure: "127.0.0.1:0",
		APICert: filepath.Join(dir, "none.crt"), APIKey: filepath.Join(dir, "none.key"),
	})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "open API: read certificate of hosts") {
		t.Errorf("without its files: %v", err)
	}
}
