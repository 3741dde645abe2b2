package scrape

import (
	"context"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// appendable stands between the scrape manager and the store.
type appendable struct {
	scraper *Scraper
	store   storage.AppendableV2
}

// AppenderV2 gives the transaction of one scrape. The context says which
// target's it is.
func (a *appendable) AppenderV2(ctx context.Context) storage.AppenderV2 {
	t, ok := scrape.TargetFromContext(ctx)
	if !ok {
		return a.store.AppenderV2(ctx)
	}
	w, ok := a.scraper.watches.get(t.GetValue(identityLabel))
	if !ok {
		// Gone from the list: what is left to write are end marks.
		return a.store.AppenderV2(ctx)
	}
	return &appender{
		begin:   func() storage.AppenderV2 { return a.store.AppenderV2(ctx) },
		scraper: a.scraper, watch: w, lastError: t.LastError, staged: a.scraper.lists.Get().(*[]staged),
	}
}

// appender is one scrape's transaction. What it sees goes to the store at
// once, and to the edges when the scrape is complete: a response that turns
// out to be broken in its last line must count for nothing.
type appender struct {
	// The store's part begins with the first sample: the manager asks for a
	// transaction before it asks the target, and a hundred targets that are slow
	// to answer must not hold the store's buffers meanwhile.
	begin func() storage.AppenderV2
	store storage.AppenderV2

	scraper   *Scraper
	watch     *watch
	lastError func() error

	staged   *[]staged
	samples  bool  // the response had at least one
	scraped  bool  // the report is in: this is a scrape, not the end of a loop
	up       bool  // what the report says
	at       int64 // ms
	finished bool
}

// staged is a sample of a series that counts something on an edge.
type staged struct {
	series *series
	start  int64 // ms, when the counter began; 0 unknown
	value  float64
	h      *histogram.Histogram
	fh     *histogram.FloatHistogram
}

// giveBack lets the next scrape have this one's list.
func (a *appender) giveBack() {
	clear(*a.staged)
	*a.staged = (*a.staged)[:0]
	a.scraper.lists.Put(a.staged)
	a.staged = nil
}

// Append implements storage.AppenderV2.
func (a *appender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64,
	h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AOptions,
) (storage.SeriesRef, error) {
	if a.store == nil {
		a.store = a.begin()
	}
	got, err := a.store.Append(ref, ls, st, t, v, h, fh, opts)
	number := h == nil && fh == nil
	if isReport(opts) {
		if number && !value.IsStaleNaN(v) && ls.Get(model.MetricNameLabel) == "up" {
			a.scraped, a.up, a.at = true, v == 1, t
		}
		if err != nil {
			// The manager gives a scrape up whose report is refused, and with it
			// the batch. The live side goes on without the store.
			a.scraper.counts.samplesRefused.Add(1)
		}
		return got, nil
	}
	if number && value.IsStaleNaN(v) {
		return got, err
	}
	a.samples = true
	if err != nil {
		// A series that has a reference is known, and its value counts whatever
		// the store thinks of the timestamp.
		if ref == 0 {
			return got, err
		}
		got = ref
	}
	if s := a.watch.resolve(ref, got, ls); s != nil {
		*a.staged = append(*a.staged, staged{series: s, start: st, value: v, h: h, fh: fh})
	}
	if err != nil {
		return 0, err
	}
	return got, nil
}

// isReport tells the scrape loop's own samples from the target's: it marks
// their names with a byte that no name can have.
func isReport(opts storage.AOptions) bool { return strings.HasSuffix(opts.MetricFamilyName, "\xff") }

// Commit implements storage.AppenderV2. The edges are read first, because the
// store changes histograms in place; and published after, so that whoever
// hears of an edge finds it stored.
func (a *appender) Commit() error {
	if a.finished {
		return nil
	}
	a.finished = true
	var (
		batch   mesh.EdgeBatch
		publish = a.scraped && (a.up || !a.scraper.stopping.Load())
	)
	if a.scraped {
		batch = a.watch.commit(*a.staged, a.up, a.samples, a.at, a.scraper.now())
		if !a.up {
			batch.Error = scrapeError(a.lastError())
		}
	}
	a.giveBack()
	if a.store != nil {
		a.scraper.stored(commitAside(a.store))
	}
	if publish {
		a.scraper.opts.Publish(batch)
	}
	return nil
}

// commitAside commits on a goroutine of its own. Packing the log takes 32 KB of
// stack, which the goroutine of each target would keep until its next scrape.
func commitAside(tx storage.AppenderV2) error {
	done := make(chan error, 1)
	go func() { done <- tx.Commit() }()
	return <-done
}

// Rollback implements storage.AppenderV2.
func (a *appender) Rollback() error {
	if !a.finished {
		a.finished = true
		a.giveBack()
	}
	if a.store == nil {
		return nil
	}
	return a.store.Rollback()
}

// scrapeError is a failed scrape's reason in one bounded line.
func scrapeError(err error) string {
	const most = 300
	if err == nil {
		return "scrape failed"
	}
	cause := err.Error()
	if strings.Contains(cause, "remote error: tls:") {
		cause += ": the target does not take this collector's certificate: docs/identity.md#spans-and-scrapes"
	}
	text := strings.ToValidUTF8(strings.Join(strings.Fields(cause), " "), "?")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
