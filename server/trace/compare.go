package trace

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

// Comparison tells what differs between two traces or two groups of traces.
type Comparison struct {
	Finding    string                `json:"finding"` // the difference in a sentence
	A          Group                 `json:"a"`
	B          Group                 `json:"b"`
	Operations []OperationDifference `json:"operations"` // by how much own time they add or save, most first
	Values     []ValueDifference     `json:"values"`     // what one group has and the other has not, clearest first
}

// Group is one side of a comparison as a whole.
type Group struct {
	Traces int     `json:"traces"`
	Failed int     `json:"failed"` // with an error span
	MeanMS float64 `json:"mean_ms"`
	P50MS  float64 `json:"p50_ms"`
	P95MS  float64 `json:"p95_ms"`
}

// OperationDifference is one operation of a service on both sides.
type OperationDifference struct {
	Service   string        `json:"service"`
	Operation string        `json:"operation"`
	Kind      string        `json:"kind"`
	Role      string        `json:"role"`
	A         OperationSide `json:"a"`
	B         OperationSide `json:"b"`
	DeltaMS   float64       `json:"delta_ms"` // own time a trace, B's less A's
}

// OperationSide is an operation in one group.
type OperationSide struct {
	SpansPerTrace float64 `json:"spans_per_trace"`
	ErrorRatio    float64 `json:"error_ratio"` // of its spans
	OwnMS         float64 `json:"own_ms"`      // own time a trace, the mean
}

// ValueDifference is an attribute that one group's traces have more often.
type ValueDifference struct {
	Service string  `json:"service"`
	Key     string  `json:"key"` // an attribute, or version, node, status
	Value   string  `json:"value"`
	ARatio  float64 `json:"a_ratio"` // traces of A that have it
	BRatio  float64 `json:"b_ratio"`
}

// Bounds on what a comparison holds and tells.
const (
	comparedValues     = 50_000 // distinct, over both groups
	comparedOperations = 5_000
	toldOperations     = 50
	toldValues         = 50
	toldAlike          = 4 // with the same share on both sides
)

// ComparisonStudy collects two groups of traces and compares them at the end.
// The zero value is empty.
type ComparisonStudy struct {
	groups     [2]group
	operations map[operationKey]*[2]operationSum
	values     map[valueKey]*[2]int
}

type group struct {
	durations []float64 // ms
	failed    int
}

type operationKey struct{ service, operation, kind, role string }

type operationSum struct {
	spans, errors int
	selfUS        int64
}

type valueKey struct{ service, key, value string }

// AddA takes a trace of group A.
func (c *ComparisonStudy) AddA(t traces.Trace) { c.add(0, t) }

// AddB takes a trace of group B.
func (c *ComparisonStudy) AddB(t traces.Trace) { c.add(1, t) }

func (c *ComparisonStudy) add(side int, t traces.Trace) {
	if c.operations == nil {
		c.operations, c.values = map[operationKey]*[2]operationSum{}, map[valueKey]*[2]int{}
	}
	t = Analyze(t)
	g := &c.groups[side]
	g.durations = append(g.durations, t.DurationMS)
	if len(t.Origins) > 0 {
		g.failed++
	}
	seen := map[valueKey]bool{}
	for i := range t.Spans {
		s := &t.Spans[i]
		if sum := entry(c.operations, operationKey{s.Service, s.Operation, s.Kind, s.Role}, comparedOperations); sum != nil {
			sum[side].spans++
			sum[side].selfUS += s.SelfUS
			if s.Status == "error" {
				sum[side].errors++
			}
		}
		eachValue(s, func(key, value string) {
			k := valueKey{s.Service, key, value}
			if value == "" || seen[k] {
				return
			}
			seen[k] = true
			if n := entry(c.values, k, comparedValues); n != nil {
				n[side]++
			}
		})
	}
}

// entry gives a map's entry, made if there is room for it.
func entry[K comparable, V any](m map[K]*V, key K, limit int) *V {
	v := m[key]
	if v == nil && len(m) < limit {
		v = new(V)
		m[key] = v
	}
	return v
}

// eachValue visits what a span says that may tell groups apart. Paths, queries
// and the reporter's own name do not: they differ or agree anyway.
func eachValue(s *traces.Span, visit func(key, value string)) {
	visit("version", s.Version)
	visit("node", s.Node)
	if s.Status == "error" {
		visit("status", "error")
	}
	for _, a := range s.Attributes {
		switch a.Key {
		case "sidelight.reporter", "url.full", "url.query", "http.url", "http.target":
		default:
			visit(a.Key, a.Value)
		}
	}
}

