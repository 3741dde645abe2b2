// Package identitytest issues certificates for tests, without a server.
package identitytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/sidelight-mesh/sidelight/mesh/identity"
)

// Authority is a root of a trust domain.
type Authority struct {
	t      testing.TB
	domain string
	Root   *x509.Certificate
	key    crypto.Signer
}

// New makes a root.
func New(t testing.TB, trustDomain string) *Authority {
	t.Helper()
	a := &Authority{t: t, domain: trustDomain}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.key = key
	a.Root = sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "root of " + trustDomain}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour),
	}, nil, key.Public(), key)
	return a
}

// ID is the identity of a service account.
func (a *Authority) ID(namespace, account string) string {
	return "spiffe://" + a.domain + "/ns/" + namespace + "/sa/" + account
}

// SVID issues a certificate for a service account.
func (a *Authority) SVID(namespace, account string, lifetime time.Duration) *x509svid.SVID {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf := a.Sign(namespace, account, lifetime, key.Public())
	return &x509svid.SVID{Certificates: []*x509.Certificate{leaf}, PrivateKey: key}
}

// Sign issues a certificate for a key.
func (a *Authority) Sign(namespace, account string, lifetime time.Duration, key crypto.PublicKey) *x509.Certificate {
	a.t.Helper()
	id, err := url.Parse(a.ID(namespace, account))
	if err != nil {
		a.t.Fatal(err)
	}
	return sign(a.t, &x509.Certificate{
		URIs: []*url.URL{id}, KeyUsage: x509.KeyUsageDigitalSignature, NotAfter: time.Now().Add(lifetime),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.Root, key, a.key)
}

// Issue gives a certificate with its roots. With a negative lifetime it has
// ended already.
func (a *Authority) Issue(namespace, account string, lifetime time.Duration) *identity.Certificate {
	a.t.Helper()
	bundle := x509bundle.FromX509Authorities(spiffeid.RequireTrustDomainFromString(a.domain), []*x509.Certificate{a.Root})
	svid := a.SVID(namespace, account, lifetime)
	c, err := identity.NewCertificate(svid, bundle, svid.Certificates[0].NotBefore)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// Source gives a source that has such a certificate.
func (a *Authority) Source(namespace, account string) *identity.Source {
	a.t.Helper()
	s := &identity.Source{}
	s.Set(a.Issue(namespace, account, time.Hour))
	return s
}

// Client is TLS for a client that is no sidecar, as curl would have it: by
// files, without SPIFFE's ways of verifying.
func (a *Authority) Client(namespace, account string) *tls.Config {
	a.t.Helper()
	svid := a.SVID(namespace, account, time.Hour)
	return &tls.Config{
		InsecureSkipVerify: true,
		Certificates: []tls.Certificate{{
			Certificate: [][]byte{svid.Certificates[0].Raw}, PrivateKey: svid.PrivateKey,
		}},
	}
}

func sign(t testing.TB, template, parent *x509.Certificate, key crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = template
	}
	template.SerialNumber, _ = rand.Int(rand.Reader, big.NewInt(1<<62))
	template.NotBefore = time.Now().Add(-time.Minute)
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
