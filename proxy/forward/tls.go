package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
)

// The security of connections, in the spelling of metrics and tap events.
const (
	mutualTLS = "mutual_tls"
	simpleTLS = "tls" // encrypted, and not the mesh's
	plainText = "none"
)

// ALPN of connections inside the mesh, by which Istio's proxies tell them from
// TLS that the app speaks itself.
const (
	alpnHTTP1 = "istio-http/1.1"
	alpnHTTP2 = "istio-h2"
)

// secured is a connection to an endpoint under TLS.
type secured struct {
	*tls.Conn
	principal string // of the endpoint
}

// encrypt does the TLS handshake on a connection that stands.
func (u *Upstream) encrypt(ctx context.Context, plain net.Conn, t *cluster.TLS) (net.Conn, error) {
	if !t.Mesh {
		return originate(ctx, plain, t)
	}
	conn := tls.Client(plain, u.identity.ClientTLS(t.SNI, t.ALPN, t.Names))
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, &tlsError{err}
	}
	return &secured{Conn: conn, principal: identity.Principal(conn.ConnectionState())}, nil
}

// httpALPN gives the TLS of an HTTP connection: the protocol is told by ALPN, and
// inside of the mesh by names of its own.
func httpALPN(t *cluster.TLS, http2 bool) *cluster.TLS {
	if t == nil {
		return nil
	}
	c := *t
	switch {
	case t.Mesh && http2:
		c.ALPN = []string{alpnHTTP2}
	case t.Mesh:
		c.ALPN = []string{alpnHTTP1}
	case http2:
		c.ALPN = []string{"h2"}
	default:
		c.ALPN = []string{"http/1.1"}
	}
	return &c
}

// tlsError says that a handshake failed.
type tlsError struct{ err error }

func (e *tlsError) Error() string { return "TLS handshake: " + e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }

// words classes the failure in few words: they become a label.
func (e *tlsError) words() string {
	var peer *identity.PeerError
	switch {
	case errors.Is(e.err, identity.ErrNone):
		return "TLS error: no certificate of our own"
	case errors.As(e.err, &peer), errors.Is(e.err, errUntrusted):
		return "TLS error: certificate verify failed"
	case strings.Contains(e.err.Error(), "remote error: tls"):
		return "TLS error: the endpoint refused the handshake"
	case strings.Contains(e.err.Error(), "first record does not look like a TLS handshake"):
		return "TLS error: the endpoint speaks no TLS"
	}
	return "TLS error: handshake failed"
}

// principalOf gives the identity at the other end of an upstream connection.
func principalOf(c net.Conn) (principal string, secure bool) {
	if s, ok := beneath(c).(*secured); ok {
		return s.principal, true
	}
	return "", false
}

// PrincipalOf gives the identity at the other end of a connection that Dial
// made, and whether it is encrypted.
func PrincipalOf(c net.Conn) (principal string, secure bool) { return principalOf(c) }
