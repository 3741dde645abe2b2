package traces

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// manySpans makes spans that differ in whatever spans may differ.
func manySpans(seed uint64, n int) ptrace.Traces {
	rng := rand.New(rand.NewPCG(seed, 1))
	td := ptrace.NewTraces()
	var to ptrace.SpanSlice
	for i := range n {
		if i == 0 || rng.IntN(5) == 0 {
			rs := td.ResourceSpans().AppendEmpty()
			rs.Resource().Attributes().PutStr("service.name", fmt.Sprint("s", rng.IntN(3)))
			if rng.IntN(2) == 0 {
				rs.Resource().Attributes().PutStr("service.namespace", "shop")
			}
			to = rs.ScopeSpans().AppendEmpty().Spans()
		}
		s := to.AppendEmpty()
		s.SetTraceID(pcommon.TraceID{7, 15: byte(rng.IntN(4))}) // the first half is the same
		s.SetSpanID(pcommon.SpanID{1, 6: byte(i >> 8), 7: byte(i)})
		if rng.IntN(3) > 0 {
			s.SetParentSpanID(pcommon.SpanID{7: byte(1 + rng.IntN(9))})
		}
		s.SetName(fmt.Sprint("op ", rng.IntN(4)))
		s.SetKind(ptrace.SpanKind(rng.IntN(6)))
		s.SetStartTimestamp(pcommon.Timestamp(1e18 + rng.Int64N(1e10)))
		s.SetEndTimestamp(s.StartTimestamp() + pcommon.Timestamp(rng.Int64N(1e9)))
		s.Status().SetCode(ptrace.StatusCode(rng.IntN(3)))
		if rng.IntN(4) == 0 {
			s.Status().SetMessage("it broke")
		}
		keys := rng.Perm(8)
		for _, k := range keys[:rng.IntN(9)] {
			switch a, key := s.Attributes(), fmt.Sprint("k", k); k {
			case 0:
				a.PutInt(key, rng.Int64()-math.MaxInt64/2)
			case 1:
				a.PutDouble(key, []float64{0, 1.5, 1e-9, 3e25, -2}[rng.IntN(5)])
			case 2:
				a.PutBool(key, rng.IntN(2) == 0)
			case 3:
				a.PutEmptySlice(key).AppendEmpty().SetStr("in a list")
			case 4:
				a.PutEmptyBytes(key).Append(1, 2, byte(rng.IntN(5)))
			case 5:
				a.PutStr(key, "")
			default:
				a.PutStr(key, fmt.Sprint("v", rng.IntN(20)))
			}
		}
		for range rng.IntN(3) {
			e := s.Events().AppendEmpty()
			e.SetName("event")
			e.SetTimestamp(s.StartTimestamp() + 5000)
			e.Attributes().PutInt("n", rng.Int64N(5))
		}
	}
	return td
}

// wanted gives spans as the API shows them, by the way of pdata alone.
func wanted(td ptrace.Traces, begin int64) (spans []string) {
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				attributes := map[string]string{}
				for k, v := range s.Attributes().All() {
					attributes[k] = v.AsString()
				}
				service, _ := rs.Resource().Attributes().Get("service.name")
				line := fmt.Sprintln(s.TraceID(), s.SpanID(), s.ParentSpanID(), service.Str(), s.Name(), s.Kind(), (int64(s.StartTimestamp())-begin)/1000,
					int64(s.EndTimestamp()-s.StartTimestamp())/1000, s.Status().Code(), s.Status().Message(), attributes)
				for _, e := range s.Events().All() {
					line += fmt.Sprintln(e.Name(), (int64(e.Timestamp())-begin)/1000, e.Attributes().AsRaw())
				}
				spans = append(spans, strings.ToLower(line))
			}
		}
	}
	return spans
}

