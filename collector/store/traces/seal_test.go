package traces

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// timed makes one trace of two spans in one batch each.
func timed(n int, operation string, at time.Time, took time.Duration, failed bool) [2]ptrace.Traces {
	var out [2]ptrace.Traces
	for i := range out {
		td := ptrace.NewTraces()
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", []string{"web", "api"}[i])
		s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		s.SetTraceID(numbered(n))
		s.SetSpanID(pcommon.SpanID{byte(i + 1)})
		if i > 0 {
			s.SetParentSpanID(pcommon.SpanID{1})
		}
		s.SetName(operation)
		s.Attributes().PutStr("order", fmt.Sprint(n))
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(took / time.Duration(i+1))))
		if failed && i > 0 {
			s.Status().SetCode(ptrace.StatusCodeError)
		}
		out[i] = td
	}
	return out
}

// writeNow writes a block without waiting for the next batch.
func writeNow(t *testing.T, s *Store, td ptrace.Traces) {
	t.Helper()
	raw, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.write([][]byte{raw}); err != nil {
		t.Fatal(err)
	}
}

func numbered(n int) pcommon.TraceID {
	var id pcommon.TraceID
	binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

// clock is a time that the test sets and the store's own loops read.
type clock struct{ ns atomic.Int64 }

func clockAt(t time.Time) *clock {
	c := &clock{}
	c.set(t)
	return c
}

func (c *clock) get() time.Time      { return time.Unix(0, c.ns.Load()) }
func (c *clock) set(t time.Time)     { c.ns.Store(t.UnixNano()) }
func (c *clock) add(d time.Duration) { c.ns.Add(int64(d)) }

func sampledStore(t *testing.T, dir string, now *clock, sample float64) *Store {
	t.Helper()
	s, err := Open(Options{Dir: dir, Sample: sample, IndexAttributes: []string{"order"}, Now: now.get})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A sealed hour has all that went wrong, was slow or rare, whole, and a share
// of the rest; what is gone is counted. Until five minutes after its end all
// is there.
func TestSeal(t *testing.T) {
	dir := t.TempDir()
	now := clockAt(time.Now().Truncate(time.Hour).Add(-2*time.Hour + 10*time.Minute))
	s := sampledStore(t, dir, now, 0.1)
	defer func() { _ = s.Close() }()
	const ordinary = 1000
	want := map[int]string{}
	put := func(n int, operation string, took time.Duration, failed bool) {
		for _, td := range timed(n, operation, now.get().Add(-time.Second), took, failed) {
			writeNow(t, s, td)
		}
		now.add(10 * time.Millisecond)
	}
	for n := range ordinary {
		put(n+1, "GET /", time.Duration(1+n%7)*time.Millisecond, false)
	}
	for n := range 20 {
		put(ordinary+100+n, "GET /", time.Millisecond, true)
		put(ordinary+200+n, "GET /", time.Second, false)
		put(ordinary+300+n, "POST /rare", time.Millisecond, false)
		want[ordinary+100+n], want[ordinary+200+n], want[ordinary+300+n] = "failed", "slow", "rare"
	}
	total := ordinary + 60
	count := func() (traces int) {
		found, err := s.Search(t.Context(), Query{Limit: MaxLimit, Clean: true, Service: "web", Operation: "GET /"})
		if err != nil {
			t.Fatal(err)
		}
		return len(found.Traces)
	}
	end := now.get().Truncate(time.Hour).Add(time.Hour)
	now.set(end.Add(4 * time.Minute))
	if err := s.sealEnded(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := count(); got != MaxLimit {
		t.Fatalf("%d traces soon after the hour, want all up to the limit", got)
	}
	now.set(end.Add(time.Hour + 6*time.Minute))
	if err := s.sealEnded(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func(when string) {
		t.Helper()
		for n, why := range want {
			tr, err := s.Get(t.Context(), numbered(n).String())
			if err != nil || len(tr.Spans) != 2 {
				t.Errorf("%s: %s trace %d: %d spans, %v", when, why, n, len(tr.Spans), err)
			}
		}
		// A tenth of what is ordinary, and the slowest twentieth by itself.
		if got := count(); got < 100 || got > 350 {
			t.Errorf("%s: %d clean traces are left, want about 250", when, got)
		}
		stats := s.Stats()
		left, err := s.Search(t.Context(), Query{Limit: MaxLimit})
		if err != nil || uint64(len(left.Traces))+stats.SampledTraces != uint64(total) || stats.SampledSpans != 2*stats.SampledTraces {
			t.Errorf("%s: %d traces left, %d traces of %d spans sampled out, %v; want %d in all", when, len(left.Traces), stats.SampledTraces, stats.SampledSpans, err, total)
		}
		found, err := s.Search(t.Context(), Query{Tags: map[string]string{"order": fmt.Sprint(ordinary + 100)}})
		if err != nil || len(found.Traces) != 1 || found.Traces[0].Errors != 1 || found.Traces[0].Spans != 2 {
			t.Errorf("%s: by an indexed attribute: %+v, %v", when, found.Traces, err)
		}
		if names, err := s.Operations(t.Context(), "api"); err != nil || len(names) != 2 {
			t.Errorf("%s: operations %v, %v", when, names, err)
		}
	}
	check("sealed")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = sampledStore(t, dir, now, 0.1)
	check("opened again")
}

// A trace that goes on in the next hour and fails there is kept whole.
func TestSealAcrossHours(t *testing.T) {
	now := clockAt(time.Now().Truncate(time.Hour).Add(-2*time.Hour - time.Second))
	s := sampledStore(t, t.TempDir(), now, 1e-9)
	defer s.Close()
	begun := now.get()
	for n := range 100 {
		writeNow(t, s, timed(n+1, "GET /", begun, time.Millisecond, false)[0])
	}
	now.add(2 * time.Second)
	if err := s.WriteSpans(t.Context(), timed(1, "GET /", begun, time.Millisecond, true)[1]); err != nil {
		t.Fatal(err)
	}
	now.add(2 * time.Hour)
	if err := s.sealEnded(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tr, err := s.Get(t.Context(), numbered(1).String()); err != nil || len(tr.Spans) != 2 {
		t.Errorf("%d spans, %v; want both", len(tr.Spans), err)
	}
}

// Hours that would not all fit lose ordinary traces before the store loses hours.
func TestSampleRateBySpace(t *testing.T) {
	now := time.Now()
	s, err := Open(Options{Dir: t.TempDir(), MaxBytes: 24, Retention: 24 * time.Hour, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.WriteSpans(t.Context(), oneSpan(1, "k", "v")); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if rate, err := s.sampleRate(generation{hourOf(now), 1}); err != nil || rate <= 0 || rate > 0.1 {
		t.Errorf("share %v, %v; want what a byte is of the hour", rate, err)
	}
}

// What an end in the middle of sealing leaves is not seen, and done again.
func TestSealInterrupted(t *testing.T) {
	now := clockAt(time.Now().Truncate(time.Hour).Add(-3 * time.Hour))
	s := sampledStore(t, t.TempDir(), now, 1)
	defer s.Close()
	for _, td := range timed(1, "GET /", now.get(), time.Millisecond, false) {
		if err := s.WriteSpans(t.Context(), td); err != nil {
			t.Fatal(err)
		}
	}
	g := generation{hourOf(now.get()), 1}
	v, err := s.view()
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBuilder(nil)
	if err != nil {
		t.Fatal(err)
	}
	half := &sealing{store: s, view: v, from: g, to: generation{g.hour, 2}, builder: b, names: map[string]struct{}{}, parts: 1, rate: 1, used: map[uint32]struct{}{}}
	if _, err := half.all(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.close(); err != nil {
		t.Fatal(err)
	}
	spans := func() int {
		tr, err := s.Get(context.Background(), numbered(1).String())
		if err != nil {
			t.Fatal(err)
		}
		return len(tr.Spans)
	}
	if got := spans(); got != 2 {
		t.Errorf("%d spans with half a seal, want 2", got)
	}
	now.add(2 * time.Hour)
	if err := s.sealEnded(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := spans(); got != 2 {
		t.Errorf("%d spans once sealed, want 2", got)
	}
	if blocks, err := s.lastSequence(generation{g.hour, 1}); err != nil || blocks != 0 {
		t.Errorf("the hour's first generation is still there: %d, %v", blocks, err)
	}
}

// Spans that arrive by a clock that was set back are found all the same.
func TestClockSetBack(t *testing.T) {
	dir := t.TempDir()
	now := clockAt(time.Now().Truncate(time.Hour).Add(-3 * time.Hour))
	s := sampledStore(t, dir, now, 1)
	defer func() { _ = s.Close() }()
	put := func(n int) {
		t.Helper()
		writeNow(t, s, timed(n, "GET /", now.get(), time.Millisecond, false)[0])
		if _, err := s.Get(t.Context(), numbered(n).String()); err != nil {
			t.Errorf("trace %d: %v", n, err)
		}
	}
	put(1)
	back := now.get()
	now.add(2 * time.Hour)
	if err := s.sealEnded(t.Context()); err != nil {
		t.Fatal(err)
	}
	now.set(back)
	put(2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = sampledStore(t, dir, now, 1)
	put(3)
	put(1)
}
