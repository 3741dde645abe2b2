package scrape

import (
	"math"
	"time"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/sidelight-mesh/sidelight/collector/dialect"
	"github.com/sidelight-mesh/sidelight/mesh"
)

const (
	// youth is how old a process may be at least, when a scrape of it is first
	// tried, so that its counters count from zero: it started while we were
	// still finding it.
	youth = 5 * time.Second
	// skew is how far the clocks of target and collector may differ, and how
	// much a process' own idea of its start may waver.
	skew = 2 * time.Second
	// keepUnseen is how long a series that is exposed no more is remembered. A
	// response that was cut short must not make its counters count anew. An
	// exporter that drops idle series and begins them at zero again is found
	// out by their start, or by their values, as Prometheus does.
	keepUnseen = 5 * time.Minute
)

// moment is what one scrape knows about beginnings.
type moment struct {
	at      time.Time
	again   bool      // the target was scraped before
	process int       // which of the target's processes, one after the other, this is
	young   time.Time // at a first scrape: counters that began later count from zero
	began   time.Time // the process; zero unknown
	last    time.Time // the scrape before; zero none
}

// fresh says whether a counter that was never seen before counts from zero.
//
// In a target that was scraped before it does: it was not there, so it has
// gained all it has since then. At a target's first scrape it does when it
// began, or else the process did, while the target was being tried or shortly
// before. Otherwise its past is not ours to count.
func (m moment) fresh(start int64) bool {
	if m.again {
		return true
	}
	began := m.began
	if start > 0 {
		began = time.UnixMilli(start)
	}
	return !began.IsZero() && !began.Before(m.young)
}

// origin is which counter a value is of, when a series has had several, each
// from zero, one after the other.
type origin struct {
	process int
	start   int64 // ms; 0 unknown
}

// anew says whether a value is of another counter than the one before, though
// it may be above it already: the process is another one, or the counter's own
// start moved past the scrape before.
func (m moment) anew(before, now origin) bool {
	if before.process != now.process {
		return true
	}
	return now.start > before.start && before.start > 0 && !time.UnixMilli(now.start).Before(m.last.Add(-skew))
}

// commit turns one scrape into a batch. A failed scrape changes nothing that
// is remembered: the next good one counts on from the last good one.
func (w *watch) commit(list []staged, up, samples bool, atMS int64, now time.Time) mesh.EdgeBatch {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := time.UnixMilli(atMS)
	batch := mesh.EdgeBatch{
		Target:   w.target.Name(),
		Node:     w.target.Node,
		Workload: w.target.Workload,
		At:       at,
		Up:       up,
	}
	if !w.last.IsZero() {
		batch.Interval, batch.SetBack = w.passed(at, now)
	}
	if w.first.IsZero() {
		w.first = at
	}
	if !up || !samples {
		return batch
	}
	w.round++
	m := w.moment(list, at)
	seen := w.count(list, m)
	batch.Deltas = w.deltas()
	if seen < len(w.series) && (w.round%16 == 0 || len(w.series) > 2*int(w.limits.Samples)) {
		w.forgetUnseen(at)
	}
	w.last, w.heard, w.process = at, now, m.process
	if !m.began.IsZero() {
		w.began = m.began
	}
	return batch
}

// passed gives the time since the last good scrape. Scrapes are dated by the
// time of day; where that was set meanwhile, by more than a slow answer would
// explain, what counts is what has really passed.
func (w *watch) passed(at, now time.Time) (passed time.Duration, setBack bool) {
	dated, lapsed := at.Sub(w.last), now.Sub(w.heard)
	setBack = dated <= 0 || dated < lapsed-w.interval-skew
	if lapsed > 0 && (setBack || dated > lapsed+w.interval+skew) {
		return lapsed, setBack
	}
	return max(dated, 0), setBack
}

