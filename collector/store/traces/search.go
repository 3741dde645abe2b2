package traces

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// MaxLimit is how many traces one search gives at most.
const MaxLimit = 1000

const defaultLimit = 20

// workMax bounds one search. A row of a block that is looked at is one unit of
// work, a block blockWork, a trace that is summed up traceWork.
const (
	workMax   = 20_000_000
	blockWork = 500
	traceWork = 100
)

// Search implements Querier: it walks the blocks that the indexes lead to from
// new to old, holds the conditions against their columns, and sums up the
// traces that fit.
func (s *Store) Search(ctx context.Context, q Query) (_ SearchResult, err error) {
	if err := q.validate(); err != nil {
		return SearchResult{}, err
	}
	v, err := s.view()
	if err != nil {
		return SearchResult{}, err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	search := &search{view: v, q: q, seen: make(map[traceID]struct{}), found: []Summary{}}
	complete := true
	for _, g := range v.hours {
		if !q.From.IsZero() && g.hour.begin().Add(time.Hour).Before(q.From) {
			break
		}
		more, err := search.hour(ctx, g.generation)
		if err != nil {
			return SearchResult{}, fmt.Errorf("search traces: %w", err)
		}
		if !more {
			complete = search.work < workMax
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
	case q.Limit < 0 || q.Limit > MaxLimit:
		return fmt.Errorf("limit %d: %w: want 1 to %d", q.Limit, mesh.ErrInvalid, MaxLimit)
	case q.Errors && q.Clean:
		return fmt.Errorf("errors and clean: %w: a trace has errors or it has none", mesh.ErrInvalid)
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

// entries lists the index entries that a block must have to hold a span that
// fits. indexed are the tags that the hour has an index of.
func (q *Query) entries(indexed []string) []entry {
	var list []entry
	add := func(by index, value string, given bool) {
		if given {
			list = append(list, entry{by, value})
		}
	}
	for _, name := range indexed {
		add(byAttribute, name+"\x00"+q.Tags[name], q.Tags[name] != "")
	}
	edge := q.Source != "" && q.Target != ""
	add(byOperation, q.Service+"\x00"+q.Operation, q.Operation != "")
	add(byEdge, q.Source+"\x00"+q.Target, edge)
	add(byRoute, q.Route, q.Route != "")
	add(byStatus, q.Status, q.Status != "")
	add(byWorkload, q.Workload, q.Workload != "")
	add(byTarget, q.Target, q.Target != "" && !edge)
	add(bySource, q.Source, q.Source != "" && !edge)
	add(byService, q.Service, q.Service != "" && q.Operation == "")
	add(byAll, "", len(list) == 0)
	return list
}

// ofSpans tells whether the query has conditions on spans.
func (q *Query) ofSpans() bool {
	return q.Service != "" || q.Workload != "" || q.Source != "" || q.Target != "" || q.Route != "" || q.Status != "" || len(q.Tags) > 0
}

type search struct {
	view  *view
	q     Query
	work  int
	seen  map[traceID]struct{}
	found []Summary
}

// way is what the blocks of an hour are walked by. What a trace must have may be
// in another block than the span that fits, so the rest of the conditions is
// asked of the trace's sum.
type way struct {
	entries  []entry // of which a block must have all
	spansFit bool    // they and the columns tell that a span fits
	took     bool    // by the duration index, whose rows list traces
	failed   bool    // traces with an error in the block
}

// way chooses, of those that lead to every trace that fits, the one with the
// fewest blocks.
func (s *search) way(g generation) (way, error) {
	indexed, err := s.view.attributesOf(g, s.q.Tags)
	if err != nil {
		return way{}, err
	}
	spans := way{entries: s.q.entries(indexed), spansFit: true}
	if s.q.Errors {
		// Few traces have one.
		spans = way{entries: []entry{{byError, ""}}, failed: true}
	}
	level, ok := tookLevel(s.q.MinDuration)
	if !ok {
		return spans, nil
	}
	if has, err := s.view.has(g.attributeKey(tookIndexed)); err != nil || !has {
		return spans, err
	}
	took := way{entries: []entry{{byDuration, levelName(level)}}, spansFit: !s.q.ofSpans(), took: true}
	if !s.q.ofSpans() && !s.q.Errors {
		return took, nil
	}
	if few, err := s.view.noMore(g, took.entries, spans.entries); err != nil || !few {
		return spans, err
	}
	return took, nil
}

// hour walks one hour; more is false when enough was found or read.
func (s *search) hour(ctx context.Context, g generation) (more bool, err error) {
	by, err := s.way(g)
	if err != nil {
		return false, err
	}
	w, err := s.view.walk(g, by.entries)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	for {
		seq, ok := w.next()
		if !ok {
			return true, nil
		}
		if !s.q.From.IsZero() && g.hour.arrival(seq).Before(s.q.From) {
			return false, nil
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
		listed, err := w.listed()
		if err != nil {
			return false, err
		}
		b, err := s.view.block(g, seq)
		if err != nil {
			return false, err
		}
		s.work += blockWork
		if b != nil {
			s.work += len(b.spans)
			if more, err := s.block(ctx, b, by, listed); !more || err != nil {
				return false, err
			}
		}
		if s.work >= workMax {
			return false, nil
		}
	}
}

// block looks into one block for traces that fit.
func (s *search) block(ctx context.Context, b *block, by way, listed []uint32) (more bool, err error) {
	for _, t := range s.candidates(b, by, listed) {
		id := b.traceIDs[t]
		if _, ok := s.seen[id]; ok {
			continue
		}
		s.seen[id] = struct{}{}
		// What one block knows may be enough to rule a trace out.
		if p := b.totals[t]; s.q.Clean && p.errors > 0 || s.q.MaxDuration != 0 && time.Duration(p.end-p.start) > s.q.MaxDuration {
			continue
		}
		if s.work += traceWork; s.work >= workMax {
			return false, nil
		}
		summary, ok, err := s.q.sum(id, by.spansFit, s.view.partsOf(ctx, id))
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

// candidates lists the traces of a block that may fit, newest first. listed are
// those that the index tells of, nil when it tells of none in particular.
func (s *search) candidates(b *block, by way, listed []uint32) []uint32 {
	b.group()
	var list []uint32
	keep := func(fits func(t uint32) bool) {
		for t := range b.totals {
			if fits(uint32(t)) {
				list = append(list, uint32(t))
			}
		}
	}
	switch {
	case by.took && listed != nil:
		for _, t := range listed {
			if int(t) < len(b.totals) {
				list = append(list, t)
			}
		}
	case by.failed:
		keep(func(t uint32) bool { return b.totals[t].errors > 0 })
	case by.took, !s.q.ofSpans():
		keep(func(uint32) bool { return true })
	default:
		fits := s.q.matcher(b)
		if fits == nil {
			return nil
		}
		keep(func(t uint32) bool { return slices.ContainsFunc(b.grouped[b.groupAt[t]:b.groupAt[t+1]], fits) })
	}
	slices.SortStableFunc(list, func(x, y uint32) int { return cmp.Compare(b.totals[y].start, b.totals[x].start) })
	return list
}

// parts walks the blocks that hold rows of one trace.
type parts func(visit func(b *block, rows []uint32)) error

// sum adds up a trace and tells whether it fits; spansFit says that one of its
// spans is known to.
func (q *Query) sum(id traceID, spansFit bool, all parts) (Summary, bool, error) {
	var total summing
	fits := spansFit || !q.ofSpans()
	err := all(func(b *block, rows []uint32) {
		total.add(b, rows)
		if !fits {
			if matches := q.matcher(b); matches != nil {
				fits = slices.ContainsFunc(rows, matches)
			}
		}
	})
	if err != nil || !fits {
		return Summary{}, false, err
	}
	took := time.Duration(total.end - total.start)
	summary := total.summary(id)
	switch {
	case q.Clean && total.errors > 0,
		q.Errors && total.errors == 0,
		took < q.MinDuration,
		q.MaxDuration != 0 && took > q.MaxDuration,
		!q.From.IsZero() && summary.Start.Before(q.From),
		!q.To.IsZero() && summary.Start.After(q.To):
		return Summary{}, false, nil
	}
	return summary, true, nil
}

// summing adds up what the blocks know of one trace.
type summing struct {
	start, end    int64
	spans, errors int
	root          bool
	firstStart    int64
	first         func() (service, operation string, status int)
	services      map[string]ServiceCount
}

// maxServices bounds the services of a summary.
const maxServices = 64

func (t *summing) add(b *block, rows []uint32) {
	var p partial
	if t.services == nil {
		t.services = make(map[string]ServiceCount)
	}
	for _, row := range rows {
		p.add(b, row)
		name := b.resources[b.source[row]].service
		c, ok := t.services[name]
		if !ok && len(t.services) == maxServices {
			continue
		}
		c.Name = name
		c.Spans++
		if b.failed(row) {
			c.Errors++
		}
		t.services[name] = c
	}
	firstStart := b.start[p.first]
	if t.spans == 0 || p.root && !t.root || p.root == t.root && firstStart < t.firstStart {
		t.root, t.firstStart = p.root, firstStart
		t.first = func() (string, string, int) {
			return b.resources[b.source[p.first]].service, b.texts[b.name[p.first]], b.status(p.first)
		}
	}
	if t.spans == 0 || p.start < t.start {
		t.start = p.start
	}
	t.end = max(t.end, p.end)
	t.spans += p.spans
	t.errors += p.errors
}

func (t *summing) summary(id traceID) Summary {
	s := Summary{
		TraceID: hex.EncodeToString(id[:]), Start: time.Unix(0, t.start), DurationMS: float64(t.end-t.start) / 1e6,
		Spans: t.spans, Errors: t.errors,
	}
	if t.first != nil {
		s.Service, s.Operation, s.Status = t.first()
	}
	for _, name := range slices.Sorted(maps.Keys(t.services)) {
		s.Services = append(s.Services, t.services[name])
	}
	return s
}

// matcher makes the conditions on spans a function of a block's rows; nil when
// no row can fit.
func (q *Query) matcher(b *block) func(row uint32) bool {
	from := make([]bool, len(b.resources))
	some := false
	for i := range b.resources {
		r := &b.resources[i]
		from[i] = (q.Service == "" || q.Service == r.service) && (q.Workload == "" || q.Workload == r.workload)
		some = some || from[i]
	}
	if !some {
		return nil
	}
	var conditions []func(row uint32) bool
	if q.Operation != "" {
		name := slices.Index(b.texts, q.Operation)
		if name < 0 {
			return nil
		}
		conditions = append(conditions, func(row uint32) bool { return b.name[row] == uint32(name) })
	}
	for _, c := range []struct {
		key  uint32
		want string
	}{{keySource, q.Source}, {keyDestination, q.Target}, {keyRoute, q.Route}} {
		if c.want == "" {
			continue
		}
		want := slices.Index(b.texts, c.want)
		if want < 0 {
			return nil
		}
		conditions = append(conditions, func(row uint32) bool {
			keys, values := b.attributes(row)
			i := slices.Index(keys, c.key)
			return i >= 0 && values[i] == uint32(want)
		})
	}
	if q.Status != "" {
		conditions = append(conditions, func(row uint32) bool {
			status := b.status(row)
			return strconv.Itoa(status) == q.Status || statusClass(status) == q.Status
		})
	}
	for key, want := range q.Tags {
		if want != "" && !slices.Contains(b.texts, want) {
			return nil
		}
		inResource := make([]bool, len(b.resources))
		for i := range b.resources {
			inResource[i] = b.resourceText(&b.resources[i], key) == want
		}
		conditions = append(conditions, func(row uint32) bool {
			return inResource[b.source[row]] || b.attribute(row, key) == want
		})
	}
	return func(row uint32) bool {
		if !from[b.source[row]] {
			return false
		}
		for _, fits := range conditions {
			if !fits(row) {
				return false
			}
		}
		return true
	}
}

// attributesOf gives those of the tags that an hour is indexed by.
func (v *view) attributesOf(g generation, tags map[string]string) (names []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		has, err := v.has(g.attributeKey(name))
		if err != nil {
			return nil, err
		}
		if has {
			names = append(names, name)
		}
	}
	return names, nil
}
