package publish

import (
	"context"
	"crypto/tls"
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
	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/collector/spool"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

// RemoteOptions say where the server is. Zero fields take the default that
// stands beside them.
type RemoteOptions struct {
	Server   string      // "host:port" of the server's configuration listener; required
	Dir      string      // required: for what waits while the server is away; made if need be
	MaxBytes int64       // that wait on disk at most: 256 MiB
	TLS      *tls.Config // nil: plain text
	Logger   *slog.Logger

	// DialOptions are added to the client's own; tests bring their dialer.
	DialOptions []grpc.DialOption
}

// Remote publishes to a server in another process over one gRPC stream, which
// it opens again whenever it breaks. A batch stays here until the server says
// that its graph has it: while the server is away batches wait, in memory and
// then on disk, and what was under way when a stream broke is sent again, which
// the server finds out by the time that it covers.
type Remote struct {
	opts  RemoteOptions
	conn  *grpc.ClientConn
	queue *spool.Queue

	mu    sync.Mutex
	stats RemoteStats
}

// RemoteStats is what became of the batches so far.
type RemoteStats struct {
	Sent         uint64
	Dropped      uint64 // the buffer was full
	Refused      uint64 // by the server, for good
	Waiting      int
	WaitingBytes int64
	Connected    bool
	LastError    string // of the stream; "" when connected
}

// NewRemote opens the buffer and makes a client. It connects in Run.
func NewRemote(o RemoteOptions) (*Remote, error) {
	if o.Server == "" || o.Dir == "" {
		return nil, fmt.Errorf("new publisher: %w: no server, or no folder for what waits", mesh.ErrInvalid)
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 20
	}
	creds := insecure.NewCredentials()
	if o.TLS != nil {
		creds = credentials.NewTLS(o.TLS)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	queue, err := spool.Open(spool.Options{Dir: o.Dir, MaxBytes: o.MaxBytes})
	if err != nil {
		return nil, fmt.Errorf("new publisher to %s: %w", o.Server, err)
	}
	conn, err := grpc.NewClient(o.Server, append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
			MinConnectTimeout: 3 * time.Second,
		}),
	}, o.DialOptions...)...)
	if err != nil {
		return nil, fmt.Errorf("new publisher to %s: %w", o.Server, err)
	}
	return &Remote{opts: o, conn: conn, queue: queue}, nil
}

// Publish implements Publisher. When the buffer is full, the oldest batches go.
func (r *Remote) Publish(b mesh.EdgeBatch) {
	message, err := proto.Marshal(&meshv1.EdgeBatches{Batches: []*meshv1.EdgeBatch{meshv1.FromEdgeBatch(b)}})
	if err != nil { // a label that is no UTF-8
		r.mu.Lock()
		r.stats.Refused++
		r.mu.Unlock()
		return
	}
	r.queue.Put(message, 1)
}

// Stats tells what became of the batches.
func (r *Remote) Stats() RemoteStats {
	r.mu.Lock()
	s := r.stats
	r.mu.Unlock()
	s.Dropped, s.Waiting, s.WaitingBytes = r.queue.Figures()
	return s
}

// drainTime is how long a publisher that stops goes on sending what waits.
const drainTime = time.Second

// Run sends until ctx ends, then tries for a second to send what waits, puts
// the rest to disk and closes the connection. Call it once.
func (r *Remote) Run(ctx context.Context) error {
	defer r.conn.Close()
	r.sendAll(ctx)
	if err := r.queue.Flush(); err != nil {
		return fmt.Errorf("publish to %s: keep what waits: %w", r.opts.Server, err)
	}
	return nil
}

// sendAll opens one stream after the other until ctx ends.
func (r *Remote) sendAll(ctx context.Context) {
	// A stream outlives ctx by the time that draining may take.
	streams, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(drainTime, cancel) })
	defer stop()
	const least, most = 200 * time.Millisecond, time.Second // beside gRPC's own waits
	wait := least
	for {
		started := time.Now()
		err := r.stream(ctx, streams)
		if ctx.Err() != nil {
			return
		}
		r.failed(err)
		if time.Since(started) > 10*time.Second {
			wait = least
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(wait*2, most)
	}
}

// stream sends on one stream until it breaks, or ctx ends and nothing waits.
func (r *Remote) stream(ctx, streams context.Context) error {
	opened, cancel := context.WithCancelCause(streams)
	defer cancel(nil)
	// While waiting for the server there is nothing to drain to.
	stop := context.AfterFunc(ctx, func() {
		if !r.Stats().Connected {
			cancel(nil)
		}
	})
	defer stop()
	stream, err := r.conn.NewStream(opened, &meshv1.Edges_ServiceDesc.Streams[0], meshv1.Edges_Publish_FullMethodName,
		grpc.ForceCodec(codec{}))
	if err != nil {
		return fmt.Errorf("open edge stream: %w", err)
	}
	r.connected()
	answers := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() { cancel(r.answers(opened, stream, answers)) })
	defer reading.Wait()
	defer cancel(nil)
	// Waiting for something to send ends with ctx, too.
	waiting, stopWaiting := context.WithCancel(opened)
	defer stopWaiting()
	defer context.AfterFunc(ctx, stopWaiting)()
	for {
		c, ok := r.queue.Next(waiting)
		if !ok && opened.Err() == nil {
			c, ok = r.queue.Take() // ctx has ended: what is there still goes
		}
		if !ok {
			return context.Cause(opened)
		}
		if err := r.send(opened, stream, c, answers); err != nil {
			return err
		}
	}
}

// send sends one chunk and waits until the server has it.
func (r *Remote) send(opened context.Context, stream grpc.ClientStream, c spool.Chunk, answers <-chan struct{}) error {
	// An error here says only that the stream is over; the reason comes with the
	// answers.
	if stream.SendMsg(encoded(c.Data)) == nil {
		select {
		case <-answers:
			r.taken(c)
			return nil
		case <-opened.Done():
		}
	}
	<-opened.Done()
	cause := context.Cause(opened)
	if status.Code(cause) == codes.ResourceExhausted { // too large, and will be so the next time
		r.queue.Done(c)
		r.mu.Lock()
		r.stats.Refused += uint64(c.N)
		r.mu.Unlock()
	}
	return cause
}

// answers reads what the server has taken, until the stream ends, and gives
// the reason for that.
func (r *Remote) answers(opened context.Context, stream grpc.ClientStream, answers chan<- struct{}) error {
	for {
		err := stream.RecvMsg(new(meshv1.PublishResponse))
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("server ended the edge stream")
		case err != nil:
			return fmt.Errorf("edge stream: %w", err)
		}
		select {
		case answers <- struct{}{}:
		case <-opened.Done():
		}
	}
}

// encoded is a message that is bytes already. Messages that follow each other
// are one: their fields repeat.
type encoded []byte

// codec is protobuf's that lets such messages through.
type codec struct{}

// Name implements encoding.Codec.
func (codec) Name() string { return "proto" }

// Marshal implements encoding.Codec.
func (codec) Marshal(v any) ([]byte, error) {
	switch m := v.(type) {
	case encoded:
		return m, nil
	case proto.Message:
		return proto.Marshal(m)
	}
	return nil, fmt.Errorf("marshal %T: %w", v, mesh.ErrInvalid)
}

// Unmarshal implements encoding.Codec.
func (codec) Unmarshal(data []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("unmarshal %T: %w", v, mesh.ErrInvalid)
	}
	return proto.Unmarshal(data, m)
}

func (r *Remote) taken(c spool.Chunk) {
	r.queue.Done(c)
	r.mu.Lock()
	r.stats.Sent += uint64(c.N)
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
