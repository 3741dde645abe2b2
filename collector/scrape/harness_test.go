package scrape

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
	promscrape "github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"

	"github.com/sidelight-mesh/sidelight/collector/target"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// fakeStore hands out references as a database does and keeps nothing. It can
// be told to fail.
type fakeStore struct {
	refs      map[string]storage.SeriesRef
	next      storage.SeriesRef
	begun     int   // transactions
	appendErr error // given for each sample
	commitErr error
}

func newFakeStore() *fakeStore { return &fakeStore{refs: make(map[string]storage.SeriesRef)} }

// recreate gives all series new references, as the database does with series
// that it dropped from memory.
func (f *fakeStore) recreate() { clear(f.refs) }

func (f *fakeStore) AppenderV2(context.Context) storage.AppenderV2 {
	f.begun++
	return &fakeAppender{f}
}

type fakeAppender struct{ store *fakeStore }

func (a *fakeAppender) Append(_ storage.SeriesRef, ls labels.Labels, _, _ int64, _ float64,
	_ *histogram.Histogram, _ *histogram.FloatHistogram, _ storage.AOptions,
) (storage.SeriesRef, error) {
	if a.store.appendErr != nil {
		return 0, a.store.appendErr
	}
	key := ls.String()
	ref, ok := a.store.refs[key]
	if !ok {
		a.store.next++
		ref = a.store.next
		a.store.refs[key] = ref
	}
	return ref, nil
}

func (a *fakeAppender) Commit() error { return a.store.commitErr }
func (*fakeAppender) Rollback() error { return nil }

// rig drives one target's appender the way the manager's scrape loop does,
// without its clock and its network.
type rig struct {
	t       testing.TB
	store   *fakeStore
	scraper *Scraper
	got     []mesh.EdgeBatch
	now     time.Time     // of the scrape that is played
	step    time.Duration // by which the time of day was set forward meanwhile
	target  *promscrape.Target
	ctx     context.Context
	cache   map[string]storage.SeriesRef // by exposed name, of the last good response
	logs    strings.Builder
}

func newRig(t testing.TB, limits Limits, targets ...target.Target) *rig {
	r := &rig{t: t, store: newFakeStore(), cache: make(map[string]storage.SeriesRef)}
	s, err := New(Options{
		Store:    r.store,
		Publish:  func(b mesh.EdgeBatch) { r.got = append(r.got, b) },
		Interval: time.Second,
		Limits:   limits,
		Logger:   slog.New(slog.NewTextHandler(&r.logs, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.scraper = s
	s.now = func() time.Time { return r.now }
	if len(targets) == 0 {
		targets = []target.Target{{
			Address:  "10.0.0.1:15020",
			Node:     "web-1",
			Workload: mesh.Workload{Namespace: "cinema", Name: "web"},
		}}
	}
	groups := s.watches.replace(targets, time.Now())
	cfg := &config.ScrapeConfig{
		JobName: jobName, Scheme: "http", MetricsPath: "/metrics",
		ScrapeInterval: model.Duration(time.Second), ScrapeTimeout: model.Duration(time.Second),
	}
	made, errs := promscrape.TargetsFromGroup(groups[0], cfg, nil, labels.NewBuilder(labels.EmptyLabels()))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	r.target = made[0]
	r.ctx = promscrape.ContextWithTarget(context.Background(), made[0])
	return r
}

// scrape plays one scrape that got body and gives the batch that came of it.
func (r *rig) scrape(at time.Time, contentType string, body []byte) mesh.EdgeBatch {
	r.t.Helper()
	app := (&appendable{scraper: r.scraper, store: r.store}).AppenderV2(r.ctx)
	err := r.append(app, at, contentType, body)
	if err != nil {
		_ = app.Rollback()
		app = (&appendable{scraper: r.scraper, store: r.store}).AppenderV2(r.ctx)
	}
	return r.report(app, at, err)
}

// fail plays one scrape that got nothing.
func (r *rig) fail(at time.Time, err error) mesh.EdgeBatch {
	r.t.Helper()
	return r.report((&appendable{scraper: r.scraper, store: r.store}).AppenderV2(r.ctx), at, err)
}

func (r *rig) append(app storage.AppenderV2, at time.Time, contentType string, body []byte) error {
	if len(body) == 0 {
		return nil
	}
	parser, err := textparse.New(body, contentType, labels.NewSymbolTable(), textparse.ParserOptions{
		KeepClassicOnClassicAndNativeHistograms: true, OpenMetricsSkipSTSeries: true, FallbackContentType: "text/plain",
	})
	if err != nil {
		return err
	}
	seen := make(map[string]storage.SeriesRef)
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		var (
			series []byte
			v      float64
			h      *histogram.Histogram
			fh     *histogram.FloatHistogram
		)
		switch entry {
		case textparse.EntrySeries:
			series, _, v = parser.Series()
		case textparse.EntryHistogram:
			series, _, h, fh = parser.Histogram()
		default:
			continue
		}
		if _, twice := seen[string(series)]; twice {
			continue
		}
		var ls labels.Labels
		parser.Labels(&ls)
		lb := labels.NewBuilder(ls)
		r.target.LabelsRange(func(l labels.Label) { lb.Set(l.Name, l.Value) })
		ref, err := app.Append(r.cache[string(series)], lb.Labels(), parser.StartTimestamp(), at.UnixMilli(), v, h, fh, storage.AOptions{})
		switch {
		case errors.Is(err, storage.ErrOutOfOrderSample):
		case err != nil:
			return err
		default:
			seen[string(series)] = ref
			r.cache[string(series)] = ref // even when the response turns out broken
		}
	}
	r.cache = seen
	return nil
}

func (r *rig) report(app storage.AppenderV2, at time.Time, err error) mesh.EdgeBatch {
	r.t.Helper()
	r.now = at.Add(-r.step)
	r.target.Report(at, time.Millisecond, err)
	if err != nil {
		// The loop ends all series that it knows.
		for _, ref := range r.cache {
			_, _ = app.Append(ref, labels.FromStrings("__name__", "x"), 0, at.UnixMilli(), math.Float64frombits(value.StaleNaN), nil, nil, storage.AOptions{})
		}
	}
	up := 1.0
	if err != nil {
		up = 0
	}
	for name, v := range map[string]float64{"up": up, "scrape_duration_seconds": 0.001} {
		_, err := app.Append(0, labels.FromStrings("__name__", name), 0, at.UnixMilli(), v, nil, nil,
			storage.AOptions{MetricFamilyName: name + "\xff"})
		if err != nil {
			r.t.Fatalf("report sample %s refused: %v", name, err)
		}
	}
	before := len(r.got)
	if err := app.Commit(); err != nil {
		r.t.Fatal(err)
	}
	if len(r.got) != before+1 {
		r.t.Fatalf("scrape at %s gave %d batches, want 1", at, len(r.got)-before)
	}
	return r.got[before]
}

// changing is a source of targets, and what replaces them.
func changing() (func([]target.Target), target.Source) {
	sets := make(chan []target.Target, 1)
	source := target.Func(func(ctx context.Context, update func([]target.Target)) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case targets := <-sets:
				update(targets)
			}
		}
	})
	return func(targets []target.Target) { sets <- targets }, source
}
