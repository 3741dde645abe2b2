package metrics

import (
	"context"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
)

// Tee gives a store whose samples are forwarded, too. A nil Forward gives the
// store itself.
func (f *Forward) Tee(store storage.AppendableV2) storage.AppendableV2 {
	if f == nil {
		return store
	}
	return &tee{store: store, forward: f}
}

type tee struct {
	store   storage.AppendableV2
	forward *Forward
}

// AppenderV2 implements storage.AppendableV2.
func (t *tee) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return &teeAppender{AppenderV2: t.store.AppenderV2(ctx), forward: t.forward}
}

// teeAppender is one transaction; what it took is forwarded when it is
// committed, whether or not the store could write.
type teeAppender struct {
	storage.AppenderV2
	forward *Forward
	request prompb.WriteRequest
}

// Append implements storage.AppenderV2.
func (a *teeAppender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64,
	h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AOptions,
) (storage.SeriesRef, error) {
	series := prompb.TimeSeries{Labels: prompb.FromLabels(ls, nil)}
	switch {
	case h != nil:
		series.Histograms = []prompb.Histogram{prompb.FromIntHistogram(t, h)}
	case fh != nil:
		series.Histograms = []prompb.Histogram{prompb.FromFloatHistogram(t, fh)}
	default:
		series.Samples = []prompb.Sample{{Timestamp: t, Value: v}}
	}
	// The store may change histograms in place later, and keeps labels: both
	// were copied above.
	a.request.Timeseries = append(a.request.Timeseries, series)
	return a.AppenderV2.Append(ref, ls, st, t, v, h, fh, opts)
}

// Commit implements storage.AppenderV2.
func (a *teeAppender) Commit() error {
	if n := len(a.request.Timeseries); n > 0 {
		if data, err := a.request.Marshal(); err == nil { // it always can: all of it was made here
			a.forward.queue.Put(data, n)
		}
		a.request.Timeseries = nil
	}
	return a.AppenderV2.Commit()
}

// Rollback implements storage.AppenderV2.
func (a *teeAppender) Rollback() error {
	a.request.Timeseries = nil
	return a.AppenderV2.Rollback()
}
