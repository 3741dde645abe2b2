package metrics

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// slowStore is one whose database opens when the gate does.
func slowStore(t *testing.T, open func(Options) (*tsdb.DB, error)) (*Store, chan struct{}) {
	t.Helper()
	o := Options{Dir: t.TempDir(), Patience: time.Millisecond}
	o.setDefaults()
	gate := make(chan struct{})
	s, err := openWith(o, func() (*tsdb.DB, error) { <-gate; return open(o) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, gate
}

// While the store is read back, what is scraped is of use to whoever sees it on
// its way, questions are refused with the reason, and afterwards all is as ever.
func TestReadBack(t *testing.T) {
	s, gate := slowStore(t, openTSDB)
	series := []labels.Labels{labels.FromStrings("__name__", "x", "a", "1"), labels.FromStrings("__name__", "x", "a", "2")}
	at := time.Now()
	scrape := func(refs [2]storage.SeriesRef, v float64) (got [2]storage.SeriesRef, err error) {
		t.Helper()
		app := s.AppenderV2(t.Context())
		for i := range series {
			ref, err := app.Append(refs[i], series[i], 0, at.UnixMilli(), v, nil, nil, storage.AOptions{})
			if err != nil || ref == 0 {
				t.Fatalf("append: %d, %v", ref, err)
			}
			got[i] = ref
		}
		at = at.Add(time.Second)
		return got, app.Commit()
	}
	early, err := scrape([2]storage.SeriesRef{}, 1)
	if !errors.Is(err, mesh.ErrUnavailable) || early[0] == early[1] {
		t.Errorf("while it is read back: %v, series %d", err, early)
	}
	if again, _ := scrape(early, 2); again != early {
		t.Errorf("the same series are %d, then %d", early, again)
	}
	if _, err := s.Instant(t.Context(), "x", at); !errors.Is(err, mesh.ErrUnavailable) {
		t.Errorf("a question meanwhile: %v", err)
	}
	if got := s.Stats(); got.Series != 0 {
		t.Errorf("stats meanwhile: %+v", got)
	}
	soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := s.Opened(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("opened: %v", err)
	}
	close(gate)
	if err := s.Opened(t.Context()); err != nil {
		t.Fatal(err)
	}
	refs, err := scrape(early, 3)
	if err != nil || refs == early {
		t.Errorf("afterwards: %v, series %d", err, refs)
	}
	if got, err := s.Instant(t.Context(), "sum(x)", at); err != nil || len(got) != 1 || got[0].Value != 6 {
		t.Errorf("afterwards: %v, %v", got, err)
	}
}

func TestReadBackFails(t *testing.T) {
	broken := errors.New("no such disk")
	s, gate := slowStore(t, func(Options) (*tsdb.DB, error) { return nil, broken })
	close(gate)
	if err := s.Opened(t.Context()); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	app := s.AppenderV2(t.Context())
	if _, err := app.Append(0, labels.FromStrings("__name__", "x"), 0, 1, 1, nil, nil, storage.AOptions{}); err != nil {
		t.Errorf("append: %v", err)
	}
	if err := app.Commit(); !errors.Is(err, broken) {
		t.Errorf("commit: %v", err)
	}
}
