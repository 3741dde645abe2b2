package graph

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseObjectives(t *testing.T) {
	got, err := ParseTolerances("5xx=1%,5%; 4xx = never")
	want := []Tolerance{{"5xx", 0.01, 0.05}, {"4xx", never, never}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("tolerances: %v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"", "5xx", "6xx=1%,2%", "5xx=5%,1%", "5xx=1%", "5xx=a,b", "5xx=1%,200%"} {
		if _, err := ParseTolerances(bad); err == nil {
			t.Errorf("tolerances %q are taken", bad)
		}
	}
	for text, want := range map[string]float64{"p95 < 300ms": 300, "p50<1.5s": 1500, "p99 < 20": 20} {
		if _, ms, err := ParseLatency(text); err != nil || ms != want {
			t.Errorf("latency %q: %v, %v", text, ms, err)
		}
	}
	for _, bad := range []string{"", "p95", "p42 < 1s", "p95 < -1ms", "p95 < soon", "p95 > 1s"} {
		if _, _, err := ParseLatency(bad); err == nil {
			t.Errorf("latency %q is taken", bad)
		}
	}
	for _, bad := range []string{"", "100%", "10%", "x"} {
		if _, err := ParseAvailability(bad); err == nil {
			t.Errorf("availability %q is taken", bad)
		}
	}
}

func TestObjectives(t *testing.T) {
	s := readScenario(t, `
target p:1 b/pay every=10 offset=0.2
traffic 0-3600 p:1 destination a/web > b/pay pay.b.svc.cluster.local http 200=98 503=2 latency=400
`)
	const host = "pay.b.svc.cluster.local"
	reasons := func(o Objective) (HealthState, []string) {
		o.Host, o.Object = host, "ServiceEntry b/pay"
		s.facts.Objectives = map[string]Objective{host: o}
		v := s.engine(3590).View(Query{}, after(3590))
		at := slices.IndexFunc(v.Nodes, func(n *Node) bool { return n.Name == "pay" })
		var texts []string
		for _, r := range v.Nodes[at].Health.Reasons {
			texts = append(texts, r.Code+": "+r.Text)
		}
		return v.Nodes[at].Health.State, texts
	}
	tolerant := []Tolerance{{"5xx", 0.05, 0.10}}
	for name, tc := range map[string]struct {
		o     Objective
		state HealthState
		want  string
	}{
		"as usual":   {Objective{}, Warn, "5xx: 2 % of requests to it were answered 5xx"},
		"tolerated":  {Objective{Tolerances: tolerant}, OK, ""},
		"strict":     {Objective{Tolerances: []Tolerance{{"5xx", 0, 0.02}}}, Fail, "5xx: 2 %"},
		"slow":       {Objective{Tolerances: tolerant, Quantile: 0.95, LatencyMS: 300}, Warn, "latency: p95 is 565.7 ms, over the objective of 300 ms of ServiceEntry b/pay"},
		"quick":      {Objective{Tolerances: tolerant, Quantile: 0.95, LatencyMS: 900}, OK, ""},
		"burns fast": {Objective{Tolerances: tolerant, Availability: 0.999}, Fail, "burn: the error budget of ServiceEntry b/pay (99.9 %) burns 20 times too fast"},
		"burns slow": {Objective{Tolerances: tolerant, Availability: 0.998}, Warn, "burns 10 times too fast"},
		"in budget":  {Objective{Tolerances: tolerant, Availability: 0.97}, OK, ""},
	} {
		state, texts := reasons(tc.o)
		if state != tc.state || !strings.Contains(strings.Join(texts, "; "), tc.want) || tc.want == "" && len(texts) > 0 {
			t.Errorf("%s: %s, %q; want %s, %q", name, state, texts, tc.state, tc.want)
		}
	}
}

func TestStandings(t *testing.T) {
	s := readScenario(t, `
target p:1 b/pay every=10 offset=0.2
traffic 0-3300 p:1 destination a/web > b/pay pay.b.svc.cluster.local http 200=100
traffic 3300-3600 p:1 destination a/web > b/pay pay.b.svc.cluster.local http 200=80 503=20
`)
	of := func(availability float64) Objective {
		return Objective{Object: "ServiceEntry b/pay", Availability: availability}
	}
	s.facts.Objectives = map[string]Objective{
		"pay.b.svc.cluster.local":   of(0.99),
		"quiet.b.svc.cluster.local": of(0.999),
		"slow.b.svc.cluster.local":  {Quantile: 0.95, LatencyMS: 10}, // held to no availability
	}
	got := s.engine(3595).Standings(after(3595))
	if len(got) != 2 || got[0].Host != "pay.b.svc.cluster.local" || got[1].State != Idle || got[1].Burn1H != 0 {
		t.Fatalf("%+v: want the one that burns, then the one without requests", got)
	}
	// A fifth fails since five minutes, of which one in a hundred may.
	pay := got[0]
	for _, tt := range []struct {
		window    string
		got, want float64
	}{{"5 min", pay.Burn5M, 20}, {"30 min", pay.Burn30M, 20.0 / 6}, {"1 h", pay.Burn1H, 20.0 / 12}} {
		if tt.got < tt.want*0.9 || tt.got > tt.want*1.1 {
			t.Errorf("over %s it burns %.2f times too fast, want about %.2f", tt.window, tt.got, tt.want)
		}
	}
	if pay.State != OK || pay.Failed1H < 1 || pay.Requests1H < 10*pay.Failed1H {
		t.Errorf("%+v: a short burst is no burn of an hour", pay)
	}
}

// Whatever an annotation says, it is refused or gives thresholds that are some.
func FuzzObjectives(f *testing.F) {
	f.Add("5xx=1%,5%; 4xx=never", "p95 < 300ms", "99.9%")
	f.Add("grpc=0,1;;", "p50<1e300s", "1e400%")
	f.Add("tcp=NaN%,Inf", "p99 < NaN", "NaN")
	f.Fuzz(func(t *testing.T, tolerances, latency, availability string) {
		if list, err := ParseTolerances(tolerances); err == nil {
			for _, x := range list {
				if !(x.Warn >= 0) || !(x.Warn <= x.Fail) || x.Fail > never {
					t.Errorf("%q gives %+v", tolerances, x)
				}
			}
		}
		if q, ms, err := ParseLatency(latency); err == nil && (!(q > 0) || !(ms > 0) || math.IsInf(ms, 0)) {
			t.Errorf("%q gives %v below %v", latency, q, ms)
		}
		if share, err := ParseAvailability(availability); err == nil && !(share >= 0.5 && share < 1) {
			t.Errorf("%q gives %v", availability, share)
		}
	})
}
