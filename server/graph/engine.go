package graph

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Options bound the engine. Zero values mean the defaults.
type Options struct {
	Epoch       string        // names this run of the server; views carry it
	MaxEdges    int           // distinct edges; 50,000
	MaxOutcomes int           // distinct outcomes over all edges; 8,192
	MaxBuckets  int           // distinct histogram bounds over all edges; 4,096
	StaleAfter  int           // scrape intervals of silence; 3
	History     time.Duration // how long the ten-second slots reach back; 1 h
	MaxKept     int           // nodes and edges of views that are kept up to date; 100,000
}

func (o Options) withDefaults() Options {
	for v, d := range map[*int]int{&o.MaxEdges: 50_000, &o.MaxOutcomes: 8192, &o.MaxBuckets: 4096, &o.StaleAfter: 3, &o.MaxKept: 100_000} {
		if *v <= 0 {
			*v = d
		}
	}
	if o.History <= 0 {
		o.History = time.Hour
	}
	return o
}

// Engine holds the rings. All methods are safe for concurrent use.
type Engine struct {
	mu        sync.Mutex
	opt       Options
	seq       uint64
	ring      ring
	outcomes  *outcomes
	buckets   *buckets
	edges     *edges
	targets   map[string]*target
	facts     Facts
	placing   uint64          // grows when facts changed that say where things belong
	ruled     uint64          // grows when facts changed that edges are judged by
	shaped    uint64          // grows when something else changed that plans are made from
	silences  uint64          // grows when a target falls silent or comes back, as live views see it
	outlying  map[string]bool // hosts of outliers
	outlined  uint64          // grows when those changed
	plans     map[planKey]*plan
	places    places
	turns     uint64 // views so far
	stats     Stats
	scratch   scratch
	forgotten int64 // second of the last clean-up

	counts []entry64 // of the delta being added
	still  []float64 // the series of what nothing happens to, never changed
}

// New makes an empty engine.
func New(opt Options) *Engine {
	e := &Engine{opt: opt.withDefaults(), targets: make(map[string]*target), plans: make(map[planKey]*plan), still: make([]float64, seriesSeconds)}
	e.outcomes = newOutcomes(e.opt.MaxOutcomes)
	e.buckets = newBuckets(e.opt.MaxBuckets)
	e.edges = newEdges(e.opt.MaxEdges)
	k := newKeys(e.outcomes.room(), e.opt.MaxBuckets)
	e.ring = newRing(int64(e.opt.History/time.Second), k, func(b uint32) uint32 { return e.buckets.wide[b] })
	e.scratch = scratch{
		client: newSums(k), server: newSums(k), lead: newSums(k),
		clients: newRunning(k), servers: newRunning(k), leads: newRunning(k),
	}
	return e
}

// Stats counts what the engine took and what it had to drop.
type Stats struct {
	Batches, Deltas  uint64
	Edges, Targets   int
	Requests, Errors float64 // each request once, since the start
	DroppedEdges     uint64  // deltas of edges over the limit
	FoldedOutcomes   uint64  // counted with less detail
	FoldedBuckets    uint64  // counted in a near bucket
	Late             uint64  // deltas older than the rings
	Invalid          uint64  // batches and deltas that made no sense
	Repeated         uint64  // batches of time that was counted already
	SetBack          uint64  // times that the collector's clock was set back
}

// Stats gives the counters.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.Edges, s.Targets = len(e.edges.pairs), len(e.targets)
	return s
}

// Since tells from when on the engine has data; zero when it has none.
func (e *Engine) Since() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ring.started {
		return time.Time{}
	}
	oldest := e.ring.head
	for _, p := range e.edges.ordered {
		oldest = min(oldest, p.first)
	}
	return time.Unix(max(oldest, e.ring.head-e.ring.history), 0)
}

// SetFacts replaces what is known from other parts.
func (e *Engine) SetFacts(f Facts) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !maps.EqualFunc(e.facts.Services, f.Services, ServiceFacts.equal) {
		e.placing++
		e.ruled++
	}
	if !e.facts.rulesEqual(&f) {
		e.shaped++
		e.ruled++
	}
	if !maps.EqualFunc(e.facts.Workloads, f.Workloads, WorkloadFacts.equal) {
		e.shaped++
	}
	outlying := make(map[string]bool, len(f.Outliers))
	for _, o := range f.Outliers {
		outlying[o.Host] = true
	}
	if !maps.Equal(outlying, e.outlying) {
		e.outlying = outlying
		e.outlined++
	}
	e.facts = f
	e.seq++
}

// ForgetTarget drops a scrape target that is gone for good, so that it is no
// longer stale. What it counted stays. It reports whether there was one.
func (e *Engine) ForgetTarget(address string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.targets[address]
	if t == nil {
		return false
	}
	e.seq++
	e.drop(t)
	return true
}

func (e *Engine) drop(t *target) {
	t.gone = true
	e.shaped++
	delete(e.targets, t.address)
	if t.of != nil {
		t.of.targets = slices.DeleteFunc(t.of.targets, func(o *target) bool { return o == t })
	}
}

