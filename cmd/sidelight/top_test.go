package main

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestTop(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
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
	empty := newTopRound(begin, mesh.TapLedger{}).end(begin.Add(time.Second), mesh.TapLedger{}, "rate", 5)
	if fmt.Sprint(empty.Rows) != "[]" || empty.Sampled {
		t.Errorf("%+v", empty)
	}
}

// TestTopTables compares what top prints with testdata/top.golden.
func TestTopTables(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	events := []mesh.TapEvent{
		{Destination: mesh.Workload{Namespace: "booking", Name: "tickets"}, Protocol: mesh.HTTP, Method: "GET", Path: "/v1/tickets/7?card=1", Route: "all", Status: 200, DurationMS: 4.2, Attempts: []mesh.Attempt{{Endpoint: "10.0.0.1:80"}}},
		{Destination: mesh.Workload{Namespace: "booking", Name: "tickets"}, Protocol: mesh.HTTP, Method: "GET", Path: "/v1/tickets/8", Route: "all", Status: 503, Flags: "UF,URX", DurationMS: 125, Attempts: make([]mesh.Attempt, 3)},
		{Destination: mesh.Workload{Namespace: "booking", Name: "seats"}, Protocol: mesh.GRPC, Method: "POST", Path: "/cinema.Seats/Hold", Status: 200, GRPCStatus: "14", DurationMS: 0.7, Attempts: make([]mesh.Attempt, 1)},
		{Service: mesh.Service{Host: "api.bank.example"}, Protocol: mesh.TCP, Flags: "-", DurationMS: 2100},
	}
	var got bytes.Buffer
	for _, tc := range []struct {
		by, sort string
		rows     int
		matched  uint64
	}{{"route", "rate", 20, 8}, {"edge", "errors", 20, 8}, {"path", "time", 2, 8}, {"endpoint", "rate", 20, 80}} {
		fmt.Fprintf(&got, "$ top --by %s --sort %s --rows %d, of %d\n", tc.by, tc.sort, tc.rows, tc.matched)
		r := newTopRound(begin, mesh.TapLedger{})
		for range 2 {
			for i := range events {
				events[i].Source = mesh.Workload{Namespace: "front", Name: "web"}
				r.add(&events[i], tc.by)
			}
		}
		table := r.end(begin.Add(2*time.Second), mesh.TapLedger{Matched: tc.matched, Delivered: 8, SampledOut: tc.matched - 8}, tc.sort, tc.rows)
		if err := writeTop(&got, table, 12); err != nil {
			t.Fatal(err)
		}
	}
	compareWith(t, "testdata/top.golden", got.Bytes())
}
