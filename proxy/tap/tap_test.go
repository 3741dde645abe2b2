package tap

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// exchange is one request from web to a service.
func exchange(service string, status int, took time.Duration) *forward.Exchange {
	return &forward.Exchange{
		Begin:       time.Now(),
		Direction:   "outbound",
		Protocol:    mesh.HTTP,
		Source:      &forward.Peer{Workload: mesh.Workload{Namespace: "cinema", Name: "web-v1", App: "web"}},
		Destination: &forward.Peer{Workload: mesh.Workload{Namespace: "cinema", Name: service + "-v1", App: service}},
		Service:     mesh.Service{Host: service + ".cinema.svc.cluster.local", Namespace: "cinema", Name: service},
		Method:      "GET", Authority: service, Path: "/v1/items?order=4711",
		Status: status, Details: forward.DetailsViaUpstream, Duration: took, TLS: "none",
		Attempts: []forward.Attempt{{Endpoint: "10.0.0.7:8080", Status: status, Duration: took}},
	}
}

// run starts Sessions in the bubble of a synctest; the result ends them.
func run(t *testing.T) (*Sessions, func()) {
	t.Helper()
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx)
	}()
	return s, func() {
		cancel()
		<-done
	}
}

func start(t *testing.T, s *Sessions, req *meshv1.TapStart) {
	t.Helper()
	if err := s.Start(req); err != nil {
		t.Fatal(err)
	}
}

// received is what a reader of Batches got.
type received struct {
	events []*meshv1.TapEvent
	last   *meshv1.TapBatch
}

// drain reads what is there.
func (r *received) drain(s *Sessions) {
	for {
		select {
		case b := <-s.Batches():
			r.events = append(r.events, b.GetEvents()...)
			r.last = b
		default:
			return
		}
	}
}

func (r *received) count(fits func(*meshv1.TapEvent) bool) int {
	n := 0
	for _, ev := range r.events {
		if fits(ev) {
			n++
		}
	}
	return n
}

func TestDeliversWhatMatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := run(t)
		defer stop()
		if s.Active() {
			t.Error("active without a session")
		}
		s.Done(exchange("catalog", 500, time.Millisecond)) // nobody asked yet
		start(t, s, &meshv1.TapStart{Session: "a", Filter: "status >= 500", MaxPerSecond: 50, TtlSeconds: 60})
		s.Done(exchange("catalog", 200, time.Millisecond))
		s.Done(exchange("catalog", 503, 1500*time.Microsecond))
		time.Sleep(2 * tick)
		synctest.Wait()

		var got received
		got.drain(s)
		if len(got.events) != 1 {
			t.Fatalf("got %d events, want one", len(got.events))
		}
		ev := got.events[0].Mesh()
		want := mesh.TapEvent{
			At: ev.At, Direction: "outbound",
			Source:      mesh.Workload{Namespace: "cinema", Name: "web-v1", App: "web"},
			Destination: mesh.Workload{Namespace: "cinema", Name: "catalog-v1", App: "catalog"},
			Service:     mesh.Service{Host: "catalog.cinema.svc.cluster.local", Namespace: "cinema", Name: "catalog"},
			Protocol:    mesh.HTTP, Method: "GET", Authority: "catalog", Path: "/v1/items?order=de650d61",
			Status: 503, Flags: "-", AnsweredBy: "upstream",
			Attempts:   []mesh.Attempt{{Endpoint: "10.0.0.7:8080", Status: 503, DurationMS: 1.5, Flags: "-"}},
			DurationMS: 1.5, TLS: "none",
		}
		if diff := cmp.Diff(want, ev); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
		if got.last.GetMatched() != 1 || got.last.GetSampledOut() != 0 || got.last.GetDropped() != 0 {
			t.Errorf("ledger is %v", got.last)
		}
	})
}

