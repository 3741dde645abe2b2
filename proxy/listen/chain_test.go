package listen_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// issuer signs certificates for hosts, into files as gateways have them.
type issuer struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{t: t, dir: t.TempDir(), pool: x509.NewCertPool()}
	i.cert, i.key = i.sign("roots", "roots", true)
	i.pool.AddCert(i.cert)
	return i
}

func (i *issuer) path(name string) string { return filepath.Join(i.dir, name) }

// sign writes name.pem and name.key.
func (i *issuer) sign(name, host string, ca bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: ca, BasicConstraintsValid: ca,
	}
	parent, signer := template, key
	if i.cert != nil {
		parent, signer = i.cert, i.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		i.t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		i.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(i.path(name+file), pem.EncodeToMemory(block), 0o600); err != nil {
			i.t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		i.t.Fatal(err)
	}
	return cert, key
}

func (i *issuer) client(name, sni string) *tls.Config {
	i.t.Helper()
	c := &tls.Config{RootCAs: i.pool, ServerName: sni}
	if name != "" {
		pair, err := tls.LoadX509KeyPair(i.path(name+".pem"), i.path(name+".key"))
		if err != nil {
			i.t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

// One port for hosts whose TLS is ended, with and without client certificates,
// for one whose TLS is passed on, and for plain text; new files without new
// configuration, and new terms for open connections.
func TestChains(t *testing.T) {
	ca := newIssuer(t)
	ca.sign("shop", "shop.example", false)
	ca.sign("bank", "till.bank.example", false)
	ca.sign("till", "till", false)
	ca.sign("thief", "thief", false)
	turned := make(chan string, 64)
	s := listen.NewSet(listen.Options{HeaderTimeout: 2 * time.Second, Engines: listen.Engines{
		HTTP: func(cfg *listen.Config, w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %v %s", cfg.Name, listen.InfoOf(r.Context()).Ended, r.Proto)
		},
		TCP: func(ctx context.Context, cfg *listen.Config, c net.Conn) {
			b := make([]byte, 3)
			n, _ := io.ReadFull(c, b)
			fmt.Fprintf(c, "%s %s %x", cfg.Name, listen.InfoOf(ctx).SNI, b[:n])
		},
		Rejected: func(cfg *listen.Config, _ net.Addr, why string) { turned <- cfg.Name + " " + why },
	}})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.Drain(ctx)
	})
	address, err := s.Reserve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve := func(shop, bank *listen.ServerTLS) {
		t.Helper()
		of := func(name string, kind listen.Kind) *listen.Config {
			return &listen.Config{Name: name, Address: address, Direction: listen.Outbound, Kind: kind, RouteName: "r", Cluster: "c"}
		}
		if err := s.Apply([]listen.Config{{Name: "edge", Address: address, Direction: listen.Outbound, Chains: []listen.Chain{
			{Plain: true, Config: of("plain", listen.HTTP)},
			{Names: []string{"*.example"}, Config: of("raw", listen.TCP)},
			{Names: []string{"shop.example"}, Config: of("shop", listen.HTTP), TLS: shop},
			{Names: []string{"*.bank.example"}, Config: of("bank", listen.HTTP), TLS: bank},
		}}}); err != nil {
			t.Fatal(err)
		}
	}
	alpn := []string{"h2", "http/1.1"}
	shop := &listen.ServerTLS{CertFile: ca.path("shop.pem"), KeyFile: ca.path("shop.key"), ALPN: alpn}
	mutual := func(names ...string) *listen.ServerTLS {
		return &listen.ServerTLS{
			CertFile: ca.path("bank.pem"), KeyFile: ca.path("bank.key"), ALPN: alpn,
			CAFile: ca.path("roots.pem"), Client: listen.ClientRequired, ClientNames: names,
		}
	}
	serve(shop, mutual("till"))
	for _, tt := range []struct {
		name   string
		config *tls.Config
		http2  bool
		want   string // "" = the connection breaks
		why    string
	}{
		{"plain", nil, false, "plain false HTTP/1.1", ""},
		{"ended", ca.client("", "shop.example"), false, "shop true HTTP/1.1", ""},
		{"ended, h2", ca.client("", "shop.example"), true, "shop true HTTP/2.0", ""},
		{"a certificate", ca.client("till", "till.bank.example"), false, "bank true HTTP/1.1", ""},
		{"no certificate", ca.client("", "till.bank.example"), false, "", "bank downstream_tls_handshake_failed"},
		{"another's certificate", ca.client("thief", "till.bank.example"), false, "", "bank downstream_tls_handshake_failed"},
	} {
		got, err := ask(address, tt.config, tt.http2)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
		if tt.why != "" {
			select {
			case why := <-turned:
				if why != tt.why {
					t.Errorf("%s: told %q", tt.name, why)
				}
			case <-time.After(10 * time.Second):
				t.Errorf("%s: nobody is told", tt.name)
			}
		}
	}

	// Passed on, the hello arrives whole; what comes back is no TLS, and says so.
	_, err = tls.Dial("tcp", address, ca.client("", "raw.example"))
	var answer tls.RecordHeaderError
	if !errors.As(err, &answer) || string(answer.RecordHeader[:]) != "raw r" {
		t.Errorf("passed on: %v", err)
	}

	// A new certificate in the same files is shown within a moment.
	ca.sign("shop", "shop.example", false)
	renewed, err := tls.LoadX509KeyPair(ca.path("shop.pem"), ca.path("shop.key"))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		c, err := tls.Dial("tcp", address, ca.client("", "shop.example"))
		if err != nil {
			t.Fatal(err)
		}
		serial := c.ConnectionState().PeerCertificates[0].SerialNumber
		c.Close()
		if serial.Cmp(renewed.Leaf.SerialNumber) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the old certificate is still shown")
		}
	}

	// Whoever came in without a certificate is not let in once one is asked for.
	transport := &http.Transport{TLSClientConfig: ca.client("", "shop.example")}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	get := func() error {
		res, err := client.Get("https://" + address)
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	serve(&listen.ServerTLS{CertFile: shop.CertFile, KeyFile: shop.KeyFile, ALPN: alpn, CAFile: ca.path("roots.pem"), Client: listen.ClientRequired}, mutual("till"))
	if err := get(); err == nil {
		t.Error("an open connection goes on without the certificate that is asked for now")
	}
}
