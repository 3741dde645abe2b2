package tap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

func TestFairLevel(t *testing.T) {
	for _, tt := range []struct {
		demand       []float64
		level, spare float64
	}{
		{nil, math.Inf(1), 100},
		{[]float64{0, 0, 30}, math.Inf(1), 70},
		{[]float64{500, 0, 0}, 100, 0},
		{[]float64{500, 20, 500}, 40, 0},
		{[]float64{50, 50}, math.Inf(1), 0},
	} {
		if level, spare := fairLevel(tt.demand, 100); level != tt.level || spare != tt.spare {
			t.Errorf("%v: level %v, spare %v; want %v, %v", tt.demand, level, spare, tt.level, tt.spare)
		}
	}
}

// A filter that one sidecar of many matches gets the whole limit.
func TestLimitGoesWhereTheMatchesAre(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, a *agents, _ *bytes.Buffer) {
		for i := range 40 {
			a.connect(fmt.Sprint("n", i))
		}
		v := open(t, h, Request{LimitPerS: 100})
		if got := a.start(t, "n7").MaxPerSecond; got != leastShare {
			t.Errorf("at first %d a second, want %d", got, leastShare)
		}
		a.send(t, "n7", 10, 250, 240, 0)
		time.Sleep(rebalanceEvery + flushEvery)
		if busy, idle := a.start(t, "n7"), a.start(t, "n8"); busy.MaxPerSecond != 100 || idle.MaxPerSecond != leastShare || busy.Session == "" {
			t.Errorf("the busy sidecar may send %d, an idle one %d; want 100 and %d", busy.MaxPerSecond, idle.MaxPerSecond, leastShare)
		}
		// Two that need more than there is get the same.
		a.send(t, "n7", 0, 550, 540, 0)
		a.send(t, "n8", 0, 900, 900, 0)
		time.Sleep(rebalanceEvery + flushEvery)
		if x, y := a.start(t, "n7").MaxPerSecond, a.start(t, "n8").MaxPerSecond; x != 50 || y != 50 {
			t.Errorf("two busy sidecars may send %d and %d, want 50 each", x, y)
		}
		v.Close()
	})
}

// When the limit cuts, failures stay.
func TestFailuresFirst(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, a *agents, _ *bytes.Buffer) {
		a.connect("n1")
		v := open(t, h, Request{LimitPerS: 10})
		b := &meshv1.TapBatch{Session: a.start(t, "n1").Session, Matched: 100}
		for i := range 100 {
			status := int32(200)
			if i%20 == 19 {
				status = 503
			}
			b.Events = append(b.Events, &meshv1.TapEvent{Status: status, Flags: "-"})
		}
		a.tap("n1", b)
		settle()
		got := v.Take()
		failed := 0
		for i, ev := range got.Events {
			if ev.Status == 503 {
				failed++
			}
			if ev.Seq != uint64(i+1) {
				t.Errorf("event %d has seq %d", i, ev.Seq)
			}
		}
		want := mesh.TapLedger{Matched: 100, Delivered: 10, SampledOut: 90}
		if diff := cmp.Diff(want, got.Ledger); diff != "" || failed != 5 {
			t.Errorf("%d failures of 5; ledger (-want +got):\n%s", failed, diff)
		}
		v.Close()
	})
}

// Proxies that only report are held to the filter here.
func TestObserve(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, _ *agents, _ *bytes.Buffer) {
		h.Observe(&mesh.TapEvent{Status: 503}) // nobody looks
		v := open(t, h, Request{Filter: "status >= 500"})
		other := open(t, h, Request{Headers: true})
		ev := mesh.TapEvent{Status: 503, Node: "envoy", RequestHeaders: []mesh.Header{{Name: "x", Value: "y"}}}
		h.Observe(&ev)
		h.Observe(&mesh.TapEvent{Status: 200, Node: "envoy"})
		settle()
		b := v.Take()
		if diff := cmp.Diff(mesh.TapLedger{Matched: 1, Delivered: 1}, b.Ledger); diff != "" {
			t.Errorf("ledger (-want +got):\n%s", diff)
		}
		if b.Events[0].Node != "envoy" || b.Events[0].RequestHeaders != nil {
			t.Errorf("event %+v", b.Events[0])
		}
		if all := other.Take(); len(all.Events) != 2 || all.Events[0].RequestHeaders == nil {
			t.Errorf("the other viewer got %d events", len(all.Events))
		}
		v.Close()
		other.Close()
	})
}

