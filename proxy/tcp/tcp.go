// Package tcp passes TCP connections through to a cluster, byte by byte, and
// tells the observers of each when it opens, while it lives and when it ends.
//
// It stands beside proxy/forward, which does the same for requests, and takes
// its clusters from there: a cluster's endpoints are the same whoever asks.
package tcp

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
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
}

// New gives a proxy that takes clusters and observers from engine. Meter may
// be nil.
func New(engine *forward.Engine, meter Meter) *Proxy { return &Proxy{engine: engine, meter: meter} }

// defaultIdle is Envoy's idle timeout for TCP.
const defaultIdle = time.Hour

// reportEvery is how often a live connection's bytes are counted.
const reportEvery = time.Second

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
	p.pump(x, client, server, idle)
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
	if err == nil && p.meter != nil {
		p.meter.Opened(x)
	}
	return server, err
}

// end completes the exchange and tells everyone.
func (p *Proxy) end(x *forward.Exchange) {
	x.Duration = time.Since(x.Begin)
	if p.meter != nil {
		if len(x.Attempts) == 0 || !x.Attempts[0].Reached {
			p.meter.Opened(x) // it was opened by the client all the same
		}
		p.meter.Closed(x)
	}
	p.engine.Observe(x)
}

// buffers are what bytes pass through.
var buffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// way is one direction of a connection.
type way struct {
	src, dst net.Conn
	bytes    atomic.Int64
	err      error // nil after a proper end
	reading  bool  // err came from src
}

// broke reports whether src broke the connection off.
func (w *way) broke() bool { return w.err != nil && w.reading && !errors.Is(w.err, net.ErrClosed) }

// pump copies both directions until both have ended. Whether the connection is
// idle is seen at the ticks, so that the copying itself asks for no time.
func (p *Proxy) pump(x *forward.Exchange, client, server net.Conn, idle time.Duration) {
	up, down := &way{src: client, dst: server}, &way{src: server, dst: client}
	done := make(chan *way, 2)
	for _, w := range []*way{up, down} {
		go func() {
			w.copy()
			done <- w
		}()
	}
	closeBoth := func() {
		_ = client.Close()
		_ = server.Close()
	}
	tick := time.NewTicker(min(reportEvery, max(idle/2, time.Millisecond)))
	defer tick.Stop()
	last := time.Now()
	for ended := 0; ended < 2; {
		select {
		case w := <-done:
			ended++
			if w.err != nil { // a reset; there is nothing to wait for
				closeBoth()
			}
		case now := <-tick.C:
			switch {
			case p.report(x, up, down):
				last = now
			case now.Sub(last) >= idle:
				closeBoth()
			}
		}
	}
	p.report(x, up, down)
	switch {
	case down.broke():
		x.Flags |= forward.FlagUC
	case up.broke():
		x.Flags |= forward.FlagDC
	}
}

// report counts what moved since the last report, and tells whether anything
// did.
func (p *Proxy) report(x *forward.Exchange, up, down *way) bool {
	sent, received := up.bytes.Load()-x.RequestBytes, down.bytes.Load()-x.ResponseBytes
	x.RequestBytes += sent
	x.ResponseBytes += received
	if sent == 0 && received == 0 {
		return false
	}
	if p.meter != nil {
		p.meter.Moved(x, sent, received)
	}
	return true
}

// copy moves bytes one way, then half-closes.
func (w *way) copy() {
	buf := buffers.Get().(*[16 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := w.src.Read(buf[:])
		if n > 0 {
			if _, werr := w.dst.Write(buf[:n]); werr != nil {
				w.err = werr
				return
			}
			w.bytes.Add(int64(n))
		}
		if errors.Is(err, io.EOF) {
			if c, ok := w.dst.(interface{ CloseWrite() error }); ok {
				_ = c.CloseWrite()
			}
			return
		}
		if err != nil {
			w.err, w.reading = err, true
			return
		}
	}
}
