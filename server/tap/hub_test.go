package tap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/expr"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

// agents is a fake of the connected sidecars.
type agents struct {
	hello func(mesh.Node)
	gone  func(string)
	tap   func(string, *meshv1.TapBatch)

	mu   sync.Mutex
	sent map[string][]*meshv1.ServerMessage
}

func (a *agents) Send(id string, m *meshv1.ServerMessage) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sent == nil {
		a.sent = map[string][]*meshv1.ServerMessage{}
	}
	a.sent[id] = append(a.sent[id], m)
	return true
}
func (a *agents) OnHello(f func(mesh.Node))              { a.hello = f }
func (a *agents) OnGone(f func(string))                  { a.gone = f }
func (a *agents) OnTap(f func(string, *meshv1.TapBatch)) { a.tap = f }
func (a *agents) connect(ids ...string) {
	for _, id := range ids {
		a.hello(mesh.Node{ID: id})
	}
}

// start gives the last TapStart that a sidecar got.
func (a *agents) start(t *testing.T, id string) *meshv1.TapStart {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, v := range slices.Backward(a.sent[id]) {
		if s := v.GetTapStart(); s != nil {
			return s
		}
	}
	t.Fatalf("sidecar %s got no TapStart", id)
	return nil
}

func (a *agents) stops(id string) (tokens []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.sent[id] {
		if s := m.GetTapStop(); s != nil {
			tokens = append(tokens, s.Session)
		}
	}
	return tokens
}

func (a *agents) send(t *testing.T, id string, events int, matched, sampled, dropped uint64) {
	b := &meshv1.TapBatch{Session: a.start(t, id).Session, Matched: matched, SampledOut: sampled, Dropped: dropped}
	for range events {
		b.Events = append(b.Events, &meshv1.TapEvent{
			At: timestamppb.Now(), Status: 200, Flags: "-",
			RequestHeaders: []*meshv1.Header{{Name: "x", Value: "y"}},
		})
	}
	a.tap(id, b)
}

// run gives a hub inside a bubble where time is fake.
func run(t *testing.T, f func(t *testing.T, h *Hub, a *agents, log *bytes.Buffer)) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		a := &agents{}
		h := New(Options{Agents: a, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { h.Run(ctx) })
		synctest.Wait()
		f(t, h, a, &log)
		cancel()
		wg.Wait()
	})
}

func open(t *testing.T, h *Hub, req Request) *Viewer {
	t.Helper()
	if req.User == "" {
		req.User = "ann"
	}
	v, err := h.Open(req)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// settle lets one flush happen.
func settle() {
	time.Sleep(flushEvery)
	synctest.Wait()
}

func TestSession(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, a *agents, log *bytes.Buffer) {
		a.connect("n1", "n2")
		v := open(t, h, Request{Filter: " status >= 500 ", LimitPerS: 50})
		if got := a.start(t, "n1"); got.Filter != "status >= 500" || got.MaxPerSecond != 25 || got.Headers {
			t.Errorf("TapStart = %v", got)
		}
		if a.start(t, "n1").Session == a.start(t, "n2").Session {
			t.Error("two sidecars share a token")
		}
		a.connect("late")
		if got := a.start(t, "late"); got.Filter != "status >= 500" || got.MaxPerSecond != 17 {
			t.Errorf("TapStart of the late sidecar = %v", got)
		}
		a.send(t, "n1", 3, 10, 5, 2)
		a.send(t, "late", 2, 2, 0, 0)
		settle()
		<-v.Ready()
		b := v.Take()
		if len(b.Events) != 5 || b.Sidecars != 3 {
			t.Fatalf("got %d events of %d sidecars", len(b.Events), b.Sidecars)
		}
		for i, ev := range b.Events {
			if ev.Seq != uint64(i+1) || ev.RequestHeaders != nil {
				t.Errorf("event %d has seq %d, headers %v", i, ev.Seq, ev.RequestHeaders)
			}
		}
		if b.Events[0].Node != "n1" || b.Events[4].Node != "late" {
			t.Errorf("events of nodes %s, %s", b.Events[0].Node, b.Events[4].Node)
		}
		want := mesh.TapLedger{Matched: 12, Delivered: 5, SampledOut: 5, DroppedSidecar: 2}
		if diff := cmp.Diff(want, b.Ledger); diff != "" {
			t.Errorf("ledger (-want +got):\n%s", diff)
		}
		v.Close()
		v.Close()
		if got := a.stops("n2"); len(got) != 1 || got[0] != a.start(t, "n2").Session {
			t.Errorf("TapStop to n2 = %v", got)
		}
		if st := h.Stats(); st != (Stats{Events: 5, Dropped: 2}) {
			t.Errorf("stats after the end = %+v", st)
		}
		for _, part := range []string{"tap session opened", "user=ann", `filter="status >= 500"`, "tap session closed", "reason=closed", "matched=12", "delivered=5"} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("audit log lacks %q:\n%s", part, log.String())
			}
		}
	})
}

