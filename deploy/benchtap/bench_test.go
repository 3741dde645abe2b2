package benchtap

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	proxytap "github.com/sidelight-mesh/sidelight/proxy/tap"
	"github.com/sidelight-mesh/sidelight/server/tap"
)

// fleet is the sidecars, as server/tap knows them: messages are handed over by
// call instead of by stream.
type fleet struct {
	hello func(mesh.Node)
	gone  func(string)
	take  func(string, *meshv1.TapBatch)

	sidecars map[string]*proxytap.Sessions
}

func (f *fleet) Send(id string, m *meshv1.ServerMessage) bool {
	s := f.sidecars[id]
	if start := m.GetTapStart(); start != nil {
		return s.Start(start) == nil
	}
	s.Stop(m.GetTapStop().GetSession())
	return true
}
func (f *fleet) OnHello(fn func(mesh.Node))              { f.hello = fn }
func (f *fleet) OnGone(fn func(string))                  { f.gone = fn }
func (f *fleet) OnTap(fn func(string, *meshv1.TapBatch)) { f.take = fn }
func (f *fleet) connect(id string, s *proxytap.Sessions) {
	f.sidecars[id] = s
	f.hello(mesh.Node{ID: id})
}

func peer(namespace, name string) *forward.Peer {
	return &forward.Peer{Workload: mesh.Workload{Namespace: namespace, Name: name, App: name}}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func goal(name string, value, bound float64, atLeast bool) {
	sign, met := "<=", value <= bound
	if atLeast {
		sign, met = ">=", value >= bound
	}
	verdict := "missed"
	if met {
		verdict = "met"
	}
	fmt.Printf("goal %s: %.4g %s%g %s\n", name, value, sign, bound, verdict)
}

const (
	sidecars = 20
	rate     = 10_000 // requests a second over all
	seconds  = 5
)

// BenchmarkTap prints what a tapped fleet delivers and what the hub carries.
func BenchmarkTap(b *testing.B) {
	for b.Loop() {
		lost, errors := tapFleet(b)
		idle, tapped := perExchange(b)
		one, many := hub(b, 1), hub(b, 100)
		first, further := encoding(b)
		fmt.Printf("\n%-64s %12s\n", fmt.Sprintf("%d sidecars, %d requests/s, 0.1 %% of them 503, limit 100/s", sidecars, rate), "")
		fmt.Printf("%-64s %12d\n%-64s %12d\n", "503 sent", errors, "503 not delivered", lost)
		fmt.Printf("%-64s %12.3f\n%-64s %12.3f\n", "sidecar without a session, us per request", idle, "sidecar with a session that all match, us per request", tapped)
		fmt.Printf("%-64s %12.0f\n%-64s %12.0f\n", "hub, events per CPU second, 1 viewer", one, "hub, events per CPU second, 100 viewers of one session", many)
		fmt.Printf("%-64s %12.3f\n%-64s %12.3f\n\n", "JSON of an event that goes to one viewer, us", first, "to each further one, us", further)
		goal("503-not-delivered", float64(lost), 0, false)
		goal("hub-events-per-cpu-second", one, 50_000, true)
		goal("hundred-viewers-against-one", one/many, 1.5, false)
		goal("sidecar-us-without-session", idle, 0.05, false)
	}
}

func exchange(i, status int) *forward.Exchange {
	return &forward.Exchange{
		Begin: time.Now(), Direction: listen.Outbound, Protocol: mesh.HTTP, Source: peer("shop", "web-"+strconv.Itoa(i%5)), Destination: peer("shop", "stock-"+strconv.Itoa(i%7)),
		Service: mesh.Service{Host: "stock.shop.svc.cluster.local", Namespace: "shop", Name: "stock"}, Method: "GET", Authority: "stock", Path: "/v1/items?id=4711",
		Status: status, Duration: time.Duration(rand.IntN(20)) * time.Millisecond, RouteName: "all", TLS: "none",
		Attempts: []forward.Attempt{{Endpoint: "10.0.0.1:8080", Status: status}},
	}
}

// tapFleet sends traffic through real sidecars' tap into a real hub, in real
// time, and counts the errors that a viewer of everything did not get.
func tapFleet(b *testing.B) (lost, errors int) {
	b.Helper()
	f := &fleet{sidecars: map[string]*proxytap.Sessions{}}
	h := tap.New(tap.Options{Agents: f})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) })
	var all []*proxytap.Sessions
	for i := range sidecars {
		s, err := proxytap.New(proxytap.Options{})
		if err != nil {
			b.Fatal(err)
		}
		id := fmt.Sprint("n", i)
		running.Go(func() { _ = s.Run(ctx) })
		running.Go(func() {
			for {
				select {
				case batch := <-s.Batches():
					f.take(id, batch)
				case <-ctx.Done():
					return
				}
			}
		})
		f.connect(id, s)
		all = append(all, s)
	}
	v := open(b, h, 100)
	got := 0
	running.Go(func() {
		for {
			select {
			case <-v.Ready():
				for _, ev := range v.Take().Events {
					if ev.Status == 503 {
						got++
					}
				}
			case <-ctx.Done():
				return
			}
		}
	})
	begin := time.Now()
	for n := range rate * seconds {
		if n%100 == 0 {
			time.Sleep(time.Until(begin.Add(time.Duration(n) * time.Second / rate)))
		}
		status := 200
		if n%1000 == 999 {
			status = 503
			errors++
		}
		all[rand.IntN(sidecars)].Done(exchange(n, status))
	}
	time.Sleep(3 * time.Second) // an error may wait two seconds for its turn
	v.Close()
	cancel()
	running.Wait()
	return errors - got, errors
}

