package trace

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

var update = flag.Bool("update", false, "rewrite the goldens")

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := show(Analyze(read(t, string(ar.Files[0].Data))))
			if *update {
				ar.Files[1].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(ar.Files[1].Data), got); diff != "" {
				t.Errorf("analysis differs (-want +got):\n%s", diff)
			}
		})
	}
}

// read parses lines of "id parent service workload kind start duration status operation... key=value...".
func read(t *testing.T, text string) traces.Trace {
	t.Helper()
	tr := traces.Trace{TraceID: "1", Start: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 9 {
			t.Fatalf("short line %q", line)
		}
		start, err1 := strconv.ParseInt(f[5], 10, 64)
		dur, err2 := strconv.ParseInt(f[6], 10, 64)
		if err1 != nil || err2 != nil {
			t.Fatalf("times in line %q: %v %v", line, err1, err2)
		}
		s := traces.Span{
			SpanID: f[0], ParentID: strings.TrimPrefix(f[1], "-"), Service: f[2], Workload: strings.TrimPrefix(f[3], "-"), Kind: f[4],
			StartUS: start, DurationUS: dur, Status: f[7],
			Events: []traces.Event{{AtUS: start, Name: "begin"}},
		}
		var op []string
		for _, w := range f[8:] {
			if k, v, ok := strings.Cut(w, "="); ok {
				s.Attributes = append(s.Attributes, traces.Attribute{Key: k, Value: v})
			} else {
				op = append(op, w)
			}
		}
		s.Operation = strings.Join(op, " ")
		tr.Spans = append(tr.Spans, s)
	}
	return tr
}

func show(t traces.Trace) string {
	var b strings.Builder
	fmt.Fprintf(&b, "start %s, %g ms, services %v\n", t.Start.Format("15:04:05.000000"), t.DurationMS, t.Services)
	for _, s := range t.Spans {
		mark := " "
		if slices.Contains(t.CriticalPath, s.SpanID) {
			mark = "*"
		}
		fmt.Fprintf(&b, "%s %s%s %s %s at %d for %d self %d event at %d", mark, strings.Repeat("  ", s.Depth),
			s.SpanID, s.Service, s.Operation, s.StartUS, s.DurationUS, s.SelfUS, s.Events[0].AtUS)
		if s.Role != "" {
			fmt.Fprintf(&b, " %s", s.Role)
		}
		if s.Hop != s.SpanID {
			fmt.Fprintf(&b, " in hop %s", s.Hop)
		}
		b.WriteByte('\n')
	}
	for _, id := range t.Origins {
		fmt.Fprintf(&b, "error began at %s\n", id)
	}
	for _, g := range t.Gaps {
		fmt.Fprintf(&b, "gap in %s at %d for %d\n", g.SpanID, g.FromUS, g.DurationUS)
	}
	for _, c := range t.Calls {
		fmt.Fprintf(&b, "%s -> %s: %d calls, %d failed, %d\n", c.Source, c.Target, c.Calls, c.Errors, c.DurationUS)
	}
	for _, p := range t.Problems {
		fmt.Fprintf(&b, "! %s\n", p)
	}
	return b.String()
}

// Whatever the input, each span comes out once, no time is negative, and the
// input stays as it was.
func TestAnyInput(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	kinds := []string{"server", "client", "internal", "consumer", ""}
	for range 500 {
		var tr traces.Trace
		n := rng.IntN(30)
		for range n {
			tr.Spans = append(tr.Spans, traces.Span{
				SpanID: strconv.Itoa(rng.IntN(20)), ParentID: strconv.Itoa(rng.IntN(25)),
				Service: "s" + strconv.Itoa(rng.IntN(3)), Kind: kinds[rng.IntN(len(kinds))],
				StartUS: rng.Int64N(1e6) - 5e5, DurationUS: rng.Int64N(1e6) - 1e5, Status: []string{"ok", "error"}[rng.IntN(2)],
				Events: []traces.Event{{AtUS: 7}},
			})
		}
		before := slices.Clone(tr.Spans)
		got := Analyze(tr)
		if len(got.Spans) != n {
			t.Fatalf("%d spans in, %d out", n, len(got.Spans))
		}
		for i := range before {
			if tr.Spans[i].StartUS != before[i].StartUS || tr.Spans[i].Events[0].AtUS != 7 {
				t.Fatal("the input was changed")
			}
		}
		for _, s := range got.Spans {
			if s.StartUS < 0 || s.SelfUS < 0 || s.SelfUS > s.DurationUS {
				t.Fatalf("span %+v has an impossible time", s)
			}
		}
	}
}

func TestDeepTrace(t *testing.T) {
	var tr traces.Trace
	const n = 50_000
	for i := range n {
		s := traces.Span{SpanID: strconv.Itoa(i), StartUS: int64(i), DurationUS: 2*n - 2*int64(i), Kind: "internal"}
		if i > 0 {
			s.ParentID = strconv.Itoa(i - 1)
		}
		tr.Spans = append(tr.Spans, s)
	}
	got := Analyze(tr)
	if len(got.CriticalPath) != n || got.Spans[n-1].Depth != n-1 {
		t.Errorf("path of %d spans, depth %d", len(got.CriticalPath), got.Spans[n-1].Depth)
	}
}

func TestEmpty(t *testing.T) {
	got := Analyze(traces.Trace{TraceID: "1"})
	if got.CriticalPath == nil || got.Services == nil || got.Problems == nil {
		t.Errorf("lists must be empty, not null: %+v", got)
	}
}
