package ca_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/ca"
)

func open(t *testing.T, o ca.Options) *ca.Authority {
	t.Helper()
	a, err := ca.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func csr(t *testing.T, template x509.CertificateRequest) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

var web = ca.Identity{Namespace: "cinema", ServiceAccount: "web"}

func token(t *testing.T, a *ca.Authority, r ca.TokenRequest) string {
	t.Helper()
	text, _, err := a.CreateToken(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestIssuedCertificates(t *testing.T) {
	a := open(t, ca.Options{Lifetime: time.Hour})
	elsewhere, _ := url.Parse("spiffe://cluster.local/ns/cinema/sa/admin")
	// What the request asks for is of no effect: only its key is used.
	request := csr(t, x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "admin"}, URIs: []*url.URL{elsewhere}, DNSNames: []string{"bank.example"},
	})
	got, err := a.IssueByToken(token(t, a, ca.TokenRequest{Identity: web}), request)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(got.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != "spiffe://cluster.local/ns/cinema/sa/web" || got.Principal != leaf.URIs[0].String() {
		t.Errorf("the certificate is for %v, and said to be for %s", leaf.URIs, got.Principal)
	}
	if leaf.IsCA || len(leaf.DNSNames) > 0 || leaf.Subject.CommonName != "" {
		t.Errorf("the certificate took from the request: CA %v, %v, %v", leaf.IsCA, leaf.DNSNames, leaf.Subject)
	}
	if left := time.Until(leaf.NotAfter); left > time.Hour || left < 59*time.Minute {
		t.Errorf("it holds for %s", left)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.Root())
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
}

func TestTokens(t *testing.T) {
	now := time.Now()
	a := open(t, ca.Options{Dir: t.TempDir(), Now: func() time.Time { return now }})
	text, made, err := a.CreateToken(ca.TokenRequest{Identity: web, TTL: time.Minute, Uses: 2})
	if err != nil {
		t.Fatal(err)
	}
	use := func(text string) error {
		_, err := a.IssueByToken(text, csr(t, x509.CertificateRequest{}))
		return err
	}
	denied := func(what, text, why string) {
		t.Helper()
		if err := use(text); !errors.Is(err, ca.ErrDenied) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", what, err, why)
		}
	}
	parts := strings.Split(text, ".")
	denied("no token", "", "it is not one")
	denied("another secret", strings.Join([]string{parts[0], parts[1], parts[2] + "x", parts[3]}, "."), "not known here")
	denied("another ID", strings.Join([]string{parts[0], "00", parts[2], parts[3]}, "."), "not known here")
	for range 2 {
		if err := use(text + "\n"); err != nil {
			t.Error(err)
		}
	}
	denied("used up", text, "was used 2 times of 2")
	if list := a.Tokens(); len(list) != 0 {
		t.Errorf("a token that is used up is listed: %v", list)
	}

	late := token(t, a, ca.TokenRequest{Identity: web, TTL: time.Minute})
	now = now.Add(time.Minute)
	denied("ended", late, "it ended at")

	revoked, made, err := a.CreateToken(ca.TokenRequest{Identity: web})
	if err != nil {
		t.Fatal(err)
	}
	if list := a.Tokens(); len(list) != 1 || list[0].ID != made.ID || list[0].MaxUses != 1 {
		t.Errorf("tokens: %v", list)
	}
	if err := a.RevokeToken(made.ID); err != nil {
		t.Fatal(err)
	}
	denied("revoked", revoked, "not known here")
	if err := a.RevokeToken(made.ID); !errors.Is(err, mesh.ErrNotFound) {
		t.Errorf("revoked twice: %v", err)
	}
}

func TestATokenIsSpentForABadRequestNever(t *testing.T) {
	a := open(t, ca.Options{})
	text := token(t, a, ca.TokenRequest{Identity: web})
	good := csr(t, x509.CertificateRequest{})
	for _, bad := range [][]byte{nil, []byte("x"), good[:len(good)-3], append(good[:len(good)-1:len(good)-1], good[len(good)-1]^1), make([]byte, 1<<20)} {
		if _, err := a.IssueByToken(text, bad); !errors.Is(err, mesh.ErrInvalid) {
			t.Errorf("request of %d bytes: %v", len(bad), err)
		}
	}
	if _, err := a.IssueByToken(text, good); err != nil {
		t.Error(err)
	}
}

func TestTokenRequestsThatAreRefused(t *testing.T) {
	a := open(t, ca.Options{})
	for name, r := range map[string]ca.TokenRequest{
		"no namespace":     {Identity: ca.Identity{ServiceAccount: "web"}},
		"a path":           {Identity: ca.Identity{Namespace: "cinema/../x", ServiceAccount: "web"}},
		"no account":       {Identity: ca.Identity{Namespace: "cinema"}},
		"the server's own": {Identity: ca.Server},
		"too long":         {Identity: web, TTL: 365 * 24 * time.Hour},
		"too often":        {Identity: web, Uses: 1 << 20},
		"negative":         {Identity: web, Uses: -1},
	} {
		if text, _, err := a.CreateToken(r); !errors.Is(err, mesh.ErrInvalid) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

func TestARestartKeepsTheAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	a := open(t, ca.Options{Dir: dir})
	once, twice := token(t, a, ca.TokenRequest{Identity: web}), token(t, a, ca.TokenRequest{Identity: web, Uses: 2})
	for _, text := range []string{once, twice} {
		if _, err := a.IssueByToken(text, csr(t, x509.CertificateRequest{})); err != nil {
			t.Fatal(err)
		}
	}
	b := open(t, ca.Options{Dir: dir})
	if a.Pin() != b.Pin() {
		t.Error("the root is another after a restart")
	}
	if _, err := b.IssueByToken(once, csr(t, x509.CertificateRequest{})); !errors.Is(err, ca.ErrDenied) {
		t.Errorf("a token that was used up before the restart: %v", err)
	}
	if _, err := b.IssueByToken(twice, csr(t, x509.CertificateRequest{})); err != nil {
		t.Errorf("a token with a use left: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
		text, _ := os.ReadFile(path)
		for _, secret := range []string{once, twice} {
			if strings.Contains(string(text), strings.Split(secret, ".")[2]) {
				t.Errorf("%s holds a token's secret", path)
			}
		}
	}
	if _, err := ca.Open(ca.Options{Dir: dir, TrustDomain: "other.example"}); !errors.Is(err, mesh.ErrInvalid) {
		t.Errorf("another trust domain on the same folder: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "root-key.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Open(ca.Options{Dir: dir}); err == nil {
		t.Error("half an authority is taken for none, and replaced")
	}
}

func TestABroughtAuthority(t *testing.T) {
	dir := t.TempDir()
	made := open(t, ca.Options{Dir: dir})
	cert, key := filepath.Join(dir, "root.pem"), filepath.Join(dir, "root-key.pem")
	a := open(t, ca.Options{CertFile: cert, KeyFile: key})
	if a.Pin() != made.Pin() {
		t.Error("another root than the one that was brought")
	}
	open(t, ca.Options{Dir: filepath.Join(dir, "other")})
	for name, o := range map[string]ca.Options{
		"key of another": {CertFile: cert, KeyFile: filepath.Join(dir, "other", "root-key.pem")},
		"no key":         {CertFile: cert},
		"no such file":   {CertFile: cert + "x", KeyFile: key},
		"not PEM":        {CertFile: filepath.Join(dir, "other", "tokens.json"), KeyFile: key},
		"lifetime":       {Lifetime: time.Nanosecond},
		"trust domain":   {TrustDomain: "not a domain"},
	} {
		if _, err := ca.Open(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
