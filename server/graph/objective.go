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

// Objective is what a service is held to instead of, or besides, the usual
// thresholds.
type Objective struct {
	Host         string
	Object       string // that says so
	Tolerances   []Tolerance
	Quantile     float64 // 0.5, 0.95 or 0.99; 0: no objective of latency
	LatencyMS    float64
	Availability float64 // share of requests without error; 0: no objective
}

func (o Objective) equal(p Objective) bool {
	return o.Host == p.Host && o.Object == p.Object && o.Quantile == p.Quantile && o.LatencyMS == p.LatencyMS &&
		o.Availability == p.Availability && slices.Equal(o.Tolerances, p.Tolerances)
}

// Tolerance takes the place of the thresholds of one class of errors. A ratio
// over 1 is never reached.
type Tolerance struct {
	Code       string // of the reasons of Health: 5xx, 4xx, no_response, grpc, tcp
	Warn, Fail float64
}

// never is a threshold that no ratio reaches.
const never = 2

// ParseTolerances reads "5xx=1%,5%; 4xx=never": from which share of requests
// (connections for tcp) on a class warns and fails.
func ParseTolerances(text string) ([]Tolerance, error) {
	var out []Tolerance
	for part := range strings.SplitSeq(text, ";") {
		code, value, ok := strings.Cut(part, "=")
		code = strings.TrimSpace(code)
		if !ok || !slices.ContainsFunc(rules, func(r rule) bool { return r.code == code }) {
			return nil, fmt.Errorf("%q: want CLASS=WARN,FAIL with 5xx, 4xx, no_response, grpc or tcp, as in 5xx=1%%,5%%", strings.TrimSpace(part))
		}
		t := Tolerance{Code: code, Warn: never, Fail: never}
		if strings.TrimSpace(value) != "never" {
			warn, fail, two := strings.Cut(value, ",")
			var err, err2 error
			t.Warn, err = parseShare(warn)
			t.Fail, err2 = parseShare(fail)
			if !two || err != nil || err2 != nil || t.Warn > t.Fail {
				return nil, fmt.Errorf("%q: want two shares, the lower first, as in 1%%,5%%, or never", strings.TrimSpace(part))
			}
		}
		out = append(out, t)
	}
	return out, nil
}

// ParseLatency reads "p95 < 300ms".
func ParseLatency(text string) (quantile, ms float64, err error) {
	name, value, ok := strings.Cut(text, "<")
	quantile = map[string]float64{"p50": 0.5, "p95": 0.95, "p99": 0.99}[strings.TrimSpace(name)]
	value = strings.TrimSpace(value)
	scale := 1.0
	if number, is := strings.CutSuffix(value, "ms"); is {
		value = number
	} else if number, is := strings.CutSuffix(value, "s"); is {
		value, scale = number, 1000
	}
	ms, parseErr := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if !ok || quantile == 0 || parseErr != nil || !(ms > 0) || ms > 1e9 {
		return 0, 0, fmt.Errorf("%q: want p50, p95 or p99 below a time, as in p95 < 300ms", text)
	}
	return quantile, ms * scale, nil
}

// ParseAvailability reads "99.9%".
func ParseAvailability(text string) (float64, error) {
	share, err := parseShare(text)
	if err != nil || share < 0.5 || share >= 1 {
		return 0, fmt.Errorf("%q: want a share of 50%% or more and less than 100%%, as in 99.9%%", text)
	}
	return share, nil
}

func parseShare(text string) (float64, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	share, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		share /= 100
	}
	if err != nil || !(share >= 0) || share > 1 {
		return 0, fmt.Errorf("%q is no share", text)
	}
	return share, nil
}

// rulesFor gives the thresholds that hold for a host.
func (f *Facts) rulesFor(host string) []rule {
	o, ok := f.Objectives[host]
	if !ok || len(o.Tolerances) == 0 {
		return rules
	}
	own := slices.Clone(rules)
	for i := range own {
		for _, t := range o.Tolerances {
			if own[i].code == t.Code {
				own[i].warn, own[i].fail = t.Warn, t.Fail
			}
		}
	}
	return own
}

// burn is a pair of windows over which the same share of the error budget is
// spent too fast: the long one says that it matters, the short one that it
// goes on. They are those of Google's SRE workbook, as far as an hour of
// history goes.
type burn struct {
	long, short int64 // seconds
	factor      float64
	state       HealthState
}

var burns = []burn{{3600, 300, 14.4, Fail}, {3600, 1800, 6, Warn}}