// What this server hides besides the usual is asked of sidecars, and left out of
// what those send that do not know how, and Envoys.
func TestRedact(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, a *agents, _ *bytes.Buffer) {
		h = New(Options{Agents: a, Redact: []string{"X-Account"}})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { h.Run(ctx) })
		defer wg.Wait()
		defer cancel()
		synctest.Wait()
		a.connect("n1")
		v := open(t, h, Request{Headers: true})
		start := a.start(t, "n1")
		if diff := cmp.Diff([]string{"x-account"}, start.GetRedactHeaders()); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
		if _, err := h.Open(Request{User: "ann", Filter: "header[x-account] = ann"}); !errors.Is(err, mesh.ErrInvalid) {
			t.Errorf("a filter by a hidden value: %v", err)
		}
		headers := []mesh.Header{{Name: "location", Value: "/?a=de650d61"}, {Name: "x-account", Value: "ann"}}
		h.Observe(&mesh.TapEvent{Node: "envoy", RequestHeaders: headers})
		h.batch("n1", &meshv1.TapBatch{Session: start.GetSession(), Matched: 1, Events: []*meshv1.TapEvent{meshv1.FromTapEvent(mesh.TapEvent{ResponseHeaders: headers})}})
		settle()
		want := []mesh.Header{{Name: "location", Value: "/?a=de650d61"}, {Name: "x-account", Redacted: true, Bytes: 3}}
		events := v.Take().Events
		if len(events) != 2 {
			t.Fatalf("%d events, want 2", len(events))
		}
		for _, ev := range events {
			if diff := cmp.Diff(want, append(ev.RequestHeaders, ev.ResponseHeaders...)); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		}
		v.Close()
	})
}

func TestAudit(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, a *agents, _ *bytes.Buffer) {
		if got := h.Sessions(); got == nil || len(got) != 0 {
			t.Errorf("sessions %v", got)
		}
		a.connect("n1")
		v := open(t, h, Request{Filter: "error"})
		a.send(t, "n1", 2, 3, 1, 0)
		settle()
		v.Take()
		time.Sleep(time.Second)
		bob := open(t, h, Request{User: "bob", Headers: true, LimitPerS: 7})
		v.Close()
		got := h.Sessions()
		want := []Record{
			{User: "bob", Headers: true, LimitPerS: 7, OpenedAt: bob.opened, Sidecars: 1},
			{User: "ann", Filter: "error", LimitPerS: DefaultEventsPerS, OpenedAt: v.opened, ClosedAt: time.Now(), Reason: ReasonClosed, Ledger: mesh.TapLedger{Matched: 3, Delivered: 2, SampledOut: 1}},
		}
		for i := range got {
			if got[i].Session == "" || got[i].ID == "" {
				t.Errorf("record %d names no session", i)
			}
			got[i].Session, got[i].ID = "", ""
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("sessions (-want +got):\n%s", diff)
		}
		bob.Close()
		for range recordsMax + 10 {
			open(t, h, Request{}).Close()
		}
		if n := len(h.Sessions()); n != recordsMax {
			t.Errorf("%d records, want %d", n, recordsMax)
		}
	})
}

// Of viewers who share a session one is stopped; the others look on.
func TestStopOne(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, a *agents, _ *bytes.Buffer) {
		a.connect("n1")
		ann := open(t, h, Request{Filter: "error"})
		bob := open(t, h, Request{Filter: "error", User: "bob"})
		if err := h.Stop(bob.id, "ann"); err != nil {
			t.Fatal(err)
		}
		<-bob.Done()
		if got := bob.Reason(); got != "stopped by ann" {
			t.Errorf("bob ended by %q", got)
		}
		if err := h.Stop(bob.id, "ann"); !errors.Is(err, mesh.ErrNotFound) {
			t.Errorf("stopped twice: %v", err)
		}
		a.send(t, "n1", 1, 1, 0, 0)
		settle()
		if got := ann.Take(); len(got.Events) != 1 {
			t.Errorf("ann got %d events", len(got.Events))
		}
		got := h.Sessions()
		if len(got) != 2 || got[0].User != "ann" || got[1].ID != bob.id || got[1].Reason != "stopped by ann" {
			t.Errorf("sessions %+v", got)
		}
		ann.Close()
	})
}

// Who may tap some namespaces only sees what their sidecars tell.
func TestNamespaces(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, a *agents, _ *bytes.Buffer) {
		a.connect("n1")
		v := open(t, h, Request{Filter: "error", Namespaces: []string{"shop", "bank"}})
		want := `(seen_by ^= "shop/" or seen_by ^= "bank/") and (error)`
		if got := a.start(t, "n1").Filter; got != want {
			t.Errorf("the sidecar is asked for %s, want %s", got, want)
		}
		shop, other := mesh.Workload{Namespace: "shop", Name: "web"}, mesh.Workload{Namespace: "shopping", Name: "web"}
		for _, ev := range []mesh.TapEvent{
			{Status: 500, Direction: "outbound", Source: shop, Destination: other},
			{Status: 501, Direction: "inbound", Source: shop, Destination: other}, // told by the other's sidecar
			{Status: 502, Direction: "inbound", Source: other, Destination: shop},
			{Status: 200, Direction: "inbound", Source: other, Destination: shop},
			{Status: 503, Direction: "outbound"},
		} {
			h.Observe(&ev)
		}
		settle()
		var got []int
		for _, ev := range v.Take().Events {
			got = append(got, ev.Status)
		}
		if diff := cmp.Diff([]int{500, 502}, got); diff != "" {
			t.Errorf("statuses (-want +got):\n%s", diff)
		}
		v.Close()
		if _, err := h.Open(Request{User: "ann", Filter: "statsu = 1", Namespaces: []string{"shop"}}); !errors.Is(err, mesh.ErrInvalid) || !strings.Contains(err.Error(), "at 1") {
			t.Errorf("a wrong filter is told as %v, want its place in what was asked", err)
		}
	})
}
