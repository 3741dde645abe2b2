package skew

import (
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// A node that asks every five seconds is not late for not having asked yet, and
// what it has not asked for is not the control plane's delay.
func TestNodeThatAsks(t *testing.T) {
	var stages []string
	l := newLab(t)
	l.tr = New(Options{Observe: func(stage string, _ time.Duration) { stages = append(stages, stage) }})
	const n, c = "web-1", "rest-1"
	l.tr.Connected(mesh.Node{ID: n, PullS: 5}, c, "10.0.0.1:1", l.now)
	l.revise(41, map[string]string{"route outbound": "r1"}, n)
	l.ack(n, c)
	l.want(n, Synced, "")

	l.revise(42, map[string]string{"route outbound": "r2"}, n)
	l.pass(11 * time.Second)
	l.want(n, InFlight, "")
	l.pass(2 * time.Second)
	if s := l.want(n, Slow, "has not asked for revision 42, which waits for 13 s; it asks every 5s"); s.WaitsOn != OnNode || s.PullS != 5 {
		t.Errorf("waits on %q, asks every %v s; want the node, 5", s.WaitsOn, s.PullS)
	}
	l.pass(18 * time.Second)
	l.want(n, Stale, "has not asked for revision 42, which waits for 31 s; it asks every 5s")
	l.ack(n, c)
	l.want(n, Synced, "")
	for _, s := range stages {
		if s == StageQueue || s == StageAck {
			t.Errorf("stage %s is measured, though it is the node's own pace", s)
		}
	}

	// With a stream it is judged as all are.
	l.tr.Connected(mesh.Node{ID: n}, "ads-2", "10.0.0.1:2", l.now)
	l.tr.Disconnected(n, c, "it has not asked for 15s", l.now)
	l.revise(43, map[string]string{"route outbound": "r3"}, n)
	l.pass(3 * time.Second)
	if s := l.want(n, Slow, "revision 43 has not been sent for 3 s"); s.WaitsOn != OnControlPlane {
		t.Errorf("waits on %q, want the control plane", s.WaitsOn)
	}
}
