package skew

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func (l *lab) lineage(objects ...string) string {
	var out []string
	for _, n := range l.tr.Lineage(objects, 0, l.now) {
		var parts []string
		for _, p := range n.Resources {
			parts = append(parts, fmt.Sprintf("%s %s %s/%s", p.Type, p.Name, p.Applied, p.Desired))
		}
		out = append(out, fmt.Sprintf("%s has=%t %s [%s]", n.ID, n.Has, n.State, strings.Join(parts, ", ")))
	}
	return strings.Join(out, "\n")
}

func TestLineage(t *testing.T) {
	l := newLab(t)
	want := func(what, want string) {
		t.Helper()
		if diff := cmp.Diff(want, l.lineage("VirtualService cinema/a")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	for _, n := range []string{"n1", "n2"} {
		l.tr.Connected(mesh.Node{ID: n}, "c-"+n, "", l.now)
	}
	l.revise(1, map[string]string{"cluster a": "a1", "cluster b": "b1"}, "n1", "n2")
	l.tr.Sent("n1", "c-n1", "1", []ResourceRef{{Type: "cluster", Name: "a", Version: "a1"}, {Type: "cluster", Name: "b", Version: "b1"}}, l.now)
	l.tr.Acked("n1", "c-n1", "1", l.now)
	want("one has it", "n1 has=true synced [cluster a a1/a1]\nn2 has=false in-flight [cluster a /a1]")

	l.tr.Sent("n2", "c-n2", "1", []ResourceRef{{Type: "cluster", Name: "a", Version: "a1"}}, l.now)
	l.tr.Nacked("n2", "c-n2", "1", "no", l.now)
	want("one refuses", "n1 has=true synced [cluster a a1/a1]\nn2 has=false rejected [cluster a /a1]")

	if got := fmt.Sprint(l.tr.Lacking(nil, l.now)); got != "[{VirtualService cinema/a 1 1} {VirtualService cinema/b 1 0}]" {
		t.Errorf("lacking: %s", got)
	}

	// A revision that is accepted and not prepared for a node yet: nobody can say
	// that it has all of the object.
	l.accept(2)
	want("not told yet", "n1 has=false in-flight [cluster a a1/a1]\nn2 has=false rejected [cluster a /a1]")
	l.revise(2, map[string]string{"cluster b": "b2"}, "n1", "n2")
	want("untouched by it", "n1 has=true synced [cluster a a1/a1]\nn2 has=false rejected [cluster a /a1]")

	l.tr.Disconnected("n2", "c-n2", "gone", l.now)
	l.pass(time.Minute)
	want("gone", "n1 has=true synced [cluster a a1/a1]\nn2 has=false disconnected [cluster a /a1]")
	if got := l.lineage("VirtualService cinema/none"); got != "" {
		t.Errorf("of no object: %s", got)
	}
}

// A resource that came from two objects is behind by what changed in one of
// them: the other is there as it is.
func TestLineageOfWhatIsUnchanged(t *testing.T) {
	l := newLab(t)
	outbound := func(revision uint64) [][]Resource {
		l.accept(revision)
		return parts([]Resource{{
			Type: "route", Name: "outbound", Version: fmt.Sprint("r", revision), Revision: revision,
			Objects: []string{"VirtualService cinema/changed", "VirtualService cinema/same"},
		}})
	}
	since := map[string]uint64{"VirtualService cinema/changed": 2, "VirtualService cinema/same": 1}
	l.tr.Connected(mesh.Node{ID: "n"}, "c", "", l.now)
	l.tr.Desired("n", 1, outbound(1), l.now)
	l.tr.Sent("n", "c", "1", []ResourceRef{{Type: "route", Name: "outbound", Version: "r1"}}, l.now)
	if got := fmt.Sprint(l.tr.Lacking(since, l.now)); got != "[{VirtualService cinema/changed 1 0} {VirtualService cinema/same 1 0}]" {
		t.Errorf("not acknowledged yet, lacking: %s", got)
	}
	l.tr.Acked("n", "c", "1", l.now)
	l.tr.Desired("n", 2, outbound(2), l.now)
	l.tr.Sent("n", "c", "2", []ResourceRef{{Type: "route", Name: "outbound", Version: "r2"}}, l.now)
	l.tr.Nacked("n", "c", "2", "no", l.now)

	if got := fmt.Sprint(l.tr.Lacking(since, l.now)); got != "[{VirtualService cinema/changed 1 1}]" {
		t.Errorf("refused, lacking: %s", got)
	}
	for object, want := range map[string]bool{"VirtualService cinema/changed": false, "VirtualService cinema/same": true} {
		if got := l.tr.Lineage([]string{object}, since[object], l.now); len(got) != 1 || got[0].Has != want || got[0].State != Rejected {
			t.Errorf("%s: %+v, want has %t", object, got, want)
		}
	}
}
