package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// The times of certificates. A root that the authority makes is meant to last
// longer than anybody wants to think of it; a clock that is a little behind must
// not refuse a certificate that was just issued.
const (
	rootLifetime    = 10 * 365 * 24 * time.Hour
	defaultLifetime = 24 * time.Hour
	minLifetime     = time.Second
	maxLifetime     = 90 * 24 * time.Hour
	clockSkew       = time.Minute
)

// Options configure an Authority.
type Options struct {
	// Dir keeps the root and the tokens; "" keeps them in memory only, so that
	// a restart is another authority.
	Dir string
	// CertFile and KeyFile bring a root or intermediate instead, in PEM.
	CertFile, KeyFile string
	TrustDomain       string        // default "cluster.local"
	Lifetime          time.Duration // of issued certificates; default 24 h
	Now               func() time.Time
}

func (o *Options) complete() (spiffeid.TrustDomain, error) {
	if o.TrustDomain == "" {
		o.TrustDomain = "cluster.local"
	}
	if o.Lifetime == 0 {
		o.Lifetime = defaultLifetime
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	td, err := spiffeid.TrustDomainFromString(o.TrustDomain)
	switch {
	case err != nil:
		return td, fmt.Errorf("--trust-domain %q: %w: %w", o.TrustDomain, err, mesh.ErrInvalid)
	case (o.CertFile == "") != (o.KeyFile == ""):
		return td, fmt.Errorf("--ca-cert and --ca-key go together: %w", mesh.ErrInvalid)
	case o.Lifetime < minLifetime || o.Lifetime > maxLifetime:
		return td, fmt.Errorf("--cert-lifetime %s: want %s to %s: %w", o.Lifetime, minLifetime, maxLifetime, mesh.ErrInvalid)
	}
	return td, nil
}

// Authority issues certificates. It is safe for concurrent use.
type Authority struct {
	opts   Options
	domain spiffeid.TrustDomain
	chain  []*x509.Certificate // the issuer first, the root last
	key    crypto.Signer
	tokens *tokens
}

// Issued is a certificate with what a peer needs to take it.
type Issued struct {
	Principal string
	Chain     [][]byte // DER: the leaf, then intermediates if there are some
	Roots     [][]byte // DER
	NotAfter  time.Time
}

// Open loads the authority, or makes it at its first start.
func Open(o Options) (*Authority, error) {
	domain, err := o.complete()
	if err != nil {
		return nil, err
	}
	a := &Authority{opts: o, domain: domain}
	if o.CertFile != "" {
		a.chain, a.key, err = loadPair(o.CertFile, o.KeyFile)
	} else {
		a.chain, a.key, err = loadOrMakeRoot(o, domain)
	}
	if err != nil {
		return nil, err
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	if a.tokens, err = openTokens(o.Dir); err != nil {
		return nil, err
	}
	return a, nil
}

// check says whether what was loaded can issue at all.
func (a *Authority) check() error {
	issuer := a.chain[0]
	public, ok := issuer.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	switch {
	case !issuer.IsCA || issuer.KeyUsage&x509.KeyUsageCertSign == 0:
		return fmt.Errorf("certificate authority %s: the certificate may not sign others: %w", issuer.Subject, mesh.ErrInvalid)
	case !ok || !public.Equal(a.key.Public()):
		return fmt.Errorf("certificate authority %s: the key is not the certificate's: %w", issuer.Subject, mesh.ErrInvalid)
	case a.opts.Now().After(issuer.NotAfter):
		return fmt.Errorf("certificate authority %s: it ended at %s: bring a new one, or remove it to have one made: %w",
			issuer.Subject, issuer.NotAfter.Format(time.RFC3339), mesh.ErrInvalid)
	}
	return nil
}

// TrustDomain is the part of identities that all of this mesh share.
func (a *Authority) TrustDomain() string { return a.domain.Name() }

// Root is the certificate that everything is vouched for by.
func (a *Authority) Root() *x509.Certificate { return a.chain[len(a.chain)-1] }

// Pin is the root's fingerprint, which a join token carries so that a sidecar
// knows the server it has never seen before.
func (a *Authority) Pin() string { return Fingerprint(a.Root().Raw) }

// Fingerprint is the sha256 of a certificate's DER, in hex.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// Identity is who a certificate is for.
type Identity struct{ Namespace, ServiceAccount string }

// String is "namespace/service account".
func (i Identity) String() string { return i.Namespace + "/" + i.ServiceAccount }

// SPIFFE gives the identity's SPIFFE ID in this trust domain.
func (a *Authority) SPIFFE(i Identity) (spiffeid.ID, error) {
	id, err := spiffeid.FromSegments(a.domain, "ns", i.Namespace, "sa", i.ServiceAccount)
	if err != nil {
		return id, fmt.Errorf("identity %s: %w: %w", i, err, mesh.ErrInvalid)
	}
	return id, nil
}

// Parse reads an identity of this trust domain back from its SPIFFE ID.
func (a *Authority) Parse(id spiffeid.ID) (Identity, error) {
	var i Identity
	path := id.Path()
	if !id.MemberOf(a.domain) {
		return i, fmt.Errorf("%s is not of trust domain %s: %w", id, a.domain, mesh.ErrInvalid)
	}
	parts := splitPath(path)
	if len(parts) != 4 || parts[0] != "ns" || parts[2] != "sa" {
		return i, fmt.Errorf("%s is no service account: %w", id, mesh.ErrInvalid)
	}
	return Identity{parts[1], parts[3]}, nil
}

// ErrDenied says that who asks may not have the certificate.
var ErrDenied = errors.New("not allowed")

// IssueByToken issues a certificate to who holds a join token.
func (a *Authority) IssueByToken(token string, csr []byte) (*Issued, error) {
	request, err := readCSR(csr)
	if err != nil {
		return nil, err
	}
	who, err := a.tokens.use(token, a.opts.Now())
	if err != nil {
		return nil, err
	}
	return a.issue(who, request)
}

// Renew issues the next certificate to who has shown one that holds.
func (a *Authority) Renew(who Identity, csr []byte) (*Issued, error) {
	request, err := readCSR(csr)
	if err != nil {
		return nil, err
	}
	return a.issue(who, request)
}

// maxCSR bounds what is parsed: a CSR has some hundred bytes.
const maxCSR = 16 << 10

func readCSR(der []byte) (*x509.CertificateRequest, error) {
	if len(der) > maxCSR {
		return nil, fmt.Errorf("certificate request has %d bytes, more than %d: %w", len(der), maxCSR, mesh.ErrInvalid)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err == nil {
		err = request.CheckSignature()
	}
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w: %w", err, mesh.ErrInvalid)
	}
	return request, nil
}

func (a *Authority) issue(who Identity, request *x509.CertificateRequest) (*Issued, error) {
	id, err := a.SPIFFE(who)
	if err != nil {
		return nil, err
	}
	return a.sign(id, request.PublicKey, nil)
}

// sign makes a certificate. It never outlives its issuer.
func (a *Authority) sign(id spiffeid.ID, key crypto.PublicKey, names []string) (*Issued, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := a.opts.Now()
	until := now.Add(a.opts.Lifetime)
	if issuer := a.chain[0]; until.After(issuer.NotAfter) {
		until = issuer.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: now.Add(-clockSkew), NotAfter: until,
		URIs: []*url.URL{id.URL()}, DNSNames: names,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.chain[0], key, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %s: %w", id, err)
	}
	out := &Issued{Principal: id.String(), Chain: [][]byte{der}, Roots: [][]byte{a.Root().Raw}, NotAfter: template.NotAfter.Truncate(time.Second)}
	for _, c := range a.chain[:len(a.chain)-1] {
		out.Chain = append(out.Chain, c.Raw)
	}
	return out, nil
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	return serial.Add(serial, big.NewInt(1)), nil
}

func makeRoot(domain spiffeid.TrustDomain, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make root key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{Organization: []string{"Sidelight"}, CommonName: "root of " + domain.Name()},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(rootLifetime), URIs: []*url.URL{domain.ID().URL()},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make root: %w", err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("make root: %w", err)
	}
	return root, key, nil
}