func TestSharing(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, a *agents, _ *bytes.Buffer) {
		a.connect("n1")
		first := open(t, h, Request{Filter: "error"})
		a.send(t, "n1", 2, 5, 0, 0) // three are under way
		settle()
		second := open(t, h, Request{User: "bob", Filter: "error", TTL: time.Minute})
		other := open(t, h, Request{Filter: "error", Headers: true})
		if st := h.Stats(); st.Sessions != 2 || st.Viewers != 3 {
			t.Errorf("stats = %+v, want 2 sessions, 3 viewers", st)
		}
		a.mu.Lock()
		shared := a.sent["n1"][0].GetTapStart().Session
		a.mu.Unlock()
		a.tap("n1", &meshv1.TapBatch{Session: shared, Matched: 6, Dropped: 1, Events: []*meshv1.TapEvent{{}, {}, {}}})
		settle()
		for name, tc := range map[string]struct {
			v    *Viewer
			want mesh.TapLedger
		}{
			"first":  {first, mesh.TapLedger{Matched: 6, Delivered: 5, DroppedSidecar: 1}},
			"second": {second, mesh.TapLedger{Matched: 4, Delivered: 3, DroppedSidecar: 1}},
			"other":  {other, mesh.TapLedger{}},
		} {
			if diff := cmp.Diff(tc.want, tc.v.Take().Ledger); diff != "" {
				t.Errorf("%s viewer's ledger (-want +got):\n%s", name, diff)
			}
		}
		first.Close()
		if len(a.stops("n1")) != 0 {
			t.Error("the shared session was stopped while it has a viewer")
		}
		second.Close()
		if len(a.stops("n1")) != 1 {
			t.Error("the shared session was not stopped with its last viewer")
		}
		other.Close()
	})
}

func TestSlowViewer(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, a *agents, _ *bytes.Buffer) {
		a.connect("n1")
		slow := open(t, h, Request{LimitPerS: MaxEventsPerS})
		fast := open(t, h, Request{LimitPerS: MaxEventsPerS})
		var sent, got uint64
		for range 10 {
			sent += 1000
			a.send(t, "n1", 1000, sent, 0, 0)
			time.Sleep(time.Second)
			synctest.Wait()
			got += uint64(len(fast.Take().Events))
		}
		if got != sent {
			t.Errorf("the fast viewer got %d of %d", got, sent)
		}
		b := slow.Take()
		want := mesh.TapLedger{Matched: sent, Delivered: queueMax, DroppedSocket: sent - queueMax}
		if diff := cmp.Diff(want, b.Ledger); diff != "" || len(b.Events) != queueMax {
			t.Errorf("slow viewer: %d events, ledger (-want +got):\n%s", len(b.Events), diff)
		}
		if st := h.Stats(); st.Dropped != sent-queueMax {
			t.Errorf("stats dropped = %d", st.Dropped)
		}
		slow.Close()
		fast.Close()
	})
}

func TestLimitOverTheMesh(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, a *agents, _ *bytes.Buffer) {
		for i := range 40 {
			a.connect(fmt.Sprint("n", i))
		}
		v := open(t, h, Request{LimitPerS: 20})
		for i := range 40 {
			a.send(t, fmt.Sprint("n", i), 1, 1, 0, 0)
		}
		settle()
		want := mesh.TapLedger{Matched: 40, Delivered: 20, SampledOut: 20}
		if diff := cmp.Diff(want, v.Take().Ledger); diff != "" {
			t.Errorf("ledger (-want +got):\n%s", diff)
		}
		v.Close()
	})
}

