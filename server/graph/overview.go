package graph

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// NamespaceSummary is one namespace in the overview.
type NamespaceSummary struct {
	Name       string  `json:"name"`
	Health     Health  `json:"health"` // of its worst workload
	Workloads  int     `json:"workloads"`
	Meshed     int     `json:"meshed"`
	RPS        float64 `json:"rps"`
	ErrorRatio float64 `json:"error_ratio"`
}

// ServiceSummary is one service in the overview.
type ServiceSummary struct {
	ID         string    `json:"id"`
	Namespace  string    `json:"namespace"`
	Name       string    `json:"name"`
	Health     Health    `json:"health"`
	RPS        float64   `json:"rps"`
	ErrorRatio float64   `json:"error_ratio"`
	P95MS      *float64  `json:"p95_ms"`
	RPSSeries  []float64 `json:"rps_series"`
	External   bool      `json:"external"` // outside the mesh
}

// Finding is one sentence about what is wrong.
type Finding struct {
	Severity HealthState `json:"severity"`
	Text     string      `json:"text"`
	Link     string      `json:"link"` // a path in the UI
}

// maxReasons bounds the reasons that a summary takes over from its parts.
const maxReasons = 3

// Namespaces sums a workload view up, worst first, then by name.
func Namespaces(workloads View) []NamespaceSummary {
	byName := make(map[string]*NamespaceSummary)
	failed := make(map[string]float64)
	for _, n := range workloads.Nodes {
		if n.Namespace == "" || n.Kind != KindWorkload && n.Kind != KindService {
			continue
		}
		s := byName[n.Namespace]
		if s == nil {
			s = &NamespaceSummary{Name: n.Namespace, Health: Health{Idle, []Reason{}}}
			byName[n.Namespace] = s
		}
		if n.Kind == KindWorkload {
			s.Workloads++
			if n.Meshed {
				s.Meshed++
			}
		}
		s.RPS += n.In.RPS
		failed[n.Namespace] += n.In.RPS * n.In.ErrorRatio
		s.Health.take(n)
	}
	out := make([]NamespaceSummary, 0, len(byName))
	for name, s := range byName {
		if s.RPS > 0 {
			s.ErrorRatio = round(failed[name] / s.RPS)
		}
		s.RPS = round(s.RPS)
		if len(s.Health.Reasons) > maxReasons {
			more := len(s.Health.Reasons) - maxReasons
			s.Health.Reasons = append(s.Health.Reasons[:maxReasons:maxReasons],
				Reason{Code: "more", Text: fmt.Sprintf("and %d more", more)})
		}
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b NamespaceSummary) int {
		return cmp.Or(cmp.Compare(b.Health.State.Severity(), a.Health.State.Severity()), strings.Compare(a.Name, b.Name))
	})
	return out
}

// take makes h as bad as one of its parts is, for the same reasons.
func (h *Health) take(n *Node) {
	worse := n.Health.State.Severity() - h.State.Severity()
	if worse > 0 {
		h.State = n.Health.State
	}
	added := slices.Clone(n.Health.Reasons)
	for i := range added {
		added[i].Text = n.Name + ": " + added[i].Text
	}
	if worse > 0 {
		h.Reasons = append(added, h.Reasons...)
	} else {
		h.Reasons = append(h.Reasons, added...)
	}
}

// Services lists the services of a service view, declared ones outside the mesh
// among them: failing first, then by traffic.
func Services(services View) []ServiceSummary {
	out := []ServiceSummary{}
	for _, n := range services.Nodes {
		external := n.Kind == KindExternal && n.Namespace != ""
		if n.Kind != KindService && !external {
			continue
		}
		out = append(out, ServiceSummary{
			ID: n.ID, Namespace: n.Namespace, Name: n.Name, Health: n.Health,
			RPS: n.In.RPS, ErrorRatio: n.In.ErrorRatio, P95MS: n.In.P95MS, RPSSeries: n.RPSSeries,
			External: external,
		})
	}
	slices.SortFunc(out, func(a, b ServiceSummary) int {
		return cmp.Or(cmp.Compare(b.Health.State.Severity(), a.Health.State.Severity()),
			cmp.Compare(b.RPS, a.RPS), strings.Compare(a.ID, b.ID))
	})
	return out
}

// ErrorEdges gives the n edges with most errors a second; those without any
// are left out.
func ErrorEdges(workloads View, n int) []*Edge {
	out := []*Edge{}
	for _, e := range workloads.Edges {
		if e.ErrorRatio > 0 {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b *Edge) int { return cmp.Compare(errorRate(b), errorRate(a)) })
	return out[:min(n, len(out))]
}

// errorRate is an edge's errors a second, of connections where it has no
// requests.
func errorRate(e *Edge) float64 {
	return e.ErrorRatio * max(e.RPS, e.NewConnectionsPerS)
}

