package traces

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Forward copies the spans that are stored to another store over OTLP/HTTP: a
// collector, Jaeger, Tempo. Senders never wait for it: what the other store
// does not take at once waits in memory, and when that is full the oldest goes.
// Put it in the way with Tee, and Run it.
type Forward struct {
	opts   ForwardOptions
	url    string
	client *http.Client

	mu      sync.Mutex
	waiting []waitingSpans
	bytes   int64
	more    chan struct{}
	stats   ForwardStats
}

// ForwardOptions say where to. Zero fields take the default that stands beside
// them.
type ForwardOptions struct {
	URL      string // required: "http://otel-collector:4318", or with a path other than /v1/traces
	Header   http.Header
	MaxBytes int64 // of encoded spans that wait: 64 MiB
	Logger   *slog.Logger
}

// ForwardStats counts spans.
type ForwardStats struct {
	Sent         uint64
	Refused      uint64 // by the other store: it will not take them at a later time either
	Dropped      uint64 // too many waited, or the process ended
	WaitingBytes int64
	Since        time.Time // when the other store stopped taking anything; zero when it does
	Error        string    // why
}

const (
	forwardTimeout = 10 * time.Second
	forwardRequest = 4 << 20 // of encoded spans, at least one message
	retryLeast     = 500 * time.Millisecond
	retryMost      = 30 * time.Second
	flushTime      = 2 * time.Second // for what waits, when the process ends
)

type waitingSpans struct {
	message []byte
	spans   int
}

// NewForward makes one. Nothing is sent yet. The error wraps mesh.ErrInvalid.
func NewForward(o ForwardOptions) (*Forward, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("OTLP endpoint %q: %w: want a URL like http://127.0.0.1:4318", o.URL, mesh.ErrInvalid)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	o.URL, o.MaxBytes = u.Redacted(), cmp.Or(o.MaxBytes, 64<<20)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Forward{opts: o, url: u.String(), client: &http.Client{Timeout: forwardTimeout}, more: make(chan struct{}, 1)}, nil
}

// Tee gives a writer whose spans are forwarded once they are stored. A nil
// Forward gives the writer itself.
func (f *Forward) Tee(w Writer) Writer {
	if f == nil {
		return w
	}
	return tee{w, f}
}

type tee struct {
	store   Writer
	forward *Forward
}

// WriteSpans implements Writer.
func (t tee) WriteSpans(ctx context.Context, td ptrace.Traces) error {
	message, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
	if err != nil {
		return fmt.Errorf("write spans: %w: %w", mesh.ErrInvalid, err)
	}
	return t.WriteOTLP(ctx, message, td.SpanCount())
}

// WriteOTLP implements Writer. Nobody changes a message, so both may hold it.
// One that the store refuses comes again, so it is not copied.
func (t tee) WriteOTLP(ctx context.Context, message []byte, spans int) error {
	if err := t.store.WriteOTLP(ctx, message, spans); err != nil {
		return err
	}
	t.forward.put(waitingSpans{message, spans})
	return nil
}

func (f *Forward) put(w waitingSpans) {
	f.mu.Lock()
	f.waiting = append(f.waiting, w)
	f.bytes += int64(len(w.message))
	for f.bytes > f.opts.MaxBytes && len(f.waiting) > 0 {
		f.stats.Dropped += uint64(f.waiting[0].spans)
		f.bytes -= int64(len(f.waiting[0].message))
		f.waiting[0] = waitingSpans{} // the slice keeps its place
		f.waiting = f.waiting[1:]
	}
	f.mu.Unlock()
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// take gives what goes into the next request. Messages that follow each other
// are one: their fields repeat.
func (f *Forward) take() (batch waitingSpans, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.waiting) > 0 && (!ok || len(batch.message)+len(f.waiting[0].message) <= forwardRequest) {
		next := f.waiting[0]
		batch.message = append(batch.message, next.message...)
		batch.spans += next.spans
		f.waiting[0] = waitingSpans{}
		f.waiting = f.waiting[1:]
		f.bytes -= int64(len(next.message))
		ok = true
	}
	return batch, ok
}

