package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// HealthState is how well a node or edge does.
type HealthState string

// The health states.
const (
	OK          HealthState = "ok"
	Warn        HealthState = "warn"
	Fail        HealthState = "fail"
	Idle        HealthState = "idle"    // no traffic in the window
	UnknownData HealthState = "unknown" // no data
)

// Severity orders health states: more is worse.
func (s HealthState) Severity() int {
	switch s {
	case Fail:
		return 4
	case Warn:
		return 3
	case UnknownData:
		return 2
	case OK:
		return 1
	}
	return 0
}

// Health is a state with its reasons, worst first. It is never without one
// when it is warn, fail or unknown.
type Health struct {
	State   HealthState `json:"state"`
	Reasons []Reason    `json:"reasons"`
}

// Reason says in a plain sentence what is wrong.
type Reason struct {
	Code  string    `json:"code"` // 5xx, 4xx, no_response, grpc, tcp, config, no_data, ejected, limit, latency, burn
	Text  string    `json:"text"`
	Since time.Time `json:"since,omitzero"`
}

// rule is when a class of answers is a matter of health: Kiali's defaults, as
// operators know them. Ratios are of the requests of that protocol.
type rule struct {
	class      class
	code       string
	warn, fail float64 // from here; warn 0: any; warn < 0: never
	what       string
}

var rules = []rule{
	{class5xx, "5xx", 0, 0.10, "were answered 5xx"},
	{classNone, "no_response", -1, 0.10, "got no answer"},
	{classGRPC, "grpc", -1, 0.10, "ended with a gRPC error"},
	{class4xx, "4xx", 0.10, 0.20, "were answered 4xx"},
	{classTCP, "tcp", 0, 0.10, "failed"},
}

func (r *rule) of() string {
	if r.class == classTCP {
		return "connections"
	}
	return "requests"
}

// verdict judges a ratio. One in ten is ten percent, also where quanta miss it
// by a bit.
func (r *rule) verdict(ratio float64) HealthState {
	if ratio > 0 {
		ratio += 1e-6
	}
	switch {
	case ratio >= r.fail:
		return Fail
	case ratio > 0 && r.warn >= 0 && ratio >= r.warn:
		return Warn
	}
	return OK
}

// of gives the ratio of a class.
func (t *tally) of(c class) float64 {
	all := t.total
	switch c {
	case classGRPC:
		all = t.grpc
	case classTCP:
		all = max(t.opened, t.by[classTCP])
	}
	if all == 0 {
		return 0
	}
	return min(float64(t.by[c])/float64(all), 1)
}

// judged is a broken rule.
type judged struct {
	rule  *rule
	state HealthState
	ratio float64
}

// judge lists the broken rules, worst first.
func (t *tally) judge(rules []rule) []judged {
	var out []judged
	for i := range rules {
		ratio := t.of(rules[i].class)
		if s := rules[i].verdict(ratio); s != OK {
			out = append(out, judged{&rules[i], s, ratio})
		}
	}
	slices.SortStableFunc(out, func(a, b judged) int { return cmp.Compare(b.state.Severity(), a.state.Severity()) })
	return out
}

// idle reports whether nothing was counted in the window.
func (f *figures) idle() bool {
	return f.tally.total == 0 && f.tally.opened == 0 && f.tally.by[classTCP] == 0 &&
		f.plain[sumSent] == 0 && f.plain[sumReceived] == 0 && f.active == 0
}

