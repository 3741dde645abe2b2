package traces

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// oneSpan is a batch of one span of trace n, with one attribute.
func oneSpan(n byte, key, value string) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "web")
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetTraceID(pcommon.TraceID{n, 15: n})
	s.SetSpanID(pcommon.SpanID{7: n})
	s.SetName("GET /")
	s.Attributes().PutStr(key, value)
	at := time.Now().Add(-time.Second)
	s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
	s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(time.Millisecond)))
	return td
}

// A block or a record that the disk gave back damaged is left out and counted;
// everything else is found as before.
func TestCorruption(t *testing.T) {
	s, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n := range byte(4) {
		if err := s.WriteSpans(t.Context(), oneSpan(n+1, "k", "v")); err != nil {
			t.Fatal(err)
		}
	}
	hours, err := s.hours()
	if err != nil || len(hours) == 0 {
		t.Fatal(hours, err)
	}
	// One block cut short, one of garbage.
	for n, damage := range map[byte]func([]byte) []byte{
		1: func(block []byte) []byte { return block[:len(block)/2] },
		2: func([]byte) []byte { return []byte("garbage") },
	} {
		key := keyOfBlock(t, s, hours, n)
		block, closer, err := s.db.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		damaged := damage(append([]byte(nil), block...))
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.db.Set(key, damaged, nil); err != nil {
			t.Fatal(err)
		}
	}
	s.cache = blockCache{}
	found, err := s.Search(t.Context(), Query{Service: "web", Tags: map[string]string{"k": "v"}})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, f := range found.Traces {
		ids = append(ids, f.TraceID[31:])
	}
	slices.Sort(ids)
	if diff := cmp.Diff([]string{"3", "4"}, ids); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	if got := s.Stats().Corrupt; got != 2 {
		t.Errorf("%d corrupt blocks counted, want 2", got)
	}
	id := traceID{4, 15: 4}
	if tr, err := s.Get(t.Context(), hex.EncodeToString(id[:])); err != nil || len(tr.Spans) != 1 {
		t.Errorf("a whole trace: %+v, %v", tr, err)
	}
	id = traceID{1, 15: 1}
	if tr, err := s.Get(t.Context(), hex.EncodeToString(id[:])); !errors.Is(err, mesh.ErrNotFound) {
		t.Errorf("a trace whose only block is damaged: %+v, %v", tr, err)
	}
}

// keyOfBlock gives the key of the newest block with spans of trace n.
func keyOfBlock(t *testing.T, s *Store, hours []storedHour, n byte) []byte {
	t.Helper()
	v, err := s.view()
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	for _, g := range hours {
		seqs, err := v.blocksOf(g.generation, traceID{n, 15: n})
		if err != nil {
			t.Fatal(err)
		}
		for _, seq := range seqs {
			return g.blockKey(seq)
		}
	}
	t.Fatalf("no block of trace %d", n)
	return nil
}

// An index of attributes holds from an hour's first block on; until then, and
// for tags without one, spans are read. The answer is the same.
func TestIndexedAttributes(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().Truncate(time.Hour).Add(10 * time.Minute)
	open := func(names ...string) *Store {
		s, err := Open(Options{Dir: dir, IndexAttributes: names, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	write := func(s *Store, n byte, key, value string) {
		if err := s.WriteSpans(t.Context(), oneSpan(n, key, value)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(s *Store, h hour, tags map[string]string, wantIndex string, want int) {
		t.Helper()
		v, err := s.view()
		if err != nil {
			t.Fatal(err)
		}
		if names, err := v.attributesOf(generation{h, 1}, tags); err != nil || strings.Join(names, " ") != wantIndex {
			t.Errorf("index of %v in hour %d: %q, %v, want %q", tags, h, names, err, wantIndex)
		}
		if err := v.close(); err != nil {
			t.Error(err)
		}
		if found, err := s.Search(t.Context(), Query{Tags: tags}); err != nil || len(found.Traces) != want {
			t.Errorf("search for %v: %d traces, %v, want %d", tags, len(found.Traces), err, want)
		}
	}
	s := open()
	write(s, 1, "order", "7")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open("order")
	first := hourOf(now)
	write(s, 2, "order", "7")
	check(s, first, map[string]string{"order": "7"}, "", 2) // the hour began without the index
	now = now.Add(time.Hour)
	write(s, 3, "order", "7")
	write(s, 4, "order", "8")
	second := hourOf(now)
	check(s, second, map[string]string{"order": "7"}, "order", 3)
	check(s, second, map[string]string{"order": "8"}, "order", 1)
	check(s, second, map[string]string{"order": "7", "other": "x"}, "order", 0)
	check(s, second, map[string]string{"other": "x"}, "", 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
