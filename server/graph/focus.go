package graph

// focus is what is near a node: nil holds everything.
type focus struct {
	hops int
	away map[*place]int // edges from the node, as far as hops
}

// focusOn keeps what is at most hops edges from a node, or from any part of a
// namespace, whichever way the edges go.
func (v *viewing) focusOn(id string, hops int) {
	e := v.engine
	near := make(map[*place][]*place)
	f := &focus{hops: hops, away: make(map[*place]int)}
	var edge []*place
	reach := func(at *place, away int) {
		if _, known := f.away[at]; !known {
			f.away[at] = away
			edge = append(edge, at)
		}
	}
	at0 := func(at *place) {
		if at.id == id || at.namespace != "" && placeNamespace(at.namespace).id == id {
			reach(at, 0)
		}
	}
	for _, p := range v.pairsNow() {
		at := e.endsOf(p, v.group)
		near[at.source] = append(near[at.source], at.target)
		near[at.target] = append(near[at.target], at.source)
		at0(at.source)
		at0(at.target)
	}
	for _, at := range v.quietPlaces() {
		at0(at)
	}
	for away := 1; away <= hops && len(edge) > 0; away++ {
		last := edge
		edge = nil
		for _, at := range last {
			for _, n := range near[at] {
				reach(n, away)
			}
		}
	}
	v.focus, v.pairs, v.quiet = f, nil, nil
}

// holds reports whether an edge belongs: one of its ends must be nearer than
// the last hop.
func (f *focus) holds(at *ends) bool {
	if f == nil {
		return true
	}
	a, ok := f.away[at.source]
	b, too := f.away[at.target]
	return ok && too && min(a, b) < f.hops
}

func (f *focus) includes(at *place) bool {
	if f == nil {
		return true
	}
	_, ok := f.away[at]
	return ok
}
