package skew

import (
	"fmt"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestTrafficByRevision(t *testing.T) {
	tr := NewTraffic()
	at := time.Date(2026, 11, 3, 3, 0, 0, 0, time.UTC)
	add := func(node string, when time.Time, ok, bad float64) {
		tr.Add(mesh.EdgeBatch{Node: node, At: when, Up: true, Deltas: []mesh.EdgeDelta{
			{
				Key: mesh.EdgeKey{Protocol: mesh.HTTP}, Requests: map[mesh.Outcome]float64{{Code: 200}: ok, {Code: 503}: bad},
				Latency: mesh.Histogram{Count: ok + bad, Sum: 1, Buckets: []mesh.Bucket{{Lower: 0, Upper: 100, Count: ok + bad}}},
			},
			{Key: mesh.EdgeKey{Protocol: mesh.TCP}, Requests: map[mesh.Outcome]float64{{Code: 0}: 1000}},
		}})
	}
	var nodes []NodeStatus
	for i := range 12 {
		id := fmt.Sprint("new-", i)
		nodes = append(nodes, NodeStatus{ID: id, Connected: true, Revision: 42})
		add(id, at.Add(-10*time.Second), 97, 3)
		add(id, at.Add(-5*time.Minute), 0, 100) // before the window
	}
	nodes = append(nodes, NodeStatus{ID: "old", Connected: true, Revision: 41}, NodeStatus{ID: "gone", Revision: 40})
	add("old", at.Add(-20*time.Second), 999, 1)
	add("gone", at, 0, 5)
	got := tr.ByRevision(nodes, time.Minute, at)
	if len(got) != 2 || got[0].Revision != 42 || got[0].Nodes != 12 || got[0].ErrorRatio != 0.03 || got[0].RPS != 20 || got[0].P95MS == nil ||
		got[1].Revision != 41 || got[1].ErrorRatio != 0.001 {
		t.Errorf("%+v", got)
	}
	if requests, bad := tr.Errors([]string{"new-1", "old"}, at.Add(-time.Minute), at); requests != 1100 || bad != 4 {
		t.Errorf("%g requests, %g failed", requests, bad)
	}
	if requests, _ := tr.Errors([]string{"old"}, at.Add(time.Hour), at.Add(2*time.Hour)); requests != 0 {
		t.Errorf("%g requests an hour later", requests)
	}
}
