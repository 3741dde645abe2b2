package skew

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// twinTrackers are two that hear the same: one keeps what nodes lack as it does,
// the other in records.
type twinTrackers struct {
	t        *testing.T
	own, rec *Tracker
	heard    [2][]string // observed stages
}

func newTwinTrackers(t *testing.T) *twinTrackers {
	p := &twinTrackers{t: t}
	observe := func(i int) func(string, time.Duration) {
		return func(stage string, took time.Duration) { p.heard[i] = append(p.heard[i], fmt.Sprint(stage, took)) }
	}
	p.own, p.rec = New(Options{Observe: observe(0)}), New(Options{Observe: observe(1)})
	return p
}

// do tells both trackers, then has the second make records of all that is lacked.
func (p *twinTrackers) do(f func(*Tracker)) {
	f(p.own)
	f(p.rec)
	for _, n := range p.rec.nodes {
		for part, i := range n.eachLacked {
			n.unshare(part, i)
		}
	}
}

// same compares everything that can be asked of the trackers.
func (p *twinTrackers) same(ids []string, at time.Time) {
	p.t.Helper()
	ask := func(tr *Tracker) string {
		var out []any
		out = append(out, tr.View(at), tr.Lacking(nil, at), tr.Lineage([]string{"ServiceEntry shop/odd"}, 0, at))
		for _, id := range ids {
			d, _ := tr.Node(id, at)
			out = append(out, d)
		}
		text, err := json.MarshalIndent(out, "", " ")
		if err != nil {
			p.t.Fatal(err)
		}
		return string(text)
	}
	if diff := cmp.Diff(ask(p.rec), ask(p.own)); diff != "" {
		p.t.Fatalf("without records it is otherwise than with them (-with +without):\n%s", diff)
	}
	if diff := cmp.Diff(p.heard[1], p.heard[0]); diff != "" {
		p.t.Fatalf("stages (-with +without):\n%s", diff)
	}
}

// Nodes that come at any time, some of them before anything is known of what
// they should run, and do anything: what is told of them is the same as if there
// were a record of each resource.
func TestLackedIsToldAsByRecords(t *testing.T) {
	var lacked, moved int
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 7))
		p := newTwinTrackers(t)
		now := time.Date(2026, 11, 3, 3, 0, 0, 0, time.UTC)
		rev := uint64(0)
		var lists [][]Resource
		revise := func() {
			rev++
			if rng.IntN(8) > 0 { // the time of some revisions is not known
				p.do(func(tr *Tracker) { tr.Accepted(mesh.Revision{Number: rev, At: now}) })
			}
			next := make([][]Resource, 2)
			for i := range next {
				var before []Resource
				if lists != nil {
					before = lists[i]
				}
				if before != nil && rng.IntN(3) == 0 {
					next[i] = before
					continue
				}
				for j := range 6 {
					object := []string{"ServiceEntry shop/even", "ServiceEntry shop/odd"}[j%2]
					r := Resource{Type: []string{mesh.TypeCluster, mesh.TypeRoute}[i], Name: fmt.Sprint("r", j), Version: fmt.Sprint("v", rng.IntN(3)), Revision: rev, Objects: []string{object}}
					for _, old := range before {
						if old.Name == r.Name && rng.IntN(2) == 0 {
							r = old
						}
					}
					if rng.IntN(8) > 0 {
						next[i] = append(next[i], r)
					}
				}
			}
			lists = next
		}
		revise()
		var ids []string
		conns := map[string]string{}
		type sending struct {
			conn, nonce string
			refs        []ResourceRef
		}
		waiting := map[string][]sending{}
		refsOf := func() (refs []ResourceRef) {
			for _, list := range lists {
				for _, r := range list {
					version := r.Version
					if rng.IntN(12) == 0 {
						version = fmt.Sprint("v", rng.IntN(4))
					}
					if rng.IntN(6) > 0 {
						refs = append(refs, ResourceRef{r.Type, r.Name, version})
					}
				}
			}
			return refs
		}
		for step := range 200 {
			now = now.Add(time.Duration(rng.IntN(900)) * time.Millisecond)
			if len(ids) < 4 || rng.IntN(12) == 0 {
				id := fmt.Sprint("n", len(ids))
				ids = append(ids, id)
				if rng.IntN(3) > 0 { // as nodes mostly come
					conns[id] = fmt.Sprint("c", step)
					p.do(func(tr *Tracker) { tr.Desired(id, rev, lists, now) })
					p.do(func(tr *Tracker) { tr.Connected(mesh.Node{ID: id, Build: "1"}, conns[id], "", now) })
				}
			}
			id := ids[rng.IntN(len(ids))]
			if rng.IntN(2) == 0 {
				id = ids[len(ids)-1]
			}
			conn := conns[id]
			switch rng.IntN(14) {
			case 0:
				revise()
				for _, one := range ids {
					if rng.IntN(10) > 0 {
						p.do(func(tr *Tracker) { tr.Desired(one, rev, lists, now) })
					}
				}
			case 1, 2:
				given := lists
				if rng.IntN(6) == 0 {
					given = lists[:1]
				}
				p.do(func(tr *Tracker) { tr.Desired(id, rev, given, now) })
			case 3, 4:
				conns[id] = fmt.Sprint("c", step)
				build := []string{"", "1"}[len(id+conns[id])%2]
				node := mesh.Node{ID: id, Build: build}
				if rng.IntN(3) == 0 {
					node.StartedAt = now
				}
				p.do(func(tr *Tracker) { tr.Connected(node, conns[id], "", now) })
			case 5:
				if rng.IntN(3) == 0 {
					p.do(func(tr *Tracker) { tr.Disconnected(id, conn, "EOF", now) })
				} else {
					held := uint64(rng.IntN(2)) * rev
					p.do(func(tr *Tracker) { tr.Hold(id, held, now) })
				}
			case 6:
				refs := refsOf()
				p.do(func(tr *Tracker) { tr.Holds(id, conn, refs, now) })
			case 7, 8:
				s := sending{conn, fmt.Sprint(step), refsOf()}
				waiting[id] = append(waiting[id], s)
				p.do(func(tr *Tracker) { tr.Sent(id, s.conn, s.nonce, s.refs, now) })
			case 9, 10:
				if len(waiting[id]) == 0 {
					continue
				}
				s := waiting[id][0]
				waiting[id] = waiting[id][1:]
				if rng.IntN(5) == 0 {
					p.do(func(tr *Tracker) { tr.Nacked(id, s.conn, s.nonce, "cluster r1: no", now) })
				} else {
					p.do(func(tr *Tracker) { tr.Acked(id, s.conn, s.nonce, now) })
				}
			case 11, 12:
				var res []AppliedResource
				for _, ref := range refsOf() {
					a := AppliedResource{Type: ref.Type, Name: ref.Name, Version: ref.Version}
					if rng.IntN(2) == 0 {
						a.At = now.Add(-time.Second)
					}
					if rng.IntN(15) == 0 {
						a.Error, a.ErrorVersion = "no", "v1"
					}
					res = append(res, a)
				}
				if rng.IntN(2) == 0 {
					p.do(func(tr *Tracker) { tr.Applied(id, res, rev, now) })
				} else {
					p.do(func(tr *Tracker) { tr.AppliedSince(id, res, rev, now) })
				}
			default:
				p.do(func(tr *Tracker) { tr.Tick(now) })
			}
			for _, n := range p.own.nodes {
				lacked += n.lacking
				for part, i := range n.eachLacked {
					if n.proofs[part.proof[i]-1].acked != 0 {
						moved++
					}
				}
			}
			if step%6 == 0 {
				p.same(ids, now)
			}
		}
	}
	if lacked < 1000 || moved < 500 {
		t.Errorf("%d times something was lacked without a record, %d times it was acknowledged: the test shows little", lacked, moved)
	}
}

