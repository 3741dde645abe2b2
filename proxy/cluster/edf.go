package cluster

import (
	"math"
	"sync"
	"time"
)

// edf draws hosts by weight as Envoy does, earliest deadline first: a host's next
// turn comes 1/weight after its last, so that turns are spread evenly, and a
// weight that changes counts from its host's next turn on.
type edf struct {
	mu    sync.Mutex
	turns []turn // a heap
	order uint64
}

type turn struct {
	at    float64
	order uint64 // of two at a time the one that has waited longer comes first
	host  *Host
}

func (t *turn) before(o *turn) bool { return t.at < o.at || t.at == o.at && t.order < o.order }

func newEDF(hosts []*Host, weigh func(*Host) float64) *edf {
	e := &edf{turns: make([]turn, 0, len(hosts))}
	for _, h := range hosts {
		e.order++
		e.turns = append(e.turns, turn{1 / weigh(h), e.order, h})
	}
	for i := len(e.turns)/2 - 1; i >= 0; i-- {
		e.sink(i)
	}
	return e
}

// pick gives the host whose turn it is.
func (e *edf) pick(weigh func(*Host) float64) *Host {
	e.mu.Lock()
	defer e.mu.Unlock()
	first := &e.turns[0]
	h := first.host
	e.order++
	first.at, first.order = first.at+1/weigh(h), e.order
	e.sink(0)
	return h
}

func (e *edf) sink(i int) {
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(e.turns) && e.turns[child].before(&e.turns[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		e.turns[i], e.turns[least] = e.turns[least], e.turns[i]
		i = least
	}
}

// leastPart of a weight is what an endpoint has at once: with less, its next turn
// would be so far off that it came long after the endpoint is warm.
const leastPart = 0.01

// leastWeight keeps a weight from becoming none.
const leastWeight = 1e-6

// share is a host's weight while it warms up: a part of it.
func share(h *Host) float64 {
	w := float64(h.Endpoint().weight())
	if cold := h.cold.Load(); cold > 0 {
		w *= 1 - float64(cold)/coldest
	}
	return max(w, leastWeight)
}

// spare is what a host has left of its share beside what it is busy with.
func spare(h *Host) float64 { return max(share(h)/float64(h.Active()+1), leastWeight) }

// SlowStart gives endpoints that come a smaller share at first.
type SlowStart struct {
	Window     time.Duration
	Aggression float64 // 1 = linear, above: faster at the beginning; 0 = 1
	MinPercent float64 // of the weight, to begin with
}

// coldest is the scale of Host.cold.
const coldest = 1 << 20

// Warm brings the shares of endpoints that came less than a window ago up to
// date. It reports whether there are any. Times must not go back.
func (hs *Hosts) Warm(s *SlowStart, now time.Time) (more bool) {
	if s == nil || s.Window <= 0 {
		return false
	}
	for _, h := range hs.all {
		since := h.seen.Load()
		if since == nil {
			since = &now
			h.seen.Store(since)
		}
		passed := float64(now.Sub(*since)) / float64(s.Window)
		if passed >= 1 {
			h.cold.Store(0)
			continue
		}
		more = true
		aggression := s.Aggression
		if aggression <= 0 {
			aggression = 1
		}
		part := max(math.Pow(max(passed, 0), 1/aggression), s.MinPercent/100, leastPart)
		h.cold.Store(uint32(coldest * (1 - min(part, 1))))
	}
	return more
}
