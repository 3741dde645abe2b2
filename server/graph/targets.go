package graph

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// target is one thing that is scraped.
type target struct {
	address string
	node    string
	of      *workload // nil when not known

	interval time.Duration // between its last two scrapes
	since    float64       // from when on its counts are known
	lastUp   float64       // its newest good scrape; 0 none
	lastSeen float64       // its newest scrape, good or not
	up       bool
	failure  string

	gone bool

	pairs []*pair // that it counts; one may stand here twice
	noted noted
}

// noted is how a target was when a live view was last made.
type noted struct {
	silent bool
	ahead  bool // of the view: its newest scrape was later
}

// note touches the pairs of a target when time alone makes them read otherwise.
func (e *Engine) note(t *target, silent bool, at float64) {
	now := noted{silent: silent, ahead: t.lastUp > at}
	if now.silent != t.noted.silent {
		e.silences++
	}
	if now != t.noted || now.ahead {
		e.edges.touched.add(t.pairs)
	}
	t.noted = now
}

// frozen is how long the last known figures of a silent target stay in views,
// marked as unknown, before they read zero.
const frozen = 60.0

// silent reports whether a target gives no data at a time.
func (t *target) silent(at float64, intervals int) bool {
	if t.lastUp == 0 {
		return true
	}
	if t.lastUp >= at {
		return false
	}
	return !t.up || at-t.lastUp > float64(intervals)*max(t.interval.Seconds(), 1)
}

// silence says for how long in plain words.
func (t *target) silence(at float64) string {
	if t.lastUp == 0 {
		return "no data yet"
	}
	return "no data for " + ago(at-t.lastUp)
}

func (t *target) reason(at float64) string {
	if !t.up && t.failure != "" && t.lastSeen <= at {
		return t.silence(at) + ": " + t.failure
	}
	return t.silence(at)
}

// clock decides which second each edge of a view ends with, so that rates do
// not dip because the newest scrapes have not come in.
type clock struct {
	time      time.Time
	at        float64
	intervals int
	end       int64   // the newest second that all quick targets have completed
	quick     float64 // what counts as quick: seconds between scrapes
}

func (e *Engine) clockAt(at time.Time) clock {
	c := clock{time: at, at: seconds(at), intervals: e.opt.StaleAfter, quick: math.Inf(1)}
	live := e.live(c.at)
	for _, t := range e.targets {
		silent := t.silent(c.at, c.intervals)
		if !silent {
			c.quick = min(c.quick, 2*max(t.interval.Seconds(), 1))
		}
		if live {
			e.note(t, silent, c.at)
		}
	}
	oldest := c.at
	for _, t := range e.targets {
		if !t.silent(c.at, c.intervals) && t.interval.Seconds() <= c.quick {
			oldest = min(oldest, t.lastUp)
		}
	}
	c.end = int64(math.Floor(oldest))
	return c
}

// live reports whether a view at a time is of the present.
func (e *Engine) live(at float64) bool { return int64(at) >= e.ring.head }

// inStep is how often targets must be scraped at least, in seconds, for all
// edges to end with the same second. Where that would hold everybody back by a
// quarter of a minute, each edge ends with its own newest scrape.
const inStep = 5

// newest is the second that an edge ends with unless its targets are behind.
func (c *clock) newest() float64 {
	if c.quick > 2*inStep {
		return c.at
	}
	return float64(c.end)
}

// reading is how one pair is read: which side leads, which seconds, and the
// factor from counts to rates.
type reading struct {
	from, to       int64
	scale          float64
	client, server bool // that side has data
	silent         *target

	version uint64 // of the pair
	inputs  int    // that give data
	base    int64  // where the fine seconds begin, when it reaches there
}

// read decides it. Both sides of a pair are always read over the same seconds.
func (c *clock) read(p *pair, window float64, earliest int64) reading {
	end := c.newest()
	since, lastUp := math.Inf(1), 0.0
	r := reading{version: p.version}
	look := func(side []*series) bool {
		live, gone, silent := false, false, false
		for _, s := range side {
			for _, in := range s.inputs {
				since = min(since, in.from.since)
				switch {
				case in.from.gone:
					gone = true
				case in.from.silent(c.at, c.intervals):
					silent = true
					if in.from.lastUp >= lastUp {
						r.silent, lastUp = in.from, in.from.lastUp
					}
				default:
					live = true
					r.inputs++
					end = min(end, in.from.lastUp)
				}
			}
		}
		// A target that is gone for good is no gap in what is known: nothing
		// more comes from it.
		return live || gone && !silent
	}
	r.client, r.server = look(p.client), look(p.server)
	if r.client || r.server {
		r.silent = nil
	} else {
		end = c.at
		if lastUp > 0 && c.at-lastUp <= frozen {
			end = min(end, lastUp)
		}
	}
	r.to = int64(math.Floor(end))
	from := float64(r.to) - window
	if from < float64(earliest) { // old seconds are kept by tens
		r.to = max(floor10(r.to), min(r.to, earliest))
		from = float64(floor10(int64(math.Floor(float64(r.to) - window))))
	}
	r.from = int64(math.Floor(from))
	if min(r.from, r.to-seriesSeconds) < earliest {
		r.base = earliest
	}
	r.scale = 1 / max(float64(r.to)-max(from, since), 1)
	return r
}

// stale lists the targets that give no data, by address.
func (e *Engine) stale(at float64) []Stale {
	out := []Stale{}
	for _, t := range e.targets {
		if t.silent(at, e.opt.StaleAfter) && min(t.lastSeen, t.since) <= at {
			since := t.lastUp
			if since == 0 {
				since = t.since
			}
			out = append(out, Stale{Source: t.address, Node: t.node, Since: instant(since), Reason: t.reason(at)})
		}
	}
	slices.SortFunc(out, func(a, b Stale) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.Node, b.Node))
	})
	return out
}

// instant is the reverse of seconds, to a millisecond.
func instant(s float64) time.Time {
	return time.UnixMilli(int64(math.Round(s * 1000))).UTC()
}

// ago says a number of seconds as people do.
func ago(s float64) string {
	switch {
	case s < 120:
		return fmt.Sprintf("%d s", int(max(s, 0)))
	case s < 7200:
		return fmt.Sprintf("%d min", int(s/60))
	}
	return fmt.Sprintf("%d h", int(s/3600))
}
