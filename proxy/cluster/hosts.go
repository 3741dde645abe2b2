package cluster

import (
	"slices"
	"sync/atomic"
)

// Hosts is an immutable list of a cluster's endpoints with its way to draw one.
// Drawing is safe for concurrent use.
type Hosts struct {
	policy   Policy
	all      []*Host
	usable   []*Host
	weighted bool
	total    uint64   // of usable weights
	ring     []uint16 // round robin order when weighted: indexes into usable
	next     atomic.Uint64
	points   []point  // RingHash
	table    []uint32 // Maglev: indexes into usable
	panics   bool
}

// maxRing bounds the weighted round robin order. Larger sums of weights are
// scaled down, which costs precision below 1/4096; very long lists are drawn at
// random by weight instead, because building their order would take too long.
const maxRing = 4096

// NewHosts builds the list for endpoints. Hosts of previous (nil for none)
// whose address is still there are kept, with their counters. Of several
// endpoints with one address the first counts.
func NewHosts(c *Config, endpoints []Endpoint, previous *Hosts) *Hosts {
	known := make(map[string]*Host)
	if previous != nil {
		for _, h := range previous.all {
			known[h.Endpoint().Address] = h
		}
	}
	hs := &Hosts{policy: c.Policy}
	seen := make(map[string]bool, len(endpoints))
	for i := range endpoints {
		e := &endpoints[i]
		if seen[e.Address] {
			continue
		}
		seen[e.Address] = true
		h := known[e.Address]
		if h == nil {
			h = &Host{}
		}
		h.endpoint.Store(e)
		hs.all = append(hs.all, h)
		if h.usable() {
			hs.usable = append(hs.usable, h)
		}
	}
	// In panic a host that may be bad is better than too few that are good.
	if hs.panics = 100*len(hs.usable) < int(c.PanicPercent)*len(hs.all); hs.panics {
		hs.usable = hs.all
	}
	hs.weigh(c)
	if previous != nil {
		hs.next.Store(previous.next.Load())
	}
	return hs
}

// Renew gives the same hosts, drawn by what is known of their health now.
func (hs *Hosts) Renew(c *Config) *Hosts {
	endpoints := make([]Endpoint, len(hs.all))
	for i, h := range hs.all {
		endpoints[i] = *h.Endpoint()
	}
	return NewHosts(c, endpoints, hs)
}

// weigh prepares what drawing needs beside the list.
func (hs *Hosts) weigh(c *Config) {
	for _, h := range hs.usable {
		hs.total += uint64(h.Endpoint().weight())
		hs.weighted = hs.weighted || h.Endpoint().weight() != hs.usable[0].Endpoint().weight()
	}
	switch {
	case len(hs.usable) == 0:
	case c.Policy == RingHash:
		hs.points = ringPoints(hs.usable, hs.total, c.RingMin, c.RingMax)
	case c.Policy == Maglev:
		hs.table = maglevTable(hs.usable, c.TableSize)
	case c.Policy == RoundRobin && hs.weighted && len(hs.usable) <= maxRing/4:
		hs.ring = smoothRing(hs.usable, hs.total)
	}
}

// All gives every host, also those that are not drawn; only to be read.
func (hs *Hosts) All() []*Host { return hs.all }

// Usable is the number of hosts that can be drawn.
func (hs *Hosts) Usable() int { return len(hs.usable) }

// Panics reports whether so few hosts are healthy that all are drawn.
func (hs *Hosts) Panics() bool { return hs.panics }

// Pick draws a host, or nil when none is usable. Random must be uniform over
// all 64 bits; for a hashed policy it is the request's hash, or random when the
// request has none.
func (hs *Hosts) Pick(random uint64) *Host {
	switch n := uint64(len(hs.usable)); {
	case n == 0:
		return nil
	case n == 1:
		return hs.usable[0]
	case hs.policy == RoundRobin && hs.ring != nil:
		return hs.usable[hs.ring[(hs.next.Add(1)-1)%uint64(len(hs.ring))]]
	case hs.policy == RoundRobin && !hs.weighted:
		return hs.usable[(hs.next.Add(1)-1)%n]
	case hs.policy == RingHash:
		return hs.usable[around(hs.points, random)]
	case hs.policy == Maglev:
		return hs.usable[hs.table[random%uint64(len(hs.table))]]
	case hs.policy == LeastRequest:
		return hs.leastOfTwo(random)
	default:
		return hs.draw(random)
	}
}

// PickOther draws a host that tried does not hold. First is what the first draw
// goes by. After attempts draws it takes any that was not tried, because a draw
// by load may insist on a dead host, which is never busy; and when all were
// tried, what came last: a known bad host is better than none.
func (hs *Hosts) PickOther(first uint64, tried []*Host, attempts int, random func() uint64) *Host {
	h := hs.Pick(first)
	if attempts == 0 || h == nil || !contains(tried, h) {
		return h
	}
	for ; attempts > 0; attempts-- {
		if h = hs.Pick(random()); !contains(tried, h) {
			return h
		}
	}
	begin := random() % uint64(len(hs.usable))
	for i := range hs.usable {
		if other := hs.usable[(begin+uint64(i))%uint64(len(hs.usable))]; !contains(tried, other) {
			return other
		}
	}
	return h
}

func (hs *Hosts) draw(random uint64) *Host {
	if !hs.weighted {
		return hs.usable[random%uint64(len(hs.usable))]
	}
	at := random % hs.total
	for _, h := range hs.usable {
		w := uint64(h.Endpoint().weight())
		if at < w {
			return h
		}
		at -= w
	}
	return hs.usable[len(hs.usable)-1]
}

// leastOfTwo is the power of two choices: two different hosts by weight, then
// the one with fewer requests under way for its weight.
func (hs *Hosts) leastOfTwo(random uint64) *Host {
	a := hs.draw(random >> 32)
	b := hs.draw(random & (1<<32 - 1))
	if a == b {
		for i, h := range hs.usable {
			if h == a {
				b = hs.usable[(i+1)%len(hs.usable)]
				break
			}
		}
	}
	// active/weight compared crosswise, in integers.
	loadA := (a.Active() + 1) * int64(b.Endpoint().weight())
	loadB := (b.Active() + 1) * int64(a.Endpoint().weight())
	if loadB < loadA {
		return b
	}
	return a
}

// smoothRing spreads each host's turns evenly: every turn, each host gains its
// weight in credit, and the richest pays the sum of all weights to go.
func smoothRing(hosts []*Host, total uint64) []uint16 {
	weights := make([]int64, len(hosts))
	scale := uint64(1)
	if total > maxRing {
		scale = (total + maxRing - 1) / maxRing
	}
	var sum, divisor int64
	for i, h := range hosts {
		weights[i] = int64(max(uint64(h.Endpoint().weight())/scale, 1))
		sum += weights[i]
		divisor = gcd(weights[i], divisor)
	}
	sum /= divisor
	for i := range weights {
		weights[i] /= divisor
	}
	ring := make([]uint16, 0, sum)
	credit := make([]int64, len(hosts))
	for range sum {
		best := 0
		for i := range credit {
			credit[i] += weights[i]
			if credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= sum
		ring = append(ring, uint16(best))
	}
	return ring
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func contains(hosts []*Host, h *Host) bool {
	return slices.Contains(hosts, h)
}
