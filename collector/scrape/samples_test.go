package scrape

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/sidelight-mesh/sidelight/collector/target"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

// TestSamples plays the scenarios of the graph that begin with samples: the
// first half of their way, from what targets expose to the batches that the
// graph is made of. server/graph plays the second half of the same files.
//
// Their first file, "mesh", names the targets and their bounds:
//
//	proxy NAME ADDRESS NAMESPACE/WORKLOAD [cluster=C] [node=N]
//	limit [target-edges=N] [target-outcomes=N]
//
// Each scrape is a file "TIME NAME [text|openmetrics|protobuf|fail] [clock=+1h]":
// when and of what, how the answer is written, and by how much the time of day
// is ahead then. Of protobuf the file has the text form, families apart by a
// line "---". The file "batches" is what came out, a line for each.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("../../server/graph/testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	played := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "batches" })
		if at < 0 {
			continue
		}
		played++
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			got := playSamples(t, string(archive.Files[0].Data), archive.Files[1:at])
			if *update {
				archive.Files[at].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := gocmp.Diff(string(archive.Files[at].Data), got); diff != "" {
				t.Errorf("batches differ (-want +got); -update writes them:\n%s", diff)
			}
		})
	}
	if played < 6 {
		t.Errorf("%d scenarios begin with samples", played)
	}
}

// midnight is second 0 of the graph's scenarios.
func midnight() time.Time { return time.Date(2026, 11, 3, 3, 0, 0, 0, time.UTC) }

func playSamples(t *testing.T, meshFile string, scrapes []txtar.File) string {
	rigs := rigsOf(t, meshFile)
	var out bytes.Buffer
	for _, f := range scrapes {
		words := strings.Fields(f.Name)
		when, err := time.ParseDuration(words[0])
		if err != nil || len(words) < 2 || rigs[words[1]] == nil {
			t.Fatalf("file %q: %v", f.Name, err)
		}
		r, how, ahead := rigs[words[1]], "text", time.Duration(0)
		for _, w := range words[2:] {
			if clock, ok := strings.CutPrefix(w, "clock="); ok {
				if ahead, err = time.ParseDuration(clock); err != nil {
					t.Fatalf("file %q: %v", f.Name, err)
				}
			} else {
				how = w
			}
		}
		r.step = ahead
		b := r.read(midnight().Add(when+ahead), how, f.Data)
		fmt.Fprintf(&out, "%s %s\n", when, oneLine(t, b))
	}
	return out.String()
}

func (r *rig) read(at time.Time, how string, data []byte) mesh.EdgeBatch {
	r.t.Helper()
	switch how {
	case "text":
		return r.scrape(at, "text/plain", []byte(withStarts(string(data), midnight())))
	case "openmetrics":
		return r.scrape(at, "application/openmetrics-text; version=1.0.0", []byte(withStarts(string(data), midnight())+"# EOF\n"))
	case "protobuf":
		var body bytes.Buffer
		for text := range strings.SplitSeq(string(data), "---\n") {
			var family dto.MetricFamily
			if err := prototext.Unmarshal([]byte(text), &family); err != nil {
				r.t.Fatal(err)
			}
			if _, err := protodelim.MarshalTo(&body, &family); err != nil {
				r.t.Fatal(err)
			}
		}
		return r.scrape(at, "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", body.Bytes())
	case "fail":
		return r.fail(at, errors.New(strings.TrimSpace(string(data))))
	}
	r.t.Fatalf("no such form: %s", how)
	return mesh.EdgeBatch{}
}

func rigsOf(t *testing.T, meshFile string) map[string]*rig {
	t.Helper()
	var limits Limits
	var targets []target.Target
	var names []string
	for line := range strings.Lines(meshFile) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		option := map[string]string{}
		for _, w := range words {
			if name, value, ok := strings.Cut(w, "="); ok {
				option[name] = value
			}
		}
		switch words[0] {
		case "limit":
			limits.Edges, _ = strconv.Atoi(option["target-edges"])
			limits.Outcomes, _ = strconv.Atoi(option["target-outcomes"])
		case "proxy":
			namespace, workload, _ := strings.Cut(words[3], "/")
			names = append(names, words[1])
			targets = append(targets, target.Target{
				Address: words[2], Node: cmp.Or(option["node"], words[1]),
				Workload: mesh.Workload{Cluster: option["cluster"], Namespace: namespace, Name: workload},
			})
		}
	}
	rigs := map[string]*rig{}
	for i, name := range names {
		rigs[name] = newRig(t, limits, targets[i])
	}
	return rigs
}

// oneLine writes a batch as it goes to a server in another process.
func oneLine(t *testing.T, b mesh.EdgeBatch) string {
	t.Helper()
	m := meshv1.FromEdgeBatch(b)
	for _, d := range m.GetDeltas() {
		for _, counts := range [][]*meshv1.OutcomeCount{d.GetRequests(), d.GetResponses()} {
			slices.SortFunc(counts, func(a, b *meshv1.OutcomeCount) int { return cmp.Compare(outcomeText(a), outcomeText(b)) })
		}
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil { // protojson puts spaces as it likes
		t.Fatal(err)
	}
	return line.String()
}

func outcomeText(c *meshv1.OutcomeCount) string {
	return fmt.Sprint(c.GetCode(), c.GetGrpc(), c.GetFlags(), c.GetAnsweredBy(), c.GetDetails(), c.GetObject())
}

// Whatever a target says, in whatever form and order, its scrape ends with one
// batch, whose counts are counts.
func FuzzScrape(f *testing.F) {
	const edge = `istio_requests_total{reporter="source",source_workload="a",destination_workload="b",response_code="200"} `
	f.Add(0, edge+"5\n", edge+"3\n")
	f.Add(1, edge+"5 1\n# EOF\n", edge+"NaN\n# EOF\n")
	f.Add(0, `istio_request_duration_milliseconds_bucket{le="5"} 3`+"\n", `istio_request_duration_milliseconds_bucket{le="+Inf"} -1`+"\n")
	f.Add(2, "\x0a\x0a\x01x\x18\x04\x22\x04\x3a\x02\x08\x01", "\xff\xff")
	types := []string{"text/plain", "application/openmetrics-text; version=1.0.0", "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"}
	f.Fuzz(func(t *testing.T, form int, first, second string) {
		if form < 0 || form >= len(types) {
			return
		}
		r := newRig(t, Limits{})
		for i, body := range []string{first, second, first} {
			b := r.scrape(midnight().Add(time.Duration(i)*time.Second), types[form], []byte(body))
			for _, d := range b.Deltas {
				for o, n := range d.Requests {
					if !(n >= 0) || math.IsInf(n, 0) {
						t.Errorf("%v requests of %+v", n, o)
					}
				}
				for _, bucket := range d.Latency.Buckets {
					if !(bucket.Count >= 0) || math.IsInf(bucket.Count, 0) || !(bucket.Lower <= bucket.Upper) {
						t.Errorf("bucket %+v", bucket)
					}
				}
			}
		}
	})
}