// moment finds what the scrape says of the process' start, and what follows.
func (w *watch) moment(list []staged, at time.Time) moment {
	m := moment{at: at, again: !w.last.IsZero(), last: w.last, process: w.process}
	for _, s := range list {
		if s.series.field == dialect.ProcessStart && s.h == nil && s.fh == nil && s.value > 0 && s.value < 1e12 {
			m.began = time.UnixMilli(int64(math.Round(s.value * 1000)))
		}
	}
	if !m.again {
		m.young = w.first.Add(-max(2*w.interval, youth))
		return m
	}
	// A start that wavers, as the clock is set, is no restart: it lies before
	// the last scrape.
	if !w.began.IsZero() && m.began.After(w.began.Add(time.Second)) && !m.began.Before(w.last.Add(-skew)) {
		m.process++
	}
	return m
}

// count adds the staged samples to their edges and gives how many series there
// were.
func (w *watch) count(list []staged, m moment) (seen int) {
	var dists []*distribution
	for _, s := range list {
		if s.series.round == w.round {
			continue // the same series twice in one response
		}
		s.series.round, s.series.seen = w.round, m.at.UnixMilli()
		seen++
		switch {
		case s.series.edge == nil:
		case s.series.field == dialect.ActiveConnections:
			if s.h == nil && s.fh == nil && s.value > 0 && !math.IsInf(s.value, 0) {
				s.series.edge.level += s.value
			}
		case s.series.dist != nil:
			if s.series.dist.stage(s, w.round) {
				dists = append(dists, s.series.dist)
			}
		default:
			if n := s.series.advance(s, m); n > 0 {
				s.series.count(n)
			} else if n < 0 {
				w.counts.valuesRefused.Add(1)
			}
		}
	}
	room := scratch{now: new(histogram.FloatHistogram)}
	for _, d := range dists {
		if !d.advance(m, &room) {
			w.counts.valuesRefused.Add(1)
		}
	}
	return seen
}

// advance gives by how much a counter grew, and -1 when it cannot be one.
func (s *series) advance(in staged, m moment) float64 {
	v := in.value
	if in.h != nil || in.fh != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return -1
	}
	before, known, from := s.value, s.known, s.origin
	s.value, s.known, s.origin = v, true, origin{m.process, in.start}
	switch {
	case !known && !m.fresh(in.start):
		return 0
	case !known, v < before, m.anew(from, s.origin):
		return v
	}
	return v - before
}

// count counts n on the series' edge.
func (s *series) count(n float64) {
	d := s.edge.change()
	switch s.field {
	case dialect.Requests:
		addTo(&d.Requests, s.outcome.Value(), n)
	case dialect.Responses:
		addTo(&d.Responses, s.outcome.Value(), n)
	case dialect.Attempts:
		d.Attempts += n
	case dialect.NewConnections:
		d.NewConnections += n
	case dialect.TCPOpened:
		d.TCPOpened += n
	case dialect.TCPClosed:
		d.TCPClosed += n
		if s.failed {
			addTo(&d.Requests, s.outcome.Value(), n)
		}
	case dialect.SentBytes:
		d.SentBytes += n
	case dialect.ReceivedBytes:
		d.ReceivedBytes += n
	}
}

func addTo(counts *map[mesh.Outcome]float64, o mesh.Outcome, n float64) {
	if *counts == nil {
		*counts = make(map[mesh.Outcome]float64)
	}
	(*counts)[o] += n
}

// change gives what the scrape under way says of the edge.
func (e *edge) change() *mesh.EdgeDelta {
	if e.delta == nil {
		e.delta = &mesh.EdgeDelta{Key: e.key.Value()}
	}
	return e.delta
}

// deltas takes what the edges gathered. An edge with open connections is told
// of even when nothing moved: it is there. So is the end of the last one, also
// when its gauge went away.
func (w *watch) deltas() []mesh.EdgeDelta {
	changed := 0
	for _, e := range w.order {
		if e.level != 0 || e.lastLevel != 0 {
			e.change().ActiveConnections = e.level
		}
		e.lastLevel, e.level = e.level, 0
		if e.delta != nil {
			changed++
		}
	}
	if changed == 0 {
		return nil
	}
	out := make([]mesh.EdgeDelta, 0, changed)
	for _, e := range w.order {
		if e.delta == nil {
			continue
		}
		if !e.own {
			for _, n := range e.delta.Requests {
				e.delta.Attempts += n
			}
		}
		out = append(out, *e.delta)
		e.delta = nil
	}
	return out
}
