package scrape

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/sidelight-mesh/sidelight/collector/dialect"
	"github.com/sidelight-mesh/sidelight/collector/target"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// watch is what is remembered of one target between its scrapes. The scrape
// loop of a target is sequential, but a loop that ended may still write while
// its successor runs.
type watch struct {
	target   target.Target
	dialects dialect.Set
	limits   Limits
	interval time.Duration
	counts   *counts

	mu     sync.Mutex
	series map[storage.SeriesRef]*series
	dists  map[string]*distribution
	edges  map[mesh.EdgeKey]*edge
	order  []*edge // as first seen: batches come out the same for the same input
	spare  []staged

	process int       // the last one's number
	round   uint64    // of successful scrapes; marks what was in the last one
	first   time.Time // when a scrape was first tried
	last    time.Time // of the last successful scrape
	heard   time.Time // when it was over, by a clock that nobody sets
	began   time.Time // the target's process; zero unknown
	removed time.Time // from the list of targets; zero when in it
}

// series is one time series that counts something.
type series struct {
	edge    *edge // nil: the process' start
	field   dialect.Field
	outcome mesh.Outcome
	dist    *distribution // of histograms
	bucket  *bucket       // of a classic histogram's buckets
	part    dialect.Part

	round  uint64    // in which it was seen last
	seen   time.Time // and when
	known  bool      // value is of an earlier scrape
	value  float64   // of a counter
	origin origin
}

// edge gathers what one scrape says of one edge, over all series that share
// its key.
type edge struct {
	delta   mesh.EdgeDelta
	changed bool

	series    int  // that lead here
	own       bool // has Sidelight's own counters: attempts need no guess
	level     float64
	lastLevel float64
	requests  map[mesh.Outcome]struct{}
	responses map[mesh.Outcome]struct{}
}

// resolve gives the series that got refers to, nil when it counts nothing.
// before is what the scrape loop knew the series by: 0 when it is new to it,
// another reference when the store has made the series anew.
func (w *watch) resolve(before, got storage.SeriesRef, ls labels.Labels) *series {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s, ok := w.series[got]; ok {
		return s
	}
	if before != 0 {
		s, ok := w.series[before]
		if ok && before != got {
			delete(w.series, before)
			w.series[got] = s
		}
		return s
	}
	fact, ok := w.dialects.Resolve(ls.Get(model.MetricNameLabel), ls.Get)
	if !ok {
		return nil
	}
	s := w.newSeries(fact, ls)
	if s != nil {
		w.series[got] = s
	}
	return s
}

func (w *watch) newSeries(f dialect.Fact, ls labels.Labels) *series {
	s := &series{field: f.Field, part: f.Part, outcome: f.Outcome}
	switch f.Field {
	case dialect.ProcessStart:
		return s
	case dialect.RequestBytes, dialect.ResponseBytes:
		if f.Part == dialect.Bucket || f.Part == dialect.Count {
			return nil // the sum is all that an edge takes of them
		}
	}
	e := w.edgeOf(f.Key)
	if e == nil {
		return nil
	}
	s.edge = e
	e.series++
	switch f.Field {
	case dialect.Requests:
		s.outcome = w.bound(e.requests, f.Outcome)
	case dialect.Responses:
		s.outcome, e.own = w.bound(e.responses, f.Outcome), true
	case dialect.TCPClosed:
		if s.outcome = (mesh.Outcome{}); f.Failed() {
			s.outcome = w.bound(e.requests, f.Outcome)
		}
	case dialect.Attempts:
		e.own = true
	case dialect.Latency, dialect.RequestBytes, dialect.ResponseBytes:
		s.dist = w.distributionOf(e, f, ls)
		s.dist.series++
		if f.Part == dialect.Bucket {
			s.bucket = s.dist.bucketAt(f.Upper * f.Scale)
		}
	}
	return s
}

