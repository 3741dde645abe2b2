package forward

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
)

// errUntrusted says that an endpoint outside of the mesh did not prove to be
// who it should.
var errUntrusted = errors.New("the endpoint's certificate is not to be trusted")

// originated is a connection under TLS to an endpoint outside of the mesh.
type originated struct{ *tls.Conn }

// originate does the handshake with an endpoint outside of the mesh.
func originate(ctx context.Context, plain net.Conn, t *cluster.TLS) (net.Conn, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.SNI, NextProtos: t.ALPN}
	c.InsecureSkipVerify = true // several names may do, which VerifyConnection knows
	if !t.SkipVerify {
		roots, err := rootsOf(t.CAFile)
		if err != nil {
			return nil, &tlsError{err}
		}
		c.VerifyConnection = func(s tls.ConnectionState) error { return verifyNames(s, roots, t) }
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, &tlsError{fmt.Errorf("client certificate: %w", err)}
		}
		c.Certificates = []tls.Certificate{pair}
	}
	conn := tls.Client(plain, c)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, &tlsError{err}
	}
	return &originated{conn}, nil
}

// rootsOf reads the certificates of a file; nil stands for the system's.
func rootsOf(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("roots: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("roots: %s holds no certificate", file)
	}
	return pool, nil
}

// verifyNames takes a peer that the roots vouch for and whose certificate bears
// one of the names, or the SNI where none is given.
func verifyNames(s tls.ConnectionState, roots *x509.CertPool, t *cluster.TLS) error {
	leaf := s.PeerCertificates[0]
	between := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between}); err != nil {
		return fmt.Errorf("%w: %w", errUntrusted, err)
	}
	names := t.Names
	if len(names) == 0 && t.SNI != "" {
		names = []string{t.SNI}
	}
	bears := func(name string) bool {
		return leaf.VerifyHostname(name) == nil ||
			slices.ContainsFunc(leaf.URIs, func(u *url.URL) bool { return u.String() == name })
	}
	if len(names) > 0 && !slices.ContainsFunc(names, bears) {
		return fmt.Errorf("%w: it bears none of %v", errUntrusted, names)
	}
	return nil
}

// isOriginated reports whether a connection is under such TLS.
func isOriginated(c net.Conn) bool {
	_, ok := beneath(c).(*originated)
	return ok
}
