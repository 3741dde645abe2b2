package forward

import (
	"net/http"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
)

// Ejection is an endpoint that outlier detection has taken out, or let back in.
type Ejection struct {
	At       time.Time
	Cluster  *cluster.Config
	Endpoint string
	Returned bool
	Status   int       // that was the last straw
	Until    time.Time // its time is over, if it was taken out
	Out, Of  int       // endpoints that are out now, and all
}

// told tells whoever wants to know, see Options.Ejections.
func (g *gauges) told(c *cluster.Config, e Ejection) {
	if g.ejections == nil {
		return
	}
	hosts := g.hosts.Load()
	e.Cluster, e.Out, e.Of = c, hosts.Ejected(), len(hosts.All())
	g.ejections(e)
}

// Report tells outlier detection how a try at h ended: with an HTTP status, or
// with the one that stands for no answer.
func (u *Upstream) Report(h *cluster.Host, status int) {
	d := u.detector.Load()
	if d == nil {
		return
	}
	var now time.Time
	if status >= http.StatusInternalServerError {
		now = time.Now() // the clock is asked only when something is wrong
	}
	if d.Report(u.hosts.Load(), h, status, now) {
		u.log.Warn("endpoint ejected", "cluster", u.config.Name, "endpoint", h.Endpoint().Address, "last_status", status)
		u.renew()
		u.told(u.config, Ejection{At: now, Endpoint: h.Endpoint().Address, Status: status, Until: d.Until(h)})
		u.watch()
	}
}

// statuses that stand for a try without an answer.
func (f failure) outlierStatus() int {
	if f.flags == FlagUT {
		return http.StatusGatewayTimeout
	}
	return http.StatusServiceUnavailable
}

// renew draws by the hosts' health as it is now.
func (g *gauges) renew() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hosts.Store(g.hosts.Load().Renew(g.current))
}

// watch arms the next sweep, unless it is armed or there is nothing to sweep
// for. Most clusters never have a timer.
func (g *gauges) watch() {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.detector.Load()
	if d == nil || g.sweeper != nil || g.retired.Load() {
		return
	}
	now := time.Now()
	if due, ok := d.NextSweep(g.hosts.Load(), now); ok {
		g.sweeper = time.AfterFunc(due.Sub(now), g.sweep)
	}
}

func (g *gauges) sweep() {
	g.mu.Lock()
	g.sweeper = nil
	if d := g.detector.Load(); d != nil {
		hosts := g.hosts.Load()
		now := time.Now()
		if returned := d.Sweep(hosts, now); len(returned) > 0 {
			g.hosts.Store(hosts.Renew(g.current))
			for _, h := range returned {
				g.log.Info("endpoint returned", "cluster", g.current.Name, "endpoint", h.Endpoint().Address)
				g.told(g.current, Ejection{At: now, Endpoint: h.Endpoint().Address, Returned: true})
			}
		}
	}
	g.mu.Unlock()
	g.watch()
}

// detect sets outlier detection up by the current configuration. New rules
// begin with a clean record, as in Envoy. The lock is held.
func (g *gauges) detect(before *cluster.Config) {
	rules := g.current.Outlier
	old := g.detector.Load()
	switch {
	case rules == nil && old == nil:
		return
	case rules != nil && old != nil && before != nil && before.Outlier != nil && *before.Outlier == *rules:
		return
	}
	if old != nil {
		old.Forget(g.hosts.Load())
	}
	g.unwatch()
	if rules == nil {
		g.detector.Store(nil)
		return
	}
	g.detector.Store(cluster.NewDetector(*rules, time.Now()))
}

// unwatch stops the sweep. The lock is held.
func (g *gauges) unwatch() {
	if g.sweeper != nil {
		g.sweeper.Stop()
		g.sweeper = nil
	}
}

// grpcToHTTP gives the HTTP status that a gRPC status stands for, as outlier
// detection counts it.
func grpcToHTTP(status string) int {
	switch status {
	case "0":
		return http.StatusOK
	case "1":
		return 499
	case "3", "9", "11":
		return http.StatusBadRequest
	case "4":
		return http.StatusGatewayTimeout
	case "5":
		return http.StatusNotFound
	case "6", "10":
		return http.StatusConflict
	case "7":
		return http.StatusForbidden
	case "8":
		return http.StatusTooManyRequests
	case "12":
		return http.StatusNotImplemented
	case "14":
		return http.StatusServiceUnavailable
	case "16":
		return http.StatusUnauthorized
	default:
		return http.StatusInternalServerError
	}
}
