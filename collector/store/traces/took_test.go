package traces

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// one is a batch of one span.
func one(trace int, service string, at time.Time, took time.Duration) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", service)
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetTraceID(numbered(trace))
	s.SetSpanID(pcommon.SpanID(binary.BigEndian.AppendUint64(nil, uint64(at.UnixNano()))))
	s.SetName("GET /")
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
	s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(took)))
	return td
}

// Traces that took long are found among many that did not, without a look at
// those: whole in one block, grown over several, before and after a restart, and
// once the hour is sealed.
func TestDurationIndex(t *testing.T) {
	begin := time.Now().Truncate(time.Hour).Add(-3 * time.Hour)
	now, dir := clockAt(begin), t.TempDir()
	s := sampledStore(t, dir, now, 1)
	write := func(td ptrace.Traces) {
		t.Helper()
		now.add(time.Second)
		writeNow(t, s, td)
	}
	write(one(1, "web", begin, 3*time.Second))     // by its only span
	write(one(2, "web", begin, time.Millisecond))  // by what comes a second later
	write(one(3, "slow", begin, time.Millisecond)) // by what comes after a restart
	write(one(2, "api", begin.Add(2500*time.Millisecond), time.Millisecond))
	for i := range 200 {
		write(one(100+i, []string{"web", "api"}[i%2], begin.Add(time.Second), 20*time.Millisecond))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = sampledStore(t, dir, now, 1)
	defer func() { _ = s.Close() }()
	write(one(3, "api", begin.Add(3*time.Second), time.Millisecond))

	ask := func(state string, scannedMost int) {
		t.Helper()
		for _, tt := range []struct {
			q    Query
			want []int
		}{
			{Query{MinDuration: 2 * time.Second}, []int{1, 2, 3}},
			{Query{MinDuration: 2900 * time.Millisecond}, []int{1, 3}},
			{Query{MinDuration: 2 * time.Second, Service: "slow"}, []int{3}}, // whose own span was short
			{Query{MinDuration: 2 * time.Second, Service: "api"}, []int{2, 3}},
			{Query{MinDuration: 2 * time.Second, MaxDuration: 2900 * time.Millisecond}, []int{2}},
			{Query{MinDuration: time.Minute}, nil},
		} {
			found, err := s.Search(t.Context(), tt.q)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, trace := range found.Traces {
				n := slices.IndexFunc([]int{0, 1, 2, 3}, func(n int) bool { return trace.TraceID == numbered(n).String() })
				got = append(got, n) // -1: none that should be found
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) || !found.Complete {
				t.Errorf("%s: %+v finds %v, complete %v; want %v", state, tt.q, got, found.Complete, tt.want)
			}
			if found.TotalScanned > scannedMost {
				t.Errorf("%s: %+v looks at %d traces, of which %d fit", state, tt.q, found.TotalScanned, len(tt.want))
			}
		}
		if found, err := s.Search(t.Context(), Query{MinDuration: 10 * time.Millisecond, Limit: 500}); err != nil || len(found.Traces) != 203 {
			t.Errorf("%s: %d traces of 10 ms, want 203 (%v)", state, len(found.Traces), err)
		}
	}
	ask("open", 3)
	now.set(begin.Add(2 * time.Hour))
	if err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask("sealed", 3)
	hours, err := s.hours()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range hours { // as an earlier version left it
		if err := s.db.Delete(g.attributeKey(tookIndexed), pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	ask("without an index", 1000)
}

func TestTookRows(t *testing.T) {
	ms := func(n int64) extent { return extent{7, 7 + n*1e6} }
	rows := map[int][]byte{}
	note := func(level int, listed []byte) { rows[level] = listed }
	tookRows([]extent{ms(0), ms(1), ms(5), ms(4)}, note)
	want := map[int][]byte{0: {1, 2, 3}, 1: {2, 3}, 2: {2, 3}, 3: {2, 3}, 4: {2, 3}} // 1, 1.4, 2, 2.8, 4
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	many := make([]extent, listedMost+1)
	for i := range many {
		many[i] = ms(3)
	}
	many[4] = ms(1 << 20)
	clear(rows)
	tookRows(many, note)
	if _, ok := rows[3]; !ok || len(rows[3]) > 0 || !slices.Equal(rows[4], []byte{4}) || !slices.Equal(rows[40], []byte{4}) || len(rows) != 41 {
		t.Errorf("rows %v", rows)
	}
}
