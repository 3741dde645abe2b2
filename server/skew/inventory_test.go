package skew

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// A tracker that begins with what an earlier one knew shows the same nodes,
// gone or not, and goes on when they come back.
func TestInventoryOverRestart(t *testing.T) {
	l := newLab(t)
	l.revise(7, map[string]string{"route outbound": "r1"})
	for _, id := range []string{"here", "gone"} {
		l.connect(id, id)
		l.tr.Desired(id, 7, parts(l.all()), l.now)
		l.push(id, id)
	}
	l.tr.Expected(mesh.Node{ID: "never", Workload: mesh.Workload{Namespace: "cinema", Name: "seats"}}, l.now)
	l.pass(time.Minute)
	l.tr.Disconnected("gone", "gone", "EOF", l.now)
	l.pass(time.Minute)
	saved := l.now
	kept, _ := l.tr.Inventory(saved)
	body, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	var read []Kept
	if err := json.Unmarshal(body, &read); err != nil {
		t.Fatal(err)
	}

	l.pass(30 * time.Second) // the server is down
	l.tr = New(Options{Epoch: "e2"})
	l.tr.Restore(read, saved, l.now)
	l.pass(time.Second)
	if s := l.want("here", Disconnected, "the server stopped"); s.Revision != 7 || !s.Since.Equal(saved) {
		t.Errorf("%+v", s)
	}
	if s := l.want("gone", Disconnected, "EOF"); !s.Since.Equal(saved.Add(-time.Minute)) || len(s.History) < 2 {
		t.Errorf("%+v", s)
	}
	if s := l.want("never", NeverConnected, ""); s.Workload.Name != "seats" {
		t.Errorf("%+v", s)
	}
	l.accept(7)
	l.connect("here", "c9")
	l.tr.Desired("here", 7, parts(l.all()), l.now)
	l.push("here", "c9")
	h := l.want("here", Synced, "").History
	var states []string
	for _, tr := range h {
		states = append(states, string(tr.State))
	}
	if got := strings.Join(states, " "); !strings.HasSuffix(got, "synced disconnected synced") && !strings.HasSuffix(got, "synced disconnected in-flight synced") {
		t.Errorf("history %s", got)
	}
	d, _ := l.tr.Node("here", l.now)
	if len(d.Connections) != 2 || d.Connections[0].Reason != "the server stopped" {
		t.Errorf("connections %+v", d.Connections)
	}
}

func TestInventoryIsBounded(t *testing.T) {
	l := newLab(t)
	for i := range keptNodes + 10 {
		l.tr.Described(mesh.Node{ID: fmt.Sprint("n", i)}, l.now.Add(time.Duration(i)*time.Millisecond))
	}
	kept, _ := l.tr.Inventory(l.now.Add(time.Minute))
	if len(kept) != keptNodes || kept[0].Node.ID != fmt.Sprint("n", keptNodes+9) {
		t.Errorf("%d kept, first %s", len(kept), kept[0].Node.ID)
	}
}

func TestTwinsAreNamed(t *testing.T) {
	l := newLab(t)
	l.tr.Connected(mesh.Node{ID: "a"}, "c1", "10.0.0.1:4000", l.now)
	l.tr.Connected(mesh.Node{ID: "a"}, "c2", "10.0.0.2:4000", l.now)
	if s := l.want("a", InFlight, "duplicate: 2 streams use this node ID, from 10.0.0.1:4000 and 10.0.0.2:4000"); s.Duplicate == "" {
		t.Error("not named")
	}
	l.tr.Connected(mesh.Node{ID: "b"}, "c3", "10.0.0.1:4000", l.now)
	l.tr.Connected(mesh.Node{ID: "b"}, "c4", "10.0.0.1:4001", l.now)
	l.want("b", InFlight, "zombie: 2 streams")
	l.tr.Disconnected("b", "c3", "EOF", l.now)
	if s := l.want("b", InFlight, ""); s.Duplicate != "" {
		t.Errorf("still %q", s.Duplicate)
	}
}
