package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// alertsOf gives the alerts of a rule, firing or about to.
func alertsOf(m api, rule string) ([]activeAlert, error) {
	var v struct {
		Alerts []activeAlert `json:"alerts"`
	}
	if err := m.try("/api/v1/alerts", &v); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(v.Alerts, func(a activeAlert) bool { return a.Rule != rule }), nil
}

type activeAlert struct {
	Rule        string `json:"rule"`
	State       string `json:"state"`
	Severity    string `json:"severity"`
	Summary     string `json:"summary"`
	Description string `json:"description"`
	Runbook     string `json:"runbook"`
	Detail      string `json:"detail"`
	About       *struct {
		Kind string `json:"kind"`
		ID   string `json:"id"`
	} `json:"about"`
}

// awaitAlert waits until a rule speaks of a node, or of the mesh when node is
// "", in one of the states.
func awaitAlert(t *testing.T, m api, rule, node string, states ...string) {
	t.Helper()
	eventually(t, 90*time.Second, fmt.Sprintf("%s %s", rule, strings.Join(states, " or ")), func() error {
		alerts, err := alertsOf(m, rule)
		if err != nil {
			return err
		}
		for _, a := range alerts {
			if slices.Contains(states, a.State) && (node == "" || a.About != nil && a.About.Kind == "node" && a.About.ID == node) {
				return nil
			}
		}
		return fmt.Errorf("alerts %+v", alerts)
	})
}

// mean gives the mean of a stage of all pushes so far, in seconds.
func mean(m *meshUnderTest, stage string) (float64, error) {
	var v struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	const name = "sidelight_config_push_stage_seconds"
	of := fmt.Sprintf(`{stage=%q}`, stage)
	if err := m.try("/prometheus/api/v1/query"+query("query", name+"_sum"+of+" / "+name+"_count"+of), &v); err != nil {
		return 0, err
	}
	if len(v.Data.Result) != 1 {
		return 0, fmt.Errorf("stage %s: %d series, want one", stage, len(v.Data.Result))
	}
	return strconv.ParseFloat(fmt.Sprint(v.Data.Result[0].Value[1]), 64)
}

// TestSlowPlane: some nodes lag. Who, and is it the control plane or the node?
func TestSlowPlane(t *testing.T) {
	t.Parallel()
	m := startDemo(t, "--scenario", "slow-plane")
	const itself = "tickets-2.booking" // takes 3 s by itself
	plane := map[string]string{}
	var own string
	eventually(t, 90*time.Second, "nodes that wait for the control plane, and one that has what it lacks", func() error {
		var v nodesView
		if err := m.try("/api/v1/nodes", &v); err != nil {
			return err
		}
		for _, n := range v.Nodes {
			switch {
			case n.State == "slow" && n.WaitsOn == "control-plane":
				plane[n.ID] = n.Reason
			case n.ID == itself && n.WaitsOn == "node" && n.State != "synced":
				own = n.Reason
			}
		}
		if len(plane) < 3 || own == "" {
			return fmt.Errorf("control plane: %v; %s: %q", plane, itself, own)
		}
		return nil
	})
	for id, reason := range plane {
		wantAll(t, id, reason, "has not been sent", "waits in the control plane")
	}
	t.Logf("%s: %s", itself, own)

	eventually(t, 60*time.Second, "nodes says who waits for whom", func() error {
		got := m.cli(t, "nodes", "-o", "wide")
		for _, want := range []string{"wait for the control plane to send", "WAITS ON", "control-plane", "has not been sent"} {
			if !strings.Contains(got.stdout, want) {
				return fmt.Errorf("no %q in:\n%s%s", want, got.stdout, got.stderr)
			}
		}
		return nil
	})
	// The stages of all pushes tell the same: most time goes into the queue, and
	// the one slow node shows in ack.
	stages := map[string]float64{}
	eventually(t, 60*time.Second, "the stages tell where the time goes", func() error {
		for _, stage := range []string{"queue", "ack", "apply"} {
			v, err := mean(m, stage)
			if err != nil {
				return err
			}
			stages[stage] = v
		}
		if stages["queue"] < 4*stages["apply"] || stages["queue"] < 1 {
			return fmt.Errorf("mean seconds by stage: %v", stages)
		}
		return nil
	})
	t.Logf("mean seconds by stage: %v", stages)
	awaitAlert(t, m.api, "SidelightControlPlaneSlow", "", "firing")
	wantAll(t, "alerts", m.cli(t, "alerts").must(t), "The control plane takes")
	checkServing(t, m, "POST", "/tickets?card=good", http.StatusCreated)
}

// TestNeverConnected: a sidecar started and never reached the control plane.
// Who notices?
func TestNeverConnected(t *testing.T) {
	t.Parallel()
	m := startDemo(t, "--scenario", "never-connected")
	lost := m.sidecar(t, "tickets-3.booking") // it runs
	inbound, _, _ := strings.Cut(lost.flag("--inbound"), "=")
	id := "expected~booking/tickets@" + inbound
	n := awaitNode(t, m, id, "never-connected")
	wantAll(t, "the reason", n.Reason, "has never connected")
	if n.Connected || n.Revision != 0 {
		t.Errorf("%+v: want no connection and no revision", n)
	}
	table := m.cli(t, "nodes").must(t)
	wantAll(t, "nodes", table, id, "never-connected", fmt.Sprintf("%d of %d nodes run it", sidecars, sidecars+1))
	if got := m.cli(t, "nodes", id, "--check"); got.code != 1 || !strings.Contains(got.stderr, "never-connected") {
		t.Errorf("nodes %s --check: exit code %d:\n%s", id, got.code, got.stderr)
	}
	awaitAlert(t, m.api, "SidelightNodeNeverConnected", id, "pending", "firing")
	checkServing(t, m, "POST", "/tickets?card=good", http.StatusCreated)
}

