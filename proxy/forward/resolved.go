package forward

import (
	"net/netip"
	"slices"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/dns"
)

// resolved is what is known of the names among a DNS cluster's endpoints. It is
// guarded by the lock of its gauges.
type resolved struct {
	names    *dns.Names
	watch    *dns.Watch // nil: no names
	round    int        // of watches; a stopped one may still have something to say
	of       []string
	by       cluster.DNS
	declared []cluster.Endpoint // as configured, with names
	found    map[string][]netip.Addr
}

// resolve puts addresses in the place of names, as far as they are known, and
// sees to it that they stay up to date. A configuration with the same names keeps
// what was found. The lock is held.
func (g *gauges) resolve(declared []cluster.Endpoint) []cluster.Endpoint {
	r := &g.resolved
	how := g.current.DNS
	if how == nil || g.retired.Load() {
		r.stop()
		return declared
	}
	r.declared = declared
	names := cluster.NamesOf(declared)
	if r.watch == nil || r.by != *how || !slices.Equal(r.of, names) {
		r.stop()
		r.of, r.by = names, *how
		before := r.found
		r.found = make(map[string][]netip.Addr)
		for _, name := range names {
			if known := before[name]; len(known) > 0 { // until there is better
				if how.Logical {
					known = known[:1]
				}
				r.found[name] = known
			}
		}
		if len(names) > 0 {
			round := r.round
			r.watch = r.names.Watch(names, how.Interval(), how.HeedTTL, func(name string, found []netip.Addr) { g.learn(round, name, found) })
		}
	}
	return cluster.Resolve(declared, r.found)
}

// learn takes the addresses of a name in.
func (g *gauges) learn(round int, name string, found []netip.Addr) {
	g.mu.Lock()
	r := &g.resolved
	found = r.by.Family.Choose(found)
	if round != r.round || len(found) == 0 {
		g.mu.Unlock()
		return
	}
	if r.by.Logical {
		// The address in use stays, as long as it is one of them.
		if now := r.found[name]; len(now) > 0 && slices.Contains(found, now[0]) {
			found = now
		}
		found = found[:1]
	}
	r.found[name] = found
	g.exchange(cluster.NewHosts(g.current, cluster.Resolve(r.declared, r.found), g.hosts.Load()))
	g.mu.Unlock()
	g.watch()
	g.warm()
}

func (r *resolved) stop() {
	if r.watch != nil {
		r.watch.Stop()
		r.watch = nil
		r.round++
	}
}
