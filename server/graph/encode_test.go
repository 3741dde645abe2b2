package graph

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// What nodes, edges and views write is what encoding/json would have written
// of the same structs.
func TestAppendJSON(t *testing.T) {
	p, since := 12.345, time.Date(2026, 1, 2, 3, 4, 5, 600e6, time.UTC)
	full := Edge{
		ID: "a>b:http", Source: "a", Target: "b", Protocol: mesh.HTTP, Service: &mesh.Service{Host: "h", Namespace: "n", Name: "sé\"\n"},
		RPS: 1234.5, ErrorRatio: 0.01234, P50MS: &p, Codes: map[string]float64{"200": 1, "503": 0.25}, Flags: map[string]float64{"UF": 0.001},
		AnsweredBy: AnsweredBy{1, 2}, Answers: []Answer{{Code: 503, By: "proxy", Object: "<x>"}}, AttemptsPerRequest: 1.25, Mirrored: true,
		NewConnectionsPerS: 3, RequestsPerConnection: &p, MTLSRatio: 1, SentBytesPerS: 1e15, ReceivedBytesPerS: 1e-9, ActiveConnections: 4,
		Weight: &Weight{0.9, 0.875}, ClientSide: &Side{RPS: 1, P99MS: &p}, RPSSeries: []float64{0, 1, 2.5, 0.01, 1e22}, ErrorSeries: []float64{},
		Health: Health{Fail, []Reason{{Code: "5xx", Text: "half", Since: since}, {Code: "4xx", Text: "x"}}}, Match: true,
	}
	node := Node{
		ID: "workload:a/b", Kind: KindWorkload, Cluster: "c", Namespace: "a", Name: "b", App: "app", Version: "v1", Meshed: true, Gateway: true, Folded: &Folded{1, 2, 3},
		Config: &ConfigState{State: "synced", Revision: 7}, Health: Health{OK, []Reason{}}, In: Traffic{RPS: 7, P95MS: &p},
		RPSSeries: []float64{-1.5}, Match: true,
	}
	view := View{
		Epoch: "e", Seq: 9, At: since, WindowS: 30, Group: ByApp, Nodes: []*Node{&node, {}}, Edges: []*Edge{&full, {}, {Answers: []Answer{}, Codes: map[string]float64{}}},
		Stale: []Stale{{Source: "t", Since: since, Reason: "r"}}, Matched: &Matched{1, 2}, Hidden: &Matched{3, 4}, Folded: Folded{Workloads: 312}, Totals: Totals{RPS: 3, P95MS: &p}, Limits: Limits{Edges: 1, EdgesMax: 2},
	}
	for name, tc := range map[string]struct {
		got  []byte
		want any
	}{
		"edge": {full.AppendJSON(nil), full}, "bare edge": {(&Edge{}).AppendJSON(nil), Edge{}},
		"node": {node.AppendJSON(nil), node}, "bare node": {(&Node{}).AppendJSON(nil), Node{}},
		"view": {view.AppendJSON(nil), view},
	} {
		text, err := json.Marshal(tc.want)
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		if err := json.Unmarshal(tc.got, &got); err != nil {
			t.Fatalf("%s: %v in %s", name, err, tc.got)
		}
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-encoding/json +ours):\n%s", name, diff)
		}
	}
}

// A number reads back as what it was.
func TestAppendNumber(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	numbers := []float64{0, 1, -1, 0.1, 0.007, 12.34, 999.999, 1e12, 1e21, 123456789.125, 0.0001234, math.MaxFloat64, math.SmallestNonzeroFloat64}
	for range 10_000 {
		numbers = append(numbers, round(random.ExpFloat64()*100), random.NormFloat64())
	}
	for _, x := range numbers {
		text := appendNumber(nil, x)
		var got float64
		if err := json.Unmarshal(text, &got); err != nil || got != x {
			t.Fatalf("%v is written %s and reads %v: %v", x, text, got, err)
		}
	}
}
