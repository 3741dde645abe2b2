package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// database is the TSDB, which may still be on its way: the log of hours with
// hundreds of thousands of series takes a while to read back, and nothing else
// has to wait for that. Until then queries are refused, with the reason, and
// what is appended is seen by the graph and not stored.
type database struct {
	begun time.Time
	ready chan struct{} // closed when db and err are final
	db    *tsdb.DB
	err   error
}

// openDatabase opens in the background and waits for a moment: a small
// database is open then, and one that another process has is known.
func openDatabase(open func() (*tsdb.DB, error), patience time.Duration) *database {
	d := &database{begun: time.Now(), ready: make(chan struct{})}
	go func() {
		defer close(d.ready)
		d.db, d.err = open()
	}()
	d.wait(patience)
	return d
}

// wait reports whether opening is over, after some time at most.
func (d *database) wait(most time.Duration) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-d.ready:
	case <-timer.C:
	}
	select {
	case <-d.ready:
		return true
	default:
		return false
	}
}

// get gives the open TSDB.
func (d *database) get() (*tsdb.DB, error) {
	select {
	case <-d.ready:
		return d.db, d.err
	default:
		return nil, fmt.Errorf("metric store: %w: it is being read back since %d s, ask again soon", mesh.ErrUnavailable, int(time.Since(d.begun).Seconds()))
	}
}

// Querier implements storage.Queryable.
func (d *database) Querier(from, to int64) (storage.Querier, error) {
	db, err := d.get()
	if err != nil {
		return nil, err
	}
	return db.Querier(from, to)
}

// ExemplarQuerier implements storage.ExemplarQueryable.
func (d *database) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	db, err := d.get()
	if err != nil {
		return nil, err
	}
	return db.ExemplarQuerier(ctx)
}

// Appender implements storage.Appendable, for rules, which run when it is open.
func (d *database) Appender(ctx context.Context) storage.Appender {
	<-d.ready
	return d.db.Appender(ctx)
}

// AppenderV2 implements storage.AppendableV2.
func (d *database) AppenderV2(ctx context.Context) storage.AppenderV2 {
	if db, err := d.get(); err == nil {
		return db.AppenderV2(ctx)
	}
	return earlyAppender{d}
}

// earlyAppender takes samples while the database is being opened. It names
// series by their labels, in numbers that the database does not use: to a
// series that it does not know by number it will give its own.
type earlyAppender struct{ *database }

// Append implements storage.AppenderV2.
func (earlyAppender) Append(_ storage.SeriesRef, ls labels.Labels, _, _ int64, _ float64,
	_ *histogram.Histogram, _ *histogram.FloatHistogram, _ storage.AOptions,
) (storage.SeriesRef, error) {
	const early = 1 << 63
	return storage.SeriesRef(ls.Hash() | early), nil
}

// Commit implements storage.AppenderV2.
func (a earlyAppender) Commit() error {
	_, err := a.get()
	if err == nil {
		err = fmt.Errorf("metric store: %w: it was being read back", mesh.ErrUnavailable)
	}
	return err
}

// Rollback implements storage.AppenderV2.
func (earlyAppender) Rollback() error { return nil }