// edgeOf gives the edge of a key, nil when the target has too many.
func (w *watch) edgeOf(key mesh.EdgeKey) *edge {
	if e, ok := w.edges[key]; ok {
		return e
	}
	if len(w.edges) >= w.limits.Edges {
		w.counts.seriesRefused.Add(1)
		return nil
	}
	key = ownStrings(key)
	e := &edge{
		requests:  make(map[mesh.Outcome]struct{}),
		responses: make(map[mesh.Outcome]struct{}),
	}
	e.delta.Key = key
	w.edges[key] = e
	w.order = append(w.order, e)
	return e
}

// distributionOf gives what the series of one histogram share: all labels but
// the bucket's.
func (w *watch) distributionOf(e *edge, f dialect.Fact, ls labels.Labels) *distribution {
	id := string(append(ls.BytesWithoutLabels(nil, model.MetricNameLabel, "le"), byte(f.Field)))
	d, ok := w.dists[id]
	if !ok {
		d = &distribution{id: id, edge: e, field: f.Field, scale: f.Scale}
		w.dists[id] = d
	}
	return d
}

// bound holds the outcomes of an edge to the limit. Past it the parts that
// have no bound of their own are given up first, then the exact status: the
// totals stay true.
func (w *watch) bound(seen map[mesh.Outcome]struct{}, o mesh.Outcome) mesh.Outcome {
	if _, ok := seen[o]; ok {
		return o
	}
	if len(seen) >= w.limits.Outcomes {
		w.counts.outcomesFolded.Add(1)
		o = mesh.Outcome{Code: o.Code, Flags: string(mesh.FlagNone), AnsweredBy: o.AnsweredBy}
		if _, ok := seen[o]; !ok && len(seen) >= 2*w.limits.Outcomes {
			o.Code = o.Code / 100 * 100
		}
	}
	o.GRPC, o.Flags = strings.Clone(o.GRPC), strings.Clone(o.Flags)
	o.Details, o.Object = strings.Clone(o.Details), strings.Clone(o.Object)
	seen[o] = struct{}{}
	return o
}

// forgetUnseen drops the series that have not been exposed for long, and with
// them the edges that nothing leads to any more. When there are too many, all
// that the last scrape did not have go.
func (w *watch) forgetUnseen(now time.Time) {
	keep := keepUnseen
	if len(w.series) > 2*int(w.limits.Samples) {
		keep = 0
	}
	for ref, s := range w.series {
		if s.round == w.round || now.Sub(s.seen) < keep {
			continue
		}
		delete(w.series, ref)
		if s.edge == nil {
			continue
		}
		s.edge.series--
		if s.dist != nil {
			if s.dist.series--; s.dist.series == 0 {
				delete(w.dists, s.dist.id)
			}
		}
	}
	kept := w.order[:0]
	for _, e := range w.order {
		if e.series > 0 {
			kept = append(kept, e)
			continue
		}
		delete(w.edges, e.delta.Key)
	}
	clear(w.order[len(kept):])
	w.order = kept
}

// borrow and giveBack let one scrape's list serve the next.
func (w *watch) borrow() []staged {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.spare
	w.spare = nil
	return s
}

func (w *watch) giveBack(s []staged) {
	clear(s)
	w.mu.Lock()
	w.spare = s[:0]
	w.mu.Unlock()
}

// ownStrings copies the key's texts out of the label sets that they are cut
// from, which would live as long as the key.
func ownStrings(k mesh.EdgeKey) mesh.EdgeKey {
	own := func(w mesh.Workload) mesh.Workload {
		return mesh.Workload{
			Cluster: strings.Clone(w.Cluster), Namespace: strings.Clone(w.Namespace),
			Name: strings.Clone(w.Name), App: strings.Clone(w.App), Version: strings.Clone(w.Version),
		}
	}
	k.Source, k.Target = own(k.Source), own(k.Target)
	k.Service = mesh.Service{
		Host:      strings.Clone(k.Service.Host),
		Namespace: strings.Clone(k.Service.Namespace),
		Name:      strings.Clone(k.Service.Name),
	}
	return k
}
