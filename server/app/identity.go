package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/sidelight-mesh/sidelight/mesh"
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
func (a *App) securePort(stop <-chan struct{}) (*nodePort, error) {
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
	meshv1.RegisterEdgesServer(server, &edges{publish: a.Publish, stop: stop, allowed: a.isCollector, refused: &a.intake.refused, log: a.opts.Logger.With("part", "edges")})
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
	rest.HandleFunc("GET "+targetsPath, func(w http.ResponseWriter, r *http.Request) {
		who, _ := a.authority.Peer(r.TLS)
		if err := onlyCollectors(who); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(overall{a}.ScrapeTargets()) // the client is gone
	})
	return newNodePort(a.listeners.secure, config, server, rest, a.opts.Logger.With("part", "xds")), nil
}

// targetsPath is where a collector elsewhere learns what to scrape, as at the API.
const targetsPath = "/api/v1/sd"

// isCollector says whether the peer of a call may tell of the whole mesh.
func (a *App) isCollector(ctx context.Context) error {
	who, _ := a.authority.Caller(ctx)
	return onlyCollectors(who)
}

// onlyCollectors refuses everybody else: what a collector tells becomes the graph
// of all, so that no workload's certificate may do.
func onlyCollectors(who ca.Identity) error {
	if who == ca.Collector {
		return nil
	}
	return fmt.Errorf("this is for collectors (%s), and the certificate shown is of %s: give the collector a token of its own, by `sidelight token create --namespace %s --service-account %s`",
		ca.Collector, who, ca.Collector.Namespace, ca.Collector.ServiceAccount)
}

// Issue gives a certificate to one of Sidelight's own that is in this process, for
// the key of a request.
func (a *App) Issue(account string, csr []byte) (chain, roots [][]byte, err error) {
	out, err := a.authority.Renew(ca.Identity{Namespace: mesh.SystemNamespace, ServiceAccount: account}, csr)
	if err != nil {
		return nil, nil, err
	}
	return out.Chain, out.Roots, nil
}
