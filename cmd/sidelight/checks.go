package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/server/alert"
	"github.com/sidelight-mesh/sidelight/server/api"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/rollout"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// The states of a check.
const (
	checkOK   = "ok"
	checkWarn = "warn"
	checkFail = "fail"
)

// finding is what one check found.
type finding struct {
	Check   string   `json:"check"`
	State   string   `json:"state"`
	Text    string   `json:"text"`
	Details []string `json:"details,omitempty"`
	Hint    string   `json:"hint,omitempty"` // what to do; none when ok
}

func failed(found []finding) (n int) {
	for _, f := range found {
		if f.State == checkFail {
			n++
		}
	}
	return n
}

// facts are what a server said, all at about the same time.
type facts struct {
	address    string
	asked, now time.Time // before and after it was asked

	session   api.Session
	status    api.Status
	overview  api.Overview
	stale     []graph.Stale
	problems  []config.Problem
	rollout   rollout.State
	nodes     skew.NodesView
	authority struct {
		TrustDomain string    `json:"trust_domain"`
		NotAfter    time.Time `json:"not_after"`
	}
	alerts []alert.Alert
}

// judge makes the findings, from what all else rests on to what rests on it.
func (f *facts) judge() []finding {
	var found []finding
	for _, c := range []struct {
		name  string
		check func() finding
	}{
		{"server", f.server},
		{"clock", f.clock},
		{"parts", f.parts},
		{"configuration", f.configuration},
		{"roll-out", f.rollOut},
		{"nodes", f.synced},
		{"lifecycle", f.lifecycle},
		{"builds", f.builds},
		{"certificates", f.certificates},
		{"scrapes", f.scrapes},
		{"losses", f.losses},
		{"coverage", f.coverage},
		{"alerts", f.alarms},
	} {
		one := c.check()
		one.Check, one.State = c.name, cmp.Or(one.State, checkOK)
		if one.State == checkOK {
			one.Hint = ""
		}
		found = append(found, one)
	}
	return found
}

func (f *facts) server() finding {
	text := fmt.Sprintf("%s, build %s, up %s", f.address, f.status.Version, age(f.status.UptimeS))
	if f.session.User != "" {
		may := make([]string, len(f.session.May))
		for i, right := range f.session.May {
			may[i] = string(right)
		}
		text += fmt.Sprintf("; %s may %s", f.session.User, strings.Join(may, ", "))
	}
	return finding{Text: text}
}

// farOff is from when on times of two machines cannot be read side by side.
const farOff = 3 * time.Second

func (f *facts) clock() finding {
	if f.overview.At.IsZero() {
		return finding{Text: "the server tells no time"}
	}
	// It was asked some time between the two.
	switch at := f.overview.At; {
	case at.Before(f.asked.Add(-farOff)):
		return finding{State: checkWarn, Text: fmt.Sprintf("the server's is %s behind this machine's", f.asked.Sub(at).Round(time.Second)), Hint: "Synchronise both by NTP: times in traces and tables are of the server."}
	case at.After(f.now.Add(farOff)):
		return finding{State: checkWarn, Text: fmt.Sprintf("the server's is %s ahead of this machine's", at.Sub(f.now).Round(time.Second)), Hint: "Synchronise both by NTP: times in traces and tables are of the server."}
	}
	return finding{Text: "the server's and this machine's agree"}
}

// parts are what the graph lacks besides single sidecars.
func (f *facts) parts() finding {
	var away []string
	for _, s := range f.stale {
		if s.Node == "" && !slices.ContainsFunc(f.status.Targets, func(t api.TargetStatus) bool { return t.Address == s.Source }) {
			away = append(away, fmt.Sprintf("%s: %s", s.Source, s.Reason))
		}
	}
	if len(away) == 0 {
		return finding{Text: "the collector and its stores answer"}
	}
	return finding{State: checkFail, Text: "missing: what they tell is old, or not there", Details: away, Hint: "Start them, or correct the addresses of --collector, --metrics-url and --targets-url."}
}

func (f *facts) configuration() finding {
	errors, lines := 0, make([]string, 0, len(f.problems))
	for _, p := range f.problems {
		if p.Severity == config.SeverityError {
			errors++
		}
		lines = append(lines, p.String())
	}
	revision := "no revision yet"
	if d := f.nodes.Desired; d != nil {
		revision = fmt.Sprintf("revision %d of %s, by %s", d.Number, d.At.Local().Format("2 Jan 15:04:05"), d.By)
	}
	switch {
	case errors > 0:
		return finding{State: checkFail, Text: fmt.Sprintf("%s; %d %s, whose objects keep their last good form", revision, errors, plural(errors, "error")), Details: lines, Hint: "Correct the files at these places; docs/config-problems.md says what each code means."}
	case len(lines) > 0:
		return finding{State: checkWarn, Text: fmt.Sprintf("%s; %d %s", revision, len(lines), plural(len(lines), "warning")), Details: lines, Hint: "docs/config-problems.md says what each code means."}
	}
	return finding{Text: revision + "; no problems"}
}

func (f *facts) rollOut() finding {
	switch r := &f.rollout; {
	case r.Stopped():
		return finding{State: checkFail, Text: fmt.Sprintf("revision %d goes no further: %s", r.Target, r.Reason), Hint: "sidelight config rollout status; then correct or roll back, or let it go on with sidelight config rollout resume."}
	case r.Paused:
		return finding{State: checkWarn, Text: "the next revision will be held: " + r.HeldFor, Hint: "sidelight config rollout resume ends it."}
	case r.Phase == rollout.Canary:
		return finding{Text: fmt.Sprintf("revision %d is on its canary: %s", r.Target, r.Reason)}
	}
	return finding{Text: "nothing is held"}
}