// A node that comes, says that it has all, and then that it runs it, needs no
// record on the way.
func TestComingTakesNoRecords(t *testing.T) {
	l, list, ids := sharingLab(t, 2)
	none := func(when string) {
		t.Helper()
		for _, id := range ids {
			if n := l.tr.nodes[id]; len(n.resources)+n.most > 0 {
				t.Errorf("%s: %s has %d records and had up to %d, want none", when, id, len(n.resources), n.most)
			}
		}
	}
	l.desire(ids, 1, list)
	none("desired")
	l.want(ids[0], InFlight, "revision 1 is about to be sent")
	l.run(ids, list, 1)
	none("run")
	l.want(ids[0], Synced, "revision 1")
	if n := l.tr.nodes[ids[0]]; n.lacking != 0 || len(n.proofs) != 1 {
		t.Errorf("lacks %d, keeps %d proofs; want 0 and 1", n.lacking, len(n.proofs))
	}
}

// Nor does one that a server knows from before its restart, which remembers no
// revision but the newest.
func TestComingBackTakesNoRecords(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	tr := New(Options{})
	tr.Accepted(mesh.Revision{Number: 7, At: start.Add(-time.Hour)})
	list := []Resource{{Type: "cluster", Name: "a", Version: "v", Revision: 3}, {Type: "cluster", Name: "b", Version: "v", Revision: 7}}
	for i, id := range []string{"a", "b"} {
		tr.Expected(mesh.Node{ID: id}, start)
		at := start.Add(time.Duration(1+i) * time.Second)
		tr.Desired(id, 7, [][]Resource{list}, at)
		tr.Connected(mesh.Node{ID: id}, "conn-"+id, "", at)
		if n := tr.nodes[id]; len(n.resources)+n.most > 0 || n.lacking != len(list) {
			t.Errorf("%s has %d records, lacks %d without; want 0 and %d", id, len(n.resources), n.lacking, len(list))
		}
		if d, _ := tr.Node(id, at); d.State != InFlight || d.Behind != 2 {
			t.Errorf("%s is %s, %d behind: %s", id, d.State, d.Behind, d.Reason)
		}
	}
}