// TestDrift: a node acknowledges a change and runs on with what it had. What
// would the mesh do with a request there?
func TestDrift(t *testing.T) {
	t.Parallel()
	m := startDemo(t, "--scenario", "drift")
	n := awaitNode(t, m, lagging, "drifted")
	wantAll(t, "the reason", n.Reason, "acknowledged revision", "but still runs revision 1 of route outbound")
	var detail nodeStatus
	m.get(t, "/api/v1/nodes/"+lagging, &detail)
	different := 0
	for _, r := range detail.Resources {
		if r.State == "drifted" {
			different++
			if r.Type != "route" || r.Acked != r.Desired || r.Applied == r.Acked || r.Applied == "" {
				t.Errorf("%+v: want a route that is acknowledged as desired and runs as it was", r)
			}
		}
	}
	if different == 0 {
		t.Errorf("no resource of %s has drifted: %+v", lagging, detail.Resources)
	}
	wantAll(t, "nodes "+lagging, m.cli(t, "nodes", lagging).must(t), "drifted", "ACKED", "APPLIED", "still runs revision 1")
	awaitAlert(t, m.api, "SidelightNodeConfigDrifted", lagging, "firing")
	wantAll(t, "alerts", m.cli(t, "alerts").must(t), lagging, "runs other than it acknowledged")

	// The object that changed is new since the first revision, so what runs
	// there has no route of that name.
	request := []string{"config", "explain", "POST", "http://tickets/v1/tickets", "--check"}
	there := m.cli(t, append(request, "--node", lagging)...)
	if there.code != 1 || !strings.Contains(there.stdout, "does NOT run what revision") {
		t.Errorf("explain at %s: exit code %d, want 1:\n%s%s", lagging, there.code, there.stdout, there.stderr)
	}
	t.Logf("explain at %s:\n%s", lagging, there.stdout)
	if got := m.cli(t, "config", "diff", "--node", lagging, "--exit-code"); got.code != 1 || !strings.Contains(got.stdout, "changed route outbound") {
		t.Errorf("what %s runs against what it should: exit code %d, want 1:\n%s%s", lagging, got.code, got.stdout, got.stderr)
	}
	eventually(t, 40*time.Second, "the other instance decides as desired", func() error {
		if here := m.cli(t, append(request, "--node", "tickets-1.booking")...); here.code != 0 {
			return fmt.Errorf("exit code %d:\n%s%s", here.code, here.stdout, here.stderr)
		}
		return nil
	})

	// What changed between then and now, of the configuration and of the traffic.
	wantAll(t, "config diff", m.cli(t, "config", "diff", "1", "2").must(t), "VirtualService", "booking/tickets")
	wantAll(t, "config revisions", m.cli(t, "config", "revisions").must(t), "VirtualService booking/tickets")
	type marker struct {
		Kind     string `json:"kind"`
		Revision uint64 `json:"revision"`
	}
	var timeline struct {
		Markers []marker `json:"markers"`
	}
	m.get(t, "/api/v1/timeline", &timeline)
	if !slices.Contains(timeline.Markers, marker{"config", 2}) {
		t.Errorf("revision 2 is no marker of the timeline: %+v", timeline.Markers)
	}
}

// TestMixedBuilds: two builds during an upgrade. Who runs which, and does it
// matter?
func TestMixedBuilds(t *testing.T) {
	t.Parallel()
	m := startDemo(t, "--scenario", "mixed-builds")
	old := []string{"posters-1.catalog", "tickets-2.booking"}
	eventually(t, 60*time.Second, "the two old builds cannot run the newest revision, all others do", func() error {
		var v nodesView
		if err := m.try("/api/v1/nodes", &v); err != nil {
			return err
		}
		for _, n := range v.Nodes {
			if !slices.Contains(old, n.ID) {
				if n.State != "synced" || n.Build == "v0.0.9" {
					return fmt.Errorf("%+v", n)
				}
				continue
			}
			if n.State != "unsupported" || n.Build != "v0.0.9" {
				return fmt.Errorf("%+v", n)
			}
			if !regexp.MustCompile(`hash_policy: not supported by build v0\.0\.9`).MatchString(n.Reason) {
				return errors.New(n.Reason)
			}
		}
		return nil
	})
	table := m.cli(t, "nodes").must(t)
	wantAll(t, "nodes", table, "BUILD", "v0.0.9", "unsupported", "hash_policy", fmt.Sprintf("%d of %d nodes run it", sidecars-2, sidecars))
	for _, id := range old {
		if got := m.cli(t, "nodes", id, "--check"); got.code != 1 || !strings.Contains(got.stderr, "unsupported") {
			t.Errorf("nodes %s --check: exit code %d:\n%s", id, got.code, got.stderr)
		}
		awaitAlert(t, m.api, "SidelightNodeConfigRejected", id, "firing")
	}
	checkServing(t, m, "GET", "/", http.StatusOK)
	checkServing(t, m, "POST", "/tickets?card=good", http.StatusCreated)
}
