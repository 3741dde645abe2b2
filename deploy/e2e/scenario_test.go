package e2e

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const lagging = "tickets-2.booking"

// awaitNode waits until one node is in one of the states, while all others are
// synced or about to be.
func awaitNode(t *testing.T, m *meshUnderTest, id string, states ...string) nodeStatus {
	t.Helper()
	var n nodeStatus
	eventually(t, 40*time.Second, id+" is "+strings.Join(states, " or "), func() error {
		var v nodesView
		if err := m.try("/api/v1/nodes", &v); err != nil {
			return err
		}
		if n = v.node(id); !slices.Contains(states, n.State) {
			return fmt.Errorf("%+v", n)
		}
		for _, other := range v.Nodes {
			if other.ID != id && other.State != "synced" {
				return fmt.Errorf("%s is %s: %s", other.ID, other.State, other.Reason)
			}
		}
		return nil
	})
	return n
}

func TestSkew(t *testing.T) {
	t.Parallel()
	m := startDemo(t, "--scenario", "skew")
	n := awaitNode(t, m, lagging, "slow", "stale")
	if n.Reason == "" || n.Lag <= 0 || n.Behind < 1 {
		t.Errorf("%+v: want a reason, a lag and at least one revision behind", n)
	}
	t.Logf("%s: %s, %d behind, lag %.1f s: %s", n.ID, n.State, n.Behind, n.Lag, n.Reason)

	var v nodesView
	m.get(t, "/api/v1/nodes", &v)
	if v.Summary.Synced < sidecars-1-1 || v.Desired.Number <= n.Revision {
		t.Errorf("%d synced, desired %d, %s runs %d", v.Summary.Synced, v.Desired.Number, n.ID, n.Revision)
	}
	table := m.cli(t, "nodes").must(t)
	wantAll(t, "nodes", table, lagging, "WHY", "synced")
	if first := strings.Split(table[strings.Index(table, "NODE "):], "\n")[1]; !strings.HasPrefix(first, lagging) {
		t.Errorf("the lagging node does not stand first:\n%s", table)
	}
	if got := m.cli(t, "nodes", "--check"); got.code != 1 || !strings.Contains(got.stderr, "do not run the desired configuration") {
		t.Errorf("nodes --check: exit code %d, want 1:\n%s", got.code, got.stderr)
	}
	if got := m.cli(t, "nodes", "tickets-1.booking", "--check"); got.code != 0 && !strings.Contains(got.stderr, "in-flight") {
		t.Errorf("nodes tickets-1.booking --check: exit code %d:\n%s%s", got.code, got.stdout, got.stderr)
	}
	if got := m.cli(t, "nodes", "nobody.nowhere"); got.code != 3 {
		t.Errorf("an unknown node: exit code %d, want 3:\n%s", got.code, got.stderr)
	}

	detail := decode[nodeStatus](t, m.cli(t, "nodes", lagging, "-o", "json").must(t))
	different := 0
	for _, r := range detail.Resources {
		if r.Desired != r.Applied {
			different++
			t.Logf("%s %s: desired %s, applied %s", r.Type, r.Name, r.Desired, r.Applied)
		}
	}
	if different == 0 {
		t.Errorf("%s lags, but no resource differs", lagging)
	}
	wantAll(t, "nodes "+lagging, m.cli(t, "nodes", lagging).must(t), "DESIRED", "APPLIED", "lag", "route")
	checkServing(t, m, "POST", "/tickets?card=good", http.StatusCreated)
	checkEvent(t, m, "Configuration sync: Stale A", "Configuration sync: Revisions behind A",
		"Configuration sync: Where a push spends its time A", "Configuration sync: Pushes by cause A")
	// The next change of the story reaches nobody.
	m.cli(t, "config", "rollout", "hold", "--reason", "a look at the panels").must(t)
	checkEvent(t, m, "Configuration sync: Roll-out A", "Configuration sync: Held back A")
}

func TestNack(t *testing.T) {
	t.Parallel()
	m := startDemo(t, "--scenario", "nack")
	n := awaitNode(t, m, lagging, "rejected")
	t.Logf("%s: %s", n.ID, n.Reason)
	wantAll(t, "the reason", n.Reason, "refused", "outbound|8080|canary|payments")
	wantAll(t, "nodes", m.cli(t, "nodes").must(t), "rejected", "refused", fmt.Sprintf("%d of %d nodes run it", sidecars-1, sidecars))
	if got := m.cli(t, "nodes", "--check"); got.code != 1 {
		t.Errorf("nodes --check: exit code %d, want 1", got.code)
	}
	if got := m.cli(t, "nodes", lagging, "--check"); got.code != 1 || !strings.Contains(got.stderr, "rejected") {
		t.Errorf("nodes %s --check: exit code %d, want 1:\n%s", lagging, got.code, got.stderr)
	}
	if got := m.cli(t, "nodes", "tickets-1.booking", "--check"); got.code != 0 {
		t.Errorf("nodes tickets-1.booking --check: exit code %d, want 0:\n%s", got.code, got.stderr)
	}
	var detail nodeStatus
	m.get(t, "/api/v1/nodes/"+lagging, &detail)
	refused := 0
	for _, r := range detail.Resources {
		if r.State == "rejected" && r.Error != "" {
			refused++
		}
	}
	if refused == 0 {
		t.Errorf("no resource of %s carries the refusal: %+v", lagging, detail.Resources)
	}
	// The last good configuration serves on.
	checkServing(t, m, "POST", "/tickets?card=good", http.StatusCreated)
	checkEvent(t, m, "Configuration sync: Rejected A", "Configuration sync: Rejections by type A")
}

func TestCanary(t *testing.T) {
	t.Parallel()
	m := startDemo(t, "--scenario", "canary", "--rate", "40")
	seen := map[float64]bool{}
	follows := 0
	eventually(t, 45*time.Second, "traffic follows three weights", func() error {
		var v graphView
		if err := m.try("/api/v1/graph?window=5s", &v); err != nil {
			return err
		}
		v1, v2 := v.edge("web", "catalog-v1"), v.edge("web", "catalog-v2")
		if v1 == nil || v2 == nil || v2.Weight == nil {
			return fmt.Errorf("v1 %+v, v2 %+v", v1, v2)
		}
		configured, actual := v2.Weight.Configured, v2.Weight.Actual
		// Five seconds hold some 150 requests, drawn by chance: 8 % off is two
		// standard deviations, and far less than a step of weights, 25 %.
		if !seen[configured] && math.Abs(configured-actual) < 0.08 && v1.RPS+v2.RPS > 10 {
			seen[configured] = true
			follows++
			t.Logf("configured %.0f %%, actual %.1f %%", 100*configured, 100*actual)
		}
		if follows < 3 {
			return fmt.Errorf("configured %.2f, actual %.3f; so far %v", configured, actual, seen)
		}
		return nil
	})
}