// The times that a batch may carry: anything else is a broken clock.
const (
	earliestTime = 1e9  // 2001
	latestTime   = 1e10 // 2286
)

// Add takes one scrape of one target.
func (e *Engine) Add(b mesh.EdgeBatch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seq++
	e.stats.Batches++
	at := seconds(b.At)
	if b.At.IsZero() || at < earliestTime || at > latestTime || b.Target == "" {
		e.stats.Invalid++
		return
	}
	t := e.target(&b, at)
	if b.SetBack && t.lastUp-at > setBack {
		e.rewind(at)
	}
	if repeats(&b, t, at) {
		t.lastSeen = max(t.lastSeen, at)
		if len(b.Deltas) > 0 {
			e.stats.Repeated++
		}
		return
	}
	covers := e.scraped(t, &b, at)
	for i := range b.Deltas {
		e.addDelta(t, &b.Deltas[i], covers)
	}
	e.edges.touched.add(t.pairs)
	if now := int64(at); now-e.forgotten >= coarseSeconds {
		e.forgotten = now
		e.ring.reach(at)
		e.cleanUp()
	}
}

// repeats reports whether a batch counts time that was counted: it was sent
// again after a stream broke, or another collector scrapes the same target. Who
// was first stays so for as long as it delivers.
func repeats(b *mesh.EdgeBatch, t *target, at float64) bool {
	const rounding = 0.01
	switch {
	case !b.Up || b.SetBack || t.lastUp == 0:
		return false
	case b.Interval == 0: // somebody else's first: whoever counts goes on
		return at < t.lastUp+t.interval.Seconds()-rounding
	}
	return at-b.Interval.Seconds() < t.lastUp-rounding
}

// setBack is by how many seconds a clock must have been set back for the rings
// to begin anew. Less is spread over seconds that still are in them.
const setBack = 10.0

// rewind begins anew after the collector's clock was set back: seconds that
// come again would be read with what they counted the first time.
func (e *Engine) rewind(at float64) {
	e.stats.SetBack++
	r := &e.ring
	*r = newRing(r.history, r.keys, r.wide)
	e.forgotten = 0
	for _, t := range e.targets {
		t.since, t.lastUp, t.lastSeen = at, 0, 0
	}
	for _, p := range e.edges.ordered {
		p.first, p.last = int64(at), int64(at)
	}
	clear(e.plans)
}

// replaced is how long a silent target is spoken of when another one of its
// workload gives data: an instance that was rolled over, most likely.
const replaced = 300.0

// cleanUp drops what fell out of the history.
func (e *Engine) cleanUp() {
	before := e.ring.head - e.ring.history - fineSlots
	e.edges.forget(before)
	now := float64(e.ring.head)
	for _, t := range e.targets {
		switch seen := max(t.lastSeen, t.lastUp); {
		case seen < float64(before):
			e.drop(t)
		case t.of != nil && now-t.lastUp > replaced && t.silent(now, e.opt.StaleAfter):
			if slices.ContainsFunc(t.of.targets, func(o *target) bool { return o != t && !o.silent(now, e.opt.StaleAfter) }) {
				e.drop(t)
			}
		}
	}
}

func (e *Engine) target(b *mesh.EdgeBatch, at float64) *target {
	t := e.targets[b.Target]
	if t == nil {
		t = &target{address: b.Target, since: at}
		e.targets[b.Target] = t
	}
	if b.Node != "" {
		t.node = b.Node
	}
	if !b.Workload.IsUnknown() {
		if w := e.edges.workload(b.Workload); w != t.of {
			if t.of != nil {
				t.of.targets = slices.DeleteFunc(t.of.targets, func(o *target) bool { return o == t })
			}
			t.of = w
			w.targets = append(w.targets, t)
			w.reports = true
			e.edges.changed++
		}
	}
	return t
}

// young is how far back the counts of a first scrape are taken to reach: it
// has some only when the target's process started just before.
const young = 2.0

// scraped notes how a scrape went and gives the time that its counts cover.
func (e *Engine) scraped(t *target, b *mesh.EdgeBatch, at float64) span {
	t.lastSeen = max(t.lastSeen, at)
	if !b.Up {
		if at >= t.lastUp {
			t.up, t.failure = false, b.Error
		}
		return span{at - 1, at}
	}
	covers := b.Interval.Seconds()
	switch {
	case covers > 0 && covers < e.opt.History.Seconds():
		if t.lastUp == 0 {
			t.since = at - covers
		}
		t.interval = b.Interval
		if t.lastUp > 0 && !t.up {
			t.interval = min(t.interval, e.usualInterval(t)) // it spans scrapes that failed
		}
	case t.lastUp == 0 && len(b.Deltas) > 0:
		covers = young
		t.since = at - young
	case t.lastUp == 0:
		t.since, covers = at, 1
	default:
		covers = 1
	}
	if at >= t.lastUp || b.SetBack {
		t.lastUp, t.up, t.failure = at, true, ""
	}
	return span{at - covers, at}
}

