package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/alert"
	"github.com/sidelight-mesh/sidelight/server/api"
	"github.com/sidelight-mesh/sidelight/server/auth"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/rollout"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// inOrder is a mesh in which nothing is wrong.
func inOrder() *facts {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	f := &facts{address: "http://127.0.0.1:8430", asked: now, now: now.Add(40 * time.Millisecond)}
	f.session = api.Session{User: "ann", May: []auth.Right{auth.View, auth.Tap}}
	f.status = api.Status{Version: "b2", UptimeS: 90, Targets: []api.TargetStatus{{Address: "10.0.0.1:15020", Node: "web-1", Up: true}}}
	f.overview.At = now.Add(20 * time.Millisecond)
	f.overview.Coverage = graph.Coverage{Workloads: 2, Meshed: 2}
	f.nodes = skew.NodesView{
		Desired: &mesh.Revision{Number: 7, At: now, By: "ann"}, Summary: skew.Summary{Nodes: 1, Synced: 1},
		Nodes: []skew.NodeStatus{{ID: "web-1", State: skew.Synced, Build: "b2", Connected: true}},
	}
	f.authority.TrustDomain, f.authority.NotAfter = "cluster.local", now.AddDate(1, 0, 0)
	f.alerts = []alert.Alert{{Group: trafficAlerts, State: alert.Firing, Severity: "critical", Summary: "payments fail"}}
	return f
}

