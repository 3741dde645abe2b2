package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Why a span was dropped.
const (
	reasonQueueFull = "queue_full"
	reasonExport    = "export_failed"
)

// A batch of 40 spans stays below 32 KiB encoded. Above, gRPC's buffer pool
// gives out a megabyte at a time, and a sidecar has few to spare.
const (
	spanQueueSize  = 1024
	spanBatchSize  = 40
	spanBatchWait  = 250 * time.Millisecond
	spanTries      = 3
	spanTryTimeout = 5 * time.Second
	spanRetryWait  = time.Second
)

// spanQueue is the SDK's batch processor with two differences: it counts what
// it drops, and it never blocks. It owns one goroutine.
type spanQueue struct {
	exporter sdktrace.SpanExporter
	dropped  *prometheus.CounterVec
	log      *slog.Logger
	failing  bool // the last batch did not get through; of the worker
	spans    chan sdktrace.ReadOnlySpan
	flush    chan chan struct{}
	stop     context.Context // the worker's, ends waiting for a collector that is away
	stopNow  context.CancelFunc
	quit     chan struct{}
	once     sync.Once
	done     chan struct{}
}

func newSpanQueue(exporter sdktrace.SpanExporter, dropped *prometheus.CounterVec, log *slog.Logger) *spanQueue {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	q := &spanQueue{
		exporter: exporter, dropped: dropped, log: log,
		spans: make(chan sdktrace.ReadOnlySpan, spanQueueSize),
		flush: make(chan chan struct{}),
		stop:  ctx, stopNow: cancel,
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	go q.run()
	return q
}

// OnStart has nothing to do.
func (q *spanQueue) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd queues a span, or drops it when the queue is full.
func (q *spanQueue) OnEnd(s sdktrace.ReadOnlySpan) {
	select {
	case q.spans <- s:
	default:
		q.dropped.WithLabelValues(reasonQueueFull).Inc()
	}
}

// ForceFlush sends what is queued now.
func (q *spanQueue) ForceFlush(ctx context.Context) error {
	ack := make(chan struct{})
	select {
	case q.flush <- ack:
	case <-q.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-ack:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shutdown sends what is queued and ends the worker; when ctx ends first, what
// is left is dropped and counted.
func (q *spanQueue) Shutdown(ctx context.Context) error {
	q.once.Do(func() { close(q.quit) })
	select {
	case <-q.done:
	case <-ctx.Done():
		q.stopNow()
		<-q.done
	}
	q.stopNow()
	return q.exporter.Shutdown(ctx)
}

func (q *spanQueue) run() {
	defer close(q.done)
	batch := make([]sdktrace.ReadOnlySpan, 0, spanBatchSize)
	tick := time.NewTicker(spanBatchWait)
	defer tick.Stop()
	for {
		var ack chan struct{}
		select {
		case s := <-q.spans:
			if batch = append(batch, s); len(batch) < spanBatchSize {
				continue
			}
		case <-tick.C:
		case ack = <-q.flush:
			batch = q.rest(batch)
		case <-q.quit:
			q.export(q.rest(batch))
			return
		}
		q.export(batch)
		clear(batch)
		batch = batch[:0]
		if ack != nil {
			close(ack)
		}
	}
}

// rest takes everything that is queued.
func (q *spanQueue) rest(batch []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	for {
		select {
		case s := <-q.spans:
			batch = append(batch, s)
		default:
			return batch
		}
	}
}

// export sends a batch. A collector that is away for a moment costs nothing;
// one that stays away costs the batch, and the queue fills behind it.
func (q *spanQueue) export(batch []sdktrace.ReadOnlySpan) {
	if len(batch) == 0 {
		return
	}
	var err error
	for try := range spanTries {
		ctx, cancel := context.WithTimeout(q.stop, spanTryTimeout)
		err = q.exporter.ExportSpans(ctx, batch)
		cancel()
		if err == nil {
			if q.failing {
				q.log.Info("spans are sent again")
			}
			q.failing = false
			return
		}
		if try == spanTries-1 {
			break
		}
		select {
		case <-time.After(spanRetryWait):
		case <-q.quit: // one more try without waiting
		case <-q.stop.Done():
			q.dropped.WithLabelValues(reasonExport).Add(float64(len(batch)))
			return
		}
	}
	q.dropped.WithLabelValues(reasonExport).Add(float64(len(batch)))
	if !q.failing { // once, not each batch
		q.log.Warn("spans are not sent", "error", err, "to_do", "check --collector, and the collector's log; docs/identity.md#spans-and-scrapes has what both must be told for TLS")
	}
	q.failing = true
}