// usualInterval is the shortest interval among the other targets, for one that
// has just come back.
func (e *Engine) usualInterval(back *target) time.Duration {
	usual := time.Duration(math.MaxInt64)
	for _, t := range e.targets {
		if t != back && t.interval > 0 {
			usual = min(usual, t.interval)
		}
	}
	return usual
}

func (e *Engine) addDelta(t *target, d *mesh.EdgeDelta, covers span) {
	e.stats.Deltas++
	if d.Key.Protocol == "" || d.Key.Reporter == "" {
		e.stats.Invalid++
		return
	}
	second := int64(math.Ceil(covers.to)) - 1
	s := e.edges.find(d.Key, second)
	if s == nil {
		e.stats.DroppedEdges++
		return
	}
	if math.IsNaN(d.ActiveConnections) || d.ActiveConnections < 0 || math.IsInf(d.ActiveConnections, 0) {
		e.stats.Invalid++
		return
	}
	s.from(t, d.ActiveConnections)
	s.pair.version++
	if s.pair.last < second-e.ring.history { // it may be missing in plans
		e.shaped++
	}
	requests, ok := e.collect(d, s.counted(d, e))
	if !ok {
		e.stats.Invalid++
		return
	}
	s.pair.first, s.pair.last = min(s.pair.first, second), max(s.pair.last, second)
	if len(e.counts) == 0 {
		return
	}
	if !e.ring.put(s.id, covers, e.counts, requests) {
		e.stats.Late++
		return
	}
	e.countOnce(s, e.counts[:requests])
}

// countOnce adds requests to the totals of the client's side, or of the
// server's while no client has reported. The server may be scraped first: what
// was counted on its word is taken back when the client's arrives.
func (e *Engine) countOnce(s *series, counts []entry64) {
	if s.key.Protocol == mesh.TCP { // failed connections
		return
	}
	byClient := s.key.Reporter == mesh.FromSource
	p := s.pair
	if byClient {
		e.stats.Requests -= p.provisional.requests
		e.stats.Errors -= p.provisional.errors
		p.provisional = provisional{}
	} else if len(p.client) > 0 {
		return
	}
	for _, c := range counts {
		failed := 0.0
		if e.outcomes.list[c.key].failed {
			failed = c.n
		}
		e.stats.Requests += c.n
		e.stats.Errors += failed
		if !byClient {
			p.provisional.requests += c.n
			p.provisional.errors += failed
		}
	}
}

// counted gives the requests of a delta by outcome. Copies are no requests in
// Istio's metrics of the client's side, so where there are some, the answers
// say how many were sent.
func (s *series) counted(d *mesh.EdgeDelta, e *Engine) map[mesh.Outcome]float64 {
	if s.key.Reporter != mesh.FromSource || len(d.Responses) == 0 || !e.mirrored(s.pair) {
		return d.Requests
	}
	requests := make(map[mesh.Outcome]float64, len(d.Responses))
	for o, n := range d.Responses {
		requests[mesh.Outcome{Code: o.Code, GRPC: o.GRPC, Flags: o.Flags}] += n
	}
	return requests
}

// collect turns a delta and its requests into ring entries, requests first. It
// reports false when a number is none.
func (e *Engine) collect(d *mesh.EdgeDelta, by map[mesh.Outcome]float64) (requests int, ok bool) {
	e.counts = e.counts[:0]
	ok = true
	put := func(key uint32, n float64) {
		if math.IsNaN(n) || math.IsInf(n, 0) || n < 0 || n > 1e15 {
			ok = false
			return
		}
		if n > 0 {
			e.counts = append(e.counts, entry64{key: key, n: n})
		}
	}
	outcomes := func(base uint32, counts map[mesh.Outcome]float64) {
		for _, o := range e.outcomes.unknown(counts) { // numbered in their order, not the map's
			e.outcomes.id(o)
		}
		for o, n := range counts {
			id, folded := e.outcomes.id(o)
			if folded {
				e.stats.FoldedOutcomes++
			}
			put(base+id, n)
		}
	}
	k := &e.ring.keys
	outcomes(0, by)
	requests = len(e.counts)
	for i := range e.counts {
		o := &e.outcomes.list[e.counts[i].key]
		e.counts[i].failed, e.counts[i].odd = o.failed, o.class != classOK || o.GRPC != ""
	}
	outcomes(k.responses, d.Responses)
	for _, b := range d.Latency.Buckets {
		id, folded, real := e.buckets.id(bounds{b.Lower, b.Upper})
		if folded {
			e.stats.FoldedBuckets++
		}
		if !real {
			return 0, false
		}
		put(k.buckets+id, b.Count)
	}
	put(k.plain+sumAttempts, d.Attempts)
	put(k.plain+sumNewConnections, d.NewConnections)
	put(k.plain+sumOpened, d.TCPOpened)
	put(k.plain+sumClosed, d.TCPClosed)
	put(k.plain+sumSent, d.SentBytes)
	put(k.plain+sumReceived, d.ReceivedBytes)
	// Maps come in any order; the rings are to be the same for the same input.
	slices.SortFunc(e.counts, func(a, b entry64) int { return cmp.Compare(a.key, b.key) })
	return requests, ok
}
