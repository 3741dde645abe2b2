package xds

import (
	"slices"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// candidate is an accepted configuration that may be applied.
type candidate struct {
	heard bool
	seen  []uint64 // revisions that came
	types map[string]accepted
}

// need is a resource that a candidate names and does not hold.
type need struct{ kind, name string }

func (n need) String() string { return n.kind + " " + n.name }

// needs lists what is missing before the candidate is whole, sorted.
func (c *candidate) needs() []need {
	missing := make(map[need]bool)
	for _, kind := range kinds() {
		if isWildcard(kind) && !c.types[kind].answered {
			missing[need{kind, wildcard}] = true
		}
	}
	for _, r := range c.types[mesh.TypeListener].resources {
		r.listener.Each(func(l *listen.Config) {
			if l.RouteName != "" {
				c.require(mesh.TypeRoute, l.RouteName, missing)
			}
		})
		c.requireClusters(r, missing)
	}
	for _, r := range c.types[mesh.TypeRoute].resources {
		c.requireClusters(r, missing)
	}
	for _, r := range c.types[mesh.TypeCluster].resources {
		if r.cluster.EDS {
			c.require(mesh.TypeEndpoint, r.cluster.AssignmentName(), missing)
		}
	}
	out := make([]need, 0, len(missing))
	for n := range missing {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b need) int { return strings.Compare(a.String(), b.String()) })
	return out
}

func (c *candidate) require(kind, name string, missing map[need]bool) {
	t := c.types[kind]
	if t.resources[name] == nil && !t.absent[name] {
		missing[need{kind, name}] = true
	}
}

func (c *candidate) requireClusters(r *resource, missing map[need]bool) {
	for _, name := range r.uses {
		c.require(mesh.TypeCluster, name, missing)
	}
}

// empty reports whether there is nothing that traffic could use.
func (c *candidate) empty() bool {
	return len(c.types[mesh.TypeListener].resources) == 0 && len(c.types[mesh.TypeCluster].resources) == 0
}

// snapshot gives the candidate in the runtime's form.
func (c *candidate) snapshot() *forward.Snapshot {
	s := &forward.Snapshot{
		Revision:  c.revision(),
		Endpoints: make(map[string][]cluster.Endpoint),
	}
	listeners := c.types[mesh.TypeListener].resources
	for _, name := range sortedNames(listeners) {
		s.Listeners = append(s.Listeners, *listeners[name].listener)
	}
	routes := c.types[mesh.TypeRoute].resources
	for _, name := range sortedNames(routes) {
		s.Routes = append(s.Routes, routes[name].table)
	}
	clusters := c.types[mesh.TypeCluster].resources
	for _, name := range sortedNames(clusters) {
		s.Clusters = append(s.Clusters, *clusters[name].cluster)
	}
	for name, r := range c.types[mesh.TypeEndpoint].resources {
		s.Endpoints[name] = r.endpoints
	}
	return s
}

// revision is the highest configuration revision that is in the candidate as a
// whole: one of which some type was refused does not count, nor does anything
// after it.
func (c *candidate) revision() uint64 {
	var limit, highest uint64
	for _, t := range c.types {
		if t.spoiled > 0 && (limit == 0 || t.spoiled < limit) {
			limit = t.spoiled
		}
	}
	for _, revision := range c.seen {
		if limit == 0 || revision < limit {
			highest = max(highest, revision)
		}
	}
	return highest
}

// same reports whether o holds the same resources.
func (c *candidate) same(o *candidate) bool {
	if o == nil {
		return false
	}
	for kind, t := range c.types {
		other := o.types[kind].resources
		if len(t.resources) != len(other) {
			return false
		}
		for name, r := range t.resources {
			if other[name] != r {
				return false
			}
		}
	}
	return true
}

// gate holds a candidate back while it misses something, for a limited time.
// It is pure: the caller brings the time.
type gate struct {
	limit   time.Duration // for endpoints and routes
	cluster time.Duration // for clusters that a route names: routes may rightly name none that exists
	since   map[need]time.Time
}

func newGate(limit time.Duration) *gate {
	return &gate{limit: limit, cluster: min(limit, time.Second), since: make(map[need]time.Time)}
}

// wait tells how long to hold a candidate with these needs; 0 means that it may
// pass. What was waited for in vain is not waited for again until it has been
// there once.
func (g *gate) wait(needs []need, now time.Time) time.Duration {
	current := make(map[need]bool, len(needs))
	var longest time.Duration
	for _, n := range needs {
		current[n] = true
		if _, known := g.since[n]; !known {
			g.since[n] = now
		}
		limit := g.limit
		if n.kind == mesh.TypeCluster && n.name != wildcard {
			limit = g.cluster
		}
		longest = max(longest, g.since[n].Add(limit).Sub(now))
	}
	for n := range g.since {
		if !current[n] {
			delete(g.since, n)
		}
	}
	return longest
}

// restart counts the waiting anew, for a new stream.
func (g *gate) restart() { clear(g.since) }