// A TCP connection is an event when it ends; it has no status, and fails by its flags.
func TestConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := run(t)
		defer stop()
		start(t, s, &meshv1.TapStart{Session: "all", Filter: "protocol = tcp and connect >= 3ms"})
		start(t, s, &meshv1.TapStart{Session: "failed", Filter: "error"})
		x := exchange("notifications", 0, time.Minute)
		x.Protocol, x.Method, x.Path, x.Authority = mesh.TCP, "", "", ""
		x.RequestBytes, x.ResponseBytes = 100, 200
		x.Attempts[0].Connect, x.Attempts[0].Queue = 3*time.Millisecond, time.Millisecond
		s.Done(x)
		x.Flags = forward.FlagUC
		s.Done(x)
		time.Sleep(2 * tick)
		synctest.Wait()
		var got received
		got.drain(s)
		if len(got.events) != 3 || got.count(func(ev *meshv1.TapEvent) bool { return ev.GetFlags() == "UC" }) != 2 {
			t.Fatalf("%d events: %v", len(got.events), got.events)
		}
		ev := got.events[0].Mesh()
		if ev.Protocol != mesh.TCP || ev.Status != 0 || ev.RequestBytes != 100 || ev.ResponseBytes != 200 || ev.DurationMS != 60_000 ||
			ev.Attempts[0].ConnectMS != 3 || ev.Attempts[0].QueueMS != 1 {
			t.Errorf("event %+v", ev)
		}
	})
}

func TestErrorsAndRareEdgesSurviveTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := run(t)
		defer stop()
		start(t, s, &meshv1.TapStart{Session: "a", MaxPerSecond: 20, TtlSeconds: 60})
		var got received
		// Ten seconds: a busy edge, a rare one, and now and then an error and a
		// slow one that come last in their tick.
		for i := range 1000 {
			for range 20 {
				s.Done(exchange("catalog", 200, 2*time.Millisecond))
			}
			if i%50 == 49 {
				s.Done(exchange("reviews", 200, 2*time.Millisecond))
			}
			if i%100 == 99 {
				s.Done(exchange("catalog", 503, time.Millisecond))
				s.Done(exchange("catalog", 200, 900*time.Millisecond))
			}
			time.Sleep(10 * time.Millisecond)
			got.drain(s)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		got.drain(s)

		if n := got.count(func(ev *meshv1.TapEvent) bool { return ev.GetStatus() == 503 }); n != 10 {
			t.Errorf("%d of 10 errors came through", n)
		}
		if n := got.count(func(ev *meshv1.TapEvent) bool { return ev.GetDurationMs() > 500 }); n != 10 {
			t.Errorf("%d of 10 slow requests came through", n)
		}
		if n := got.count(func(ev *meshv1.TapEvent) bool { return ev.GetService().GetName() == "reviews" }); n != 20 {
			t.Errorf("%d of 20 requests on the rare edge came through", n)
		}
		if n := len(got.events); n > 220 || n < 180 {
			t.Errorf("%d events in ten seconds, want about 200", n)
		}
		balance(t, got, 1000*20+20+20)
	})
}

func TestNeverMoreThanTheLimitInASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := run(t)
		defer stop()
		start(t, s, &meshv1.TapStart{Session: "a", MaxPerSecond: 30, TtlSeconds: 60})
		time.Sleep(5*time.Second + tick/2) // quiet time saves up a burst, and no more
		var perTick []int
		var got received
		for range 50 {
			for range 100 {
				s.Done(exchange("catalog", 500, time.Millisecond))
			}
			before := len(got.events)
			time.Sleep(tick)
			synctest.Wait()
			got.drain(s)
			perTick = append(perTick, len(got.events)-before)
		}
		for i := range len(perTick) - 9 {
			sum := 0
			for _, n := range perTick[i : i+10] {
				sum += n
			}
			if sum > 30 {
				t.Fatalf("%d events in the second after tick %d: %v", sum, i, perTick)
			}
		}
		if perTick[0] != 30 {
			t.Errorf("after a quiet second %d events came at once, want all 30", perTick[0])
		}
		if len(got.events) < 130 {
			t.Errorf("%d events in five seconds, want about 150: %v", len(got.events), perTick)
		}
		if most := slices.Max(perTick[20:]); most > 6 {
			t.Errorf("under load events come in bursts: %v", perTick)
		}
	})
}

func TestLowLimitStillDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := run(t)
		defer stop()
		start(t, s, &meshv1.TapStart{Session: "a", MaxPerSecond: 1, TtlSeconds: 60})
		var got received
		for range 100 {
			s.Done(exchange("catalog", 200, time.Millisecond))
			time.Sleep(tick)
			got.drain(s)
		}
		if n := len(got.events); n < 9 || n > 11 {
			t.Errorf("%d events in ten seconds at one a second", n)
		}
	})
}

func TestLedgerAddsUpWhenNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := run(t)
		defer stop()
		start(t, s, &meshv1.TapStart{Session: "a", MaxPerSecond: 100, TtlSeconds: 60})
		for range 400 { // 40 s: more batches than the queue holds
			for range 5 {
				s.Done(exchange("catalog", 200, time.Millisecond))
			}
			time.Sleep(tick)
		}
		var got received
		got.drain(s)
		time.Sleep(2 * reportEvery)
		synctest.Wait()
		got.drain(s)
		if got.last.GetDropped() == 0 {
			t.Error("nothing is said to be dropped, and nobody read")
		}
		balance(t, got, 2000)
	})
}