// Findings puts what is wrong with the traffic of a workload view into
// sentences, worst first: failing edges, those where errors begin before those
// that pass them on, and workloads without data. What is wrong with
// configuration, server/skew tells.
func Findings(workloads View) []Finding {
	type ranked struct {
		Finding
		passes int
		weight float64
	}
	names := make(map[string]string, len(workloads.Nodes))
	var found []ranked
	for _, n := range workloads.Nodes {
		names[n.ID] = n.Name
		for _, r := range n.Health.Reasons {
			if r.Code == "no_data" {
				found = append(found, ranked{Finding: Finding{Warn, n.Name + ": " + r.Text, link(n.ID)}})
			}
		}
	}
	passed := passedOn(workloads.Edges)
	for _, e := range workloads.Edges {
		if !bad(e) {
			continue
		}
		said, passes := sentence(e, names[e.Source], names[e.Target]), 0
		if from := passed[e]; from != nil {
			said = percent(e.ErrorRatio) + " errors, passed on from " + names[from.Source] + " → " + names[from.Target]
			passes = 1
		}
		text := fmt.Sprintf("%s → %s: %s", names[e.Source], names[e.Target], said)
		found = append(found, ranked{Finding{e.Health.State, text, link(e.ID)}, passes, errorRate(e)})
	}
	slices.SortStableFunc(found, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.Severity.Severity(), a.Severity.Severity()), cmp.Compare(a.passes, b.passes),
			cmp.Compare(b.weight, a.weight), strings.Compare(a.Text, b.Text))
	})
	out := make([]Finding, len(found))
	for i := range found {
		out[i] = found[i].Finding
	}
	return out
}

func bad(e *Edge) bool { return e.Health.State == Warn || e.Health.State == Fail }

// passedOn gives, for each failing edge whose callee gave the errors and has a
// failing call of its own that explains half of them, the edge at which they
// begin.
func passedOn(edges []*Edge) map[*Edge]*Edge {
	worst := make(map[string]*Edge) // of a caller's failing calls
	for _, e := range edges {
		if bad(e) && errorRate(e) > 0 && (worst[e.Source] == nil || errorRate(e) > errorRate(worst[e.Source])) {
			worst[e.Source] = e
		}
	}
	next := func(e *Edge) *Edge {
		own := worst[e.Target]
		if own == nil || own == e || e.AnsweredBy.Upstream == 0 || proxyShare(e) > 0.5 || errorRate(own) < errorRate(e)/2 {
			return nil
		}
		return own
	}
	out := make(map[*Edge]*Edge)
	for _, e := range edges {
		if !bad(e) || errorRate(e) == 0 {
			continue
		}
		begin := e
		for range edges { // who calls in a circle has no begin
			own := next(begin)
			if own == nil {
				break
			}
			begin = own
		}
		if begin != e && next(begin) == nil {
			out[e] = begin
		}
	}
	return out
}

// proxyShare is the part of an edge's errors that proxies answered.
func proxyShare(e *Edge) float64 {
	all, proxy := failures(e)
	if all == 0 {
		return 0
	}
	return proxy / all
}

// failures sums the answers that count as errors, and those of them by a proxy.
func failures(e *Edge) (all, proxy float64) {
	for _, a := range e.Answers {
		if a.Code >= 400 && a.Code < 500 && a.GRPC == "" {
			continue // not an error of the ratio
		}
		all += a.RPS
		if a.By == "proxy" {
			proxy += a.RPS
		}
	}
	return all, proxy
}

// sentence says what is wrong with an edge and who answers so.
func sentence(e *Edge, source, target string) string {
	if e.Protocol == "tcp" || len(e.Health.Reasons) == 0 || e.Health.Reasons[0].Code == "4xx" {
		if len(e.Health.Reasons) > 0 {
			return e.Health.Reasons[0].Text
		}
		return string(e.Health.State)
	}
	text := percent(e.ErrorRatio) + " errors"
	all, proxy := failures(e)
	switch {
	case all == 0:
		return text
	case proxy == 0 && e.AnsweredBy.Upstream > 0:
		return text + ", all answered by " + target
	case proxy == 0:
		return text
	}
	who := "a proxy"
	if e.ServerSide == nil {
		who = "the proxy of " + source
	}
	return text + ", " + percent(proxy/all) + " of them answered by " + who + why(e)
}

// why gives the reason of the most frequent answer by a proxy.
func why(e *Edge) string {
	for _, a := range e.Answers {
		if a.By != "proxy" {
			continue
		}
		o := answerText(a)
		if a.Object != "" {
			o += ", from " + a.Object
		}
		return o
	}
	return ""
}

func answerText(a Answer) string {
	text := ": " + strconv.Itoa(a.Code)
	if a.Flags != "-" && a.Flags != "" {
		text += " " + a.Flags
	}
	if a.Details != "" {
		text += " " + a.Details
	}
	return text
}

func link(id string) string { return "/graph?sel=" + url.QueryEscape(id) }