// A sidecar that goes away takes what it had not sent with it; one that comes
// back counts from zero, even when it has counted further than before.
func TestReconnect(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, a *agents, _ *bytes.Buffer) {
		a.connect("n1")
		v := open(t, h, Request{})
		a.send(t, "n1", 2, 5, 0, 0)
		old := a.start(t, "n1").Session
		a.connect("n1") // the new stream is there before the old one is seen to end
		a.gone("n1")
		a.tap("n1", &meshv1.TapBatch{Session: old, Matched: 99, Events: []*meshv1.TapEvent{{}}})
		a.send(t, "n1", 7, 7, 0, 0)
		settle()
		b := v.Take()
		want := mesh.TapLedger{Matched: 12, Delivered: 9, DroppedSidecar: 3}
		if diff := cmp.Diff(want, b.Ledger); diff != "" || b.Sidecars != 1 {
			t.Errorf("%d sidecars, ledger (-want +got):\n%s", b.Sidecars, diff)
		}
		a.gone("n1")
		if b := v.Take(); b.Sidecars != 0 {
			t.Errorf("%d sidecars after the only one left", b.Sidecars)
		}
		v.Close()
	})
}

func TestTTL(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, a *agents, log *bytes.Buffer) {
		a.connect("n1")
		short := open(t, h, Request{TTL: 2 * time.Second})
		long := open(t, h, Request{TTL: time.Hour})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		select {
		case <-short.Done():
		default:
			t.Fatal("the session outlived its TTL")
		}
		if short.Reason() != ReasonTTL || long.Reason() != "" {
			t.Errorf("reasons %q and %q", short.Reason(), long.Reason())
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if long.Reason() != ReasonTTL || len(a.stops("n1")) != 1 {
			t.Errorf("reason %q, %d stops", long.Reason(), len(a.stops("n1")))
		}
		if !strings.Contains(log.String(), "reason=ttl") {
			t.Error("audit log lacks the end by TTL")
		}
	})
}

// An idle session still reports once a second.
func TestHeartbeat(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, _ *agents, _ *bytes.Buffer) {
		v := open(t, h, Request{})
		<-v.Ready()
		began := time.Now()
		for range 3 {
			<-v.Ready()
		}
		if took := time.Since(began); took < 2*time.Second || took > 4*time.Second {
			t.Errorf("three reports in %s", took)
		}
		v.Close()
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &agents{}
		h := New(Options{Agents: a})
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := h.Open(Request{User: "ann"}); !errors.Is(err, mesh.ErrUnavailable) {
			t.Errorf("open before run: %v", err)
		}
		done := make(chan struct{})
		go func() { defer close(done); h.Run(ctx) }()
		synctest.Wait()
		v := open(t, h, Request{})
		cancel()
		<-done
		<-v.Done()
		if v.Reason() != ReasonStopping {
			t.Errorf("reason %q", v.Reason())
		}
		if _, err := h.Open(Request{User: "ann"}); !errors.Is(err, mesh.ErrUnavailable) {
			t.Errorf("open after stop: %v", err)
		}
	})
}

func TestRefusals(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, _ *agents, _ *bytes.Buffer) {
		for name, tc := range map[string]struct {
			req  Request
			kind error
			text string
		}{
			"syntax":    {Request{Filter: "status >="}, mesh.ErrInvalid, "at "},
			"field":     {Request{Filter: "statsu = 5"}, mesh.ErrInvalid, "statsu"},
			"long":      {Request{Filter: strings.Repeat("x", MaxFilterBytes+1)}, mesh.ErrInvalid, "4097 bytes"},
			"limit":     {Request{LimitPerS: 1001}, mesh.ErrInvalid, "limit_per_s is 1001"},
			"negative":  {Request{LimitPerS: -1}, mesh.ErrInvalid, "limit_per_s"},
			"ttl":       {Request{TTL: 2 * time.Hour}, mesh.ErrInvalid, "ttl_s is 7200"},
			"short ttl": {Request{TTL: time.Millisecond}, mesh.ErrInvalid, "ttl_s"},
		} {
			_, err := h.Open(tc.req)
			if !errors.Is(err, tc.kind) || !strings.Contains(fmt.Sprint(err), tc.text) {
				t.Errorf("%s: got %v, want %v with %q", name, err, tc.kind, tc.text)
			}
		}
		var syntax *expr.SyntaxError
		if _, err := h.Open(Request{Filter: "status >="}); !errors.As(err, &syntax) {
			t.Errorf("%v carries no *expr.SyntaxError", err)
		}
	})
}

