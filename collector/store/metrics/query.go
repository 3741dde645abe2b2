package metrics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// maxPoints is how many steps a range query may have: Prometheus' own limit.
const maxPoints = 11_000

// Sample is one series' value at one time.
type Sample struct {
	Labels map[string]string
	At     time.Time
	Value  float64
}

// Series is one series' values over time, oldest first.
type Series struct {
	Labels map[string]string
	Points []Point
}

// Point is one value of a series.
type Point struct {
	At    time.Time
	Value float64
}

// Instant evaluates expr at one time. A scalar comes as one sample without
// labels; samples that are histograms are left out, since a number is asked
// for: put histogram_quantile or histogram_count around them.
//
// mesh.ErrInvalid when expr is at fault, mesh.ErrExhausted when it costs too
// much, mesh.ErrUnavailable when the store is closed or the time ran out.
func (s *Store) Instant(ctx context.Context, expr string, at time.Time) ([]Sample, error) {
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	q, err := s.engine.NewInstantQuery(ctx, s.db, nil, expr, at)
	if err != nil {
		// The expression is at fault, or there was no free place in time.
		return nil, queryError(expr, err)
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return nil, queryError(expr, res.Err)
	}
	switch v := res.Value.(type) {
	case promql.Vector:
		out := make([]Sample, 0, len(v))
		for _, p := range v {
			if p.H == nil {
				out = append(out, Sample{Labels: p.Metric.Map(), At: timestamp.Time(p.T), Value: p.F})
			}
		}
		return out, nil
	case promql.Scalar:
		return []Sample{{Labels: map[string]string{}, At: timestamp.Time(v.T), Value: v.V}}, nil
	default:
		return nil, fmt.Errorf("query %q: %w: gives a %s, not numbers", expr, mesh.ErrInvalid, v.Type())
	}
}

// Range evaluates expr at from, from+step … up to to. Errors are Instant's.
func (s *Store) Range(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Series, error) {
	if err := checkRange(expr, from, to, step); err != nil {
		return nil, err
	}
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	q, err := s.engine.NewRangeQuery(ctx, s.db, nil, expr, from, to, step)
	if err != nil {
		// The expression is at fault, or there was no free place in time.
		return nil, queryError(expr, err)
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return nil, queryError(expr, res.Err)
	}
	m, err := res.Matrix()
	if err != nil {
		return nil, fmt.Errorf("query %q: %w: %w", expr, mesh.ErrInvalid, err)
	}
	out := make([]Series, 0, len(m))
	for _, series := range m {
		if len(series.Floats) == 0 {
			continue
		}
		points := make([]Point, len(series.Floats))
		for i, p := range series.Floats {
			points[i] = Point{At: timestamp.Time(p.T), Value: p.F}
		}
		out = append(out, Series{Labels: series.Metric.Map(), Points: points})
	}
	return out, nil
}

func checkRange(expr string, from, to time.Time, step time.Duration) error {
	if step <= 0 || to.Before(from) || to.Sub(from)/step > maxPoints {
		return fmt.Errorf("query %q: %w: %s to %s by %s is no range of at most %d steps",
			expr, mesh.ErrInvalid, from.Format(time.RFC3339), to.Format(time.RFC3339), step, maxPoints)
	}
	return nil
}

// queryError tells what the user can mend from what the system is to blame
// for. The engine's own texts follow.
func queryError(expr string, err error) error {
	kind := mesh.ErrInvalid
	var (
		timeout promql.ErrQueryTimeout
		ended   promql.ErrQueryCanceled
		many    promql.ErrTooManySamples
		broken  promql.ErrStorage
	)
	switch {
	case errors.As(err, &many):
		kind = mesh.ErrExhausted
	case errors.As(err, &timeout), errors.As(err, &ended), errors.As(err, &broken),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		kind = mesh.ErrUnavailable
	}
	return fmt.Errorf("query %q: %w: %w", expr, kind, err)
}
