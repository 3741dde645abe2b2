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
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server takes edge streams as the real one does, or worse.
type server struct {
	meshv1.UnimplementedEdgesServer

	mu   sync.Mutex
	got  []mesh.EdgeBatch
	deaf bool // reads nothing
	most int  // ends the stream after so many messages, without an answer to the last; 0 never
}

func (s *server) Publish(stream grpc.BidiStreamingServer[meshv1.EdgeBatches, meshv1.PublishResponse]) error {
	if s.deaf {
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	for n := 1; ; n++ {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		s.mu.Lock()
		for _, b := range m.GetBatches() {
			s.got = append(s.got, b.Mesh())
		}
		ends := n == s.most
		s.mu.Unlock()
		if ends {
			return status.Error(codes.Unavailable, "enough for now")
		}
		if err := stream.Send(&meshv1.PublishResponse{}); err != nil {
			return err
		}
	}
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
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
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
	if stats := r.Stats(); stats.Sent != 501 || stats.Dropped != 0 || stats.Waiting != 0 {
		t.Errorf("stats %+v", stats)
	}
}

// numbers is which batches came, each once, in the order in which they first did.
func (s *server) numbers() []string {
	var out []string
	seen := map[string]bool{}
	for _, target := range s.targets() {
		if !seen[target] {
			out, seen[target] = append(out, target), true
		}
	}
	return out
}

// TestServerAway starts without a server, gets it, loses it, gets it back, and
// dies meanwhile: every batch comes, in order.
func TestServerAway(t *testing.T) {
	addr, stopServer := listen(t, "127.0.0.1:0", new(server))
	stopServer()
	o := RemoteOptions{Server: addr, Dir: t.TempDir()}
	r, stop := run(t, o)
	next := 0
	publish := func(n int) {
		for range n {
			r.Publish(mesh.EdgeBatch{Target: fmt.Sprint(next), Error: strings.Repeat("x", 40<<10)})
			next++
		}
	}
	publish(300) // more than waits in memory
	if stats := r.Stats(); stats.Dropped != 0 || stats.Waiting != 300 || stats.WaitingBytes < 12_000_000 || stats.Connected {
		t.Errorf("while away: %+v", stats)
	}
	s := new(server)
	_, stopServer = listen(t, addr, s)
	until(t, "the batches", func() bool { return len(s.numbers()) == 300 && r.Stats().Waiting == 0 })
	stopServer()
	until(t, "the break", func() bool { return !r.Stats().Connected && r.Stats().LastError != "" })
	publish(20)
	stop()
	if stats := r.Stats(); stats.Waiting != 20 {
		t.Errorf("after the end: %+v", stats)
	}
	r, _ = run(t, o)
	publish(20)
	back := new(server)
	listen(t, addr, back)
	until(t, "the rest", func() bool { return len(back.numbers()) == 40 })
	all := append(s.numbers(), back.numbers()...)
	for i, number := range all {
		if number != fmt.Sprint(i) {
			t.Fatalf("batch %d is %s", i, number)
		}
	}
	until(t, "nothing waits", func() bool { return r.Stats().Waiting == 0 })
	if stats := r.Stats(); stats.Dropped != 0 || !stats.Connected {
		t.Errorf("at the end: %+v", stats)
	}
}

// What the server has not answered for comes again, before what is newer.
func TestServerEndsStream(t *testing.T) {
	s := &server{most: 1}
	addr, _ := listen(t, "127.0.0.1:0", s)
	r, _ := run(t, RemoteOptions{Server: addr})
	r.Publish(mesh.EdgeBatch{Target: "0"})
	until(t, "the first again", func() bool { return len(s.targets()) >= 2 })
	r.Publish(mesh.EdgeBatch{Target: "1"})
	s.mu.Lock()
	s.most = 0
	s.mu.Unlock()
	until(t, "both", func() bool { return r.Stats().Sent == 2 })
	if got := s.numbers(); len(got) != 2 || got[1] != "1" {
		t.Errorf("got %v", got)
	}
}

// TestDeafServer publishes to a server that takes the stream and reads
// nothing: Publish does not block, what finds no room is counted, and stopping
// ends.
func TestDeafServer(t *testing.T) {
	addr, _ := listen(t, "127.0.0.1:0", &server{deaf: true})
	r, stop := run(t, RemoteOptions{Server: addr, MaxBytes: 1 << 20})
	text := strings.Repeat("x", 1<<20)
	for range 20 { // would not end if it waited for the server
		r.Publish(mesh.EdgeBatch{Target: "t", Error: text})
	}
	if stats := r.Stats(); stats.Dropped == 0 || int(stats.Dropped)+stats.Waiting != 20 {
		t.Errorf("of 20 batches: %+v", stats)
	}
	stop()
}

// What the server will never take does not hold up the rest.
func TestTooLarge(t *testing.T) {
	s := new(server)
	addr, _ := listen(t, "127.0.0.1:0", s)
	r, _ := run(t, RemoteOptions{Server: addr})
	r.Publish(mesh.EdgeBatch{Target: "0", Error: strings.Repeat("x", 5<<20)}) // gRPC's own limit is 4 MiB
	r.Publish(mesh.EdgeBatch{Target: "1"})
	r.Publish(mesh.EdgeBatch{Target: "\xff"})
	until(t, "the small one", func() bool { return r.Stats().Sent == 1 })
	if stats := r.Stats(); stats.Refused != 2 || len(s.numbers()) != 1 {
		t.Errorf("%+v, the server has %v", stats, s.numbers())
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
	for _, o := range []RemoteOptions{{Dir: t.TempDir()}, {Server: addr}} {
		if _, err := NewRemote(o); !errors.Is(err, mesh.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// Over TLS the publisher says why nothing goes, keeps what waits, and comes
// through once its certificate or the server's is right, which needs no restart.
func TestServerOverTLS(t *testing.T) {
	here, elsewhere := identitytest.New(t, "cluster.local"), identitytest.New(t, "cluster.local")
	ofServer := elsewhere.Source(mesh.SystemNamespace, mesh.ServerAccount)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := new(server)
	g := grpc.NewServer(grpc.Creds(credentials.NewTLS(ofServer.ServerTLS([]string{"h2"}))))
	meshv1.RegisterEdgesServer(g, s)
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(l) }()
	t.Cleanup(func() { g.Stop(); <-done })

	own := &identity.Source{}
	r, _ := run(t, RemoteOptions{Server: l.Addr().String(), TLS: own.ServerOfMeshTLS()})
	r.Publish(mesh.EdgeBatch{Target: "0"})
	reason := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !strings.Contains(r.Stats().LastError, want); time.Sleep(2 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the publisher says %q, want %q", r.Stats().LastError, want)
			}
		}
		if stats := r.Stats(); stats.Waiting != 1 || stats.Connected {
			t.Errorf("%s: %+v", want, stats)
		}
	}
	reason("this process has no certificate")
	own.Set(here.Issue(mesh.SystemNamespace, mesh.CollectorAccount, time.Hour))
	reason("peer's certificate: ") // the server's is of another root
	ofServer.Set(here.Issue("cinema", "web", time.Hour))
	reason("is not the mesh's server")
	own.Set(here.Issue(mesh.SystemNamespace, mesh.CollectorAccount, -30*time.Second)) // before the server is right: it would come through
	ofServer.Set(here.Issue(mesh.SystemNamespace, mesh.ServerAccount, time.Hour))
	reason("tls: ") // the server refuses what has ended
	own.Set(here.Issue(mesh.SystemNamespace, mesh.CollectorAccount, time.Hour))
	until(t, "the batch", func() bool { return r.Stats().Waiting == 0 })
	if got := s.targets(); len(got) != 1 {
		t.Errorf("the server has %v", got)
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
