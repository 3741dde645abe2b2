package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"golang.org/x/tools/txtar"

	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
)

var update = flag.Bool("update", false, "write testdata anew")

// On an Istio mesh, with sidecars and without, the dashboards that ask for Istio's
// names tell its traffic once: no request is missing or counted twice.
func TestIstio(t *testing.T) {
	file := filepath.Join("testdata", "istio.txtar")
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(archive.Files); i += 2 {
		mesh, panels := archive.Files[i], &archive.Files[i+1]
		t.Run(mesh.Name, func(t *testing.T) {
			got := istioPanels(t, mesh.Data)
			if *update {
				panels.Data = []byte(got)
			}
			if d := cmp.Diff(string(panels.Data), got); d != "" {
				t.Errorf("panels (-want +got):\n%s", d)
			}
		})
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// istioPanels gives what each query of a panel finds in a store with the series.
func istioPanels(t *testing.T, series []byte) string {
	t.Helper()
	store, err := metrics.Open(metrics.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const every = 15 * time.Second
	begin := time.Now().Add(-time.Hour).Truncate(every)
	last := loadSeries(t, store, series, begin, every)
	for at := begin; !at.After(last); at = at.Add(every) {
		record(t, store, at)
	}
	var out strings.Builder
	for _, b := range []board{meshBoard(), serviceBoard(), workloadBoard()} {
		d, err := b.build()
		if err != nil {
			t.Fatal(err)
		}
		all := []string{}
		for _, v := range b.variables {
			all = append(all, "$"+v.Name, v.AllValue)
		}
		choose := strings.NewReplacer(all...)
		title := strings.TrimPrefix(b.title, "Sidelight / ")
		for _, v := range b.variables {
			m := labelValues.FindStringSubmatch(v.Definition)
			fmt.Fprintf(&out, "%s: $%s\n  %s\n", title, v.Name, values(t, store, choose.Replace(m[1]), m[2], last))
		}
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				fmt.Fprintf(&out, "%s: %s %s\n%s", title, p.Title, q.RefID, asked(t, store, choose.Replace(fill.Replace(q.Expr)), last))
			}
		}
	}
	return out.String()
}

// values lists those that a label has.
func values(t *testing.T, store *metrics.Store, selector, label string, at time.Time) string {
	t.Helper()
	var found []string
	for _, s := range vector(t, store, selector, at) {
		if v := s.Labels[label]; v != "" {
			found = append(found, v)
		}
	}
	slices.Sort(found)
	return strings.Join(slices.Compact(found), " ")
}

// loadSeries writes promtool's series, and tells the time of the last sample.
func loadSeries(t *testing.T, store *metrics.Store, series []byte, begin time.Time, every time.Duration) time.Time {
	t.Helper()
	last := begin
	app := store.AppenderV2(t.Context())
	for lines := bufio.NewScanner(bytes.NewReader(series)); lines.Scan(); {
		ls, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(lines.Text())
		if err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		for i, v := range values {
			at := begin.Add(time.Duration(i) * every)
			if _, err := app.Append(0, ls, 0, at.UnixMilli(), v.Value, nil, nil, storage.AOptions{}); err != nil {
				t.Fatal(err)
			}
			if at.After(last) {
				last = at
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	return last
}

// record evaluates the recording rules of traffic.yaml once.
func record(t *testing.T, store *metrics.Store, at time.Time) {
	t.Helper()
	for _, r := range trafficSeries() {
		app := store.AppenderV2(t.Context())
		for _, s := range vector(t, store, r.Expr, at) {
			ls := labels.NewBuilder(labels.FromMap(s.Labels)).Set("__name__", r.Record).Labels()
			if _, err := app.Append(0, ls, 0, at.UnixMilli(), s.Value, nil, nil, storage.AOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

func vector(t *testing.T, store *metrics.Store, expr string, at time.Time) []metrics.Sample {
	t.Helper()
	got, err := store.Instant(t.Context(), expr, at)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return got
}

// asked writes an answer, a line each.
func asked(t *testing.T, store *metrics.Store, expr string, at time.Time) string {
	t.Helper()
	var lines []string
	for _, s := range vector(t, store, expr, at) {
		ls := labels.NewBuilder(labels.FromMap(s.Labels)).Del("__name__").Labels()
		lines = append(lines, "  "+strconv.FormatFloat(s.Value, 'g', 4, 64)+" "+ls.String()+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}
