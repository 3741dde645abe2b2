package identity

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// ErrNone says that this process has no certificate, so it can neither prove who
// it is nor take anybody's word.
var ErrNone = errors.New("this process has no certificate")

// Certificate is a SPIFFE certificate with its key, and the roots of its trust
// domain. It is never changed once made.
type Certificate struct {
	svid   *x509svid.SVID
	bundle *x509bundle.Bundle
	tls    *tls.Certificate
}

// NewCertificate checks that leaf, key and roots belong together: the leaf has
// one SPIFFE ID, the key is its own, and the roots vouch for it.
func NewCertificate(svid *x509svid.SVID, bundle *x509bundle.Bundle, now time.Time) (*Certificate, error) {
	id, _, err := x509svid.Verify(svid.Certificates, bundle, x509svid.WithTime(now))
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	public, ok := svid.Certificates[0].PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(svid.PrivateKey.Public()) {
		return nil, errors.New("certificate: the key is not its own")
	}
	raw := make([][]byte, len(svid.Certificates))
	for i, c := range svid.Certificates {
		raw[i] = c.Raw
	}
	svid.ID = id
	return &Certificate{
		svid: svid, bundle: bundle,
		tls: &tls.Certificate{Certificate: raw, PrivateKey: svid.PrivateKey, Leaf: svid.Certificates[0]},
	}, nil
}

// Principal is the SPIFFE ID: "spiffe://cluster.local/ns/cinema/sa/web".
func (c *Certificate) Principal() string { return c.svid.ID.String() }

// NotBefore is when the certificate begins to hold.
func (c *Certificate) NotBefore() time.Time { return c.svid.Certificates[0].NotBefore }

// NotAfter is when it ends.
func (c *Certificate) NotAfter() time.Time { return c.svid.Certificates[0].NotAfter }

// Serial is the certificate's serial number in hex, to tell one from the next.
func (c *Certificate) Serial() string { return c.svid.Certificates[0].SerialNumber.Text(16) }

// Source gives the certificate that is valid now. It is safe for concurrent use;
// the zero value has none.
type Source struct {
	current atomic.Pointer[Certificate]
	failure atomic.Pointer[Failure] // nil: the last try did not fail

	mu              sync.Mutex
	watchers        []func(*Certificate)
	failureWatchers []func()
}

// Set makes c the certificate of all handshakes from now on.
func (s *Source) Set(c *Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current.Store(c)
	failed := s.failure.Swap(nil) != nil
	for _, f := range s.watchers {
		f(c)
	}
	if failed {
		s.failureChanged()
	}
}

// OnChange calls f with each certificate set from now on. F must not block.
func (s *Source) OnChange(f func(*Certificate)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(s.watchers, f)
}

// Current is the certificate, nil when there is none. A nil Source has none.
func (s *Source) Current() *Certificate {
	if s == nil {
		return nil
	}
	return s.current.Load()
}

// PeerError says that a peer's certificate was not taken.
type PeerError struct {
	Peer string // its SPIFFE ID; "" when it has none that can be read
	Err  error
}

// Error tells the cause.
func (e *PeerError) Error() string { return "peer's certificate: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *PeerError) Unwrap() error { return e.Err }

// ServerTLS is for accepting: peers must show a certificate of this mesh.
func (s *Source) ServerTLS(alpn []string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: alpn,
		ClientAuth: tls.RequireAnyClientCert, // verified below, against the roots of the moment
		// A resumed session would outlive the certificate it began with.
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.certificate()
		},
		VerifyConnection: func(state tls.ConnectionState) error { return s.verify(state, nil) },
	}
}

// ClientTLS is for calling: the server must show a certificate of this mesh with
// one of the names, which are SPIFFE IDs; with no names, any.
func (s *Source) ClientTLS(sni string, alpn, names []string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: sni,
		NextProtos: alpn,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return s.certificate()
		},
		InsecureSkipVerify: true, // SPIFFE verifies an identity and no host name: VerifyConnection
		VerifyConnection:   func(state tls.ConnectionState) error { return s.verify(state, names) },
	}
}