// Compare gives what differs.
func (c *ComparisonStudy) Compare() Comparison {
	out := Comparison{A: c.groups[0].sum(), B: c.groups[1].sum(), Operations: []OperationDifference{}, Values: []ValueDifference{}}
	if out.A.Traces == 0 || out.B.Traces == 0 {
		out.Finding = "one side has no trace"
		return out
	}
	for key, sum := range c.operations {
		d := OperationDifference{Service: key.service, Operation: key.operation, Kind: key.kind, Role: key.role, A: sum[0].of(out.A.Traces), B: sum[1].of(out.B.Traces)}
		d.DeltaMS = d.B.OwnMS - d.A.OwnMS
		out.Operations = append(out.Operations, d)
	}
	slices.SortFunc(out.Operations, func(x, y OperationDifference) int {
		return cmp.Or(cmp.Compare(math.Abs(y.DeltaMS), math.Abs(x.DeltaMS)),
			cmp.Compare(math.Abs(y.A.SpansPerTrace-y.B.SpansPerTrace), math.Abs(x.A.SpansPerTrace-x.B.SpansPerTrace)),
			strings.Compare(x.Service+"\x00"+x.Operation+"\x00"+x.Kind, y.Service+"\x00"+y.Operation+"\x00"+y.Kind))
	})
	out.Operations = out.Operations[:min(len(out.Operations), toldOperations)]
	out.Values = c.differentValues(out.A.Traces, out.B.Traces)
	out.Finding = out.sentence()
	return out
}

// differentValues gives the values whose shares differ by more than chance
// explains, the largest difference first. Of two single traces every
// difference is told.
func (c *ComparisonStudy) differentValues(na, nb int) []ValueDifference {
	values := []ValueDifference{}
	for key, n := range c.values {
		a, b := float64(n[0])/float64(na), float64(n[1])/float64(nb)
		pooled := float64(n[0]+n[1]) / float64(na+nb)
		spread := math.Sqrt(pooled * (1 - pooled) * (1/float64(na) + 1/float64(nb)))
		single := na == 1 || nb == 1
		if a == b || !single && math.Abs(a-b) < max(0.05, 3*spread) || single && math.Abs(a-b) < 0.5 {
			continue
		}
		values = append(values, ValueDifference{Service: key.service, Key: key.key, Value: key.value, ARatio: a, BRatio: b})
	}
	slices.SortFunc(values, func(x, y ValueDifference) int {
		return cmp.Or(cmp.Compare(math.Abs(y.ARatio-y.BRatio), math.Abs(x.ARatio-x.BRatio)),
			cmp.Compare(weight(x.Key), weight(y.Key)),
			strings.Compare(x.Service+"\x00"+x.Key+"\x00"+x.Value, y.Service+"\x00"+y.Key+"\x00"+y.Value))
	})
	// Many values of one cause have one share: who was called, at which address,
	// by which node. The first few of them say it.
	same := map[[2]float64]int{}
	values = slices.DeleteFunc(values, func(v ValueDifference) bool {
		shares := [2]float64{v.ARatio, v.BRatio}
		same[shares]++
		return max(na, nb) > 1 && same[shares] > toldAlike
	})
	return values[:min(len(values), toldValues)]
}

// telling are the keys that explain most, in order.
var telling = []string{
	"version", "server.address", "sidelight.revision", "sidelight.object", "http.route", "node",
	"sidelight.flags", "sidelight.answered_by", "sidelight.details", "http.response.status_code", "rpc.grpc.status_code", "status",
}

func weight(key string) int {
	if i := slices.Index(telling, key); i >= 0 {
		return i
	}
	return len(telling)
}

func (g *group) sum() Group {
	out := Group{Traces: len(g.durations), Failed: g.failed}
	if out.Traces == 0 {
		return out
	}
	sorted := slices.Sorted(slices.Values(g.durations))
	for _, d := range sorted {
		out.MeanMS += d / float64(len(sorted))
	}
	out.P50MS, out.P95MS = quantile(sorted, 0.5), quantile(sorted, 0.95)
	return out
}

// quantile is the value that q of the sorted values do not exceed.
func quantile(sorted []float64, q float64) float64 {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func (o *operationSum) of(traces int) OperationSide {
	side := OperationSide{SpansPerTrace: float64(o.spans) / float64(traces), OwnMS: float64(o.selfUS) / 1000 / float64(traces)}
	if o.spans > 0 {
		side.ErrorRatio = float64(o.errors) / float64(o.spans)
	}
	return side
}

// sentence says how much longer or shorter B takes, which operation makes most
// of that, and the clearest value of either side.
func (c *Comparison) sentence() string {
	delta := c.B.MeanMS - c.A.MeanMS
	var b strings.Builder
	alike := math.Abs(delta) < 0.05*max(c.A.MeanMS, c.B.MeanMS)
	switch {
	case alike:
		b.WriteString("A and B take about as long")
	case delta > 0:
		fmt.Fprintf(&b, "B takes %s longer", inMillis(delta))
	default:
		fmt.Fprintf(&b, "B takes %s less", inMillis(-delta))
	}
	if len(c.Operations) > 0 && !alike {
		if o := c.Operations[0]; o.DeltaMS*delta > 0 && math.Abs(o.DeltaMS) > 0.2*math.Abs(delta) {
			fmt.Fprintf(&b, ", %s of it in %s of %s", inMillis(math.Abs(o.DeltaMS)), o.Operation, o.Service)
		}
	}
	if len(c.Values) > 0 {
		v := c.Values[0]
		fmt.Fprintf(&b, "; %s %s of %s is in %.0f %% of A and %.0f %% of B", v.Key, v.Value, v.Service, 100*v.ARatio, 100*v.BRatio)
	}
	return b.String()
}

// inMillis leaves out the fraction where it says nothing.
func inMillis(ms float64) string {
	if ms >= 10 {
		ms = math.Round(ms)
	}
	return millis(int64(ms * 1000))
}
