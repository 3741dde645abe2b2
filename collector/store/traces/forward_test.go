package traces_test

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/collector/store/traces/storetest"
)

// otlp is another store: it notes the services of the spans that it took.
type otlp struct {
	mu     sync.Mutex
	answer func(spans int) (status int, rejected int64)
	took   []string
	asked  int
	header http.Header
}

func (o *otlp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	o.header = r.Header
	body, err := gzip.NewReader(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	message, err := io.ReadAll(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(message)
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "not OTLP", http.StatusBadRequest)
		return
	}
	status, rejected := o.answer(td.SpanCount())
	w.WriteHeader(status)
	if status != http.StatusOK {
		return
	}
	answer := ptraceotlp.NewExportResponse()
	answer.PartialSuccess().SetRejectedSpans(rejected)
	text, _ := answer.MarshalProto()
	_, _ = w.Write(text)
	for _, rs := range td.ResourceSpans().All() {
		service, _ := rs.Resource().Attributes().Get("service.name")
		o.took = append(o.took, service.Str())
	}
}

func (o *otlp) services() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.took
}

// forwarding runs a forward to o until the test, or stop, ends it.
func forwarding(t *testing.T, o *otlp, opts traces.ForwardOptions) (w traces.Writer, f *traces.Forward, stop func()) {
	t.Helper()
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	opts.URL = server.URL
	f, err := traces.NewForward(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return f.Tee(open(t, traces.Options{})), f, stop
}

func send(t *testing.T, w traces.Writer, service string) {
	t.Helper()
	if err := w.WriteSpans(t.Context(), storetest.Batch(storetest.Span{Trace: 1, ID: 1, Service: service, Name: "GET /", At: time.Now()})); err != nil {
		t.Fatal(err)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for: %s", what)
		}
	}
}

// What the other store does not take now waits, in its order, and goes when it
// is back.
func TestForward(t *testing.T) {
	var away atomic.Bool
	away.Store(true)
	o := &otlp{answer: func(int) (int, int64) {
		if away.Load() {
			return http.StatusServiceUnavailable, 0
		}
		return http.StatusOK, 0
	}}
	w, f, _ := forwarding(t, o, traces.ForwardOptions{Header: http.Header{"Authorization": {"Bearer x"}}})
	send(t, w, "a")
	until(t, "the other store is known to be away", func() bool { return !f.Stats().Since.IsZero() })
	send(t, w, "b")
	send(t, w, "c")
	if s := f.Stats(); s.Sent != 0 || s.WaitingBytes == 0 || s.Error == "" {
		t.Errorf("while it is away: %+v", s)
	}
	away.Store(false)
	until(t, "all three", func() bool { return len(o.services()) == 3 })
	if got := o.services(); got[0] != "a" || got[1] != "b" || got[2] != "c" {
		t.Errorf("came in the order %v", got)
	}
	until(t, "the account", func() bool { return f.Stats().Sent == 3 })
	if s := f.Stats(); s.Dropped != 0 || s.Refused != 0 || s.WaitingBytes != 0 || !s.Since.IsZero() || o.header.Get("Authorization") != "Bearer x" {
		t.Errorf("in the end: %+v, header %v", s, o.header)
	}
}

// What it will never take is counted, not tried again; of a part that it
// rejects so much.
func TestForwardRefused(t *testing.T) {
	first := true
	o := &otlp{answer: func(spans int) (int, int64) {
		if first {
			first = false
			return http.StatusBadRequest, 0
		}
		return http.StatusOK, int64(spans)
	}}
	w, f, _ := forwarding(t, o, traces.ForwardOptions{})
	send(t, w, "a")
	until(t, "the refusal", func() bool { return f.Stats().Refused == 1 })
	send(t, w, "b")
	until(t, "the partial success", func() bool { return f.Stats().Refused == 2 })
	if s := f.Stats(); s.Sent != 0 || s.Dropped != 0 || o.asked != 2 {
		t.Errorf("%+v after %d requests", s, o.asked)
	}
}

// Too much that waits pushes the oldest out; every span is accounted for.
func TestForwardBounded(t *testing.T) {
	o := &otlp{answer: func(int) (int, int64) { return http.StatusServiceUnavailable, 0 }}
	w, f, stop := forwarding(t, o, traces.ForwardOptions{MaxBytes: 1000})
	const n = 50
	for range n {
		send(t, w, "a")
	}
	until(t, "drops", func() bool { return f.Stats().Dropped > 0 })
	if s := f.Stats(); s.WaitingBytes > 1000 {
		t.Errorf("%d bytes wait, want at most 1000", s.WaitingBytes)
	}
	stop()
	if s := f.Stats(); s.Dropped != n || s.Sent != 0 || s.WaitingBytes != 0 {
		t.Errorf("after the end %+v, want %d dropped", s, n)
	}
}
