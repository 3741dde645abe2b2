package traces_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/goleak"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/collector/store/traces/storetest"
	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(collectEnv); dir != "" {
		if err := collect(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// Pebble leaves its disk watcher behind when an open fails, as the test
	// with two processes makes it.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/cockroachdb/pebble/v2/vfs.(*diskHealthCheckingFS).startTickerLocked.func1"))
}

func open(t *testing.T, opts traces.Options) *traces.Store {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	s, err := traces.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	storetest.Suite(t, storetest.Backend{Open: func(t *testing.T) (traces.Writer, traces.Querier) {
		s := open(t, traces.Options{})
		return s, s
	}})
}

func TestIndexedStore(t *testing.T) {
	storetest.Suite(t, storetest.Backend{Open: func(t *testing.T) (traces.Writer, traces.Querier) {
		s := open(t, traces.Options{IndexAttributes: []string{"version"}})
		return s, s
	}})
}

func TestClient(t *testing.T) {
	storetest.Suite(t, storetest.Backend{Open: func(t *testing.T) (traces.Writer, traces.Querier) {
		s := open(t, traces.Options{})
		server := httptest.NewServer(traces.Handler(s))
		t.Cleanup(server.Close)
		client, err := traces.NewClient(server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(http.DefaultClient.CloseIdleConnections)
		return s, client
	}})
}

func TestClientOfAStoreThatIsGone(t *testing.T) {
	client, err := traces.NewClient("http://127.0.0.1:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Search(context.Background(), traces.Query{}); !errors.Is(err, mesh.ErrUnavailable) {
		t.Errorf("Search = %v, want ErrUnavailable", err)
	}
}

// What was written is there after the process ended without a farewell: a copy
// of the folder stands for what kill -9 leaves behind.
func TestReopenAfterKill(t *testing.T) {
	ctx := context.Background()
	s := open(t, traces.Options{})
	dir := t.TempDir()
	s2 := open(t, traces.Options{Dir: dir})
	write(t, s2, 1)
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(copied, "LOCK"))
	again := open(t, traces.Options{Dir: copied})
	if _, err := again.Get(ctx, storetest.ID(1)); err != nil {
		t.Errorf("after a kill: %v", err)
	}
	write(t, again, 2)
	for _, n := range []byte{1, 2} {
		if _, err := again.Get(ctx, storetest.ID(n)); err != nil {
			t.Errorf("trace %d: %v", n, err)
		}
	}
	if _, err := s.Get(ctx, storetest.ID(1)); !errors.Is(err, mesh.ErrNotFound) {
		t.Errorf("another store has the trace, too: %v", err)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, traces.Options{Dir: dir})
	if s, err := traces.Open(traces.Options{Dir: dir}); err == nil {
		_ = s.Close()
		t.Fatal("the same folder was opened twice")
	} else if !strings.Contains(err.Error(), dir) {
		t.Errorf("error %q does not name the folder", err)
	}
}

func TestRetentionByTime(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	old, err := traces.Open(traces.Options{Dir: dir, Now: func() time.Time { return now.Add(-30 * time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	write(t, old, 1)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, traces.Options{Dir: dir, Retention: 40 * time.Hour})
	write(t, s, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, traces.Options{Dir: dir, Retention: 24 * time.Hour})
	if _, err := s.Get(context.Background(), storetest.ID(1)); !errors.Is(err, mesh.ErrNotFound) {
		t.Errorf("old trace: %v, want it gone", err)
	}
	if _, err := s.Get(context.Background(), storetest.ID(2)); err != nil {
		t.Errorf("new trace: %v", err)
	}
}

func TestClosedStoreRefuses(t *testing.T) {
	s := open(t, traces.Options{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := s.WriteSpans(ctx, storetest.Batch(storetest.Span{Trace: 1, ID: 1})); !errors.Is(err, mesh.ErrUnavailable) {
		t.Errorf("WriteSpans = %v, want ErrUnavailable", err)
	}
	if _, err := s.Search(ctx, traces.Query{}); !errors.Is(err, mesh.ErrUnavailable) {
		t.Errorf("Search = %v, want ErrUnavailable", err)
	}
	if got := s.Stats().Refused; got != 1 {
		t.Errorf("refused %d, want 1", got)
	}
}

// Spans as no sane program sends them cost nothing but their place.
func TestHostileSpans(t *testing.T) {
	s := open(t, traces.Options{})
	td := storetest.Batch(
		storetest.Span{Trace: 1, ID: 1, Parent: 2, Service: "a\x00b", Name: strings.Repeat("x", 100_000), Took: -time.Hour},
		storetest.Span{Trace: 1, ID: 2, Parent: 1, Service: "", Name: "", At: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)},
		storetest.Span{Trace: 1, ID: 2, Service: "\xff\xfe", Status: 99999},
		storetest.Span{Trace: 0, ID: 0},
	)
	if err := s.WriteSpans(context.Background(), td); err != nil {
		t.Fatal(err)
	}
	trace, err := s.Get(context.Background(), storetest.ID(1))
	if err != nil {
		t.Fatal(err)
	}
	if len(trace.Spans) != 2 || len(trace.Problems) != 1 {
		t.Errorf("%d spans, problems %q; want 2 spans and the repeated one told", len(trace.Spans), trace.Problems)
	}
}

func TestConcurrentWritersAndReaders(t *testing.T) {
	s := open(t, traces.Options{})
	ctx := context.Background()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 20 {
				span := storetest.Span{Trace: byte(w*20 + i), ID: 1, Service: fmt.Sprint("s", w), Name: "x", At: time.Now(), Took: time.Millisecond}
				if err := s.WriteSpans(ctx, storetest.Batch(span)); err != nil {
					t.Error(err)
				}
				if _, err := s.Search(ctx, traces.Query{Service: fmt.Sprint("s", w)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, err := s.Search(ctx, traces.Query{Limit: 1000})
	if err != nil || len(got.Traces) != 160 {
		t.Errorf("%d traces, %v; want 160", len(got.Traces), err)
	}
}

func TestBackPressure(t *testing.T) {
	s := open(t, traces.Options{})
	td := ptrace.NewTraces()
	spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	for i := range 60_000 {
		span := spans.AppendEmpty()
		span.SetTraceID(pcommon.TraceID{1})
		span.SetSpanID(pcommon.SpanID{byte(i), byte(i >> 8), byte(i >> 16), 1})
	}
	if err := s.WriteSpans(context.Background(), td); !errors.Is(err, mesh.ErrExhausted) {
		t.Fatalf("60,000 spans at once: %v, want ErrExhausted", err)
	}
	if got := s.Stats().Refused; got != 60_000 {
		t.Errorf("refused %d, want 60000", got)
	}
}

func write(t *testing.T, s *traces.Store, trace byte) {
	t.Helper()
	err := s.WriteSpans(context.Background(), storetest.Batch(storetest.Span{Trace: trace, ID: 1, Service: "web", Name: "GET /", At: time.Now(), Took: time.Millisecond}))
	if err != nil {
		t.Fatal(err)
	}
}
