package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"go.uber.org/goleak"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// epoch is the time of the first sample of every test.
func epoch() time.Time { return time.UnixMilli(1_700_000_000_000).UTC() }

func open(t *testing.T, o Options) *Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// write stores one value of each series, by its labels ("a", "1", "b", "2").
func write(t *testing.T, s *Store, at time.Time, value float64, series ...[]string) {
	t.Helper()
	app := s.AppenderV2(t.Context())
	for _, ls := range series {
		if _, err := app.Append(0, labels.FromStrings(ls...), 0, at.UnixMilli(), value, nil, nil, storage.AOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

func writeHistogram(t *testing.T, s *Store, at time.Time, h *histogram.Histogram, ls ...string) {
	t.Helper()
	app := s.AppenderV2(t.Context())
	if _, err := app.Append(0, labels.FromStrings(ls...), 0, at.UnixMilli(), 0, h, nil, storage.AOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

func TestQueries(t *testing.T) {
	s := open(t, Options{})
	for i := range 61 {
		write(t, s, epoch().Add(time.Duration(i)*time.Second), float64(10*i), []string{"__name__", "requests", "to", "a"}, []string{"__name__", "requests", "to", "b"})
	}
	writeHistogram(t, s, epoch(), tsdbutil.GenerateTestHistogram(3), "__name__", "latency")
	end := epoch().Add(time.Minute)

	got, err := s.Instant(t.Context(), `rate(requests{to="a"}[30s])`, end)
	if err != nil || len(got) != 1 || math.Abs(got[0].Value-10) > 1e-9 || got[0].Labels["to"] != "a" || !got[0].At.Equal(end) {
		t.Errorf("rate: %+v, %v; want 10 at %s", got, err, end)
	}
	got, err = s.Instant(t.Context(), `1 + 1`, end)
	if err != nil || len(got) != 1 || got[0].Value != 2 {
		t.Errorf("scalar: %+v, %v", got, err)
	}
	got, err = s.Instant(t.Context(), `latency`, end)
	if err != nil || got == nil || len(got) != 0 {
		t.Errorf("histogram: %+v, %v; want an empty list", got, err)
	}
	series, err := s.Range(t.Context(), `sum(requests)`, epoch(), end, 30*time.Second)
	if err != nil || len(series) != 1 || len(series[0].Points) != 3 || series[0].Points[2].Value != 1200 {
		t.Errorf("range: %+v, %v", series, err)
	}
	for name, c := range map[string]struct {
		ask  func() error
		want error
	}{
		"syntax":         {func() error { _, err := s.Instant(t.Context(), `sum(`, end); return err }, mesh.ErrInvalid},
		"range selector": {func() error { _, err := s.Instant(t.Context(), `requests[1m]`, end); return err }, mesh.ErrInvalid},
		"text":           {func() error { _, err := s.Instant(t.Context(), `"a"`, end); return err }, mesh.ErrInvalid},
		"many points": {func() error {
			_, err := s.Range(t.Context(), `up`, epoch(), end.Add(24*time.Hour), time.Second)
			return err
		}, mesh.ErrInvalid},
		"no step":      {func() error { _, err := s.Range(t.Context(), `up`, epoch(), end, 0); return err }, mesh.ErrInvalid},
		"backwards":    {func() error { _, err := s.Range(t.Context(), `up`, end, epoch(), time.Second); return err }, mesh.ErrInvalid},
		"many to many": {func() error { _, err := s.Instant(t.Context(), `requests * on() requests`, end); return err }, mesh.ErrInvalid},
		"caller left": {func() error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := s.Instant(ctx, `requests`, end)
			return err
		}, mesh.ErrUnavailable},
	} {
		if err := c.ask(); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
}

func TestLimits(t *testing.T) {
	s := open(t, Options{MaxSamples: 20, QueryTimeout: 200 * time.Millisecond, MaxQueries: 1})
	for i := range 30 {
		write(t, s, epoch(), 1, []string{"__name__", "m", "i", fmt.Sprint(i)})
	}
	if _, err := s.Instant(t.Context(), `m`, epoch()); !errors.Is(err, mesh.ErrExhausted) {
		t.Errorf("30 series where 20 samples are allowed: %v", err)
	}
	// One query holds the only place; the next waits for it and runs out of
	// time.
	release := occupy(t, s)
	if _, err := s.Instant(t.Context(), `1`, epoch()); !errors.Is(err, mesh.ErrUnavailable) {
		t.Errorf("no free place: %v", err)
	}
	release()
	if _, err := s.Instant(t.Context(), `1`, epoch()); err != nil {
		t.Errorf("free place: %v", err)
	}
}

// occupy takes one of the places for queries.
func occupy(t *testing.T, s *Store) (release func()) {
	t.Helper()
	if _, err := s.slots.Insert(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	return func() { s.slots.Delete(0) }
}

// TestReopen kills a store without closing it, as kill -9 does, and finds what
// was written.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	write(t, s, epoch(), 42, []string{"__name__", "m"})
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	again := open(t, Options{Dir: copied})
	got, err := again.Instant(t.Context(), "m", epoch())
	if err != nil || len(got) != 1 || got[0].Value != 42 {
		t.Errorf("after a crash: %+v, %v", got, err)
	}

	// A log whose end is torn loses its end, not its beginning.
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(copied, "wal", "0*"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("segments %v, %v", segments, err)
	}
	file, err := os.OpenFile(segments[0], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(strings.Repeat("\x07torn", 100)); err != nil {
		t.Fatal(err)
	}
	file.Close()
	torn := open(t, Options{Dir: copied})
	got, err = torn.Instant(t.Context(), "m", epoch())
	if err != nil || len(got) != 1 || got[0].Value != 42 {
		t.Errorf("after a torn write: %+v, %v", got, err)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	open(t, Options{Dir: dir})
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, mesh.ErrConflict) {
		t.Errorf("second open: %v, want a conflict", err)
	}
	if _, err := Open(Options{}); !errors.Is(err, mesh.ErrInvalid) {
		t.Errorf("no directory: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file in the way: %v", err)
	}
}

// TestClose closes under load: queries end, later ones are refused, nothing
// hangs.
func TestClose(t *testing.T) {
	s := open(t, Options{})
	for i := range 200 {
		write(t, s, epoch(), 1, []string{"__name__", "m", "i", fmt.Sprint(i)})
	}
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for {
				_, err := s.Range(context.Background(), `sum(m) by (i) + on(i) m`, epoch(), epoch().Add(time.Hour), time.Second)
				if errors.Is(err, mesh.ErrUnavailable) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	begin := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	clients.Wait()
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("close took %s", took)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestStats(t *testing.T) {
	s := open(t, Options{})
	write(t, s, epoch(), 1, []string{"__name__", "m"}, []string{"__name__", "n"})
	if got := s.Stats(); got.Series != 2 || got.Bytes == 0 {
		t.Errorf("stats %+v", got)
	}
}

// TestQuiet opens a store without a word at the usual level, and says what is
// wrong all the same.
func TestQuiet(t *testing.T) {
	var logs strings.Builder
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if logs.Len() > 0 {
		t.Errorf("it says:\n%s", logs.String())
	}
	logger := slog.New(quiet{slog.NewTextHandler(&logs, nil)})
	logger.With("a", 1).WithGroup("g").Info("well", "b", 2)
	logger.With("a", 1).WithGroup("g").Warn("not well", "b", 2)
	if got := logs.String(); strings.Contains(got, `msg=well`) || !strings.Contains(got, `level=WARN msg="not well" a=1 g.b=2`) {
		t.Errorf("it says:\n%s", got)
	}
}
