package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

// seenMax bounds the memory of which nodes traffic was seen from.
const seenMax = 100_000

// intake remembers what came in, for what is missing to be noticed.
type intake struct {
	mu       sync.Mutex
	last     time.Time     // when the newest batch came
	interval time.Duration // of its target
	seen     map[string]struct{}

	refused atomic.Uint64 // edge streams of who may not send any
}

// Publish takes what one scrape changed into the graph.
func (a *App) Publish(b mesh.EdgeBatch) {
	now := time.Now()
	a.intake.mu.Lock()
	a.intake.last = now
	if b.Interval > 0 {
		a.intake.interval = b.Interval
	}
	_, known := a.intake.seen[b.Node]
	if !known && b.Node != "" && b.Up && len(a.intake.seen) < seenMax {
		a.intake.seen[b.Node] = struct{}{}
	}
	a.intake.mu.Unlock()
	if !known && b.Node != "" && b.Up {
		// A sidecar that serves metrics and never asked for configuration must
		// be seen on the nodes page.
		a.tracker.Expected(mesh.Node{ID: b.Node, Workload: b.Workload, Address: b.Target}, now)
	}
	a.traffic.Add(b)
	a.engine.Add(b)
}

// silence tells since when nothing has come, when that is longer than can be
// explained by the scrape interval. ok is false while all is well.
func (i *intake) silence(started, now time.Time) (since time.Time, never, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	patience := max(10*time.Second, 3*i.interval)
	if i.last.IsZero() {
		return started, true, now.Sub(started) > patience
	}
	return i.last, false, now.Sub(i.last) > patience
}

// edges serves collectors in other processes.
type edges struct {
	meshv1.UnimplementedEdgesServer
	publish func(mesh.EdgeBatch)
	stop    <-chan struct{}

	// Of the TLS port: whether the caller may publish, how many might not, and the
	// log that tells of them.
	allowed func(context.Context) error
	refused *atomic.Uint64
	log     *slog.Logger
}

// Publish takes a collector's batches until it or the server stops, and says
// of each message that the graph has it.
func (e *edges) Publish(stream grpc.BidiStreamingServer[meshv1.EdgeBatches, meshv1.PublishResponse]) error {
	if e.allowed != nil {
		if err := e.allowed(stream.Context()); err != nil {
			e.refused.Add(1)
			e.log.Warn("edges refused", "error", err)
			return status.Error(codes.PermissionDenied, err.Error())
		}
	}
	over := make(chan error, 1)
	go func() { over <- e.take(stream) }() // Recv has no other way to be left; it ends with the handler's return
	select {
	case err := <-over:
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	case <-e.stop:
		return status.Error(codes.Unavailable, "server is stopping")
	}
}

func (e *edges) take(stream grpc.BidiStreamingServer[meshv1.EdgeBatches, meshv1.PublishResponse]) error {
	var batches uint64
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, b := range m.GetBatches() {
			e.publish(b.Mesh())
			batches++
		}
		if err := stream.Send(&meshv1.PublishResponse{Batches: batches}); err != nil {
			return err
		}
	}
}
