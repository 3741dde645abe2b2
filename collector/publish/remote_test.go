package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server takes edge streams as the real one does, or worse.
type server struct {
	meshv1.UnimplementedEdgesServer

	mu   sync.Mutex
	got  []mesh.EdgeBatch
	deaf bool // reads nothing
	most int  // ends the stream after so many batches; 0 never
}

func (s *server) Publish(stream grpc.ClientStreamingServer[meshv1.EdgeBatch, meshv1.PublishResponse]) error {
	if s.deaf {
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	for n := uint64(0); s.most == 0 || n < uint64(s.most); n++ {
		b, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&meshv1.PublishResponse{Batches: n})
		}
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.got = append(s.got, b.Mesh())
		s.mu.Unlock()
	}
	return status.Error(codes.Unavailable, "enough for now")
}

func (s *server) targets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, b := range s.got {
		out = append(out, b.Target)
	}
	return out
}

// listen serves s at address and gives the address and how to stop.
func listen(t *testing.T, address string, s *server) (string, func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	if s != nil {
		meshv1.RegisterEdgesServer(g, s)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(l) }()
	var once sync.Once
	stop := func() { once.Do(func() { g.Stop(); <-done }) }
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// run runs a publisher; stop ends it and gives how long that took.
func run(t *testing.T, o RemoteOptions) (*Remote, func() time.Duration) {
	t.Helper()
	r, err := NewRemote(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop := sync.OnceValue(func() time.Duration {
		begin := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		return time.Since(begin)
	})
	t.Cleanup(func() { stop() })
	return r, stop
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestDelivers(t *testing.T) {
	s := new(server)
	addr, _ := listen(t, "127.0.0.1:0", s)
	r, stop := run(t, RemoteOptions{Server: addr})
	want := mesh.EdgeBatch{
		Target: "10.0.0.1:15020", Node: "web-1", Workload: mesh.Workload{Namespace: "cinema", Name: "web"},
		At: time.UnixMilli(1_700_000_000_123).UTC(), Interval: time.Second, Up: true,
		Deltas: []mesh.EdgeDelta{{
			Key:      mesh.EdgeKey{Reporter: mesh.FromSource, Source: mesh.Workload{Namespace: "cinema", Name: "web"}, Protocol: mesh.HTTP},
			Requests: map[mesh.Outcome]float64{{Code: 200, Flags: "-"}: 3},
			Latency:  mesh.Histogram{Count: 3, Sum: 12, Buckets: []mesh.Bucket{{Lower: 1, Upper: 5, Count: 3}}},
			Attempts: 3,
		}},
	}
	r.Publish(want)
	until(t, "the batch", func() bool { return len(s.targets()) == 1 })
	if diff := cmp.Diff(want, s.got[0]); diff != "" {
		t.Errorf("batch differs (-want +got):\n%s", diff)
	}
	// What is queued when it stops is sent still, in order.
	for i := range 500 {
		r.Publish(mesh.EdgeBatch{Target: fmt.Sprint(i)})
	}
	if took := stop(); took > 900*time.Millisecond {
		t.Errorf("stopping took %s", took)
	}
	got := s.targets()
	if len(got) != 501 || got[500] != "499" {
		t.Errorf("got %d batches, the last %q", len(got), got[len(got)-1])
	}
	if stats := r.Stats(); stats.Sent != 501 || stats.Dropped != 0 || stats.Queued != 0 {
		t.Errorf("stats %+v", stats)
	}
}

// TestServerAway starts without a server, loses it, and gets it back: the
// newest batches are kept, the lost ones are counted.
func TestServerAway(t *testing.T) {
	addr, stopServer := listen(t, "127.0.0.1:0", new(server))
	stopServer()
	r, _ := run(t, RemoteOptions{Server: addr, Queue: 10})
	for i := range 25 {
		r.Publish(mesh.EdgeBatch{Target: fmt.Sprint(i)})
	}
	if stats := r.Stats(); stats.Dropped != 15 || stats.Queued != 10 || stats.Connected {
		t.Errorf("while away: %+v", stats)
	}
	s := new(server)
	_, stopServer = listen(t, addr, s)
	until(t, "the queue", func() bool { return len(s.targets()) == 10 })
	if got := s.targets(); got[0] != "15" || got[9] != "24" {
		t.Errorf("got %v, want 15 to 24", got)
	}
	stopServer()
	until(t, "the break", func() bool { return !r.Stats().Connected && r.Stats().LastError != "" })
	r.Publish(mesh.EdgeBatch{Target: "after"})
	back := new(server)
	listen(t, addr, back)
	until(t, "the batch", func() bool { return len(back.targets()) == 1 })
	if got := back.targets()[0]; got != "after" || !r.Stats().Connected {
		t.Errorf("got %q, %+v", got, r.Stats())
	}
}

func TestServerEndsStream(t *testing.T) {
	s := &server{most: 1}
	addr, _ := listen(t, "127.0.0.1:0", s)
	r, _ := run(t, RemoteOptions{Server: addr})
	for i := range 3 {
		r.Publish(mesh.EdgeBatch{Target: fmt.Sprint(i)})
		until(t, "the batch", func() bool { return len(s.targets()) == i+1 })
		until(t, "the end", func() bool { return strings.Contains(r.Stats().LastError, "enough") || r.Stats().Connected })
		time.Sleep(20 * time.Millisecond) // the end has come for sure
	}
}

// TestDeafServer publishes to a server that takes the stream and reads
// nothing: Publish does not block, and stopping ends.
func TestDeafServer(t *testing.T) {
	addr, _ := listen(t, "127.0.0.1:0", &server{deaf: true})
	r, stop := run(t, RemoteOptions{Server: addr, Queue: 8})
	text := strings.Repeat("x", 32<<10)
	begin := time.Now()
	for range 100 {
		r.Publish(mesh.EdgeBatch{Target: "t", Error: text})
		time.Sleep(time.Millisecond)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("publishing took %s", took)
	}
	if r.Stats().Dropped == 0 {
		t.Errorf("nothing dropped: %+v", r.Stats())
	}
	if took := stop(); took > 2*time.Second {
		t.Errorf("stopping took %s", took)
	}
}

func TestWrongServer(t *testing.T) {
	addr, _ := listen(t, "127.0.0.1:0", nil)
	r, _ := run(t, RemoteOptions{Server: addr})
	r.Publish(mesh.EdgeBatch{Target: "t"})
	until(t, "the reason", func() bool { return strings.Contains(r.Stats().LastError, "takes no edge streams") })
	if r.Stats().Connected {
		t.Error("connected")
	}
}

func TestStopWithoutServer(t *testing.T) {
	addr, stopServer := listen(t, "127.0.0.1:0", nil)
	stopServer()
	r, stop := run(t, RemoteOptions{Server: addr})
	r.Publish(mesh.EdgeBatch{})
	time.Sleep(10 * time.Millisecond)
	if took := stop(); took > 500*time.Millisecond {
		t.Errorf("stopping took %s", took)
	}
	if _, err := NewRemote(RemoteOptions{}); !errors.Is(err, mesh.ErrInvalid) {
		t.Errorf("no server: %v", err)
	}
}

func TestFunc(t *testing.T) {
	var got mesh.EdgeBatch
	var p Publisher = Func(func(b mesh.EdgeBatch) { got = b })
	p.Publish(mesh.EdgeBatch{Target: "t"})
	if got.Target != "t" {
		t.Errorf("got %+v", got)
	}
}
