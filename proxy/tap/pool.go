package tap

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/expr"
)

// class orders events by how much a viewer would miss them.
type class int

const (
	failed class = iota
	slow
	usual
	classes
)

const (
	// patience is how long an event that matters may wait for its turn.
	patience = 2 * time.Second
	// maxEdges bounds what is told apart; beyond it edges share a place.
	maxEdges = 256
	// An exchange is slow when it takes slowFactor times its edge's mean, once
	// slowAfter have been seen.
	slowFactor, slowAfter = 3, 16
	meanWeight            = 1.0 / 32
	// quietTicks is how long an edge without events is remembered.
	quietTicks = 600
)

// pool holds the events that have a chance to be delivered. It is bounded: a
// full pool lets an event in only for another one.
type pool struct {
	limit int
	size  int
	edges map[edge]*lane
	ticks int
}

// edge is who talks to whom about what.
type edge struct {
	direction        string
	sourceNS, source string
	targetNS, target string
	service          string
}

// lane is what one edge has in the pool.
type lane struct {
	held    [classes][]held
	seen    [classes]int // since the class was last emptied, for the reservoir
	served  int          // events delivered in this second
	mean    float64      // duration in ms
	count   int
	touched int // tick
}

// held is one event in the pool.
type held struct {
	event *mesh.TapEvent
	since time.Time
}

func newPool(limit int) *pool {
	return &pool{limit: poolSize(limit), edges: make(map[edge]*lane)}
}

func poolSize(perSecond int) int { return max(64, 2*perSecond) }

// admit decides whether the event comes in. It gives the place to put it, nil
// when it stays out, and how many events (this one or others) are out now.
func (p *pool) admit(ev *mesh.TapEvent) (place *held, evicted int) {
	l := p.lane(ev)
	c := l.classify(ev)
	l.seen[c]++
	if p.size < p.limit {
		p.size++
		l.held[c] = append(l.held[c], held{})
		return &l.held[c][len(l.held[c])-1], 0
	}
	victim, of := p.victim(c)
	switch {
	case victim == nil:
		return nil, 1 // everything in the pool matters more
	case victim == l && of == c:
		// Its own edge has the most already: each of the edge's events gets the
		// same chance (algorithm R).
		if i := rand.IntN(l.seen[c]); i < len(l.held[c]) {
			return &l.held[c][i], 1
		}
		return nil, 1
	}
	victim.remove(of, rand.IntN(len(victim.held[of])))
	l.held[c] = append(l.held[c], held{})
	return &l.held[c][len(l.held[c])-1], 1
}

// victim finds the lane that loses an event to one of class c: in the class
// that matters least, the one that holds most.
func (p *pool) victim(c class) (*lane, class) {
	for of := usual; of >= c; of-- {
		var most *lane
		for _, l := range p.edges {
			if n := len(l.held[of]); n > 0 && (most == nil || n > len(most.held[of])) {
				most = l
			}
		}
		if most != nil {
			return most, of
		}
	}
	return nil, c
}

// take removes up to n events: what matters most first, and within a class the
// edge that was served least in this second. It gives them as they began.
func (p *pool) take(n int) []*mesh.TapEvent {
	p.ticks++
	if p.ticks%ticksPerSecond == 0 {
		for _, l := range p.edges {
			l.served = 0
		}
	}
	var out []*mesh.TapEvent
	for c := range classes {
		for len(out) < n {
			var next *lane
			for _, l := range p.edges {
				if len(l.held[c]) > 0 && (next == nil || l.served < next.served) {
					next = l
				}
			}
			if next == nil {
				break
			}
			next.served++
			out = append(out, next.remove(c, rand.IntN(len(next.held[c]))))
			p.size--
		}
	}
	slices.SortFunc(out, func(a, b *mesh.TapEvent) int { return a.At.Compare(b.At) })
	return out
}

// tidy drops what has had its chance and gives how many events that are: usual
// ones after each tick that delivered something, so that what is shown is
// fresh, and the others when they have waited long enough.
func (p *pool) tidy(now time.Time, delivered, all bool) (dropped int) {
	for key, l := range p.edges {
		for c := range classes {
			for i, v := range slices.Backward(l.held[c]) {
				if all || (c == usual && delivered) || now.Sub(v.since) >= patience {
					l.remove(c, i)
					dropped++
				}
			}
			if len(l.held[c]) == 0 {
				l.seen[c] = 0
			}
		}
		if p.ticks-l.touched > quietTicks {
			delete(p.edges, key)
		}
	}
	p.size -= dropped
	return dropped
}

func (p *pool) lane(ev *mesh.TapEvent) *lane {
	key := edge{
		direction: ev.Direction, service: ev.Service.Host,
		sourceNS: ev.Source.Namespace, source: ev.Source.Name,
		targetNS: ev.Destination.Namespace, target: ev.Destination.Name,
	}
	l, ok := p.edges[key]
	if !ok && len(p.edges) >= maxEdges {
		key = edge{}
		l, ok = p.edges[key]
	}
	if !ok {
		l = &lane{}
		p.edges[key] = l
	}
	l.touched = p.ticks
	return l
}

func (l *lane) classify(ev *mesh.TapEvent) class {
	if expr.TapFailed(ev) {
		return failed
	}
	isSlow := l.count >= slowAfter && ev.DurationMS > slowFactor*l.mean
	l.count++
	// The plain mean at first, so that the first few weigh the same.
	l.mean += (ev.DurationMS - l.mean) * max(meanWeight, 1/float64(l.count))
	if isSlow {
		return slow
	}
	return usual
}

// remove takes out event i of class c; the order does not matter.
func (l *lane) remove(c class, i int) *mesh.TapEvent {
	list := l.held[c]
	out := list[i].event
	last := len(list) - 1
	list[i], list[last] = list[last], held{}
	l.held[c] = list[:last]
	return out
}
