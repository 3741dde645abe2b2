// Package receive takes spans from senders and hands them to the trace store:
// OTLP and Jaeger over gRPC, OTLP and Zipkin v2 over HTTP. It owns the
// protocols, their limits and their ways to say "slow down", and sees to it
// that whatever is sent costs bounded memory; what becomes of a span is the
// store's.
package receive

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip" // senders may compress
	"google.golang.org/grpc/keepalive"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
)

// Limits on what one sender can make the receiver hold.
const (
	maxMessage    = 16 << 20 // decoded
	maxStreams    = 256
	maxConns      = 1024
	headerTimeout = 5 * time.Second
	bodyTimeout   = 30 * time.Second
)

// Options say where to listen; an empty address switches that listener off.
type Options struct {
	GRPC, HTTP string
	TLS        *identity.Listener // nil: plain text
	Store      traces.Writer
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Receiver is a set of bound listeners. Run it once.
type Receiver struct {
	store   traces.Writer
	metrics *ownMetrics
	log     *slog.Logger

	lastRefused atomic.Pointer[string]

	grpcListener, httpListener net.Listener
	grpc                       *grpc.Server
	http                       *http.Server
	tls                        *tls.Config // of HTTP; nil: plain text
}

// New binds the listeners.
func New(opts Options) (*Receiver, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Receiver{store: opts.Store, metrics: newMetrics(opts.Registerer), log: opts.Logger}
	unpack, err := newUnpacker()
	if err != nil {
		return nil, err
	}
	if r.grpcListener, err = listen(opts.GRPC, "--otlp-grpc"); err != nil {
		return nil, err
	}
	if r.httpListener, err = listen(opts.HTTP, "--otlp-http"); err != nil {
		return nil, errors.Join(err, closeListener(r.grpcListener))
	}
	secure := insecure.NewCredentials()
	if opts.TLS != nil {
		l := *opts.TLS
		l.Refused = r.refusedConnection
		secure, r.tls = credentials.NewTLS(l.TLS("h2")), l.TLS("h2", "http/1.1")
	}
	r.grpc = grpc.NewServer(
		grpc.Creds(secure),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.RPCDecompressor(unpack), //nolint:staticcheck // what is registered instead holds for the whole process, from an init
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(headerTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 10 * time.Minute}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
	for _, l := range []net.Listener{r.grpcListener, r.httpListener} {
		if l == nil || opts.TLS != nil {
			continue
		}
		if at, ok := l.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() {
			r.log.Warn("spans are taken in plain text, from everybody who reaches this address: see --otlp-tls", "address", at)
		}
	}
	r.grpc.RegisterService(&traceService, r)
	api_v2.RegisterCollectorServiceServer(r.grpc, &jaegerService{receiver: r})
	r.http = &http.Server{
		Handler:           r.httpHandler(),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: bodyTimeout, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(opts.Logger.Handler(), slog.LevelDebug),
	}
	return r, nil
}

func listen(address, flag string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for spans on %s: %w; choose another address with %s", address, err, flag)
	}
	return netutil.LimitListener(l, maxConns), nil
}

func closeListener(l net.Listener) error {
	if l == nil {
		return nil
	}
	return l.Close()
}

// refusedConnection takes note of a sender that was not let in. The log has the
// first, and each that is refused for another reason than the one before.
func (r *Receiver) refusedConnection(peer string, err error) {
	r.metrics.connections.Inc()
	text := peer + err.Error()
	if before := r.lastRefused.Swap(&text); before == nil || *before != text {
		r.log.Warn("sender of spans refused", "peer", peer, "error", err)
	}
}

// Addrs gives the bound addresses; "" for a listener that is off.
func (r *Receiver) Addrs() (grpcAddr, httpAddr string) {
	if r.grpcListener != nil {
		grpcAddr = r.grpcListener.Addr().String()
	}
	if r.httpListener != nil {
		httpAddr = r.httpListener.Addr().String()
	}
	return grpcAddr, httpAddr
}

// Run serves until ctx ends, then lets what is under way finish for a second.
func (r *Receiver) Run(ctx context.Context) error {
	served := make(chan error, 2)
	running := 0
	if r.grpcListener != nil {
		running++
		go func() { served <- r.grpc.Serve(r.grpcListener) }()
	}
	if r.httpListener != nil {
		running++
		go func() {
			serving := r.httpListener
			if r.tls != nil {
				serving = tls.NewListener(serving, r.tls)
			}
			err := r.http.Serve(serving)
			if errors.Is(err, http.ErrServerClosed) {
				err = nil
			}
			served <- err
		}()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-served:
		running--
	}
	err = errors.Join(err, r.stop(ctx))
	for range running {
		err = errors.Join(err, <-served)
	}
	return err
}

func (r *Receiver) stop(ctx context.Context) error {
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	force := context.AfterFunc(grace, r.grpc.Stop)
	defer force()
	r.grpc.GracefulStop()
	if err := r.http.Shutdown(grace); err != nil {
		return r.http.Close()
	}
	return nil
}

// Close frees the listeners of a Receiver that never ran.
func (r *Receiver) Close() error {
	return errors.Join(closeListener(r.grpcListener), closeListener(r.httpListener))
}

// takeOTLP stores an encoded export request. It is decoded only if there is
// something to clean.
func (r *Receiver) takeOTLP(ctx context.Context, protocol string, message []byte) (losses, error) {
	var found inspector
	if err := found.request(message); err != nil {
		return losses{}, asBadMessage(err)
	}
	if !found.dirty {
		return losses{}, r.stored(protocol, found.spans, r.store.WriteOTLP(ctx, message, found.spans))
	}
	request := ptraceotlp.NewExportRequest()
	if err := request.UnmarshalProto(message); err != nil {
		return losses{}, asBadMessage(err)
	}
	return r.take(ctx, protocol, request.Traces())
}

// take cleans and stores one request's spans and counts what became of them.
func (r *Receiver) take(ctx context.Context, protocol string, td ptrace.Traces) (losses, error) {
	lost := clean(td, time.Now())
	r.metrics.count(protocol, lost)
	n := td.SpanCount()
	return lost, r.stored(protocol, n, r.store.WriteSpans(ctx, td))
}

// stored counts what the store answered.
func (r *Receiver) stored(protocol string, spans int, err error) error {
	result := "stored"
	if err != nil {
		result = "refused"
	}
	r.metrics.spans.WithLabelValues(protocol, result).Add(float64(spans))
	return err
}