// balance holds the last ledger against what was received and offered.
func balance(t *testing.T, got received, offered int) {
	t.Helper()
	l := got.last
	if int(l.GetMatched()) != offered {
		t.Errorf("matched %d of %d", l.GetMatched(), offered)
	}
	if sum := uint64(len(got.events)) + l.GetSampledOut() + l.GetDropped(); sum != l.GetMatched() {
		t.Errorf("matched %d, but %d delivered + %d sampled out + %d dropped = %d",
			l.GetMatched(), len(got.events), l.GetSampledOut(), l.GetDropped(), sum)
	}
}

// TestLedgerUnderRace uses real time and many goroutines.
func TestLedgerUnderRace(t *testing.T) {
	s, stop := run(t)
	start(t, s, &meshv1.TapStart{Session: "a", MaxPerSecond: 200, TtlSeconds: 60, Headers: true})
	var got received
	ctx, cancel := context.WithCancel(t.Context())
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			select {
			case b := <-s.Batches():
				got.events = append(got.events, b.GetEvents()...)
				got.last = b
			case <-ctx.Done():
				return
			}
		}
	}()
	const workers, each = 8, 2000
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				if s.Active() {
					s.Done(exchange(fmt.Sprintf("service-%d", i%20), 200+100*(w%4), time.Millisecond))
				}
			}
		})
	}
	wg.Wait()
	s.Stop("a")
	for deadline := time.Now().Add(5 * time.Second); s.Active() && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond)
	cancel()
	<-read
	stop()
	balance(t, got, workers*each)
}

func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := run(t)
		defer stop()
		start(t, s, &meshv1.TapStart{Session: "short", TtlSeconds: 1})
		start(t, s, &meshv1.TapStart{Session: "long", TtlSeconds: 60})
		s.Done(exchange("catalog", 200, time.Millisecond))
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if n := len(*s.running.Load()); n != 1 {
			t.Errorf("%d sessions run after one's time is over, want 1", n)
		}
		s.Stop("long")
		s.Stop("unknown")
		s.Done(exchange("catalog", 200, time.Millisecond))
		time.Sleep(2 * tick)
		synctest.Wait()
		if s.Active() {
			t.Error("active after the last session ended")
		}
		var got received
		got.drain(s)
		if got.last.GetSession() != "long" || got.last.GetMatched() != 2 {
			t.Errorf("the last word is %v, want the ledger of the stopped session", got.last)
		}
		start(t, s, &meshv1.TapStart{Session: "again"})
		s.StopAll()
		if s.Active() {
			t.Error("active after all were stopped")
		}
	})
}

func TestStartRefuses(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	start(t, s, &meshv1.TapStart{Session: "a", Filter: "status = 5xx"})
	start(t, s, &meshv1.TapStart{Session: "a", Filter: "status = 5xx"}) // renewed
	tests := []struct {
		name string
		req  *meshv1.TapStart
		want error
	}{
		{"no ID", &meshv1.TapStart{}, mesh.ErrInvalid},
		{"bad filter", &meshv1.TapStart{Session: "b", Filter: "status >"}, mesh.ErrInvalid},
		{"unknown field", &meshv1.TapStart{Session: "b", Filter: "colour = red"}, mesh.ErrInvalid},
		{"other filter", &meshv1.TapStart{Session: "a", Filter: "status = 4xx"}, mesh.ErrConflict},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := s.Start(tt.req); !errors.Is(err, tt.want) {
				t.Errorf("Start: %v, want %v", err, tt.want)
			}
		})
	}
	for i := range maxSessions - 1 {
		start(t, s, &meshv1.TapStart{Session: fmt.Sprint(i)})
	}
	if err := s.Start(&meshv1.TapStart{Session: "one more"}); !errors.Is(err, mesh.ErrExhausted) {
		t.Errorf("Start: %v, want %v", err, mesh.ErrExhausted)
	}
}

func TestHeadersOnlyWhenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := run(t)
		defer stop()
		start(t, s, &meshv1.TapStart{Session: "with", Headers: true})
		start(t, s, &meshv1.TapStart{Session: "without"})
		x := exchange("catalog", 200, time.Millisecond)
		x.Headers = forward.HeaderView{
			Request:  http.Header{"Authorization": {"Bearer abc"}, "Accept": {"text/plain"}},
			Response: http.Header{"Set-Cookie": {"id=1"}},
		}
		s.Done(x)
		x.Headers.Request.Set("Accept", "changed after Done")
		time.Sleep(2 * tick)
		synctest.Wait()
		for range 2 {
			b := <-s.Batches()
			ev := b.GetEvents()[0].Mesh()
			if b.GetSession() == "without" {
				if ev.RequestHeaders != nil || ev.ResponseHeaders != nil {
					t.Errorf("headers were not asked for: %v", ev)
				}
				continue
			}
			want := []mesh.Header{{Name: "accept", Value: "text/plain"}, {Name: "authorization", Redacted: true, Bytes: 10}}
			if diff := cmp.Diff(want, ev.RequestHeaders); diff != "" {
				t.Errorf("request headers (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]mesh.Header{{Name: "set-cookie", Redacted: true, Bytes: 4}}, ev.ResponseHeaders); diff != "" {
				t.Errorf("response headers (-want +got):\n%s", diff)
			}
		}
	})
}

// A filter may ask for header fields; of those that are redacted, here also by
// the server's wish, only whether they are there.
func TestHeaderFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := run(t)
		defer stop()
		for name, filter := range map[string]string{
			"fits":    "header[user-agent] ^= curl and response_header[x-cache] = hit",
			"there":   "header[x-account] and header[authorization]",
			"guesses": "header[x-account] = ann",
			"denies":  "header[x-account] != ann",
			"hashed":  "header[referer] *= 4711",
		} {
			start(t, s, &meshv1.TapStart{Session: name, Filter: filter, RedactHeaders: []string{"x-account"}})
		}
		x := exchange("catalog", 200, time.Millisecond)
		x.Headers = forward.HeaderView{
			Request:  http.Header{"User-Agent": {"curl/8.1"}, "X-Account": {"ann"}, "Authorization": {"Bearer abc"}, "Referer": {"/a?order=4711"}},
			Response: http.Header{"X-Cache": {"HIT"}},
		}
		s.Done(x)
		x.Headers.Request["X-Account"] = []string{"bob"}
		s.Done(x)
		time.Sleep(2 * reportEvery)
		synctest.Wait()
		matched := map[string]uint64{}
		for len(s.batches) > 0 {
			b := <-s.Batches()
			matched[b.GetSession()] = b.GetMatched()
		}
		want := map[string]uint64{"fits": 2, "there": 2, "denies": 2}
		if diff := cmp.Diff(want, matched); diff != "" {
			t.Errorf("matched (-want +got):\n%s", diff)
		}
	})
}

func TestHostileTextMakesAValidMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := run(t)
		defer stop()
		start(t, s, &meshv1.TapStart{Session: "a", Headers: true})
		x := exchange("catalog", 200, time.Millisecond)
		bad := strings.Repeat("\xff\x00é", 5000)
		x.Path, x.Authority, x.Method, x.GRPCStatus, x.Details = "/"+bad+"?"+bad+"="+bad, bad, bad, bad, bad
		x.Attempts[0].Reason = bad
		x.Headers.Request = http.Header{"X-Odd": {bad}, "Referer": {"https://u:p@h/" + bad}, bad: {bad}}
		s.Done(x)
		time.Sleep(2 * tick)
		synctest.Wait()
		b := <-s.Batches()
		data, err := proto.Marshal(b)
		if err != nil {
			t.Fatalf("the batch does not encode: %v", err)
		}
		if len(data) > 32<<10 {
			t.Errorf("one event takes %d bytes", len(data))
		}
	})
}

func TestIdleCostsNothing(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := exchange("catalog", 200, time.Millisecond)
	if n := testing.AllocsPerRun(100, func() {
		if s.Active() {
			s.Done(x)
		}
	}); n != 0 {
		t.Errorf("%v allocations without a session", n)
	}
}

func BenchmarkDone(b *testing.B) {
	for _, bench := range []struct{ name, filter string }{
		{"no match", "status >= 500"},
		{"match", "status < 500"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s, err := New(Options{})
			if err != nil {
				b.Fatal(err)
			}
			if err := s.Start(&meshv1.TapStart{Session: "a", Filter: bench.filter, MaxPerSecond: 50}); err != nil {
				b.Fatal(err)
			}
			x := exchange("catalog", 200, time.Millisecond)
			b.ReportAllocs()
			for b.Loop() {
				s.Done(x)
			}
		})
	}
}
