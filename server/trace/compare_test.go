package trace

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

// booking is web calling payments, whose version and time are told.
func booking(version, endpoint string, paymentsUS int64, extra ...traces.Attribute) traces.Trace {
	return traces.Trace{TraceID: "1", Start: began, DurationMS: float64(paymentsUS+2000) / 1000, Spans: []traces.Span{
		{SpanID: "a", Service: "web", Workload: "front/web", Operation: "GET /", Kind: "server", DurationUS: paymentsUS + 2000, Status: "ok"},
		{
			SpanID: "b", ParentID: "a", Service: "payments", Workload: "booking/payments", Version: version, Operation: "POST charge", Kind: "server",
			StartUS: 1000, DurationUS: paymentsUS, Status: "ok", Attributes: append([]traces.Attribute{{Key: "server.address", Value: endpoint}}, extra...),
		},
	}}
}

func TestCompareGroups(t *testing.T) {
	var study ComparisonStudy
	for i := range 40 {
		// An ID of each request is in no group more often than in the other.
		id := traces.Attribute{Key: "request.id", Value: fmt.Sprint(i)}
		study.AddA(booking("v1", "10.0.0.1", 10_000, id))
		study.AddB(booking("v2", fmt.Sprintf("10.0.0.%d", 1+i%2), 110_000, id))
	}
	got := study.Compare()
	wantValues := []ValueDifference{
		{"payments", "version", "v1", 1, 0},
		{"payments", "version", "v2", 0, 1},
		{"payments", "server.address", "10.0.0.1", 1, 0.5},
		{"payments", "server.address", "10.0.0.2", 0, 0.5},
	}
	if diff := cmp.Diff(wantValues, got.Values); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Group{Traces: 40, MeanMS: 12, P50MS: 12, P95MS: 12}, got.A, cmp.Comparer(func(x, y float64) bool { return x-y < 1e-6 && y-x < 1e-6 })); diff != "" {
		t.Errorf("A (-want +got):\n%s", diff)
	}
	if o := got.Operations[0]; o.Operation != "POST charge" || o.DeltaMS != 100 || o.A.SpansPerTrace != 1 {
		t.Errorf("first operation %+v", o)
	}
	if want := "B takes 100 ms longer, 100 ms of it in POST charge of payments; version v1 of payments is in 100 % of A and 0 % of B"; got.Finding != want {
		t.Errorf("finding %q, want %q", got.Finding, want)
	}
}

// Of two traces, everything that differs is told, and what only one has.
func TestCompareTwo(t *testing.T) {
	var study ComparisonStudy
	a, b := booking("v1", "10.0.0.1", 10_000), booking("v1", "10.0.0.2", 11_000)
	b.Spans = append(b.Spans, traces.Span{SpanID: "c", ParentID: "b", Service: "payments", Operation: "fraud check", Kind: "internal", StartUS: 2000, DurationUS: 1000, Status: "error"})
	study.AddA(a)
	study.AddB(b)
	got := study.Compare()
	var values []string
	for _, v := range got.Values {
		values = append(values, fmt.Sprintf("%s %s %g %g", v.Key, v.Value, v.ARatio, v.BRatio))
	}
	if diff := cmp.Diff([]string{"server.address 10.0.0.1 1 0", "server.address 10.0.0.2 0 1", "status error 0 1"}, values); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if o := got.Operations[0]; o.Operation != "fraud check" || o.A.SpansPerTrace != 0 || o.B.ErrorRatio != 1 || got.B.Failed != 1 {
		t.Errorf("operation %+v, B %+v", o, got.B)
	}
}

// What groups have in common, or by chance, is no difference.
func TestCompareLikes(t *testing.T) {
	var study ComparisonStudy
	for i := range 100 {
		endpoint := fmt.Sprintf("10.0.0.%d", i/2%4)
		if i%2 == 0 {
			study.AddA(booking("v1", endpoint, 10_000))
		} else {
			study.AddB(booking("v1", endpoint, 10_100))
		}
	}
	if got := study.Compare(); len(got.Values) != 0 || !strings.HasPrefix(got.Finding, "A and B take about as long") {
		t.Errorf("%q, %+v", got.Finding, got.Values)
	}
	var empty ComparisonStudy
	empty.AddA(booking("v1", "x", 1))
	if got := empty.Compare(); got.Finding != "one side has no trace" || got.Operations == nil || got.Values == nil {
		t.Errorf("%+v", got)
	}
}

// A hostile trace cannot make the study hold more than its bounds.
func TestCompareBounds(t *testing.T) {
	tr := booking("v1", "x", 1)
	for i := range 2 * comparedValues {
		tr.Spans[0].Attributes = append(tr.Spans[0].Attributes, traces.Attribute{Key: "k", Value: fmt.Sprint(i)})
	}
	var study ComparisonStudy
	study.AddA(tr)
	study.AddB(tr)
	if len(study.values) > comparedValues || len(study.Compare().Values) > toldValues {
		t.Errorf("%d values held", len(study.values))
	}
}