// judgeObjective tells how a node does against what its service is held to.
func (v *viewing) judgeObjective(n *gatheredNode, h *Health) {
	if len(v.engine.facts.Objectives) == 0 {
		return
	}
	byHost := make(map[string]*held)
	for _, g := range n.in {
		if !g.live {
			continue
		}
		for _, i := range g.held {
			p := g.pairs[i]
			h := byHost[p.service.Host]
			if h == nil {
				h = &held{}
				byHost[p.service.Host] = h
			}
			h.pairs = append(h.pairs, p)
			h.reads = append(h.reads, g.reading(i))
		}
	}
	hosts := make([]string, 0, len(byHost))
	for host := range byHost {
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	for _, host := range hosts {
		o := v.engine.facts.Objectives[host]
		v.judgeLatency(&o, byHost[host], h)
		v.judgeBurn(&o, byHost[host], h)
	}
}

// held is what a node is asked for under a host that it is held to something
// for: an edge of a group may be of several hosts.
type held struct {
	pairs []*pair
	reads []reading
}

func (v *viewing) judgeLatency(o *Objective, of *held, h *Health) {
	if o.LatencyMS == 0 {
		return
	}
	into := v.engine.scratch.lead
	for i, p := range of.pairs {
		r := of.reads[i]
		for _, s := range p.leading(r) {
			v.engine.ring.add(into, s.id, r.from, r.to, r.scale)
		}
	}
	q := v.figuresOf(v.take(into), mesh.HTTP).quantiles
	name, at := "p95", q.p95
	switch o.Quantile {
	case 0.5:
		name, at = "p50", q.p50
	case 0.99:
		name, at = "p99", q.p99
	}
	if at != nil && *at > o.LatencyMS {
		h.add(Warn, Reason{Code: "latency", Text: fmt.Sprintf("%s is %s ms, over the objective of %s ms of %s", name, plain(*at), plain(o.LatencyMS), o.Object)})
	}
}

func (v *viewing) judgeBurn(o *Objective, of *held, h *Health) {
	if o.Availability == 0 {
		return
	}
	budget := 1 - o.Availability
	rate := func(seconds int64) float64 {
		all, failed := v.engine.answered(of.pairs, v.clock.end-seconds, v.clock.end)
		if all == 0 {
			return 0
		}
		return failed / all / budget
	}
	for _, b := range burns {
		long, short := rate(b.long), rate(b.short)
		if long >= b.factor && short >= b.factor {
			h.add(b.state, Reason{Code: "burn", Text: fmt.Sprintf(
				"the error budget of %s (%s) burns %s times too fast: %s times over the last hour", o.Object, percent(o.Availability), plain(short), plain(long))})
			return
		}
	}
}

// answered counts requests between two seconds, each once.
func (e *Engine) answered(pairs []*pair, from, to int64) (all, failed float64) {
	for _, p := range pairs {
		side := p.server
		if len(side) == 0 {
			side = p.client
		}
		for _, s := range side {
			e.ring.each(s.id, from, to, func(at span, entries []entry, requests int) {
				part := at.within(from, to)
				for _, en := range entries[:requests] {
					all += float64(en.n) * part
					if e.outcomes.list[en.key].failed {
						failed += float64(en.n) * part
					}
				}
			})
		}
	}
	return all, failed
}

// Standing is how a service does against the availability that it is held to.
// A burn is how many times faster than the objective allows its error budget
// was spent over a window: at 1 it is spent just when its time is over.
type Standing struct {
	Host         string      `json:"host"`
	Object       string      `json:"object"` // that says so
	Availability float64     `json:"availability"`
	Requests1H   float64     `json:"requests_1h"`
	Failed1H     float64     `json:"failed_1h"`
	Burn5M       float64     `json:"burn_5m"`
	Burn30M      float64     `json:"burn_30m"`
	Burn1H       float64     `json:"burn_1h"`
	State        HealthState `json:"state"` // fail and warn as in docs/health.md; idle without requests
}

// Standings gives the services that are held to an availability, those that burn
// fastest first.
func (e *Engine) Standings(at time.Time) []Standing {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := []Standing{}
	byHost := make(map[string][]*pair)
	for _, p := range e.edges.ordered {
		if e.facts.Objectives[p.service.Host].Availability > 0 && p.protocol != mesh.TCP {
			byHost[p.service.Host] = append(byHost[p.service.Host], p)
		}
	}
	end := e.clockAt(at).end
	for host, o := range e.facts.Objectives {
		if o.Availability == 0 {
			continue
		}
		s := Standing{Host: host, Object: o.Object, Availability: o.Availability}
		rate := func(seconds int64) (burning, all, failed float64) {
			all, failed = e.answered(byHost[host], end-seconds, end)
			if all == 0 {
				return 0, 0, 0
			}
			return failed / all / (1 - o.Availability), all, failed
		}
		s.Burn1H, s.Requests1H, s.Failed1H = rate(3600)
		s.Burn30M, _, _ = rate(1800)
		s.Burn5M, _, _ = rate(300)
		s.State = s.judge()
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Standing) int {
		return cmp.Or(cmp.Compare(b.State.Severity(), a.State.Severity()), cmp.Compare(b.Burn1H, a.Burn1H), strings.Compare(a.Host, b.Host))
	})
	return out
}

// judge is by the same windows as the health of a node.
func (s *Standing) judge() HealthState {
	over := map[int64]float64{300: s.Burn5M, 1800: s.Burn30M, 3600: s.Burn1H}
	for _, b := range burns {
		if over[b.long] >= b.factor && over[b.short] >= b.factor {
			return b.state
		}
	}
	if s.Requests1H == 0 {
		return Idle
	}
	return OK
}
