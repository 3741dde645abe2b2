// Package tcp passes TCP connections through to a cluster, byte by byte, and
// tells the observers of each when it opens, while it lives and when it ends.
//
// It stands beside proxy/forward, which does the same for requests, and takes
// its clusters from there: a cluster's endpoints are the same whoever asks.
package tcp

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/policy"
)

// Meter sees a connection's life, for metrics that cannot wait for its end.
// The exchange is not complete before Closed; only who talks to whom is.
type Meter interface {
	Opened(*forward.Exchange)
	// Moved tells bytes that went through since the last call: sent towards the
	// cluster, received from it.
	Moved(x *forward.Exchange, sent, received int64)
	Closed(*forward.Exchange)
}

// Proxy joins connections to clusters.
type Proxy struct {
	engine *forward.Engine
	meter  Meter
	joints joints
}

// New gives a proxy that takes clusters and observers from engine. Meter may
// be nil.
func New(engine *forward.Engine, meter Meter) *Proxy {
	if meter == nil {
		meter = nobody{}
	}
	return &Proxy{engine: engine, meter: meter}
}

// nobody is a Meter that sees nothing.
type nobody struct{}

func (nobody) Opened(*forward.Exchange)              {}
func (nobody) Moved(*forward.Exchange, int64, int64) {}
func (nobody) Closed(*forward.Exchange)              {}

// defaultIdle is Envoy's idle timeout for TCP.
const defaultIdle = time.Hour

// Serve owns client until it returns: when both directions have ended, after
// the idle timeout, or when ctx ends.
func (p *Proxy) Serve(ctx context.Context, cfg *listen.Config, client net.Conn) {
	info := listen.InfoOf(ctx)
	x := p.exchange(cfg, client, info)
	u, ok := p.engine.Upstream(x.Cluster)
	verdict := cfg.Policy.Check(&policy.Request{
		Principal: info.Principal, Source: info.Remote.Addr(), Destination: info.Local, SNI: info.SNI,
	})
	x.DryRun = verdict.DryRun
	switch {
	case verdict.Denied:
		x.Details, x.Object = forward.RBACDetails(verdict), verdict.Objects
		if ok {
			x.Service = u.Service()
		}
	case !ok:
		x.Flags, x.Details = forward.FlagNC, forward.DetailsClusterNotFound
	case !u.AcquireConn():
		x.Flags, x.Details, x.Object = forward.FlagUO, "upstream_overflow", u.Config().Object
	default:
		defer u.ReleaseConn()
		p.through(ctx, x, u, cfg, client)
		return
	}
	p.end(x)
}

func (p *Proxy) exchange(cfg *listen.Config, client net.Conn, info listen.Info) *forward.Exchange {
	peers := p.engine.Peers()
	x := &forward.Exchange{
		Begin: time.Now(), Listener: cfg.Name, Direction: cfg.Direction, Protocol: mesh.TCP,
		Source: peers.Unknown(), Destination: peers.Unknown(),
		Cluster: cfg.To(rand.Uint64()), Revision: cfg.Revision,
		ClientAddr: client.RemoteAddr().String(), TLS: "none",
	}
	if cfg.Direction == listen.Inbound {
		x.Destination = p.engine.Self()
		if info.Mutual {
			x.TLS = "mutual_tls"
			x.Source, x.Destination = peers.Proven(x.Source, info.Principal), p.engine.ProvenSelf()
		}
	} else {
		x.Source = p.engine.Self()
	}
	return x
}

// Rejected records a connection that the listener's TLS mode does not let in.
func (p *Proxy) Rejected(cfg *listen.Config, client net.Addr, why string) {
	peers := p.engine.Peers()
	x := &forward.Exchange{
		Begin: time.Now(), Listener: cfg.Name, Direction: cfg.Direction, Protocol: mesh.TCP,
		Source: peers.Unknown(), Destination: p.engine.Self(), Cluster: cfg.Cluster, Revision: cfg.Revision,
		Details: why, Object: cfg.TLSObject, ClientAddr: client.String(), TLS: "none",
	}
	if u, ok := p.engine.Upstream(cfg.Cluster); ok {
		x.Service = u.Service()
	}
	if why == listen.RejectedPlainText {
		x.Flags = forward.FlagNR
	}
	p.end(x)
}

// through connects and copies.
func (p *Proxy) through(ctx context.Context, x *forward.Exchange, u *forward.Upstream, cfg *listen.Config, client net.Conn) {
	x.Service = u.Service()
	host := u.Pick(ctx, rand.Uint64(), nil, 0, rand.Uint64)
	if host == nil {
		x.Flags, x.Details, x.Object = forward.FlagUH, forward.DetailsNoHealthyUpstream, u.Config().Object
		p.end(x)
		return
	}
	host.Acquire()
	defer host.Release()
	server, err := p.connect(ctx, x, u, host)
	if err != nil {
		p.end(x)
		return
	}
	defer func() { _ = server.Close() }()
	stop := context.AfterFunc(ctx, func() {
		_ = client.Close()
		_ = server.Close()
	})
	defer stop()
	idle := cfg.IdleTimeout
	if idle <= 0 {
		idle = defaultIdle
	}
	j := newJoint(p.meter, x, client, server, idle)
	p.joints.add(j)
	j.pass()
	p.joints.remove(j)
	p.end(x)
}

func (p *Proxy) connect(ctx context.Context, x *forward.Exchange, u *forward.Upstream, host *cluster.Host) (net.Conn, error) {
	begin := time.Since(x.Begin)
	e := host.Endpoint()
	a := forward.Attempt{Endpoint: e.Address, Workload: e.Workload, Start: begin}
	server, err := u.Dial(ctx, host)
	a.Duration = time.Since(x.Begin) - begin
	a.Connect = a.Duration
	x.Connections += host.TakeOpened()
	if err != nil {
		u.Report(host, http.StatusServiceUnavailable)
		a.Flags = forward.FlagUF
		a.Reason = forward.ConnectReason(err)
		x.Flags, x.Details = forward.FlagUF, forward.ConnectDetails(err)
	} else {
		u.Report(host, http.StatusOK)
		a.Reached = true
		x.Details = forward.DetailsViaUpstream
		x.Own = begin
		if x.Direction == listen.Outbound {
			x.Destination = p.engine.Peers().Of(e.Workload)
			if principal, secure := forward.PrincipalOf(server); secure {
				a.Secure, a.Principal, x.TLS = true, principal, "mutual_tls"
				x.Source, x.Destination = p.engine.ProvenSelf(), p.engine.Peers().Proven(x.Destination, principal)
			}
		}
	}
	x.Attempts = append(x.Attempts, a)
	if err == nil {
		p.meter.Opened(x)
	}
	return server, err
}

// end completes the exchange and tells everyone.
func (p *Proxy) end(x *forward.Exchange) {
	x.Duration = time.Since(x.Begin)
	if len(x.Attempts) == 0 || !x.Attempts[0].Reached {
		p.meter.Opened(x) // it was opened by the client all the same
	}
	p.meter.Closed(x)
	p.engine.Observe(x)
}
