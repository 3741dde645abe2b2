package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

// RemoteOptions say where the server is. Zero fields take the default that
// stands beside them.
type RemoteOptions struct {
	Server string // "host:port" of the server's configuration listener; required
	Queue  int    // batches that wait at most: 4,096
	Creds  credentials.TransportCredentials
	Logger *slog.Logger

	// DialOptions are added to the client's own; tests bring their dialer.
	DialOptions []grpc.DialOption
}

// Remote publishes to a server in another process over one gRPC stream, which
// it opens again whenever it breaks. A batch that was being written when the
// stream broke is sent again on the next one; what the network had taken
// already may be lost with it, and is not counted.
type Remote struct {
	opts RemoteOptions
	conn *grpc.ClientConn

	mu      sync.Mutex
	queue   []mesh.EdgeBatch // a ring of fixed size
	head, n int
	stats   RemoteStats
	ready   chan struct{} // holds at most one signal: the queue has something
}

// RemoteStats is what became of the batches so far.
type RemoteStats struct {
	Sent      uint64
	Dropped   uint64 // the queue was full
	Queued    int
	Connected bool
	LastError string // of the stream; "" when connected
}

// NewRemote makes a client. It connects in Run.
func NewRemote(o RemoteOptions) (*Remote, error) {
	if o.Server == "" {
		return nil, fmt.Errorf("new publisher: %w: no server", mesh.ErrInvalid)
	}
	if o.Queue <= 0 {
		o.Queue = 4096
	}
	if o.Creds == nil {
		o.Creds = insecure.NewCredentials()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	conn, err := grpc.NewClient(o.Server, append([]grpc.DialOption{
		grpc.WithTransportCredentials(o.Creds),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
			MinConnectTimeout: 3 * time.Second,
		}),
	}, o.DialOptions...)...)
	if err != nil {
		return nil, fmt.Errorf("new publisher to %s: %w", o.Server, err)
	}
	return &Remote{opts: o, conn: conn, queue: make([]mesh.EdgeBatch, o.Queue), ready: make(chan struct{}, 1)}, nil
}

// Publish implements Publisher. When the queue is full, the oldest batch goes.
func (r *Remote) Publish(b mesh.EdgeBatch) {
	r.mu.Lock()
	if r.n == len(r.queue) {
		r.queue[r.head] = mesh.EdgeBatch{}
		r.head = (r.head + 1) % len(r.queue)
		r.n--
		r.stats.Dropped++
	}
	r.queue[(r.head+r.n)%len(r.queue)] = b
	r.n++
	r.mu.Unlock()
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// Stats tells what became of the batches.
func (r *Remote) Stats() RemoteStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Queued = r.n
	return s
}

// Run sends until ctx ends, then tries for one second to send what is queued,
// and closes the connection. Call it once.
func (r *Remote) Run(ctx context.Context) error {
	defer r.conn.Close()
	// The stream outlives ctx by the time that draining may take.
	streams, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, cancel) })
	defer stop()
	wait := 200 * time.Millisecond
	for {
		started := time.Now()
		err := r.stream(ctx, streams)
		if ctx.Err() != nil {
			return nil
		}
		r.failed(err)
		if time.Since(started) > 10*time.Second {
			wait = 200 * time.Millisecond
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(wait*2, 3*time.Second)
	}
}

// stream sends on one stream until it breaks, or ctx ends and the queue is
// empty.
func (r *Remote) stream(ctx, streams context.Context) error {
	opened, cancel := context.WithCancel(streams)
	defer cancel()
	// While waiting for the server there is nothing to drain to.
	stop := context.AfterFunc(ctx, func() {
		if !r.Stats().Connected {
			cancel()
		}
	})
	defer stop()
	stream, err := meshv1.NewEdgesClient(r.conn).Publish(opened, grpc.WaitForReady(true))
	if err != nil {
		return fmt.Errorf("open edge stream: %w", err)
	}
	r.connected()
	broken := make(chan error, 1)
	go func() { broken <- closed(stream) }()
	defer func() { cancel(); <-broken }()
	for {
		b, ok := r.take()
		if !ok {
			select {
			case <-r.ready:
				continue
			case err := <-broken:
				broken <- nil
				return err
			case <-ctx.Done():
				return r.finish(stream, broken)
			}
		}
		if err := stream.Send(meshv1.FromEdgeBatch(b)); err != nil {
			r.putBack(b)
			cause := <-broken
			broken <- nil
			return cause
		}
		r.sent()
	}
}

// closed waits for the end of the stream, which comes from the server's side
// or from the network, and gives its reason.
func closed(stream grpc.ClientStreamingClient[meshv1.EdgeBatch, meshv1.PublishResponse]) error {
	err := stream.RecvMsg(new(meshv1.PublishResponse))
	if err == nil || errors.Is(err, io.EOF) {
		return errors.New("server ended the edge stream")
	}
	return fmt.Errorf("edge stream: %w", err)
}

// finish tells the server that this was all and waits for its answer.
func (r *Remote) finish(stream grpc.ClientStreamingClient[meshv1.EdgeBatch, meshv1.PublishResponse], broken chan error) error {
	if err := stream.CloseSend(); err != nil {
		return fmt.Errorf("end edge stream: %w", err)
	}
	err := <-broken
	broken <- nil
	return err
}

func (r *Remote) take() (mesh.EdgeBatch, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == 0 {
		return mesh.EdgeBatch{}, false
	}
	b := r.queue[r.head]
	r.queue[r.head] = mesh.EdgeBatch{}
	r.head = (r.head + 1) % len(r.queue)
	r.n--
	return b, true
}

// putBack makes b the next to be sent, unless newer ones have filled its
// place.
func (r *Remote) putBack(b mesh.EdgeBatch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == len(r.queue) {
		r.stats.Dropped++
		return
	}
	r.head = (r.head + len(r.queue) - 1) % len(r.queue)
	r.queue[r.head] = b
	r.n++
}

func (r *Remote) sent() {
	r.mu.Lock()
	r.stats.Sent++
	r.mu.Unlock()
}

func (r *Remote) connected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Connected, r.stats.LastError = true, ""
	r.opts.Logger.Info("edge stream open", "server", r.opts.Server)
}

// failed logs the first failure after a good stream, not each try.
func (r *Remote) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stats.Connected || r.stats.LastError == "" {
		r.opts.Logger.Warn("edge stream broken, trying again", "server", r.opts.Server, "err", err)
	}
	r.stats.Connected, r.stats.LastError = false, err.Error()
	if status.Code(err) == codes.Unimplemented {
		r.stats.LastError = "the server takes no edge streams: " + err.Error()
	}
}