func TestBlockRoundTrip(t *testing.T) {
	b, err := newBuilder([]string{"k6"})
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := newDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	for seed, n := range []int{0, 1, 2, 50, 700, 3} {
		td := manySpans(uint64(seed), n)
		raw, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
		if err != nil {
			t.Fatal(err)
		}
		b.reset()
		if err := b.addOTLP(raw); err != nil {
			t.Fatal(err)
		}
		block, err := decodeBlock(decoder, b.finish())
		if err != nil {
			t.Fatalf("%d spans: %v", n, err)
		}
		var got []string
		for row := range block.spans {
			s := block.span(uint32(row), 1e18)
			attributes := map[string]string{}
			for _, a := range s.Attributes {
				attributes[a.Key] = a.Value
			}
			kind := ptrace.SpanKind(block.code[row] & codeKind)
			status := map[string]string{"ok": "Ok", "error": "Error", "unset": "Unset"}[s.Status]
			line := fmt.Sprintln(pcommon.TraceID(block.traceIDs[block.trace[row]]), pcommon.SpanID(block.spans[row]), pcommon.SpanID(block.parents[row]), s.Service, s.Operation, kind,
				s.StartUS, s.DurationUS, status, s.Message, attributes)
			for _, e := range s.Events {
				line += fmt.Sprintln(e.Name, e.AtUS, map[string]string{e.Attributes[0].Key: e.Attributes[0].Value})
			}
			got = append(got, strings.ToLower(line))
		}
		if diff := cmp.Diff(wanted(td, 1e18), got); diff != "" {
			t.Fatalf("%d spans (-want +got):\n%s", n, diff)
		}
	}
}

// A block that says anything at all is refused or stays within itself.
func FuzzDecodeBlock(f *testing.F) {
	b, err := newBuilder(nil)
	if err != nil {
		f.Fatal(err)
	}
	raw, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(manySpans(1, 20))
	if err != nil {
		f.Fatal(err)
	}
	if err := b.addOTLP(raw); err != nil {
		f.Fatal(err)
	}
	f.Add(b.finish()[:4], b.body)
	decoder, err := newDecoder()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, head, body []byte) {
		if len(body) > 1<<16 {
			return
		}
		block, err := decodeBlock(decoder, b.encoder.EncodeAll(body, head))
		if err != nil {
			return
		}
		block.group()
		for row := range block.spans {
			block.span(uint32(row), 0)
			block.status(uint32(row))
		}
		(&Query{Service: "s1", Tags: map[string]string{"k": "v"}, Status: "5xx", Route: "x"}).matcher(block)
	})
}

// What is no message of OTLP is refused and loses nothing of others.
func TestMalformedMessage(t *testing.T) {
	s, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.WriteOTLP(t.Context(), []byte{0x0a, 0xff, 0x01}, 1); !errors.Is(err, errCorrupt) {
		t.Errorf("WriteOTLP = %v, want it refused", err)
	}
	if got := s.Stats(); got.Refused != 1 || got.Spans != 0 {
		t.Errorf("stats %+v, want 1 span refused", got)
	}
	if err := s.WriteSpans(t.Context(), oneSpan(1, "k", "v")); err != nil {
		t.Error(err)
	}
}

// Traces that share the half of their IDs that keys have are told apart.
func TestHalfOfAnID(t *testing.T) {
	s, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	td := manySpans(3, 40)
	want := map[string]int{}
	for _, rs := range td.ResourceSpans().All() {
		for _, span := range rs.ScopeSpans().At(0).Spans().All() {
			want[span.TraceID().String()]++
		}
	}
	if err := s.WriteSpans(t.Context(), td); err != nil {
		t.Fatal(err)
	}
	found, err := s.Search(t.Context(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, f := range found.Traces {
		got[f.TraceID] = f.Spans
		if tr, err := s.Get(t.Context(), f.TraceID); err != nil || len(tr.Spans) != f.Spans {
			t.Errorf("trace %s: %d spans, %v; want %d", f.TraceID, len(tr.Spans), err, f.Spans)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("traces (-want +got):\n%s", diff)
	}
}

// A folder of another layout is refused with what to do about it.
func TestOtherLayouts(t *testing.T) {
	first := t.TempDir()
	db, err := pebble.Open(first, &pebble.Options{Merger: &pebble.Merger{Name: "sidelight.trace-record.v1"}, Logger: pebbleLogger{slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	future := t.TempDir()
	s, err := Open(Options{Dir: future})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.Set(versionKey(), []byte{77}, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for dir, layout := range map[string]string{first: "layout 1", future: "layout 77"} {
		s, err := Open(Options{Dir: dir})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s was opened", layout)
			continue
		}
		if text := err.Error(); !strings.Contains(text, layout) || !strings.Contains(text, dir) || !strings.Contains(text, "move the folder away") {
			t.Errorf("%s: %v", layout, err)
		}
	}
}

// A search ends by the clock of arrivals, not by what else is stored.
func TestArrivalInSequence(t *testing.T) {
	now := time.Now().Truncate(time.Hour).Add(59*time.Minute + 59*time.Second + 999*time.Millisecond)
	h := hourOf(now)
	seq := uint32(now.Sub(h.begin()) / time.Microsecond)
	if got := h.arrival(seq); !got.Equal(now) {
		t.Errorf("arrival %v, want %v", got, now)
	}
}
