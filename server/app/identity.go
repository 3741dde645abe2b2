package app

import (
	"context"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/server/ca"
	"github.com/sidelight-mesh/sidelight/server/xds"
)

// openAuthority loads the mesh's certificate authority, or makes it at the first
// start.
func (a *App) openAuthority() error {
	opts := a.opts.Authority
	opts.Dir = subdir(a.opts.StateDir, "ca")
	var err error
	if a.authority, err = ca.Open(opts); err != nil {
		return fmt.Errorf("open certificate authority: %w", err)
	}
	return a.opts.Registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sidelight_ca_root_expiry_timestamp_seconds",
		Help: "When the root of the certificate authority ends.",
	}, func() float64 { return float64(a.authority.Root().NotAfter.Unix()) }))
}

// securePort is the TLS listener: what the plain one serves, to who shows a
// certificate that fits, and certificates to who joins.
func (a *App) securePort() (*nodePort, error) {
	issued := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidelight_certificates_requested_total",
		Help: "Certificates that were asked for, by what came of it.",
	}, []string{"result"})
	for _, result := range []string{"issued", "refused"} {
		issued.WithLabelValues(result)
	}
	if err := a.opts.Registerer.Register(issued); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	log := a.opts.Logger.With("part", "ca")
	caller := func(ctx context.Context) (namespace, account string, ok bool) {
		who, ok := a.authority.Caller(ctx)
		return who.Namespace, who.ServiceAccount, ok
	}
	config := a.authority.ServerTLS()
	server := grpc.NewServer(append(xds.ServerOptions(),
		grpc.Creds(newHandshaken(config)),
		grpc.ChainStreamInterceptor(xds.Authenticated(caller)))...)
	a.xds.Register(server)
	meshv1.RegisterAuthorityServer(server, ca.NewService(a.authority, func(principal string, err error) {
		if err != nil {
			issued.WithLabelValues("refused").Inc()
			log.Warn("certificate refused", "error", err)
			return
		}
		issued.WithLabelValues("issued").Inc()
		log.Debug("certificate issued", "principal", principal)
	}))
	rest := a.xds.REST(func(r *http.Request) (namespace, account string, ok bool) {
		who, ok := a.authority.Peer(r.TLS)
		return who.Namespace, who.ServiceAccount, ok
	})
	return newNodePort(a.listeners.secure, config, server, rest, a.opts.Logger.With("part", "xds")), nil
}