// open waits for the hub to run.
func open(b *testing.B, h *tap.Hub, limit int) *tap.Viewer {
	b.Helper()
	for {
		v, err := h.Open(tap.Request{User: strconv.Itoa(rand.Int()), LimitPerS: limit})
		if err == nil {
			return v
		}
		time.Sleep(time.Millisecond)
	}
}

// perExchange gives a sidecar's own part for one request, in µs of CPU.
func perExchange(b *testing.B) (idle, tapped float64) {
	b.Helper()
	s, err := proxytap.New(proxytap.Options{})
	if err != nil {
		b.Fatal(err)
	}
	const n = 500_000
	x := exchange(1, 200)
	took := func() float64 {
		before := cpuTime()
		for range n {
			if s.Active() {
				s.Done(x)
			}
		}
		return float64((cpuTime() - before).Nanoseconds()) / n / 1000
	}
	idle = took()
	if err := s.Start(&meshv1.TapStart{Session: "a", Filter: `method = GET and duration >= 0`, MaxPerSecond: 100}); err != nil {
		b.Fatal(err)
	}
	return idle, took()
}

// hub gives how many events a second of CPU carries from sidecars' batches to
// viewers, by batches of 100.
func hub(b *testing.B, viewers int) float64 {
	b.Helper()
	token := make(chan string, 1)
	starts := &tokens{fleet: &fleet{}, first: token}
	h := tap.New(tap.Options{Agents: starts})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) })
	starts.hello(mesh.Node{ID: "n"})
	var all []*tap.Viewer
	for range viewers {
		all = append(all, open(b, h, tap.MaxEventsPerS))
	}
	batch := &meshv1.TapBatch{Session: <-token}
	for i := range 100 {
		batch.Events = append(batch.Events, meshv1.FromTapEvent(event(i)))
	}
	const batches = 4000
	wire, err := proto.Marshal(batch)
	if err != nil {
		b.Fatal(err)
	}
	before := cpuTime()
	for i := range batches {
		var came meshv1.TapBatch
		if err := proto.Unmarshal(wire, &came); err != nil {
			b.Fatal(err)
		}
		came.Matched = uint64(i+1) * 100
		starts.take("n", &came)
		if i%40 == 39 { // as often as 100 ms at 40,000 a second
			time.Sleep(100 * time.Millisecond)
			for _, v := range all {
				v.Take()
			}
		}
	}
	spent := cpuTime() - before
	for _, v := range all {
		v.Close()
	}
	cancel()
	running.Wait()
	return batches * 100 / spent.Seconds()
}

// event is one as a sidecar tells of it.
func event(i int) mesh.TapEvent {
	return mesh.TapEvent{
		At: time.Now(), Direction: "outbound", Protocol: mesh.HTTP, Method: "GET", Authority: "stock", Path: "/v1/items?id=de650d61", Status: 200 + i%2, Flags: "-",
		Source: mesh.Workload{Namespace: "shop", Name: "web", App: "web", Version: "v1"}, Destination: mesh.Workload{Namespace: "shop", Name: "stock", App: "stock", Version: "v1"},
		Service: mesh.Service{Host: "stock.shop.svc.cluster.local", Namespace: "shop", Name: "stock"}, AnsweredBy: mesh.AnsweredByUpstream, Route: "all",
		RouteObject: "VirtualService shop/stock", Cluster: "outbound|8080||stock.shop.svc.cluster.local", Revision: 17, DurationMS: 12.5, FirstByteMS: 12.1, ProxyMS: 0.2,
		Attempts:     []mesh.Attempt{{Endpoint: "10.0.0.1:8080", Workload: "shop/stock", DurationMS: 12, Status: 200 + i%2, Flags: "-"}},
		RequestBytes: 120, ResponseBytes: 2048, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", SpanID: "00f067aa0ba902b7", TLS: "mutual_tls",
		SourcePrincipal: "spiffe://cluster.local/ns/shop/sa/web", DestinationPrincipal: "spiffe://cluster.local/ns/shop/sa/stock",
	}
}

// encoding gives what the JSON of an event takes for the viewer who comes first,
// and for each further one, in µs of CPU.
func encoding(b *testing.B) (first, further float64) {
	b.Helper()
	const frames, events = 200, 100
	all := make([]tap.Batch, frames)
	for i := range all {
		for n := range events {
			all[i].Events = append(all[i].Events, &tap.Event{TapEvent: event(n)})
		}
	}
	took := func() float64 {
		before := cpuTime()
		for _, batch := range all {
			if _, err := batch.JSON(); err != nil {
				b.Fatal(err)
			}
		}
		return float64((cpuTime() - before).Nanoseconds()) / frames / events / 1000
	}
	return took(), took()
}

// tokens is a fleet whose sidecar only tells the session that it was given.
type tokens struct {
	*fleet
	first chan string
}

func (t *tokens) Send(_ string, m *meshv1.ServerMessage) bool {
	if start := m.GetTapStart(); start != nil {
		select {
		case t.first <- start.Session:
		default:
		}
	}
	return true
}
