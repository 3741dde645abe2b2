package cluster

import (
	"slices"
	"sync/atomic"
)

// level is the hosts of one priority.
type level struct {
	all      []*Host
	usable   []*Host
	load     uint32 // percent of what is drawn
	panics   bool
	weighted bool
	total    uint64 // of usable weights
	turns    *edf   // round robin and least request, where shares differ or change
	next     atomic.Uint64
	points   []point  // RingHash
	table    []uint32 // Maglev: indexes into usable
}

// levelsOf sorts hosts by priority, best first; there is one level at least.
func levelsOf(hosts []*Host) []*level {
	one := true
	for _, h := range hosts {
		one = one && h.Endpoint().Priority == hosts[0].Endpoint().Priority
	}
	if one { // the usual case
		return []*level{newLevel(hosts)}
	}
	by := make(map[uint32][]*Host)
	var priorities []uint32
	for _, h := range hosts {
		p := h.Endpoint().Priority
		if by[p] == nil {
			priorities = append(priorities, p)
		}
		by[p] = append(by[p], h)
	}
	slices.Sort(priorities)
	levels := make([]*level, len(priorities))
	for i, p := range priorities {
		levels[i] = newLevel(by[p])
	}
	return levels
}

func newLevel(hosts []*Host) *level {
	l := &level{all: hosts}
	for _, h := range hosts {
		if h.usable() {
			l.usable = append(l.usable, h)
		}
	}
	return l
}

// overprovisioned is Envoy's factor, in percent: a level carries all of its load
// until less than 100/140 of its hosts are healthy.
const overprovisioned = 140

// shareOut gives each level its load, as Envoy does: the best one as much as its
// healthy hosts carry, the next what is left, and so on. In panic, which is when
// all levels together cannot carry everything and too few hosts of one are
// healthy, all hosts of that level are drawn: one that may be bad is better than
// too few that are good.
func shareOut(levels []*level, panicPercent uint32) {
	carries := make([]uint32, len(levels))
	together := uint32(0)
	for i, l := range levels {
		if len(l.all) > 0 {
			carries[i] = min(100, uint32(overprovisioned*len(l.usable)/len(l.all)))
		}
		together += carries[i]
	}
	all := true
	for _, l := range levels {
		l.panics = together < 100 && 100*len(l.usable) < int(panicPercent)*len(l.all)
		all = all && l.panics
	}
	switch {
	case len(levels) == 1:
		levels[0].load = 100
	case all: // all hosts are drawn alike
		hosts := 0
		for _, l := range levels {
			hosts += len(l.all)
		}
		spread(levels, func(i int) uint32 { return uint32(100 * len(levels[i].all) / max(hosts, 1)) })
	case together < 100:
		spread(levels, func(i int) uint32 { return 100 * carries[i] / max(together, 1) })
	default:
		left := uint32(100)
		for i, l := range levels {
			l.load = min(carries[i], left)
			left -= l.load
		}
	}
	for _, l := range levels {
		if l.panics {
			l.usable = l.all
		}
	}
}

// spread gives each level a part; what rounding leaves over goes to the first that
// has any.
func spread(levels []*level, part func(int) uint32) {
	left := uint32(100)
	for i, l := range levels {
		l.load = part(i)
		left -= l.load
	}
	for _, l := range levels {
		if l.load > 0 {
			l.load += left
			return
		}
	}
	levels[0].load = 100
}

// weigh prepares what drawing needs beside the list.
func (l *level) weigh(c *Config) {
	for _, h := range l.usable {
		l.total += uint64(h.Endpoint().weight())
		l.weighted = l.weighted || h.Endpoint().weight() != l.usable[0].Endpoint().weight()
	}
	switch {
	case len(l.usable) == 0:
	case c.Policy == RingHash:
		l.points = ringPoints(l.usable, l.total, c.RingMin, c.RingMax)
	case c.Policy == Maglev:
		l.table = maglevTable(l.usable, c.TableSize)
	case !l.weighted && c.SlowStart == nil:
	case c.Policy == RoundRobin, c.Policy == LeastRequest:
		l.turns = newEDF(l.usable, share)
	}
}

func (l *level) pick(policy Policy, random uint64) *Host {
	switch n := uint64(len(l.usable)); {
	case n == 0:
		return nil
	case n == 1:
		return l.usable[0]
	case l.turns != nil && policy == RoundRobin:
		return l.turns.pick(share)
	case l.turns != nil:
		return l.turns.pick(spare)
	case policy == RoundRobin:
		return l.usable[(l.next.Add(1)-1)%n]
	case policy == RingHash:
		return l.usable[around(l.points, random)]
	case policy == Maglev:
		return l.usable[l.table[random%uint64(len(l.table))]]
	case policy == LeastRequest:
		return l.leastOfTwo(random)
	default:
		return l.draw(random)
	}
}

func (l *level) draw(random uint64) *Host {
	if !l.weighted {
		return l.usable[random%uint64(len(l.usable))]
	}
	at := random % l.total
	for _, h := range l.usable {
		w := uint64(h.Endpoint().weight())
		if at < w {
			return h
		}
		at -= w
	}
	return l.usable[len(l.usable)-1]
}

// leastOfTwo is the power of two choices: of two different hosts the one with
// fewer requests under way. Their weights are the same: others take turns.
func (l *level) leastOfTwo(random uint64) *Host {
	n := uint64(len(l.usable))
	i := (random >> 32) % n
	j := (random & (1<<32 - 1)) % (n - 1)
	if j >= i {
		j++
	}
	a, b := l.usable[i], l.usable[j]
	if b.Active() < a.Active() {
		return b
	}
	return a
}