// Stats gives the figures.
func (f *Forward) Stats() ForwardStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.stats
	s.WaitingBytes = f.bytes
	return s
}

// Run sends until ctx ends, then for a moment what still waits. What is left
// then counts as dropped.
func (f *Forward) Run(ctx context.Context) error {
	defer f.client.CloseIdleConnections()
	f.send(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	f.flush(last)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.waiting {
		f.stats.Dropped += uint64(w.spans)
	}
	f.waiting, f.bytes = nil, 0
	return nil
}

func (f *Forward) send(ctx context.Context) {
	wait := retryLeast
	for {
		batch, ok := f.take()
		if !ok {
			select {
			case <-f.more:
				continue
			case <-ctx.Done():
				return
			}
		}
		for {
			after, again := f.note(batch, f.post(ctx, batch))
			if !again {
				wait = retryLeast
				break
			}
			select {
			case <-time.After(max(wait, after)):
			case <-ctx.Done():
				f.putBack(batch)
				return
			}
			wait = min(2*wait, retryMost)
		}
	}
}

// flush sends what waits without trying again.
func (f *Forward) flush(ctx context.Context) {
	for {
		batch, ok := f.take()
		if !ok {
			return
		}
		if _, again := f.note(batch, f.post(ctx, batch)); again {
			f.putBack(batch)
			return
		}
	}
}

func (f *Forward) putBack(w waitingSpans) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = append([]waitingSpans{w}, f.waiting...)
	f.bytes += int64(len(w.message))
}

// forwardError is an answer that is no success.
type forwardError struct {
	text    string
	refused int           // spans that the other store will never take
	after   time.Duration // when it wants to be asked again, if it said so
}

func (e forwardError) Error() string { return e.text }

func (f *Forward) post(ctx context.Context, batch waitingSpans) error {
	var body bytes.Buffer
	packed := gzip.NewWriter(&body)
	_, _ = packed.Write(batch.message) // into memory
	_ = packed.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, &body)
	if err != nil {
		return fmt.Errorf("forward spans: %w", err)
	}
	maps.Copy(req.Header, f.opts.Header)
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", "gzip")
	resp, err := f.client.Do(req)
	if err != nil {
		return fmt.Errorf("forward spans to %s: %w", f.opts.URL, err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 == 2 {
		partial := ptraceotlp.NewExportResponse()
		if partial.UnmarshalProto(answer) == nil && partial.PartialSuccess().RejectedSpans() > 0 {
			return forwardError{text: partial.PartialSuccess().ErrorMessage(), refused: int(partial.PartialSuccess().RejectedSpans())}
		}
		return nil
	}
	e := forwardError{text: fmt.Sprintf("forward spans to %s: %s", f.opts.URL, resp.Status)}
	// OTLP: these may go better later, all others will not.
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
			e.after = min(time.Duration(seconds)*time.Second, retryMost)
		}
	default:
		e.refused = batch.spans
	}
	return e
}

// note takes what became of a batch, and tells whether and when to try again.
func (f *Forward) note(batch waitingSpans, err error) (after time.Duration, again bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var e forwardError
	switch {
	case err == nil:
		f.stats.Sent += uint64(batch.spans)
	case errors.As(err, &e) && e.refused > 0:
		refused := min(e.refused, batch.spans)
		f.stats.Refused += uint64(refused)
		f.stats.Sent += uint64(batch.spans - refused)
		f.opts.Logger.Warn("other trace store refuses spans", "url", f.opts.URL, "spans", refused, "error", err)
	default:
		if f.stats.Since.IsZero() {
			f.stats.Since = time.Now()
			f.opts.Logger.Warn("other trace store does not take spans, they wait", "url", f.opts.URL, "error", err)
		}
		f.stats.Error = err.Error()
		return e.after, true
	}
	if !f.stats.Since.IsZero() {
		f.opts.Logger.Info("other trace store takes spans again", "url", f.opts.URL, "away_s", int(time.Since(f.stats.Since).Seconds()))
	}
	f.stats.Since, f.stats.Error = time.Time{}, ""
	return 0, false
}
