package scrape

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/sidelight-mesh/sidelight/mesh"
)

var update = flag.Bool("update", false, "write what comes out into testdata")

// TestGolden plays the scenarios of testdata: one file for each scrape, named
// by its time since the first ("5s"), with the response in the text format, in
// OpenMetrics ("5s openmetrics"), or the error ("5s fail"); what is published
// stands in the last file, "want". "@-90s" stands for a time relative to the
// first scrape's.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			last := len(archive.Files) - 1
			if archive.Files[last].Name != "want" {
				t.Fatal("the last file is not want")
			}
			got := play(t, archive.Files[:last])
			if *update {
				archive.Files[last].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := gocmp.Diff(string(archive.Files[last].Data), got); diff != "" {
				t.Errorf("batches differ (-want +got):\n%s", diff)
			}
		})
	}
}

// epoch is when the first scrape of every scenario is.
func epoch() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

func play(t *testing.T, files []txtar.File) string {
	r := newRig(t, Limits{})
	var out strings.Builder
	for _, f := range files {
		when, how, _ := strings.Cut(f.Name, " ")
		after, err := time.ParseDuration(when)
		if err != nil {
			t.Fatalf("file %q: %v", f.Name, err)
		}
		at := epoch().Add(after)
		var b mesh.EdgeBatch
		switch how {
		case "fail":
			b = r.fail(at, errors.New(strings.TrimSpace(string(f.Data))))
		case "openmetrics":
			b = r.scrape(at, "application/openmetrics-text; version=1.0.0", []byte(withStarts(string(f.Data), epoch())+"# EOF\n"))
		default:
			b = r.scrape(at, "text/plain", []byte(withStarts(string(f.Data), epoch())))
		}
		writeBatch(&out, after, b)
	}
	return out.String()
}

// withStarts puts times for "@-90s", a time relative to the first scrape.
func withStarts(s string, epoch time.Time) string {
	for {
		i := strings.Index(s, "@")
		if i < 0 {
			return s
		}
		end := i + strings.IndexAny(s[i:], "\n ")
		d, err := time.ParseDuration(s[i+1 : end])
		if err != nil {
			panic(err)
		}
		at := float64(epoch.Add(d).UnixMilli()) / 1000
		s = s[:i] + strconv.FormatFloat(at, 'f', -1, 64) + s[end:]
	}
}

func writeBatch(w *strings.Builder, after time.Duration, b mesh.EdgeBatch) {
	state := "up"
	if !b.Up {
		state = "down: " + b.Error
	}
	fmt.Fprintf(w, "%s %s (%s, %s) +%s\n", after, state, b.Node, b.Target, b.Interval)
	for _, d := range b.Deltas {
		k := d.Key
		fmt.Fprintf(w, "  %s: %s -> %s at %q by %s, security %s\n", k.Reporter, name(k.Source), name(k.Target), k.Service.Host, k.Protocol, k.Security)
		writeOutcomes(w, "requests", d.Requests)
		writeOutcomes(w, "responses", d.Responses)
		for _, f := range []struct {
			name string
			n    float64
		}{
			{"attempts", d.Attempts},
			{"new connections", d.NewConnections},
			{"tcp opened", d.TCPOpened},
			{"tcp closed", d.TCPClosed},
			{"sent bytes", d.SentBytes},
			{"received bytes", d.ReceivedBytes},
			{"active connections", d.ActiveConnections},
		} {
			if f.n != 0 {
				fmt.Fprintf(w, "    %s: %g\n", f.name, f.n)
			}
		}
		if d.Latency.Count != 0 {
			fmt.Fprintf(w, "    latency: %g, %g ms:", d.Latency.Count, d.Latency.Sum)
			for _, b := range d.Latency.Buckets {
				fmt.Fprintf(w, " (%g,%g]=%g", b.Lower, b.Upper, b.Count)
			}
			fmt.Fprintln(w)
		}
	}
}

func writeOutcomes(w *strings.Builder, what string, counts map[mesh.Outcome]float64) {
	var lines []string
	for o, n := range counts {
		parts := []string{strconv.Itoa(o.Code), o.Flags}
		for _, p := range []string{o.GRPC, o.AnsweredBy, o.Details, o.Object} {
			if p != "" {
				parts = append(parts, p)
			}
		}
		lines = append(lines, fmt.Sprintf("    %s: %g of %s\n", what, n, strings.Join(parts, ", ")))
	}
	slices.SortFunc(lines, cmp.Compare)
	for _, l := range lines {
		w.WriteString(l)
	}
}

func name(w mesh.Workload) string {
	if w.IsUnknown() {
		return "unknown"
	}
	return fmt.Sprintf("%s (%s %s)", w.ID(), w.App, w.Version)
}
