package cluster

import (
	"net"
	"net/netip"
	"slices"
	"time"
)

// DNS says how the names among a cluster's endpoints are looked up.
type DNS struct {
	Logical bool          // of a name's addresses one is used at a time, else all
	Every   time.Duration // 0 = 5 s
	HeedTTL bool          // look up again when the answer's time is over, where it is told
	Family  Family
}

// Interval is the time between two lookups.
func (d *DNS) Interval() time.Duration {
	if d.Every <= 0 {
		return 5 * time.Second
	}
	return d.Every
}

// Family says which of a name's addresses are used.
type Family uint8

// The families, as in Envoy. AutoFamily is that of the first address, which is
// IPv6 where there is a way to it.
const (
	AutoFamily Family = iota
	V4Only
	V6Only
	V4Preferred
	AllFamilies
)

// Choose gives the addresses of the family, in their order.
func (f Family) Choose(found []netip.Addr) []netip.Addr {
	of := func(v4 bool) []netip.Addr {
		return slices.DeleteFunc(slices.Clone(found), func(a netip.Addr) bool { return a.Unmap().Is4() != v4 })
	}
	switch {
	case f == V6Only:
		return of(false)
	case f == V4Only:
		return of(true)
	case f == V4Preferred:
		if v4 := of(true); len(v4) > 0 {
			return v4
		}
	case f == AutoFamily && len(found) > 0:
		return of(found[0].Unmap().Is4())
	}
	return found
}

// NamesOf lists the host names among the endpoints' addresses, sorted, each
// once.
func NamesOf(endpoints []Endpoint) []string {
	var names []string
	for i := range endpoints {
		if name, _, ok := endpoints[i].named(); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Resolve puts one endpoint for each address that was found in the place of
// those that carry a name. A name that nothing is known of stays: it is looked up
// when a connection is opened.
func Resolve(endpoints []Endpoint, found map[string][]netip.Addr) []Endpoint {
	if len(found) == 0 {
		return endpoints
	}
	out := make([]Endpoint, 0, len(endpoints))
	for _, e := range endpoints {
		name, port, ok := e.named()
		if !ok || len(found[name]) == 0 {
			out = append(out, e)
			continue
		}
		if e.Hostname == "" {
			e.Hostname = name
		}
		for _, a := range found[name] {
			e.Address = net.JoinHostPort(a.Unmap().String(), port)
			out = append(out, e)
		}
	}
	return out
}

// named splits an address that carries a host name.
func (e *Endpoint) named() (name, port string, ok bool) {
	name, port, err := net.SplitHostPort(e.Address)
	if err != nil || name == "" {
		return "", "", false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "", "", false
	}
	return name, port, true
}
