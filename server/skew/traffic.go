package skew

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

const (
	trafficSlot  = 5 * time.Second
	trafficSlots = 120 // ten minutes
	trafficNodes = 20_000
)

// Traffic remembers, for the last ten minutes, what each node's sidecar
// handled: that a revision is everywhere says nothing about whether it is
// good. It is pure and safe for concurrent use.
type Traffic struct {
	mu    sync.Mutex
	nodes map[string]*[trafficSlots]trafficCount
}

type trafficCount struct {
	slot             int64 // number of the slot since 1970
	requests, failed float64
	latency          mesh.Histogram
}

// RevisionTraffic is what the nodes at one revision handled in a window.
type RevisionTraffic struct {
	Revision   uint64   `json:"revision"`
	Nodes      int      `json:"nodes"` // connected ones that wholly run it
	RPS        float64  `json:"rps"`
	ErrorRatio float64  `json:"error_ratio"`
	P95MS      *float64 `json:"p95_ms"` // null without traffic
}

// NewTraffic makes an empty one.
func NewTraffic() *Traffic { return &Traffic{nodes: map[string]*[trafficSlots]trafficCount{}} }

// Add takes what one scrape of a node's sidecar changed: requests that it sent
// for its app and those that it took for it. Nodes beyond the bound are not
// counted.
func (t *Traffic) Add(b mesh.EdgeBatch) {
	if b.Node == "" || !b.Up || len(b.Deltas) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[b.Node]
	if n == nil {
		if len(t.nodes) >= trafficNodes {
			t.forget(b.At)
		}
		if len(t.nodes) >= trafficNodes {
			return
		}
		n = &[trafficSlots]trafficCount{}
		t.nodes[b.Node] = n
	}
	slot := b.At.UnixNano() / int64(trafficSlot)
	c := &n[slot%trafficSlots]
	if c.slot != slot {
		*c = trafficCount{slot: slot}
	}
	for i := range b.Deltas {
		d := &b.Deltas[i]
		if d.Key.Protocol == mesh.TCP {
			continue
		}
		for outcome, count := range d.Requests {
			c.requests += count
			if failed(outcome) {
				c.failed += count
			}
		}
		c.latency.Merge(d.Latency)
	}
}

// failed is what counts as an error: a 5xx, no answer, or a gRPC error.
func failed(o mesh.Outcome) bool {
	return o.Code == 0 || o.Code >= 500 || o.GRPC != "" && o.GRPC != "0"
}

// forget drops the nodes of which nothing was heard for the whole window.
func (t *Traffic) forget(at time.Time) {
	oldest := at.UnixNano()/int64(trafficSlot) - trafficSlots
	for id, n := range t.nodes {
		if !slices.ContainsFunc(n[:], func(c trafficCount) bool { return c.slot > oldest }) {
			delete(t.nodes, id)
		}
	}
}

// Errors sums what some nodes handled in a time: requests, and those failed.
func (t *Traffic) Errors(nodes []string, from, to time.Time) (requests, failed float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range nodes {
		t.each(id, from, to, func(c *trafficCount) { requests, failed = requests+c.requests, failed+c.failed })
	}
	return requests, failed
}

func (t *Traffic) each(id string, from, to time.Time, f func(*trafficCount)) {
	n := t.nodes[id]
	if n == nil {
		return
	}
	first, last := from.UnixNano()/int64(trafficSlot), to.UnixNano()/int64(trafficSlot)
	for i := range n {
		if c := &n[i]; c.slot >= first && c.slot <= last && c.slot != 0 {
			f(c)
		}
	}
}

// ByRevision sums the last window of the connected nodes by the revision that
// they run now, newest first. A node that changed within the window counts by
// what it runs now.
func (t *Traffic) ByRevision(nodes []NodeStatus, window time.Duration, at time.Time) []RevisionTraffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	type sum struct {
		RevisionTraffic
		requests, failed float64
		latency          mesh.Histogram
	}
	sums := map[uint64]*sum{}
	for i := range nodes {
		n := &nodes[i]
		if !n.Connected || n.Revision == 0 {
			continue
		}
		s := sums[n.Revision]
		if s == nil {
			s = &sum{RevisionTraffic: RevisionTraffic{Revision: n.Revision}}
			sums[n.Revision] = s
		}
		s.Nodes++
		t.each(n.ID, at.Add(-window), at, func(c *trafficCount) {
			s.requests, s.failed = s.requests+c.requests, s.failed+c.failed
			s.latency.Merge(c.latency)
		})
	}
	out := make([]RevisionTraffic, 0, len(sums))
	for _, s := range sums {
		s.RPS = s.requests / window.Seconds()
		if s.requests > 0 {
			s.ErrorRatio = s.failed / s.requests
		}
		if s.latency.Count > 0 {
			p95 := s.latency.Quantile(0.95)
			s.P95MS = &p95
		}
		out = append(out, s.RevisionTraffic)
	}
	slices.SortFunc(out, func(a, b RevisionTraffic) int { return cmp.Compare(b.Revision, a.Revision) })
	return out
}
