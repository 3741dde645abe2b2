package traces

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Get implements Querier.
func (s *Store) Get(ctx context.Context, id string) (_ Trace, err error) {
	key, ok := parseTraceID(strings.ToLower(id))
	if !ok {
		return Trace{}, fmt.Errorf("trace %q: %w: want up to 32 hex digits", id, mesh.ErrInvalid)
	}
	v, err := s.view()
	if err != nil {
		return Trace{}, err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	return assemble(id, key, v.partsOf(ctx, key))
}

// assemble makes a trace of its parts; id is as it was asked for.
func assemble(id string, key traceID, all parts) (Trace, error) {
	type part struct {
		b   *block
		row uint32
	}
	var (
		parts          []part
		sent           = make(map[spanID]struct{})
		repeated, over int
		begin, end     int64
	)
	err := all(func(b *block, rows []uint32) {
		for _, row := range rows {
			if len(sent) == 0 || b.start[row] < begin {
				begin = b.start[row]
			}
			end = max(end, b.start[row]+b.took[row])
			switch _, again := sent[b.spans[row]]; {
			case again:
				repeated++
			case len(sent) == maxTraceSpans:
				over++
			default:
				sent[b.spans[row]] = struct{}{}
				parts = append(parts, part{b, row})
			}
		}
	})
	if err != nil {
		return Trace{}, fmt.Errorf("trace %s: %w", id, err)
	}
	if len(parts) == 0 {
		return Trace{}, fmt.Errorf("trace %s: %w: no span of it is stored", id, mesh.ErrNotFound)
	}
	t := Trace{
		TraceID: hex.EncodeToString(key[:]), Start: time.Unix(0, begin), DurationMS: float64(end-begin) / 1e6,
		Spans: make([]Span, len(parts)), CriticalPath: []string{}, Origins: []string{}, Gaps: []Gap{}, Calls: []Call{}, Services: []string{}, Problems: []string{},
	}
	for i, p := range parts {
		t.Spans[i] = p.b.span(p.row, begin)
	}
	if repeated > 0 {
		t.Problems = append(t.Problems, fmt.Sprintf("%d spans came more than once", repeated))
	}
	if over > 0 {
		t.Problems = append(t.Problems, fmt.Sprintf("%d spans over the limit of %d are not shown", over, maxTraceSpans))
	}
	slices.SortFunc(t.Spans, func(a, b Span) int {
		return cmp.Or(cmp.Compare(a.StartUS, b.StartUS), strings.Compare(a.SpanID, b.SpanID))
	})
	return t, nil
}

// maxTraceSpans bounds the answer for one trace.
const maxTraceSpans = 100_000

// Stream implements Querier.
func (s *Store) Stream(ctx context.Context, q Query) iter.Seq2[Trace, error] {
	return func(yield func(Trace, error) bool) {
		found, err := s.Search(ctx, q)
		if err != nil {
			yield(Trace{}, err)
			return
		}
		for _, summary := range found.Traces {
			t, err := s.Get(ctx, summary.TraceID)
			if errors.Is(err, mesh.ErrNotFound) {
				continue // expired meanwhile
			}
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// Services implements Querier.
func (s *Store) Services(ctx context.Context) ([]string, error) {
	services := make(map[string]struct{})
	err := s.eachName(ctx, nil, func(name []byte) {
		if service, _, ok := bytes.Cut(name, []byte{0}); ok {
			services[string(service)] = struct{}{}
		}
	})
	return slices.AppendSeq([]string{}, sortedKeys(services)), err
}

// Operations implements Querier.
func (s *Store) Operations(ctx context.Context, service string) ([]string, error) {
	operations := make(map[string]struct{})
	err := s.eachName(ctx, append([]byte(service), 0), func(name []byte) {
		_, operation, _ := bytes.Cut(name, []byte{0})
		operations[string(operation)] = struct{}{}
	})
	return slices.AppendSeq([]string{}, sortedKeys(operations)), err
}

func sortedKeys(m map[string]struct{}) func(func(string) bool) {
	return slices.Values(slices.Sorted(maps.Keys(m)))
}

func (s *Store) eachName(ctx context.Context, begins []byte, visit func([]byte)) (err error) {
	v, err := s.view()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	for _, g := range v.hours {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := g.prefix(kindNames)
		head := len(p)
		p = append(p, begins...)
		iter, err := v.snap.NewIter(&pebble.IterOptions{LowerBound: p, UpperBound: after(p)})
		if err != nil {
			return fmt.Errorf("read names: %w", err)
		}
		for ok := iter.First(); ok; ok = iter.Next() {
			visit(iter.Key()[head:])
		}
		if err := iter.Close(); err != nil {
			return fmt.Errorf("read names: %w", err)
		}
	}
	return nil
}
