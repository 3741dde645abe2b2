package skew

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// LineageNode is one node that needs something of some objects, and how far it
// is with it.
type LineageNode struct {
	ID        string        `json:"id"`
	Workload  mesh.Workload `json:"workload"`
	Connected bool          `json:"connected"`
	Has       bool          `json:"has"`   // runs the objects as they are
	State     State         `json:"state"` // of the worst of these resources
	Since     time.Time     `json:"since"`
	Reason    string        `json:"reason"`    // the node's own sentence, "" when it has all
	Resources []LineagePart `json:"resources"` // that the objects became, by type and name
}

// LineagePart is one resource of a node that comes from an object.
type LineagePart struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Desired string `json:"desired"` // version, "" when it is to go
	Applied string `json:"applied"` // version, "" when none runs
	State   State  `json:"state"`
	Error   string `json:"error,omitempty"`
}

// Lineage follows objects to the resources that they became and to the nodes
// that need those, by ID. since is the revision from which on the objects are
// as they are, 0 when that is not known. A node that was not told of the newest
// revision yet has nothing of it.
func (t *Tracker) Lineage(objects []string, since uint64, at time.Time) []LineageNode {
	t.mu.Lock()
	defer t.mu.Unlock()
	wanted := make(map[string]bool, len(objects))
	for _, o := range objects {
		wanted[o] = true
	}
	out := []LineageNode{}
	from := func(objects []string) bool {
		return slices.ContainsFunc(objects, func(o string) bool { return wanted[o] })
	}
	became := map[*list][]int{} // of lists, what comes from the objects
	for _, n := range t.nodes {
		var parts []LineagePart
		worst := verdict{state: Synced}
		for _, r := range n.cameFrom(from, became) {
			s := t.resourceStatus(n, r, at)
			parts = append(parts, LineagePart{s.Type, s.Name, s.Desired, s.Applied, s.State, s.Error})
			v := t.judgeResource(n, r, at)
			if c := s.State.Severity() - worst.state.Severity(); c > 0 || c == 0 && v.since.Before(worst.since) {
				worst = verdict{state: s.State, since: v.since}
			}
		}
		if len(parts) == 0 {
			continue
		}
		told := n.prepared && (t.newest == nil || n.checked >= t.newest.Number)
		x := LineageNode{
			ID: n.ID, Workload: n.Workload, Connected: n.connected(),
			Has:   worst.state == Synced && told || n.connected() && holds(n.runsRevision(), since, worst.state),
			State: worst.state, Since: worst.since, Resources: parts,
		}
		if !x.Has {
			v := t.judge(n, at)
			x.Reason = v.reason
			if x.State == Synced {
				x.State, x.Since = v.state, v.since
			}
		}
		slices.SortFunc(parts, func(a, b LineagePart) int {
			return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name))
		})
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b LineageNode) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// holds tells whether a node that runs all of one revision has an object that
// is unchanged since another, although a resource of it is behind: what the
// resource lacks is then of other objects.
func holds(runs, since uint64, s State) bool { return since > 0 && runs >= since && s != Drifted }

// Lack says how many connected nodes lack something of an object.
type Lack struct {
	Object   string `json:"object"` // "VirtualService cinema/catalog"
	Nodes    int    `json:"nodes"`
	Refusing int    `json:"refusing"` // of those
}

// Lacking lists the objects that some connected node lacks something of, by
// name. since gives the revision from which on an object is as it is, where that
// is known. What is whole everywhere costs nothing.
func (t *Tracker) Lacking(since map[string]uint64, at time.Time) []Lack {
	t.mu.Lock()
	defer t.mu.Unlock()
	count := map[string]*Lack{}
	for _, n := range t.nodes {
		if !n.connected() {
			continue
		}
		here := map[string]bool{} // object -> refused
		runs := n.runsRevision()
		for r := range n.pending {
			state := t.judgeResource(n, r, at).state
			for _, o := range r.objects {
				if !holds(runs, since[o], state) {
					here[o] = here[o] || state == Rejected || state == Unsupported
				}
			}
		}
		for p, i := range n.eachLacked {
			for _, o := range p.given[i].Objects {
				if _, told := here[o]; !told && !holds(runs, since[o], Stale) {
					here[o] = false
				}
			}
		}
		for o, refused := range here {
			l := count[o]
			if l == nil {
				l = &Lack{Object: o}
				count[o] = l
			}
			l.Nodes++
			if refused {
				l.Refusing++
			}
		}
	}
	out := make([]Lack, 0, len(count))
	for _, l := range count {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Lack) int { return strings.Compare(a.Object, b.Object) })
	return out
}

// cameFrom gives the node's resources of which from tells that they come from
// some objects. became remembers those of lists.
func (n *node) cameFrom(from func(objects []string) bool, became map[*list][]int) (out []*resource) {
	for _, r := range n.resources {
		if from(r.objects) {
			out = append(out, r)
		}
	}
	for i := range n.parts {
		p := &n.parts[i]
		places, known := became[p.list]
		if !known {
			for j := range p.given {
				if from(p.given[j].Objects) {
					places = append(places, j)
				}
			}
			became[p.list] = places
		}
		for _, j := range places {
			if p.proof[j] != 0 {
				r := n.peek(p, j)
				out = append(out, &r)
			}
		}
	}
	return out
}
