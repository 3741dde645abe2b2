package ca

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

// The identities of Sidelight's own processes. Of their namespace only a collector
// gets a token: the server needs none.
var (
	Server    = Identity{Namespace: mesh.SystemNamespace, ServiceAccount: mesh.ServerAccount}
	Collector = Identity{Namespace: mesh.SystemNamespace, ServiceAccount: mesh.CollectorAccount}
)

// Service issues certificates over gRPC: *Service is a meshv1.AuthorityServer.
type Service struct {
	meshv1.UnimplementedAuthorityServer
	authority *Authority
	issued    func(principal string, err error)
}

// NewService gives the service. Issued hears how each request went; it may be
// nil.
func NewService(a *Authority, issued func(principal string, err error)) *Service {
	if issued == nil {
		issued = func(string, error) {}
	}
	return &Service{authority: a, issued: issued}
}

// Issue issues by a token, or without one to who shows a certificate.
func (s *Service) Issue(ctx context.Context, r *meshv1.IssueRequest) (*meshv1.IssueResponse, error) {
	out, err := s.issue(ctx, r)
	if err != nil {
		s.issued("", err)
		return nil, rpcError(err)
	}
	s.issued(out.Principal, nil)
	return &meshv1.IssueResponse{Certificates: out.Chain, Roots: out.Roots}, nil
}

func (s *Service) issue(ctx context.Context, r *meshv1.IssueRequest) (*Issued, error) {
	if r.GetToken() != "" {
		return s.authority.IssueByToken(r.GetToken(), r.GetCsr())
	}
	who, ok := s.authority.Caller(ctx)
	if !ok {
		return nil, fmt.Errorf("certificate request: %w: it has neither a join token nor a certificate", ErrDenied)
	}
	if who == Server {
		return nil, fmt.Errorf("certificate request: %w: nobody renews the server's", ErrDenied)
	}
	return s.authority.Renew(who, r.GetCsr())
}

func rpcError(err error) error {
	code := codes.Internal
	switch {
	case errors.Is(err, ErrDenied):
		code = codes.PermissionDenied
	case errors.Is(err, mesh.ErrInvalid):
		code = codes.InvalidArgument
	}
	return status.Error(code, err.Error())
}

// Caller gives who a gRPC call is from, by the certificate of its connection;
// false when it showed none. ServerTLS has verified it.
func (a *Authority) Caller(ctx context.Context) (Identity, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Identity{}, false
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return Identity{}, false
	}
	return a.Peer(&info.State)
}

// Peer gives who is at the other end of a connection that ServerTLS is for; false
// when it showed no certificate.
func (a *Authority) Peer(state *tls.ConnectionState) (Identity, bool) {
	if state == nil || len(state.PeerCertificates) == 0 {
		return Identity{}, false
	}
	id, err := x509svid.IDFromCert(state.PeerCertificates[0])
	if err != nil {
		return Identity{}, false
	}
	who, err := a.Parse(id)
	return who, err == nil
}

// ServerTLS is for the server's own listener. Who has no certificate yet may
// connect without; what it may then do is up to the services.
func (a *Authority) ServerTLS() *tls.Config {
	own := &ownCertificate{authority: a}
	bundle := x509bundle.FromX509Authorities(a.domain, []*x509.Certificate{a.Root()})
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{"h2", "http/1.1"}, // gRPC and REST
		ClientAuth:             tls.RequestClientCert,
		SessionTicketsDisabled: true,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own.get() },
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return nil
			}
			_, _, err := x509svid.Verify(state.PeerCertificates, bundle)
			return err
		},
	}
}

// ownCertificate is the server's, issued anew when half of its time is over.
type ownCertificate struct {
	authority *Authority

	mu      sync.Mutex
	current *tls.Certificate
	renew   time.Time
}

func (o *ownCertificate) get() (*tls.Certificate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.authority
	now := a.opts.Now()
	if o.current != nil && now.Before(o.renew) {
		return o.current, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the server's key: %w", err)
	}
	id, err := a.SPIFFE(Server)
	if err != nil {
		return nil, err
	}
	out, err := a.sign(id, key.Public(), []string{"localhost"})
	if err != nil {
		return nil, err
	}
	// With the root: who joins has only its fingerprint.
	o.current = &tls.Certificate{Certificate: append(out.Chain, out.Roots...), PrivateKey: key}
	o.renew = now.Add(out.NotAfter.Sub(now) / 2)
	return o.current, nil
}