func TestChecks(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*facts)
		check  string
		state  string
		says   string // in text, details or hint
	}{
		{"who asks", func(*facts) {}, "server", checkOK, "ann may view, tap"},
		{"a clock behind", func(f *facts) { f.overview.At = f.asked.Add(-time.Minute) }, "clock", checkWarn, "1m0s behind"},
		{"a clock ahead", func(f *facts) { f.overview.At = f.now.Add(time.Minute) }, "clock", checkWarn, "1m0s ahead"},
		{"a collector that is away", func(f *facts) { f.stale = []graph.Stale{{Source: "collector", Reason: "sends nothing"}} }, "parts", checkFail, "collector: sends nothing"},
		{"a target that is away is no part", func(f *facts) { f.stale = []graph.Stale{{Source: "10.0.0.1:15020", Reason: "refused"}} }, "parts", checkOK, ""},
		{"an object in error", func(f *facts) {
			f.problems = []config.Problem{{Severity: config.SeverityError, Code: "SL1001", File: "a.yaml", Line: 3, Message: "no such field"}}
		}, "configuration", checkFail, "a.yaml:3"},
		{"an object with a warning", func(f *facts) {
			f.problems = []config.Problem{{Severity: config.SeverityWarning, File: "a.yaml", Line: 3}}
		}, "configuration", checkWarn, "1 warning"},
		{"a held roll-out", func(f *facts) { f.rollout = rollout.State{Phase: rollout.Held, Target: 8, Reason: "web-1 refuses it"} }, "roll-out", checkFail, "web-1 refuses it"},
		{"a hold for later", func(f *facts) {
			f.rollout = rollout.State{Phase: rollout.Done, Paused: true, HeldFor: "bob: freeze"}
		}, "roll-out", checkWarn, "bob: freeze"},
		{"a canary under way", func(f *facts) { f.rollout = rollout.State{Phase: rollout.Canary, Target: 8} }, "roll-out", checkOK, "revision 8"},
		{"a node that is slow", func(f *facts) { f.nodes.Nodes[0].State = skew.Slow }, "nodes", checkWarn, "web-1 is slow"},
		{"a node that refuses", func(f *facts) {
			f.nodes.Nodes[0].State = skew.Rejected
			f.nodes.Nodes = append(f.nodes.Nodes, skew.NodeStatus{ID: "web-2", State: skew.InFlight})
		}, "nodes", checkFail, "web-1 is rejected"},
		{"no node", func(f *facts) { f.nodes = skew.NodesView{} }, "nodes", checkWarn, "no sidecar"},
		{"two of one name", func(f *facts) { f.nodes.Nodes[0].Duplicate = "two streams use it" }, "lifecycle", checkWarn, "web-1: two streams use it"},
		{"an upgrade half done", func(f *facts) { f.nodes.Nodes[0].Build = "b1" }, "builds", checkWarn, "1 node of build b1"},
		{"an Envoy is of another build", func(f *facts) { f.nodes.Nodes[0].Build, f.nodes.Nodes[0].Kind = "1.37", "envoy" }, "builds", checkOK, ""},
		{"a root that ends soon", func(f *facts) { f.authority.NotAfter = f.now.AddDate(0, 0, 20) }, "certificates", checkWarn, "--ca-cert"},
		{"a root that ends", func(f *facts) { f.authority.NotAfter = f.now.AddDate(0, 0, 2) }, "certificates", checkFail, "--ca-cert"},
		{"no authority", func(f *facts) { f.authority.NotAfter = time.Time{} }, "certificates", checkOK, "issues none"},
		{"a target that does not answer", func(f *facts) { f.status.Targets[0].Up, f.status.Targets[0].Error = false, "connection refused" }, "scrapes", checkFail, "web-1: connection refused"},
		{"a target that was not scraped yet", func(f *facts) { f.status.Targets[0].Up = false }, "scrapes", checkOK, ""},
		{"a loss", func(f *facts) {
			f.status.Losses = []api.Loss{{Where: "sidecars", What: "spans not sent", Count: 3, Hint: "slow"}}
		}, "losses", checkWarn, "3 spans not sent (sidecars)"},
		{"a policy that nobody carries out", func(f *facts) { f.overview.Coverage.NotHeld = []graph.NotHeld{{Text: "x is not followed"}} }, "coverage", checkWarn, "x is not followed"},
		{"services are not its matter", func(*facts) {}, "alerts", checkOK, "1 of services"},
		{"an alert on a part", func(f *facts) {
			f.alerts = append(f.alerts, alert.Alert{Group: "sidelight-telemetry", State: alert.Firing, Severity: "warning", Summary: "spans are lost"})
		}, "alerts", checkWarn, "spans are lost"},
		{"a critical one", func(f *facts) {
			f.alerts = append(f.alerts, alert.Alert{Group: "sidelight-config-sync", State: alert.Firing, Severity: "critical", Summary: "nobody connects"},
				alert.Alert{Group: "sidelight-telemetry", State: alert.Firing, Severity: "warning"}, alert.Alert{Group: "sidelight-telemetry", State: "pending", Severity: "critical"})
		}, "alerts", checkFail, "nobody connects"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := inOrder()
			tc.change(f)
			for _, got := range f.judge() {
				want := checkOK
				if got.Check == tc.check {
					want = tc.state
					if all := got.Text + strings.Join(got.Details, "\n") + got.Hint; !strings.Contains(all, tc.says) {
						t.Errorf("%q does not say %q", all, tc.says)
					}
				}
				if got.State != want || got.Text == "" || (got.Hint != "") != (got.State != checkOK) {
					t.Errorf("%s: %+v, want %s", got.Check, got, want)
				}
			}
		})
	}
}

// What the hints point at is there.
func TestCheckHints(t *testing.T) {
	source, err := os.ReadFile("checks.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range regexp.MustCompile(`docs/([a-z-]+\.md)(?:#([a-z-]+))?`).FindAllStringSubmatch(string(source), -1) {
		page, err := os.ReadFile("../../docs/" + link[1])
		if err != nil {
			t.Error(err)
			continue
		}
		anchors := []string{""}
		for _, head := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(page), -1) {
			anchors = append(anchors, regexp.MustCompile(`[^a-z -]`).ReplaceAllString(strings.ToLower(head[1]), ""))
		}
		if !slices.ContainsFunc(anchors, func(a string) bool { return strings.ReplaceAll(a, " ", "-") == link[2] }) {
			t.Errorf("%s has no heading %s", link[1], link[2])
		}
	}
}
