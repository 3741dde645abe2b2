package graph

import (
	"cmp"
	"slices"
	"strings"
)

// Folding shows a mesh that is larger than a screen: namespaces stand as one
// node each, and those that are expanded, or small enough, by their parts. It
// is decided before anything is added up, so that what is folded costs little,
// and by sizes and names alone, so that it does not change with the traffic.

// Folded counts what stands behind one node, or in a view behind all of them.
type Folded struct {
	Namespaces int `json:"namespaces"` // 0 when it is one itself
	Workloads  int `json:"workloads"`
	Failing    int `json:"failing"` // workloads that answer one request in ten, or more, with an error
}

func (f *Folded) add(o Folded) {
	f.Namespaces += o.Namespaces
	f.Workloads += o.Workloads
	f.Failing += o.Failing
}

// The node that all namespaces are folded into for which there is no room.
const restID = "rest"

// lot is what is folded or expanded as a whole: a namespace, or a node that
// belongs to none.
type lot struct {
	key      string // namespace, or "" and an ID
	into     place
	places   int  // nodes when expanded
	asked    bool // expanded at the viewer's wish
	single   bool // not a namespace
	rank     int
	expanded bool
}

// folding is where the places of a view are folded to.
type folding struct {
	lots map[string]*lot
	rest *lot // of those for which there is no room; nil when there is
}

func lotKey(at *place) string {
	if at.namespace != "" && at.kind != KindExternal {
		return at.namespace
	}
	return " " + at.id // no namespace has a space
}

// fold decides how much is shown of each namespace: all that was asked for,
// then the small ones, as long as nodes and edges together are at most most.
func (v *viewing) fold(most int, expand []string) {
	pairs := v.pairsNow()
	f := &folding{lots: make(map[string]*lot)}
	seen := make(map[*place]*lot)
	lotOf := func(at *place) *lot {
		l := seen[at]
		if l == nil {
			l = f.lot(at)
			l.places++
			seen[at] = l
		}
		return l
	}
	between := make(map[[2]*lot]int, len(pairs)) // pairs of a kind are edges of that many at most
	for _, p := range pairs {
		at := v.engine.endsOf(p, v.group)
		between[[2]*lot{lotOf(at.source), lotOf(at.target)}]++
	}
	for _, at := range v.quietPlaces() {
		lotOf(at)
	}
	order := make([]*lot, 0, len(f.lots))
	for _, l := range f.lots {
		l.asked = slices.Contains(expand, l.into.id)
		order = append(order, l)
	}
	slices.SortFunc(order, func(a, b *lot) int {
		if a.asked != b.asked {
			if a.asked {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.places, b.places), strings.Compare(a.key, b.key))
	})
	for i, l := range order {
		l.rank = i
	}
	v.folding = f
	if most == 0 {
		for _, l := range order {
			l.expanded = l.asked
		}
		return
	}
	f.spread(order, between, most)
}

func (f *folding) lot(at *place) *lot {
	key := lotKey(at)
	l := f.lots[key]
	if l == nil {
		l = &lot{key: key}
		if key[0] == ' ' {
			l.into, l.single = *at, true
		} else {
			l.into = placeNamespace(key)
		}
		f.lots[key] = l
	}
	return l
}

// spread expands lots in order while there is room. elements(k), what there is
// to see with the first k expanded, is counted for all k in one pass: an edge
// between two lots stands for all its pairs once either of them is expanded.
func (f *folding) spread(order []*lot, between map[[2]*lot]int, most int) {
	gain := make([]int, len(order)+1) // elements that expanding the k-th adds
	elements := len(order)
	for i, l := range order {
		gain[i] += l.places - 1
	}
	for ends, n := range between {
		if ends[0] != ends[1] {
			elements++
			gain[min(ends[0].rank, ends[1].rank)] += n - 1
		} else {
			elements++ // a lot's traffic with itself is a loop
			gain[ends[0].rank] += n - 1
		}
	}
	if elements > most {
		f.gatherRest(order, between, most)
		return
	}
	for i, l := range order {
		if elements += gain[i]; elements > most && !l.asked {
			break
		}
		l.expanded = true
	}
}

// gatherRest keeps the lots that were asked for and the largest, each as one
// node, and folds the others into one.
func (f *folding) gatherRest(order []*lot, between map[[2]*lot]int, most int) {
	byName := slices.Clone(order)
	slices.SortFunc(byName, func(a, b *lot) int {
		if a.asked != b.asked {
			if a.asked {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.places, a.places), strings.Compare(a.key, b.key))
	})
	for i, l := range byName {
		l.rank = i
	}
	// With k of them kept there are k+1 nodes, an edge for each pair of kept
	// ones, and two at most between each of them and the rest.
	edges := make([]int, len(byName)+1) // that come with the k-th
	pairs := make(map[[2]int]bool, len(between))
	for ends := range between {
		a, b := ends[0].rank, ends[1].rank
		if at := [2]int{a, b}; !pairs[at] {
			pairs[at] = true
			edges[max(a, b)]++
		}
	}
	kept, elements := 0, 2 // the rest and its loop
	for kept < len(byName) {
		next := elements + 1 + edges[kept]
		if !byName[kept].asked && next+2*(kept+1) > most {
			break
		}
		elements = next
		if byName[kept].asked {
			byName[kept].expanded = true
			elements += byName[kept].places
		}
		kept++
	}
	f.rest = &lot{into: place{id: restID, kind: KindRest, name: "more namespaces"}}
	for _, l := range byName[kept:] {
		f.lots[l.key] = f.rest
	}
}

// shown gives the node that a place is shown as.
func (v *viewing) shown(at *place) *gatheredNode {
	if at.turn == v.turn {
		return at.node
	}
	to := at
	if v.folding != nil {
		if l := v.folding.lots[lotKey(at)]; l != nil && (l == v.folding.rest || !l.expanded && !l.single) {
			to = &l.into
		}
	}
	n := v.nodes[to.id]
	if n == nil {
		n = &gatheredNode{place: *to}
		v.nodes[to.id] = n
	}
	at.node, at.turn = n, v.turn
	return n
}

// countFolded counts what stands behind nodes that are namespaces, or more.
func (v *viewing) countFolded() {
	for _, n := range v.duty {
		if !n.many() {
			continue
		}
		if n.crowd == nil {
			n.crowd = v.crowdOf(n)
		}
		n.crowd.judge(v.engine)
		n.behind.Failing = n.crowd.failing()
	}
}

// many says whether the node stands for more than one thing.
func (n *gatheredNode) many() bool { return n.kind == KindNamespace || n.kind == KindRest }

// pairsNow lists the pairs that the view is made of.
func (v *viewing) pairsNow() []*pair {
	e := v.engine
	if v.pairs == nil {
		oldest := int64(v.clock.at) - e.ring.history
		v.pairs = make([]*pair, 0, len(e.edges.ordered))
		for _, p := range e.edges.ordered {
			if p.first > int64(v.clock.at) {
				v.skipped = true
			} else if p.last >= oldest {
				v.until = min(v.until, float64(p.last+e.ring.history+1))
				if v.focus.holds(e.endsOf(p, v.group)) {
					v.pairs = append(v.pairs, p)
				}
			}
		}
	}
	return v.pairs
}
