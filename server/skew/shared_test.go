package skew

import (
	"fmt"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// sharingLab makes a lab of nodes that share one list of resources.
func sharingLab(t *testing.T, nodes int) (l *lab, list []Resource, ids []string) {
	l = newLab(t)
	for i := range 200 {
		list = append(list, Resource{Type: mesh.TypeCluster, Name: fmt.Sprintf("c-%03d", i), Version: "v1", Revision: 1, Objects: []string{"ServiceEntry shop/all"}})
	}
	l.accept(1)
	for i := range nodes {
		ids = append(ids, fmt.Sprintf("node-%d", i))
		l.connect(ids[i], "c-"+ids[i])
	}
	return l, list, ids
}

// desire gives all nodes a list, run has them take it.
func (l *lab) desire(ids []string, revision uint64, list []Resource) {
	for _, id := range ids {
		l.tr.Desired(id, revision, [][]Resource{list}, l.now)
	}
}

func (l *lab) run(ids []string, list []Resource, revision uint64) {
	for _, id := range ids {
		var refs []ResourceRef
		var applied []AppliedResource
		for _, r := range list {
			refs = append(refs, ResourceRef{r.Type, r.Name, r.Version})
			applied = append(applied, AppliedResource{Type: r.Type, Name: r.Name, Version: r.Version, At: l.now})
		}
		l.nonce++
		nonce := fmt.Sprint(l.nonce)
		l.tr.Sent(id, "c-"+id, nonce, refs, l.now)
		l.tr.Acked(id, "c-"+id, nonce, l.now)
		l.tr.Applied(id, applied, revision, l.now)
	}
}

// A node that runs what it should keeps no record of single resources, and yet
// everything can be told of them; one that does otherwise gets its record back.
func TestWhatNodesShareIsKeptOnce(t *testing.T) {
	l, list, ids := sharingLab(t, 3)
	l.desire(ids, 1, list)
	l.run(ids, list, 1)
	for _, id := range ids {
		n := l.tr.nodes[id]
		if len(n.resources) > 0 || len(n.push.resources) > 0 || len(n.proofs) != 1 {
			t.Errorf("%s: %d records, %d in its push, %d proofs; want 0, 0, 1", id, len(n.resources), len(n.push.resources), len(n.proofs))
		}
	}
	if len(l.tr.lists) != 1 {
		t.Errorf("%d lists are kept, want 1", len(l.tr.lists))
	}
	d, _ := l.tr.Node(ids[0], l.now)
	if len(d.Resources) != 200 || d.Resources[7].Applied != "v1" || !d.Resources[7].AckedAt.Equal(l.now) || d.Resources[7].Objects[0] != "ServiceEntry shop/all" {
		t.Errorf("%d resources, the eighth %+v", len(d.Resources), d.Resources[7])
	}

	acked := l.now
	l.pass(time.Minute)
	next := append([]Resource{}, list...)
	next[7].Version, next[7].Revision = "v2", 2
	next = append(next[:100], next[101:]...) // and one is gone
	l.accept(2)
	l.desire(ids, 2, next)
	l.want(ids[0], InFlight, "revision 2")
	if n := l.tr.nodes[ids[0]]; len(n.resources) != 2 {
		t.Errorf("%d records, want those of the two that changed", len(n.resources))
	}
	l.run(ids, next, 2)
	l.want(ids[0], Synced, "revision 2")
	d, _ = l.tr.Node(ids[0], l.now)
	if len(d.Resources) != 199 || d.Resources[7].Applied != "v2" || len(l.tr.nodes[ids[0]].resources) != 0 {
		t.Errorf("%d resources, the eighth %+v", len(d.Resources), d.Resources[7])
	}
	if !d.Resources[8].SentAt.Equal(l.now) || d.Resources[8].AppliedAt.Equal(l.now) || !d.Resources[8].AppliedAt.Equal(acked) {
		t.Errorf("one that was sent again, and ran before: %+v", d.Resources[8])
	}
	if len(l.tr.lists) != 1 {
		t.Errorf("%d lists are kept, want the newest alone", len(l.tr.lists))
	}

	// One node falls back: the old version still has a name.
	old := append([]Resource{}, next...)
	old[7].Version = "v1"
	l.pass(time.Minute)
	var applied []AppliedResource
	for _, r := range old {
		applied = append(applied, AppliedResource{Type: r.Type, Name: r.Name, Version: r.Version})
	}
	l.tr.Applied(ids[1], applied, 2, l.now)
	l.pass(3 * time.Second)
	l.want(ids[1], Drifted, "still runs revision 1 of cluster c-007")
	l.want(ids[2], Synced, "")

	if got := l.tr.Lineage([]string{"ServiceEntry shop/all"}, 0, l.now); len(got) != 3 || len(got[0].Resources) != 199 || !got[0].Has || got[1].Has {
		t.Errorf("lineage of %d nodes: %+v", len(got), got)
	}
	for _, id := range ids {
		l.tr.Forget(id)
	}
	if len(l.tr.lists) != 0 {
		t.Errorf("%d lists are kept for nobody", len(l.tr.lists))
	}
}

// A node that a roll-out let go is not late: it could not have the revision
// before.
func TestLetGoIsNotLate(t *testing.T) {
	l, list, ids := sharingLab(t, 1)
	l.desire(ids, 1, list)
	l.run(ids, list, 1)
	next := append([]Resource{}, list...)
	next[7].Version, next[7].Revision = "v2", 2
	l.accept(2)
	l.tr.Hold(ids[0], 1, l.now)
	l.desire(ids, 2, list)
	l.pass(time.Minute)
	l.want(ids[0], Synced, "holds revision 2 back")
	l.desire(ids, 2, next)
	l.tr.Hold(ids[0], 0, l.now)
	if n := l.want(ids[0], InFlight, "revision 2"); n.LagS != 0 {
		t.Errorf("it lags by %v s", n.LagS)
	}
	l.run(ids, next, 2)
	for _, tr := range l.want(ids[0], Synced, "").History {
		if tr.State != Synced && tr.State != InFlight {
			t.Errorf("the history says %s at %s", tr.State, tr.At.Sub(l.start))
		}
	}
}
