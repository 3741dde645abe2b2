package identitytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Files is a certificate of hosts that is its own root, in files as gateways and
// their clients have them.
type Files struct {
	Certificate, Key string // names of the files
	Roots            *x509.CertPool
	Pair             tls.Certificate
}

// NewFiles writes one.
func NewFiles(t testing.TB, hosts ...string) Files {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := sign(t, &x509.Certificate{
		DNSNames: hosts, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}, nil, key.Public(), key)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f := Files{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), Roots: x509.NewCertPool()}
	f.Roots.AddCert(c)
	write(t, f.Certificate, "CERTIFICATE", c.Raw)
	write(t, f.Key, "PRIVATE KEY", secret)
	if f.Pair, err = tls.LoadX509KeyPair(f.Certificate, f.Key); err != nil {
		t.Fatal(err)
	}
	return f
}

// File writes a certificate alone, for who is to believe it.
func File(t testing.TB, c *x509.Certificate) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ca.pem")
	write(t, name, "CERTIFICATE", c.Raw)
	return name
}

func write(t testing.TB, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