func TestLimits(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, _ *agents, _ *bytes.Buffer) {
		var all []*Viewer
		for i := range MaxPerUser {
			all = append(all, open(t, h, Request{User: "greedy", LimitPerS: i + 1}))
		}
		if _, err := h.Open(Request{User: "greedy"}); !errors.Is(err, mesh.ErrExhausted) {
			t.Errorf("session over the user's limit: %v", err)
		}
		for i := MaxPerUser; i < MaxSessions; i++ {
			all = append(all, open(t, h, Request{User: fmt.Sprint("u", i), LimitPerS: i + 1}))
		}
		if _, err := h.Open(Request{User: "one more", LimitPerS: 999}); !errors.Is(err, mesh.ErrExhausted) {
			t.Errorf("session over the limit: %v", err)
		}
		all = append(all, open(t, h, Request{User: "shares", LimitPerS: 1}))
		for _, v := range all {
			v.Close()
		}
		if v, err := h.Open(Request{User: "greedy"}); err != nil {
			t.Errorf("after all were closed: %v", err)
		} else {
			v.Close()
		}
	})
}

// Whatever sidecars report, matched is what is accounted for and what is under
// way, for every viewer.
func TestLedgerAddsUp(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, a *agents, _ *bytes.Buffer) {
		rng := rand.New(rand.NewPCG(3, 4))
		ids := []string{"a", "b", "c"}
		type counts struct{ matched, sampled, dropped, waiting uint64 }
		side := map[string]*counts{}
		for _, id := range ids {
			a.connect(id)
			side[id] = &counts{}
		}
		viewers := []*Viewer{open(t, h, Request{LimitPerS: 500})}
		report := func(id string, drain bool) {
			c := side[id]
			n := c.waiting
			if !drain {
				n = uint64(rng.IntN(int(c.waiting) + 1))
			}
			c.waiting -= n
			a.send(t, id, int(n), c.matched, c.sampled, c.dropped)
		}
		for range 300 {
			id := ids[rng.IntN(len(ids))]
			c := side[id]
			switch rng.IntN(10) {
			case 0:
				if len(viewers) < 6 {
					viewers = append(viewers, open(t, h, Request{User: fmt.Sprint(len(viewers)), LimitPerS: 500}))
				}
			case 1:
				a.gone(id)
				a.connect(id)
				side[id] = &counts{}
			case 2:
				viewers[rng.IntN(len(viewers))].Take()
			default:
				add, samp, drop := uint64(rng.IntN(200)), uint64(rng.IntN(3)), uint64(rng.IntN(3))
				c.matched += add + samp + drop
				c.waiting += add
				c.sampled += samp
				c.dropped += drop
				report(id, false)
			}
			time.Sleep(10 * time.Millisecond)
		}
		for _, id := range ids {
			report(id, true)
		}
		settle()
		for i, v := range viewers {
			l := v.Take().Ledger
			if l.Matched != l.Delivered+l.Lost() || l.Matched == 0 {
				t.Errorf("viewer %d: matched %d, delivered %d + lost %d (%+v)", i, l.Matched, l.Delivered, l.Lost(), l)
			}
			v.Close()
		}
	})
}

// Garbage from a sidecar is neither believed nor fatal.
func TestGarbageFromSidecars(t *testing.T) {
	run(t, func(t *testing.T, h *Hub, a *agents, _ *bytes.Buffer) {
		a.connect("n1")
		v := open(t, h, Request{})
		for _, b := range []*meshv1.TapBatch{
			nil,
			{},
			{Session: "."},
			{Session: "nobody.1", Events: []*meshv1.TapEvent{{}}},
			{Session: a.start(t, "n1").Session, Events: []*meshv1.TapEvent{nil, {}}},
			{Session: a.start(t, "n1").Session, Matched: 1},
		} {
			a.tap("n1", b)
			a.tap("stranger", b)
		}
		a.gone("stranger")
		settle()
		want := mesh.TapLedger{Matched: 2, Delivered: 2}
		if diff := cmp.Diff(want, v.Take().Ledger); diff != "" {
			t.Errorf("ledger (-want +got):\n%s", diff)
		}
		v.Close()
	})
}
