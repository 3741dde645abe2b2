package traces

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Bounds of one search.
const (
	defaultLimit = 20
	maxLimit     = 1000
	scanMax      = 100_000 // index entries
	verifyMax    = 5_000   // traces whose spans are read
)

// Search implements Querier: it walks the index of the most selective
// condition from new to old and checks the rest on each trace.
func (s *Store) Search(ctx context.Context, q Query) (SearchResult, error) {
	if err := q.validate(); err != nil {
		return SearchResult{}, err
	}
	done, err := s.begin()
	if err != nil {
		return SearchResult{}, err
	}
	defer done()
	hours, err := s.hours()
	if err != nil {
		return SearchResult{}, err
	}
	search := &search{store: s, q: q, hours: hours, seen: make(map[traceID]struct{}), found: []Summary{}}
	by, value, conditions := q.plan()
	search.verify = conditions > 1 || len(q.Tags) > 0
	complete := true
	for _, h := range hours {
		if !q.From.IsZero() && h.begin().Add(time.Hour).Before(q.From) {
			break
		}
		more, err := search.hour(ctx, h, by, hashOf(value))
		if err != nil {
			return SearchResult{}, fmt.Errorf("search traces: %w", err)
		}
		if !more {
			complete = len(search.found) >= q.Limit
			break
		}
	}
	slices.SortStableFunc(search.found, func(a, b Summary) int { return b.Start.Compare(a.Start) })
	return SearchResult{Traces: search.found, TotalScanned: len(search.seen), Complete: complete}, nil
}

func (q *Query) validate() error {
	if q.Limit == 0 {
		q.Limit = defaultLimit
	}
	switch {
	case q.Limit < 0 || q.Limit > maxLimit:
		return fmt.Errorf("limit %d: %w: want 1 to %d", q.Limit, mesh.ErrInvalid, maxLimit)
	case q.Operation != "" && q.Service == "":
		return fmt.Errorf("operation %q: %w: name its service, too", q.Operation, mesh.ErrInvalid)
	case q.Status != "" && !validStatus(q.Status):
		return fmt.Errorf("status %q: %w: want a code like 503 or a class like 5xx", q.Status, mesh.ErrInvalid)
	case q.MaxDuration != 0 && q.MaxDuration < q.MinDuration:
		return fmt.Errorf("duration: %w: the longest, %s, is less than the shortest, %s", mesh.ErrInvalid, q.MaxDuration, q.MinDuration)
	case !q.From.IsZero() && !q.To.IsZero() && q.To.Before(q.From):
		return fmt.Errorf("time range: %w: it ends before it begins", mesh.ErrInvalid)
	}
	return nil
}

func validStatus(s string) bool {
	if len(s) != 3 || s[0] < '1' || s[0] > '5' {
		return false
	}
	if s[1:] == "xx" {
		return true
	}
	_, err := strconv.Atoi(s)
	return err == nil
}

// plan picks the index to walk, the most selective first, and counts the
// conditions on spans: with more than one the spans must be read.
func (q *Query) plan() (by index, value string, conditions int) {
	consider := func(i index, v string, given bool) {
		if !given {
			return
		}
		if conditions == 0 {
			by, value = i, v
		}
		conditions++
	}
	edge := q.Source != "" && q.Target != ""
	consider(byOperation, q.Service+"\x00"+q.Operation, q.Operation != "")
	consider(byEdge, q.Source+"\x00"+q.Target, edge)
	consider(byRoute, q.Route, q.Route != "")
	consider(byStatus, q.Status, q.Status != "")
	consider(byWorkload, q.Workload, q.Workload != "")
	consider(byTarget, q.Target, q.Target != "" && !edge)
	consider(bySource, q.Source, q.Source != "" && !edge)
	consider(byService, q.Service, q.Service != "" && q.Operation == "")
	// Errors speaks of the whole trace, which its record knows.
	if q.Errors && conditions == 0 {
		return byError, "", 1
	}
	return by, value, conditions
}

type search struct {
	store    *Store
	q        Query
	hours    []hour
	verify   bool
	verified int
	scanned  int
	seen     map[traceID]struct{}
	found    []Summary
}

// hour walks one hour's index; more is false when enough was found or read.
func (s *search) hour(ctx context.Context, h hour, by index, hash uint64) (more bool, err error) {
	p := indexPrefix(h, by, hash)
	iter, err := s.store.db.NewIter(&pebble.IterOptions{LowerBound: p, UpperBound: after(p)})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	for ok := iter.First(); ok; ok = iter.Next() {
		arrival, id := splitIndexKey(iter.Key())
		if s.scanned++; s.scanned > scanMax || s.verified > verifyMax {
			return false, nil
		}
		if !s.q.From.IsZero() && arrival.Before(s.q.From) {
			return false, nil
		}
		if _, ok := s.seen[id]; ok {
			continue
		}
		s.seen[id] = struct{}{}
		if err := ctx.Err(); err != nil {
			return false, err
		}
		summary, ok, err := s.check(ctx, id)
		if err != nil {
			return false, err
		}
		if ok {
			if s.found = append(s.found, summary); len(s.found) == s.q.Limit {
				return false, nil
			}
		}
	}
	return true, nil
}

func (s *search) check(ctx context.Context, id traceID) (Summary, bool, error) {
	r, err := s.store.record(id, s.hours)
	if err != nil {
		return Summary{}, false, err
	}
	summary := r.summary(id)
	took := time.Duration(r.end - r.start)
	switch {
	case s.q.Errors && r.errors == 0,
		took < s.q.MinDuration,
		s.q.MaxDuration != 0 && took > s.q.MaxDuration,
		!s.q.From.IsZero() && summary.Start.Before(s.q.From),
		!s.q.To.IsZero() && summary.Start.After(s.q.To):
		return Summary{}, false, nil
	}
	if !s.verify {
		return summary, true, nil
	}
	s.verified++
	matched := false
	err = s.store.eachSpan(ctx, id, s.hours, func(resource pcommon.Map, span ptrace.Span) {
		matched = matched || s.q.matches(resource, span)
	})
	return summary, matched, err
}

