package dialect

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/tools/txtar"

	"github.com/sidelight-mesh/sidelight/mesh"
)

var update = flag.Bool("update", false, "write the facts into testdata")

// TestRecorded reads testdata/*.txtar: "target" has the labels that discovery
// puts on every series, "metrics" what a proxy exposes, in the shape that real
// ones have, and "facts" what it means, a line for each series that means
// anything; how many do not is said at the end.
func TestRecorded(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d recordings: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := map[string]string{}
			for _, f := range archive.Files {
				parts[f.Name] = string(f.Data)
			}
			got := factsOf(t, parts["target"], parts["metrics"])
			if *update {
				archive.Files = append(archive.Files[:2:2], txtar.File{Name: "facts", Data: []byte(got)})
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(parts["facts"], got); diff != "" {
				t.Errorf("facts (-want +got); -update writes them:\n%s", diff)
			}
		})
	}
}

func factsOf(t *testing.T, target, metrics string) string {
	t.Helper()
	labels := map[string]string{}
	for line := range strings.Lines(target) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			labels[name] = value
		}
	}
	decoder := &expfmt.SampleDecoder{
		Dec: expfmt.NewDecoder(strings.NewReader(metrics), expfmt.NewFormat(expfmt.TypeTextPlain)), Opts: &expfmt.DecodeOptions{},
	}
	var lines []string
	nothing := 0
	for {
		var samples model.Vector
		if err := decoder.Decode(&samples); err != nil {
			break
		}
		for _, s := range samples {
			f, ok := All().Resolve(string(s.Metric[model.MetricNameLabel]), func(name string) string {
				if v, ok := labels[name]; ok {
					return v
				}
				return string(s.Metric[model.LabelName(name)])
			})
			if !ok {
				nothing++
				continue
			}
			lines = append(lines, fact(f, float64(s.Value)))
		}
	}
	slices.Sort(lines)
	var b bytes.Buffer
	for _, line := range lines {
		b.WriteString(line + "\n")
	}
	fmt.Fprintf(&b, "%d series mean nothing\n", nothing)
	return b.String()
}

var fieldNames = map[Field]string{
	Requests: "requests", Responses: "responses", Latency: "latency", RequestBytes: "request bytes", ResponseBytes: "response bytes",
	Attempts: "attempts", NewConnections: "new connections", TCPOpened: "opened", TCPClosed: "closed", SentBytes: "sent", ReceivedBytes: "received",
	ActiveConnections: "active", ProcessStart: "process start",
}

func fact(f Fact, value float64) string {
	what := fieldNames[f.Field]
	switch f.Part {
	case Bucket:
		what += fmt.Sprintf(" to %g", f.Upper*f.Scale)
	case Sum:
		what += " sum"
	case Count:
		what += " count"
	}
	name := func(w mesh.Workload) string {
		if w.IsUnknown() {
			return "?"
		}
		return w.ID() + " (" + w.App + "," + w.Version + ")"
	}
	out := fmt.Sprintf("%s: %s > %s", f.Key.Reporter, name(f.Key.Source), name(f.Key.Target))
	if f.Key.Service.Host != "" {
		out += " as " + f.Key.Service.Host
	}
	out += fmt.Sprintf(" %s %s: %s = %g", f.Key.Protocol, f.Key.Security, what, value*f.Scale)
	if o := f.Outcome; o != (mesh.Outcome{}) {
		out += fmt.Sprintf(" of %d %s %s %s %s", o.Code, o.GRPC, o.Flags, o.AnsweredBy, o.Details)
	}
	return strings.TrimRight(out, " ")
}
