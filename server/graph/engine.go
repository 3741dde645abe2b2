package graph

import (
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/expr"
)

// Options bound the engine. Zero values mean the defaults.
type Options struct {
	Epoch       string        // names this run of the server; views carry it
	MaxEdges    int           // distinct edges; 50,000
	MaxOutcomes int           // distinct outcomes over all edges; 8,192
	MaxBuckets  int           // distinct histogram bounds over all edges; 4,096
	StaleAfter  int           // scrape intervals of silence; 3
	History     time.Duration // how long the ten-second slots reach back; 1 h
}

// Query chooses a view.
type Query struct {
	Group      Group         // ByWorkload when empty
	Namespaces []string      // edges that touch any of them; empty: all
	Window     time.Duration // 30 s when 0
	Find       *expr.Expr    // from ParseFind; marks, never removes
}

// Engine holds the rings. All methods are safe for concurrent use.
type Engine struct {
	mu  sync.Mutex
	opt Options
}

// New makes an empty engine.
func New(opt Options) *Engine { return &Engine{opt: opt} }

// Add takes one scrape of one target.
func (e *Engine) Add(b mesh.EdgeBatch) {}

// SetFacts replaces what is known from other parts.
func (e *Engine) SetFacts(f Facts) {}

// View computes the graph as it was known at a time within the last hour.
func (e *Engine) View(q Query, at time.Time) View {
	return View{At: at, Nodes: []Node{}, Edges: []Edge{}, Stale: []Stale{}}
}

// Timeline gives the whole mesh's requests and errors until a time. The caller
// passes the markers in.
func (e *Engine) Timeline(window time.Duration, until time.Time, markers []Marker) Timeline {
	return Timeline{From: until.Add(-window), RPS: []float64{}, ErrorsPerS: []float64{}, Markers: markers}
}

// ForgetTarget drops a scrape target that is gone for good, so that it is no
// longer stale. It reports whether there was one.
func (e *Engine) ForgetTarget(address string) bool { return false }

// Stats counts what the engine took and what it had to drop.
type Stats struct {
	Batches, Deltas  uint64
	Edges, Targets   int
	Requests, Errors float64 // main figures, since the start
	DroppedEdges     uint64  // deltas of edges over the limit
	DroppedOutcomes  uint64  // counted under "other"
	DroppedBuckets   uint64  // histogram buckets counted in wider ones
	Late             uint64  // deltas older than the rings
	Invalid          uint64  // deltas or batches that made no sense
}

// Stats gives the counters.
func (e *Engine) Stats() Stats { return Stats{} }