func (f *facts) synced() finding {
	state, lines := checkOK, []string{}
	for _, n := range f.nodes.Nodes {
		switch n.State {
		case skew.Synced:
			continue
		case skew.InFlight, skew.Slow:
			state = cmp.Or(map[string]string{checkOK: checkWarn}[state], state)
		default:
			state = checkFail
		}
		lines = append(lines, fmt.Sprintf("%s is %s: %s", n.ID, n.State, n.Reason))
	}
	s := f.nodes.Summary
	if s.Nodes == 0 {
		return finding{State: checkWarn, Text: "no sidecar has connected yet", Hint: "docs/guide.md says how to start one beside a service."}
	}
	return finding{State: state, Text: fmt.Sprintf("%d of %d run what they should", s.Synced, s.Nodes), Details: lines, Hint: "sidelight nodes NODE shows each resource, and what the node said."}
}

// lifecycle is what is odd about nodes beside their configuration.
func (f *facts) lifecycle() finding {
	var lines []string
	for _, n := range f.nodes.Nodes {
		for _, odd := range []string{n.Disorder, n.Duplicate} {
			if odd != "" {
				lines = append(lines, n.ID+": "+odd)
			}
		}
	}
	if len(lines) == 0 {
		return finding{Text: "node IDs are unique; sidecars start before their applications, and stop after them"}
	}
	return finding{State: checkWarn, Text: fmt.Sprintf("%d %s odd", len(lines), plural(len(lines), "thing")), Details: lines, Hint: "sidelight nodes NODE shows its starts and stops."}
}

func (f *facts) builds() finding {
	byBuild := map[string]int{}
	for _, n := range f.nodes.Nodes {
		if n.Kind != "envoy" && n.Connected && n.Build != "" {
			byBuild[n.Build]++
		}
	}
	others := len(byBuild) > 1 || len(byBuild) == 1 && byBuild[f.status.Version] == 0
	var lines []string
	for build, n := range byBuild {
		lines = append(lines, fmt.Sprintf("%d %s of build %s", n, plural(n, "node"), build))
	}
	slices.Sort(lines)
	if others {
		return finding{State: checkWarn, Text: "not all are of the server's build, " + f.status.Version, Details: lines, Hint: "Finish the upgrade: a sidecar refuses what its build does not know, and says so."}
	}
	return finding{Text: "all of the server's build"}
}

const (
	rootSoon   = 30 * 24 * time.Hour
	rootUrgent = 7 * 24 * time.Hour
)

func (f *facts) certificates() finding {
	a := f.authority
	if a.NotAfter.IsZero() {
		return finding{Text: "the server issues none"}
	}
	left := a.NotAfter.Sub(f.now)
	out := finding{
		Text: fmt.Sprintf("the root of %s holds until %s", a.TrustDomain, a.NotAfter.Local().Format("2 Jan 2006")),
		Hint: "Bring another root with --ca-cert and --ca-key before it ends: docs/identity.md.",
	}
	switch {
	case left < rootUrgent:
		out.State = checkFail
	case left < rootSoon:
		out.State = checkWarn
	}
	return out
}

func (f *facts) scrapes() finding {
	var down []string
	for _, t := range f.status.Targets {
		if !t.Up && t.Error != "" {
			down = append(down, fmt.Sprintf("%s: %s", cmp.Or(t.Node, t.Address), t.Error))
		}
	}
	text := fmt.Sprintf("%d of %d targets answer", len(f.status.Targets)-len(down), len(f.status.Targets))
	if len(down) == 0 {
		return finding{Text: text}
	}
	return finding{State: checkFail, Text: text + "; figures of the others are old", Details: down, Hint: "docs/troubleshooting.md#nothing-or-not-everything-to-see"}
}

func (f *facts) losses() finding {
	if len(f.status.Losses) == 0 {
		return finding{Text: "nothing was lost since the start"}
	}
	var lines []string
	for _, l := range f.status.Losses {
		lines = append(lines, fmt.Sprintf("%d %s (%s): %s", l.Count, l.What, l.Where, l.Hint))
	}
	return finding{State: checkWarn, Text: "lost since the start", Details: lines, Hint: "sidelight alerts says whether it goes on; docs/troubleshooting.md#losses"}
}

func (f *facts) coverage() finding {
	c := f.overview.Coverage
	out := finding{Text: fmt.Sprintf("%d of %d workloads have a sidecar", c.Meshed, c.Workloads)}
	for _, n := range c.NotHeld {
		out.Details = append(out.Details, n.Text)
	}
	if len(c.NotHeld) > 0 {
		out.State, out.Hint = checkWarn, "Give these workloads a sidecar, or the object no such subject: docs/inventory.md."
		out.Text += "; not every object holds"
	}
	return out
}

// trafficAlerts is the group of rules about what services answer, which is
// no check's matter.
const trafficAlerts = "sidelight-traffic-alerts"

func (f *facts) alarms() finding {
	state, services := checkOK, 0
	var lines []string
	for _, a := range f.alerts {
		switch {
		case a.State != alert.Firing:
			continue
		case a.Group == trafficAlerts:
			services++
			continue
		case a.Severity == "critical":
			state = checkFail
		case state == checkOK:
			state = checkWarn
		}
		lines = append(lines, a.Summary)
	}
	out := finding{State: state, Text: "none of the mesh's own parts", Details: lines, Hint: "sidelight alerts has descriptions, and where to look."}
	if len(lines) > 0 {
		out.Text = fmt.Sprintf("%d of the mesh's own parts", len(lines))
	}
	if services > 0 {
		out.Text += fmt.Sprintf("; %d of services: sidelight alerts", services)
	}
	return out
}
