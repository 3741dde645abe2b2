package scrape

import (
	"slices"
	"sync"
	"time"
	"unique"

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
	dists  map[distributionKey]*distribution
	edges  map[unique.Handle[mesh.EdgeKey]]*edge
	order  []*edge // as first seen: batches come out the same for the same input

	process int       // the last one's number
	round   uint64    // of successful scrapes; marks what was in the last one
	first   time.Time // when a scrape was first tried
	last    time.Time // of the last successful scrape
	heard   time.Time // when it was over, by a clock that nobody sets
	began   time.Time // the target's process; zero unknown
	removed time.Time // from the list of targets; zero when in it
}

// series is one time series that counts something. A fleet has millions: what
// is here costs each of them.
type series struct {
	edge    *edge                       // nil: the process' start
	outcome unique.Handle[mesh.Outcome] // of requests and responses, and of connections that failed
	dist    *distribution               // of histograms
	bucket  *bucket                     // of a classic histogram's buckets

	round  uint64  // in which it was seen last
	seen   int64   // and when, ms
	value  float64 // of a counter
	origin origin

	field  dialect.Field
	part   dialect.Part
	failed bool // of closed connections: those that have an outcome
	known  bool // value is of an earlier scrape
}

// edge gathers what one scrape says of one edge, over all series that share
// its key.
type edge struct {
	key   unique.Handle[mesh.EdgeKey]
	delta *mesh.EdgeDelta // of the scrape under way; nil while nothing has changed

	series    int  // that lead here
	own       bool // has Sidelight's own counters: attempts need no guess
	level     float64
	lastLevel float64
	requests  outcomes
	responses outcomes
}

// outcomes are those that were seen. They are few, and all edges have the same.
type outcomes []unique.Handle[mesh.Outcome]

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
	s := &series{field: f.Field, part: f.Part}
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
		s.outcome = w.bound(&e.requests, f.Outcome)
	case dialect.Responses:
		s.outcome, e.own = w.bound(&e.responses, f.Outcome), true
	case dialect.TCPClosed:
		if s.failed = f.Failed(); s.failed {
			s.outcome = w.bound(&e.requests, f.Outcome)
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

// edgeOf gives the edge of a key, nil when the target has too many. Of a key
// that is the same for all instances of a workload there is one copy, which
// shares no text with the labels that it is cut from.
func (w *watch) edgeOf(of mesh.EdgeKey) *edge {
	key := unique.Make(of)
	if e, ok := w.edges[key]; ok {
		return e
	}
	if len(w.edges) >= w.limits.Edges {
		w.counts.seriesRefused.Add(1)
		return nil
	}
	e := &edge{key: key}
	w.edges[key] = e
	w.order = append(w.order, e)
	return e
}

// distributionOf gives what the series of one histogram share: all labels but
// the bucket's.
func (w *watch) distributionOf(e *edge, f dialect.Fact, ls labels.Labels) *distribution {
	key := distributionKey{field: f.Field}
	key.labels, _ = ls.HashWithoutLabels(nil, model.BucketLabel)
	d, ok := w.dists[key]
	if !ok {
		d = &distribution{key: key, edge: e, scale: f.Scale}
		w.dists[key] = d
	}
	return d
}

// bound holds the outcomes of an edge to the limit. Past it the parts that
// have no bound of their own are given up first, then the exact status: the
// totals stay true.
func (w *watch) bound(seen *outcomes, of mesh.Outcome) unique.Handle[mesh.Outcome] {
	o := unique.Make(of)
	if slices.Contains(*seen, o) {
		return o
	}
	if len(*seen) >= w.limits.Outcomes {
		w.counts.outcomesFolded.Add(1)
		of = mesh.Outcome{Code: of.Code, Flags: string(mesh.FlagNone), AnsweredBy: of.AnsweredBy}
		if o = unique.Make(of); !slices.Contains(*seen, o) && len(*seen) >= 2*w.limits.Outcomes {
			of.Code = of.Code / 100 * 100
			o = unique.Make(of)
		}
	}
	if !slices.Contains(*seen, o) {
		*seen = append(*seen, o)
	}
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
		if s.round == w.round || now.Sub(time.UnixMilli(s.seen)) < keep {
			continue
		}
		delete(w.series, ref)
		if s.edge == nil {
			continue
		}
		s.edge.series--
		if s.dist != nil {
			if s.dist.series--; s.dist.series == 0 {
				delete(w.dists, s.dist.key)
			}
		}
	}
	kept := w.order[:0]
	for _, e := range w.order {
		if e.series > 0 {
			kept = append(kept, e)
			continue
		}
		delete(w.edges, e.key)
	}
	clear(w.order[len(kept):])
	w.order = kept
}