// ServerOfMeshTLS is for calling the mesh's server, which takes clients without a
// certificate too.
func (s *Source) ServerOfMeshTLS() *tls.Config {
	return s.processTLS(mesh.ServerAccount, []string{"h2"})
}

// collectorName is the host that clients of the mesh name to a collector: it shows
// its identity to them, and the certificate of its hosts to all others.
const collectorName = mesh.CollectorAccount + "." + mesh.SystemNamespace

// CollectorOfMeshTLS is for calling a collector.
func (s *Source) CollectorOfMeshTLS(alpn ...string) *tls.Config {
	config := s.processTLS(mesh.CollectorAccount, alpn)
	config.ServerName = collectorName
	return config
}

// processTLS is for calling one of Sidelight's own processes.
func (s *Source) processTLS(account string, alpn []string) *tls.Config {
	c := s.ClientTLS("", alpn, nil)
	verify := c.VerifyConnection
	c.VerifyConnection = func(state tls.ConnectionState) error {
		if err := verify(state); err != nil {
			return err
		}
		return is(state, account)
	}
	return c
}

// IdentityOrNameTLS is for calling who may be of the mesh or not: who shows an
// identity of the mesh is believed by that, and must be account of Sidelight's own
// where one is named; everybody else by the host name, as this machine's
// authorities vouch for it.
func (s *Source) IdentityOrNameTLS(account string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if c := s.Current(); c != nil {
				return c.tls, nil
			}
			return &tls.Certificate{}, nil // none
		},
		InsecureSkipVerify: true, // in one of two ways: VerifyConnection
		VerifyConnection: func(state tls.ConnectionState) error {
			leaf := state.PeerCertificates[0]
			if _, err := x509svid.IDFromCert(leaf); err == nil {
				if err := s.verify(state, nil); err != nil || account == "" {
					return err
				}
				return is(state, account)
			}
			between := x509.NewCertPool()
			for _, c := range state.PeerCertificates[1:] {
				between.AddCert(c)
			}
			_, err := leaf.Verify(x509.VerifyOptions{DNSName: state.ServerName, Intermediates: between})
			return err
		},
	}
}

func (s *Source) certificate() (*tls.Certificate, error) {
	c := s.Current()
	if c == nil {
		return nil, ErrNone
	}
	return c.tls, nil
}

// verify takes a peer that our roots vouch for. Another trust domain has no
// roots here, so nobody vouches for it.
func (s *Source) verify(state tls.ConnectionState, names []string) error {
	c := s.Current()
	if c == nil {
		return ErrNone
	}
	id, _, err := x509svid.Verify(state.PeerCertificates, c.bundle)
	if err != nil {
		return &PeerError{Peer: Principal(state), Err: err}
	}
	if len(names) > 0 && !slices.Contains(names, id.String()) {
		return &PeerError{Peer: id.String(), Err: fmt.Errorf("%s is none of %v", id, names)}
	}
	return nil
}

// Principal gives the SPIFFE ID that the peer of a connection showed, or "".
func Principal(state tls.ConnectionState) string {
	if len(state.PeerCertificates) == 0 {
		return ""
	}
	id, err := x509svid.IDFromCert(state.PeerCertificates[0])
	if err != nil {
		return ""
	}
	return id.String()
}

// ID gives the SPIFFE ID of a service account.
func ID(trustDomain, namespace, serviceAccount string) (string, error) {
	td, err := spiffeid.TrustDomainFromString(trustDomain)
	if err != nil {
		return "", fmt.Errorf("trust domain %q: %w", trustDomain, err)
	}
	id, err := spiffeid.FromSegments(td, "ns", namespace, "sa", serviceAccount)
	if err != nil {
		return "", fmt.Errorf("identity of %s/%s: %w", namespace, serviceAccount, err)
	}
	return id.String(), nil
}

// roots gives the DER form of the trust domain's roots, for the state file.
func (c *Certificate) roots() []*x509.Certificate { return c.bundle.X509Authorities() }