// edgeHealth judges an edge by its main figures.
func (v *viewing) edgeHealth(g *gathered, list []Answer) Health {
	was := g.begun
	g.begun = begun{}
	if !g.live {
		return noData(v.silence(g))
	}
	if g.lead.idle() {
		return Health{Idle, []Reason{}}
	}
	h := Health{OK, []Reason{}}
	if g.target.many() {
		v.judgeMembers(g.bundle.members, &was, &g.begun, []*gathered{g}, leading, &h)
		v.judgeOutliers(g, &h)
		return h
	}
	for _, j := range g.lead.tally.judge(v.engine.facts.rulesFor(g.service.Host)) {
		text := fmt.Sprintf("%s of %s %s", percent(j.ratio), j.rule.of(), j.rule.what)
		if most := mostOf(j.rule.class, list); most != "" {
			text += ", mostly " + most
		}
		h.add(j.state, Reason{j.rule.code, text, v.since(j.rule.class, &was, &g.begun, []*gathered{g}, leading)})
	}
	v.judgeOutliers(g, &h)
	return h
}

// The codes of reasons that outliers give.
const (
	reasonEjected = "ejected"
	reasonLimit   = "limit"
)

// judgeOutliers tells of endpoints that the caller's sidecars have taken out,
// and of limits that they have reached, for what this edge calls.
func (v *viewing) judgeOutliers(g *gathered, h *Health) {
	for _, o := range v.engine.facts.Outliers {
		if !slices.ContainsFunc(v.outlying(g), func(p *pair) bool { return p.service.Host == o.Host && p.source.id == o.Caller }) {
			continue
		}
		of := o.Host
		if o.Subset != "" {
			of += " (" + o.Subset + ")"
		}
		if o.Breaker != "" {
			h.add(Warn, Reason{Code: reasonLimit, Text: fmt.Sprintf("%s is at its limit of %s to %s", o.Node, o.Breaker, of)})
		} else {
			h.add(Warn, Reason{Code: reasonEjected, Text: fmt.Sprintf("%s keeps %d endpoints of %s out", o.Node, o.Ejected, of)})
		}
	}
}

func noData(text string) Health {
	return Health{UnknownData, []Reason{{Code: "no_data", Text: text}}}
}

func (v *viewing) silence(g *gathered) string {
	if g.latest == nil {
		return "no data: nothing that counts this edge is scraped"
	}
	return g.latest.silence(v.clock.at)
}

func (h *Health) add(s HealthState, r Reason) {
	h.Reasons = append(h.Reasons, r)
	if s.Severity() > h.State.Severity() {
		h.State = s
	}
}

// mostOf describes the most frequent error answer of a class. list is sorted.
func mostOf(c class, list []Answer) string {
	for _, a := range list {
		o := readOutcome(mesh.Outcome{Code: a.Code, GRPC: a.GRPC, Flags: a.Flags})
		if o.class != c && (c != classTCP || !o.tcpFail) {
			continue
		}
		var b strings.Builder
		switch c {
		case classGRPC:
			b.WriteString("gRPC " + strings.TrimPrefix(o.code, "grpc:"))
		case classNone, classTCP:
		default:
			b.WriteString(strconv.Itoa(a.Code))
		}
		for _, f := range o.flags {
			space(&b, f)
			if m := mesh.WhyAnswered(f, a.Details, a.Object); m != "" {
				b.WriteString(" (" + m + ")")
			}
		}
		switch a.By {
		case mesh.AnsweredByProxy:
			space(&b, "by the proxy")
		case mesh.AnsweredByUpstream:
			space(&b, "by the service")
		}
		if a.Object != "" {
			b.WriteString(", from " + a.Object)
		}
		return b.String()
	}
	return ""
}

func space(b *strings.Builder, s string) {
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(s)
}

func percent(ratio float64) string {
	p := ratio * 100
	if p > 0 && p < 0.1 {
		return "under 0.1 %"
	}
	return strconv.FormatFloat(float64(int(p*10+0.5))/10, 'f', -1, 64) + " %"
}

