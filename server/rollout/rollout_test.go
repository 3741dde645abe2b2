package rollout

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// ratios is traffic by heart: a ratio for each node, 100 requests each.
type ratios map[string]float64

func (r ratios) Errors(nodes []string, _, _ time.Time) (requests, failed float64) {
	for _, id := range nodes {
		requests, failed = requests+100, failed+100*r[id]
	}
	return requests, failed
}

type lab struct {
	*testing.T
	m       *Machine
	disk    []byte
	policy  Policy
	traffic ratios
	nodes   []skew.NodeStatus
	now     time.Time
}

func newLab(t *testing.T, p Policy) *lab {
	l := &lab{T: t, policy: p, traffic: ratios{}, now: time.Date(2026, 11, 3, 3, 0, 0, 0, time.UTC)}
	l.restart()
	for i := range 20 {
		l.nodes = append(l.nodes, skew.NodeStatus{ID: fmt.Sprintf("n%02d", i), Connected: true, State: skew.Synced, Revision: 41})
	}
	l.begin(41, "VirtualService")
	return l
}

// restart is a kill: only what is on disk is known.
func (l *lab) restart() {
	var s State
	if l.disk != nil {
		if err := json.Unmarshal(l.disk, &s); err != nil {
			l.Fatal(err)
		}
	}
	l.m = New(l.policy, l.traffic, s, func(s State) error {
		var err error
		l.disk, err = json.Marshal(s)
		return err
	})
}

func (l *lab) begin(n uint64, kind string) uint64 {
	base, err := l.m.Begin(mesh.Revision{Number: n, Objects: []mesh.Change{{Kind: kind}}}, l.now)
	if err != nil {
		l.Fatal(err)
	}
	return base
}

func (l *lab) step(d time.Duration) bool {
	l.now = l.now.Add(d)
	changed, err := l.m.Step(l.nodes, l.now)
	if err != nil {
		l.Fatal(err)
	}
	return changed
}

// deliver makes every node that is not held run the target.
func (l *lab) deliver() (held int) {
	for i := range l.nodes {
		if l.m.Holds(l.nodes[i].ID) {
			held++
			continue
		}
		l.nodes[i].Revision = l.m.State().Target
	}
	return held
}

func (l *lab) want(phase, reason string) {
	l.Helper()
	if s := l.m.State(); s.Phase != phase || !strings.Contains(s.Reason, reason) {
		l.Fatalf("%s: %s, want %s: %s", s.Phase, s.Reason, phase, reason)
	}
}

func TestCanaryThenAll(t *testing.T) {
	l := newLab(t, Policy{Percent: 10, Watch: 30 * time.Second})
	l.want(Done, "at once")
	if base := l.begin(42, "VirtualService"); base != 41 {
		t.Fatalf("base %d", base)
	}
	if held := l.deliver(); held != 20 {
		t.Fatalf("%d held before the canary is chosen", held)
	}
	if !l.step(time.Second) {
		t.Fatal("no canary was chosen")
	}
	for range 3 { // killed at any point it goes on
		l.restart()
		if base := l.begin(42, "VirtualService"); base != 41 {
			t.Fatalf("base %d after a restart", base)
		}
		if held := l.deliver(); held != 18 {
			t.Fatalf("%d held", held)
		}
		l.step(time.Second)
	}
	l.want(Canary, "watched for 30s")
	l.step(10 * time.Second)
	l.want(Canary, "")
	if !l.step(30*time.Second) || l.deliver() != 0 {
		t.Fatal("the rest does not go")
	}
	l.want(Done, "well for 30s")
	l.restart()
	if base := l.begin(42, "VirtualService"); base != 0 {
		t.Errorf("held again after it was done: %d", base)
	}
}

func TestHolds(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*lab, *skew.NodeStatus)
		reason string
	}{
		"a refusal": {func(_ *lab, n *skew.NodeStatus) { n.State, n.Reason = skew.Rejected, "refused route outbound" }, "refused route outbound"},
		"errors":    {func(l *lab, n *skew.NodeStatus) { l.traffic[n.ID] = 0.03 }, "3.0 % of the canary's requests fail"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, Policy{Percent: 5, Watch: 30 * time.Second})
			l.begin(42, "VirtualService")
			l.step(time.Second)
			l.deliver()
			l.step(time.Second)
			canary := l.m.State().Canary[0]
			for i := range l.nodes {
				if l.nodes[i].ID == canary {
					c.change(l, &l.nodes[i])
				}
			}
			l.step(time.Second)
			l.want(Held, c.reason)
			l.step(time.Hour)
			l.restart()
			if base := l.begin(42, "VirtualService"); base != 41 || l.deliver() != 19 {
				t.Error("a restart lets it go on")
			}
			// The next revision is a new try; what is whole stays the base.
			if base := l.begin(43, "VirtualService"); base != 41 {
				t.Errorf("base %d", base)
			}
			l.want(Canary, "")
			if _, err := l.m.Resume("ada", l.now); err != nil || l.deliver() != 0 {
				t.Error("not resumed")
			}
			l.want(Done, "resumed by ada")
		})
	}
}

func TestErrorsOfEverybodyAreNotTheCanarys(t *testing.T) {
	l := newLab(t, Policy{Percent: 5, Watch: 10 * time.Second})
	for _, n := range l.nodes {
		l.traffic[n.ID] = 0.2
	}
	l.begin(42, "VirtualService")
	l.step(time.Second)
	l.deliver()
	l.step(time.Second)
	l.step(20 * time.Second)
	l.want(Done, "well")
}

func TestByHand(t *testing.T) {
	l := newLab(t, Policy{})
	if base := l.begin(42, "VirtualService"); base != 0 {
		t.Fatalf("base %d without a policy", base)
	}
	if _, err := l.m.Hold("ada", "release freeze", l.now); err != nil {
		t.Fatal(err)
	}
	if base := l.begin(43, "VirtualService"); base != 42 || l.deliver() != 20 {
		t.Errorf("base %d after a hold", base)
	}
	l.want(Held, "held by ada: release freeze")
	if _, err := l.m.Resume("ada", l.now); err != nil || l.deliver() != 0 {
		t.Error("not resumed")
	}
}

// A hold between two revisions lets the next one go to the canary, and says so
// until somebody resumes.
func TestHeldByHandWithACanary(t *testing.T) {
	l := newLab(t, Policy{Percent: 5, Watch: time.Second})
	l.begin(42, "VirtualService")
	for range 3 {
		l.step(5 * time.Second)
		l.deliver()
	}
	if s, err := l.m.Hold("ada", "", l.now); err != nil || s.Phase != Done || s.Stopped() {
		t.Errorf("%+v, %v", s, err)
	}
	l.begin(43, "VirtualService")
	for range 5 {
		l.step(5 * time.Second)
		l.deliver()
	}
	l.want(Canary, "the canary runs revision 43 and is watched for 1s; held by ada")
	if s := l.m.State(); !s.Stopped() {
		t.Errorf("%+v goes on by itself", s)
	}
	if s, err := l.m.Resume("eve", l.now); err != nil || s.Phase != Done || s.HeldFor != "" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestNamedNodesAndEndpoints(t *testing.T) {
	l := newLab(t, Policy{Nodes: []string{"n03"}, Watch: time.Second})
	if base := l.begin(42, "WorkloadEntry"); base != 0 {
		t.Error("endpoints wait for a canary")
	}
	l.begin(43, "DestinationRule")
	l.step(time.Second)
	if l.m.Holds("n03") || !l.m.Holds("n04") {
		t.Error("not the named one")
	}
}
