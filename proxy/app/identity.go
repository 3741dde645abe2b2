package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/proxy/telemetry"
)

// IdentityOptions say where the sidecar's certificate comes from: a join token,
// files or a SPIFFE Workload API; one of them or none.
type IdentityOptions struct {
	JoinToken, JoinTokenFile     string
	CertFile, KeyFile, RootsFile string
	WorkloadAPI                  string
}

const tlsScheme = "tls://"

func (o *IdentityOptions) joins() bool { return o.JoinToken != "" || o.JoinTokenFile != "" }
func (o *IdentityOptions) given() bool { return o.joins() || o.files() || o.WorkloadAPI != "" }
func (o *IdentityOptions) files() bool { return o.CertFile+o.KeyFile+o.RootsFile != "" }

func (o *IdentityOptions) validate(servers []string) error {
	bad := func(format string, args ...any) error { return flagError{fmt.Errorf(format, args...)} }
	ways := 0
	for _, used := range []bool{o.joins(), o.files(), o.WorkloadAPI != ""} {
		if used {
			ways++
		}
	}
	secure := 0
	for _, s := range servers {
		if strings.HasPrefix(s, tlsScheme) {
			secure++
		}
	}
	switch {
	case ways > 1:
		return bad("--join-token(-file), --cert-file and --workload-api: choose one")
	case o.files() && (o.CertFile == "" || o.KeyFile == "" || o.RootsFile == ""):
		return bad("--cert-file, --key-file and --roots-file go together")
	case secure != 0 && secure != len(servers):
		return bad("--server: all of tls://, or none")
	case secure != 0 && ways == 0:
		return bad("--server tls://: needs a certificate: give --join-token-file, --cert-file or --workload-api")
	case o.joins() && secure == 0:
		return bad("--join-token-file: needs --server tls://HOST:PORT (the server's --grpc-tls), which issues the certificate")
	}
	return nil
}

// wireIdentity makes the source of certificates and what fills it.
func (a *App) wireIdentity() error {
	o := &a.opts.Identity
	log := a.log.With("part", "identity")
	switch {
	case o.joins():
		servers, _ := plainServers(a.opts.Servers)
		a.provider = &identity.Join{
			Servers: servers, Token: o.JoinToken, TokenFile: o.JoinTokenFile, StateDir: a.opts.StateDir,
			Namespace: a.opts.Workload.Namespace, ServiceAccount: a.opts.ServiceAccount, Logger: log,
		}
	case o.files():
		a.provider = &identity.Files{CertFile: o.CertFile, KeyFile: o.KeyFile, RootsFile: o.RootsFile, Logger: log}
	case o.WorkloadAPI != "":
		a.provider = &identity.WorkloadAPI{Address: o.WorkloadAPI, Logger: log}
	default:
		return nil
	}
	a.identity = &identity.Source{}
	var received atomic.Int64 // Unix seconds
	a.identity.OnChange(func(*identity.Certificate) { received.Store(time.Now().Unix()) })
	return telemetry.RegisterCertificate(a.registry, func() (of telemetry.Certificate) {
		if c := a.identity.Current(); c != nil {
			of.Received, of.Ends = received.Load(), c.NotAfter().Unix()
		}
		if f := a.identity.Failure(); f != nil {
			of.Failing, of.Reason = f.Since.Unix(), string(f.Reason)
		}
		return of
	})
}

// currentIdentity tells which certificate is used and why there is no newer one,
// nil when there is nothing to tell.
func (a *App) currentIdentity() *mesh.Identity {
	c, failure := a.identity.Current(), a.identity.Failure()
	if c == nil && failure == nil {
		return nil
	}
	id := &mesh.Identity{}
	if c != nil {
		id.Principal, id.Serial, id.NotBefore, id.NotAfter = c.Principal(), c.Serial(), c.NotBefore(), c.NotAfter()
	}
	if failure != nil {
		id.Failure = &mesh.IdentityFailure{Since: failure.Since, Reason: string(failure.Reason), Error: failure.Err.Error(), Remedy: failure.Remedy}
	}
	return id
}

// identityChanged gives a channel that holds a token after each new certificate,
// and when it became known why there is none.
func (a *App) identityChanged() <-chan struct{} {
	if a.identity == nil {
		return nil
	}
	changed := make(chan struct{}, 1)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	a.identity.OnChange(func(*identity.Certificate) { tell() })
	a.identity.OnFailure(tell)
	return changed
}

// plainServers strips the scheme.
func plainServers(servers []string) (addresses []string, secure bool) {
	for _, s := range servers {
		address, ok := strings.CutPrefix(s, tlsScheme)
		addresses, secure = append(addresses, address), secure || ok
	}
	return addresses, secure
}

// controlPlane says how the control plane is reached. Over TLS nobody is called
// before there is a certificate: it would only be in vain.
func (a *App) controlPlane() ([]string, *tls.Config, func(context.Context, string) (net.Conn, error)) {
	servers, secure := plainServers(a.opts.Servers)
	if !secure {
		return servers, nil, nil
	}
	ready := make(chan struct{})
	once := make(chan struct{}, 1)
	once <- struct{}{}
	a.identity.OnChange(func(*identity.Certificate) {
		select {
		case <-once:
			close(ready)
		default:
		}
	})
	dial := func(ctx context.Context, address string) (net.Conn, error) {
		select {
		case <-ready:
		case <-ctx.Done():
			return nil, fmt.Errorf("no certificate yet: %w", ctx.Err())
		}
		d := net.Dialer{KeepAlive: 15 * time.Second}
		return d.DialContext(ctx, "tcp", address)
	}
	return servers, a.identity.ServerOfMeshTLS(), dial
}
