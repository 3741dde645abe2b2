package cluster

import "slices"

// Hosts is an immutable list of a cluster's endpoints with its way to draw one.
// Drawing is safe for concurrent use.
type Hosts struct {
	policy Policy
	all    []*Host
	usable []*Host // of all levels that are drawn from
	levels []*level
}

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
	}
	hs.levels = levelsOf(hs.all)
	shareOut(hs.levels, c.PanicPercent)
	for i, l := range hs.levels {
		if l.load == 0 {
			continue
		}
		l.weigh(c)
		if previous != nil && i < len(previous.levels) {
			l.next.Store(previous.levels[i].next.Load())
		}
	}
	if hs.usable = hs.levels[0].usable; len(hs.levels) > 1 {
		hs.usable = nil
		for _, l := range hs.levels {
			if l.load > 0 {
				hs.usable = append(hs.usable, l.usable...)
			}
		}
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

// All gives every host, also those that are not drawn; only to be read.
func (hs *Hosts) All() []*Host { return hs.all }

// Usable is the number of hosts that can be drawn.
func (hs *Hosts) Usable() int { return len(hs.usable) }

// Panics reports whether so few hosts of a level that is drawn from are healthy
// that all of it are drawn.
func (hs *Hosts) Panics() bool {
	return slices.ContainsFunc(hs.levels, func(l *level) bool { return l.panics && l.load > 0 })
}

// Pick draws a host, or nil when none is usable. Random must be uniform over
// all 64 bits; for a hashed policy it is the request's hash, or random when the
// request has none.
func (hs *Hosts) Pick(random uint64) *Host {
	if len(hs.levels) == 1 {
		return hs.levels[0].pick(hs.policy, random)
	}
	// Other bits of the same hash, so that one hash stays at one level.
	at := uint32((random * 0x9e3779b97f4a7c15 >> 32) % 100)
	for _, l := range hs.levels {
		if at < l.load {
			return l.pick(hs.policy, random)
		}
		at -= l.load
	}
	return nil
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

func contains(hosts []*Host, h *Host) bool {
	return slices.Contains(hosts, h)
}