// nodeHealth judges a node by its own answers, its configuration and whether
// its sources give data.
func (v *viewing) nodeHealth(n *gatheredNode) Health {
	h := Health{Idle, []Reason{}}
	was := n.begun
	n.begun = begun{}
	all := n.sumIn.own
	if n.sumIn.busy+n.sumOut.busy > 0 {
		h.State = OK
	}
	if n.many() {
		v.judgeMembers(n.crowd, &was, &n.begun, n.in, answering, &h)
		all = tally{}
	}
	for _, j := range all.judge(v.rulesFor(n)) {
		text := fmt.Sprintf("%s of %s to it %s", percent(j.ratio), j.rule.of(), j.rule.what)
		if worst := worstCaller(n.in, j.rule.class); worst != "" {
			text += ", mostly from " + worst
		}
		h.add(j.state, Reason{j.rule.code, text, v.since(j.rule.class, &was, &n.begun, n.in, answering)})
	}
	for _, f := range n.facts {
		if r, bad := configReason(f.WorkloadFacts); bad {
			if len(n.facts) > 1 {
				r.Text = f.Workload.Name + ": " + r.Text
			}
			h.add(Warn, r)
		}
	}
	v.judgeObjective(n, &h)
	v.judgeSources(n, n.sumIn.live+n.sumOut.live > 0, &h)
	return h
}

// rulesFor gives the thresholds that hold for a node.
func (v *viewing) rulesFor(n *gatheredNode) []rule {
	if len(v.engine.facts.Objectives) == 0 {
		return rules
	}
	return v.engine.facts.rulesFor(oneHost(n.in))
}

// oneHost gives the host that all edges call, "" when there are several.
func oneHost(edges []*gathered) string {
	host := ""
	for i, g := range edges {
		if i > 0 && g.service.Host != host {
			return ""
		}
		host = g.service.Host
	}
	return host
}

// own gives an edge as the called workload counted it; what its callers'
// proxies decided alone is not its answer. Where it does not count, the caller
// must do.
func (c *counted) own() *figures {
	if c.server != nil {
		return c.server
	}
	return c.lead
}

func worstCaller(edges []*gathered, c class) string {
	if len(edges) < 2 {
		return ""
	}
	var worst *gathered
	for _, g := range edges {
		n := g.own().tally.by[c]
		if !g.live || n == 0 {
			continue
		}
		if worst == nil || n > worst.own().tally.by[c] || n == worst.own().tally.by[c] && g.id < worst.id {
			worst = g
		}
	}
	if worst == nil {
		return ""
	}
	return worst.source.name
}

// configReason tells of a workload whose sidecar does not run what it should.
func configReason(f WorkloadFacts) (Reason, bool) {
	if f.Config == nil {
		return Reason{}, false
	}
	switch f.Config.State {
	case "synced", "in-flight", "slow":
		return Reason{}, false
	}
	text := f.ConfigReason
	if text == "" {
		text = "configuration " + f.Config.State
	}
	return Reason{"config", text, f.ConfigSince}, true
}

// judgeSources tells of scrape targets of the node that are silent. With all
// of them silent nothing is known of it.
func (v *viewing) judgeSources(n *gatheredNode, live bool, h *Health) {
	silent, total := v.silences(n)
	if len(silent) == 0 {
		if !live && len(n.in)+len(n.out) > 0 {
			*h = noData(v.silence(slices.Concat(n.in, n.out)[0]))
		}
		return
	}
	latest := slices.MaxFunc(silent, func(a, b *target) int {
		return cmp.Or(cmp.Compare(a.lastUp, b.lastUp), strings.Compare(b.address, a.address))
	})
	if len(silent) < total {
		h.add(Warn, Reason{"no_data", fmt.Sprintf("%d of %d sources give no data: %s", len(silent), total, latest.reason(v.clock.at)), instant(latest.lastUp)})
		return
	}
	reason := noData(latest.reason(v.clock.at)).Reasons[0]
	reason.Since = instant(latest.lastUp)
	h.State = UnknownData
	h.Reasons = append([]Reason{reason}, h.Reasons...)
}

// leading and answering choose whose counts date a reason.
func leading(g *gathered) *figures   { return g.lead }
func answering(g *gathered) *figures { return g.own() }
