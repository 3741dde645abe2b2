package graph

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh/expr"
)

var writeDocs = flag.Bool("write-docs", false, "write the table of fields into docs/expressions.md")

// The page on expressions lists the fields as they are.
func TestFieldsAreDocumented(t *testing.T) {
	const page = "../../docs/expressions.md"
	const begin, end = "<!-- fields of the graph -->\n", "\n## Fields of a tap filter"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	had, tail, too := strings.Cut(rest, end)
	if !ok || !too {
		t.Fatalf("%s has no place for the table", page)
	}
	var b bytes.Buffer
	b.WriteString("| field | also | kind | meaning |\n|---|---|---|---|\n")
	for _, f := range Schema().Fields {
		also := ""
		if len(f.Aliases) > 0 {
			also = "`" + strings.Join(f.Aliases, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, also, kindOf(f), f.Help)
	}
	if *writeDocs {
		if err := os.WriteFile(page, []byte(head+begin+b.String()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(had, b.String()); diff != "" {
		t.Errorf("%s (-page +fields); go test ./server/graph -run Documented -write-docs writes it:\n%s", page, diff)
	}
}

func kindOf(f expr.Field) string {
	switch f.Kind {
	case expr.Bool:
		return "yes/no"
	case expr.Number:
		return map[expr.Unit]string{expr.Millis: "time", expr.Ratio: "ratio", expr.Bytes: "bytes", expr.Code: "code"}[f.Unit] +
			map[bool]string{true: "number"}[f.Unit == 0]
	}
	return "text"
}

// What Kiali users type means what they think.
func TestKialiOperands(t *testing.T) {
	p95 := 700.0
	edge := Edge{Protocol: "http", RPS: 12, ErrorRatio: 0.2, P95MS: &p95, Health: Health{Warn, []Reason{{Code: reasonEjected}}}, Mirrored: true, Weight: &Weight{Configured: 0.1}}
	caller := Node{ID: "workload:a/web", Kind: KindWorkload, Namespace: "a", Name: "web", Meshed: true, Out: Traffic{RPS: 12}}
	for src, want := range map[string]bool{
		"%error > 10": true, "%httperr > 30": false, "http > 5": true, "grpc > 0": false, "rt > 500": true, "cb": true, "ts": true,
		"mirroring": true, "!healthy": true, "tcp > 0": false,
	} {
		if got := matchEdge(t, src, &edge, &caller); got != want {
			t.Errorf("edge %s: %v", src, got)
		}
	}
	for src, want := range map[string]bool{"sc": true, "!sidecar": false, "httpout > 10": true, "httpin > 0": false, "node = workload": true, "tcpin": false, "gateway": false, "folded": false} {
		x, err := ParseFind(src)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		if got := x.Match(func(f int) expr.Value { return nodeField(&caller, f) }); got != want {
			t.Errorf("node %s: %v", src, got)
		}
	}
}

func matchEdge(t *testing.T, src string, e *Edge, n *Node) bool {
	t.Helper()
	x, err := ParseFind(src)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return x.Match(func(f int) expr.Value { return edgeField(e, n, n, f) })
}

// Whatever is asked for, finding and sifting a view ends well.
func FuzzFind(f *testing.F) {
	for _, src := range []string{"errors > 2% and not meshed", "code = 5xx or flags = UF", "name ~ ^a.*$", "((", "rps >= 1e300", "%error>1"} {
		f.Add(src)
	}
	s := readScenario(&testing.T{}, "target a:1 a/web every=1 offset=0.1\ntraffic 0-9 a:1 source a/web > b/pay pay.b.svc.cluster.local http 200=4 503/UF=1 latency=8")
	e := s.engine(8)
	f.Fuzz(func(t *testing.T, src string) {
		x, err := ParseFind(src)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a word")
			}
			return
		}
		v := e.View(Query{Find: x, Hide: x}, after(8))
		if v.Matched != nil && (v.Matched.Nodes > len(v.Nodes) || v.Matched.Edges > len(v.Edges)) {
			t.Errorf("%q matches more than there is: %+v", src, *v.Matched)
		}
		e.View(Query{Filter: x, Most: 1}, after(8))
	})
}