// matches holds all conditions against one span.
func (q *Query) matches(resource pcommon.Map, span ptrace.Span) bool {
	f := factsOf(resource, span)
	is := func(want, got string) bool { return want == "" || want == got }
	if !is(q.Service, f.service) || !is(q.Operation, f.operation) || !is(q.Workload, f.workload) ||
		!is(q.Source, f.source) || !is(q.Target, f.target) || !is(q.Route, f.route) {
		return false
	}
	if q.Status != "" && q.Status != strconv.Itoa(f.status) && q.Status != statusClass(f.status) {
		return false
	}
	for key, want := range q.Tags {
		if text(span.Attributes(), key) != want && text(resource, key) != want {
			return false
		}
	}
	return true
}

// record joins a trace's records of all hours: a trace may cross an hour.
func (s *Store) record(id traceID, hours []hour) (record, error) {
	var sum record
	for _, h := range hours {
		value, closer, err := s.db.Get(recordKey(h, id))
		if errors.Is(err, pebble.ErrNotFound) {
			continue
		}
		if err != nil {
			return record{}, err
		}
		r, err := decodeRecord(value)
		if err == nil {
			sum.merge(r)
		} else {
			s.corrupt.Add(1)
		}
		if err := closer.Close(); err != nil {
			return record{}, err
		}
	}
	return sum, nil
}

// eachSpan calls visit for every stored span of a trace. A block that cannot
// be read is counted and left out.
func (s *Store) eachSpan(ctx context.Context, id traceID, hours []hour, visit func(pcommon.Map, ptrace.Span)) error {
	for _, h := range hours {
		p := append(prefix(h, kindTrace), id[:]...)
		iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: p, UpperBound: after(p)})
		if err != nil {
			return err
		}
		var blocks []uint64
		for ok := iter.First(); ok; ok = iter.Next() {
			blocks = append(blocks, binary.BigEndian.Uint64(iter.Key()[len(p):]))
		}
		if err := iter.Close(); err != nil {
			return err
		}
		for _, seq := range blocks {
			if err := ctx.Err(); err != nil {
				return err
			}
			td, ok, err := s.block(h, seq)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			each(td, func(resource pcommon.Map, span ptrace.Span) {
				if traceID(span.TraceID()) == id {
					visit(resource, span)
				}
			})
		}
	}
	return nil
}

func (s *Store) block(h hour, seq uint64) (ptrace.Traces, bool, error) {
	if td, ok := s.cache.get(seq); ok {
		return td, true, nil
	}
	value, closer, err := s.db.Get(blockKey(h, seq))
	if errors.Is(err, pebble.ErrNotFound) {
		return ptrace.Traces{}, false, nil // expired meanwhile
	}
	if err != nil {
		return ptrace.Traces{}, false, err
	}
	td, err := s.codec.decode(value)
	if closeErr := closer.Close(); closeErr != nil {
		return ptrace.Traces{}, false, closeErr
	}
	if err != nil {
		s.corrupt.Add(1)
		s.opts.Logger.Warn("block of spans left out", "err", err)
		return ptrace.Traces{}, false, nil
	}
	s.cache.put(seq, td)
	return td, true, nil
}

// Get implements Querier.
func (s *Store) Get(ctx context.Context, id string) (Trace, error) {
	key, ok := parseTraceID(strings.ToLower(id))
	if !ok {
		return Trace{}, fmt.Errorf("trace %q: %w: want up to 32 hex digits", id, mesh.ErrInvalid)
	}
	done, err := s.begin()
	if err != nil {
		return Trace{}, err
	}
	defer done()
	hours, err := s.hours()
	if err != nil {
		return Trace{}, err
	}
	r, err := s.record(key, hours)
	if err != nil {
		return Trace{}, fmt.Errorf("trace %s: %w", id, err)
	}
	if r.spans == 0 {
		return Trace{}, fmt.Errorf("trace %s: %w: no span of it is stored", id, mesh.ErrNotFound)
	}
	t := Trace{
		TraceID: hex.EncodeToString(key[:]), Start: time.Unix(0, r.start), DurationMS: float64(r.end-r.start) / 1e6,
		Spans: []Span{}, CriticalPath: []string{}, Services: []string{}, Problems: []string{},
	}
	sent := make(map[pcommon.SpanID]struct{})
	repeated, over := 0, 0
	err = s.eachSpan(ctx, key, hours, func(resource pcommon.Map, span ptrace.Span) {
		switch _, again := sent[span.SpanID()]; {
		case again:
			repeated++
		case len(sent) == maxTraceSpans:
			over++
		default:
			sent[span.SpanID()] = struct{}{}
			t.Spans = append(t.Spans, spanOf(resource, span, t.Start))
		}
	})
	if err != nil {
		return Trace{}, fmt.Errorf("trace %s: %w", id, err)
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

func (s *Store) eachName(ctx context.Context, begins []byte, visit func([]byte)) error {
	done, err := s.begin()
	if err != nil {
		return err
	}
	defer done()
	hours, err := s.hours()
	if err != nil {
		return err
	}
	for _, h := range hours {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := prefix(h, kindNames)
		head := len(p)
		p = append(p, begins...)
		iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: p, UpperBound: after(p)})
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
