package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestTop(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := newTopRound(begin, mesh.TapLedger{Matched: 100, Delivered: 100})
	event := func(route string, status int, ms float64) {
		r.add(&mesh.TapEvent{
			Source: mesh.Workload{Namespace: "front", Name: "web"}, Destination: mesh.Workload{Namespace: "booking", Name: "tickets"},
			Protocol: mesh.HTTP, Method: "GET", Path: "/v1/x?y=1", Route: route, Status: status, Flags: "-", DurationMS: ms, Attempts: make([]mesh.Attempt, 2),
		}, "route")
	}
	for i := range 10 {
		event("all", 200, float64(i))
	}
	event("", 503, 90)
	event("", 200, 10)
	table := r.end(begin.Add(2*time.Second), mesh.TapLedger{Matched: 124, Delivered: 112, SampledOut: 12}, "rate", 1)
	if !table.Sampled || table.RPS != 12 || table.Left != 1 || len(table.Rows) != 1 {
		t.Fatalf("%+v", table)
	}
	want := topRow{Edge: "front/web → booking/tickets", Name: "GET all", RPS: 10, Attempts: 2, P50MS: 5, P95MS: 9, MaxMS: 9, Last: "200"}
	if table.Rows[0] != want {
		t.Errorf("first row %+v, want %+v", table.Rows[0], want)
	}
	table = r.end(begin.Add(2*time.Second), mesh.TapLedger{Matched: 124, Delivered: 112, SampledOut: 12}, "errors", 5)
	if first := table.Rows[0]; first.Name != "GET /v1/x" || first.ErrorRatio != 0.5 || first.Last != "503" {
		t.Errorf("by errors: %+v", first)
	}
	var out bytes.Buffer
	if err := writeTop(&out, table, 3); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"12.0 requests a second match, seen by 3 sidecars", "scaled up", "~2.00", "50%", "GET /v1/x"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	empty := newTopRound(begin, mesh.TapLedger{}).end(begin.Add(time.Second), mesh.TapLedger{}, "rate", 5)
	if fmt.Sprint(empty.Rows) != "[]" || empty.Sampled {
		t.Errorf("%+v", empty)
	}
}
