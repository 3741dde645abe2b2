package e2e

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// panelQuery is one query of a panel of the dashboards.
type panelQuery struct {
	at      string // "Mesh: Requests A"
	expr    string
	instant bool
}

// panelQueries reads all queries as the server gives the dashboards out, with
// everything chosen of each variable.
func panelQueries(t *testing.T, a api) []panelQuery {
	t.Helper()
	var list struct {
		Dashboards []struct {
			UID, Title string
			Variables  []string
		}
	}
	a.get(t, "/api/v1/dashboards", &list)
	var all []panelQuery
	for _, d := range list.Dashboards {
		var file struct {
			Panels []struct {
				Title   string
				Targets []struct {
					RefID, Expr string
					Instant     bool
				}
			}
		}
		a.get(t, "/api/v1/dashboards/"+d.UID, &file)
		values := []string{"$__rate_interval", "1m", "$__interval", "5s", "$__range", "5m"}
		for _, v := range d.Variables {
			values = append(values, "$"+v, ".+")
		}
		for _, p := range file.Panels {
			for _, q := range p.Targets {
				all = append(all, panelQuery{
					at: fmt.Sprintf("%s: %s %s", d.Title, p.Title, q.RefID), expr: strings.NewReplacer(values...).Replace(q.Expr), instant: q.Instant,
				})
			}
		}
	}
	if len(all) < 100 {
		t.Fatalf("%d queries in all dashboards: are they all there?", len(all))
	}
	return all
}

// points counts what a query gives.
func (q panelQuery) points(a api) (int, error) {
	all, err := q.ask(a)
	n := 0
	for _, series := range all {
		n += max(len(series.Values), 1) // an instant's value
	}
	return n, err
}

// ask asks one query over the last five minutes.
func (q panelQuery) ask(a api) ([]panelSeries, error) {
	now := time.Now().Unix()
	path, form := "query", url.Values{"query": {q.expr}, "time": {strconv.FormatInt(now, 10)}}
	if !q.instant {
		path = "query_range"
		form = url.Values{"query": {q.expr}, "start": {strconv.FormatInt(now-300, 10)}, "end": {strconv.FormatInt(now, 10)}, "step": {"5"}}
	}
	resp, err := web.PostForm(a.url+"/prometheus/api/v1/"+path, form)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error string
		Data  struct{ Result []panelSeries }
	}
	if err := json.Unmarshal(body, &answer); err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s %s", resp.Status, answer.Error, q.expr)
	}
	return answer.Data.Result, nil
}

// checkPanels wants data for every panel of every dashboard: at once, or once
// the recording rules have come around.
func checkPanels(t *testing.T, m *meshUnderTest) {
	t.Helper()
	// How a change is distributed can be seen of a change only.
	file := filepath.Join(m.folder(t), "config", "zz-panels.yaml")
	if err := os.WriteFile(file, []byte(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: panels, namespace: catalog}
spec: {hosts: [posters], http: [{timeout: 5s, route: [{destination: {host: posters}}]}]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Remove(file) }()
	queries := panelQueries(t, m.api)
	eventually(t, 90*time.Second, "every panel has data", func() error {
		var missing []error
		for _, q := range queries {
			switch n, err := q.points(m.api); {
			case err != nil:
				missing = append(missing, fmt.Errorf("%s: %w", q.at, err))
			case n == 0:
				missing = append(missing, fmt.Errorf("%s: nothing for %s", q.at, q.expr))
			}
		}
		return errors.Join(missing...)
	})
	t.Logf("%d queries of panels have data", len(queries))
	for _, took := range slowest(queries, m.api, 3) {
		t.Logf("%6.1f ms %s", took.ms, took.at)
	}
}

// apply makes an object of the configuration by the command line.
func apply(t *testing.T, m *meshUnderTest, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "object.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m.cli(t, "config", "apply", "-f", file).must(t)
}

// checkEvent wants panels to show what has happened: a series above zero that is
// not the stand-in for "nothing so far". Panels by their query: "Proxy: Retries A".
func checkEvent(t *testing.T, m *meshUnderTest, panels ...string) {
	t.Helper()
	queries := panelQueries(t, m.api)
	for _, at := range panels {
		i := slices.IndexFunc(queries, func(q panelQuery) bool { return q.at == at })
		if i < 0 {
			t.Errorf("there is no panel's query %q", at)
			continue
		}
		eventually(t, 60*time.Second, at+" shows what has happened", func() error {
			all, err := queries[i].ask(m.api)
			if err != nil {
				return err
			}
			for _, s := range all {
				if s.happened() {
					return nil
				}
			}
			return fmt.Errorf("nothing above zero: %v", all)
		})
	}
}

// panelSeries is one series of an answer.
type panelSeries struct {
	Metric map[string]string
	Value  [2]any
	Values [][2]any
}

func (s panelSeries) happened() bool {
	for _, v := range s.Metric {
		if v == "none" {
			return false
		}
	}
	return slices.ContainsFunc(append(s.Values, s.Value), func(sample [2]any) bool {
		text, _ := sample[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		return err == nil && v > 0
	})
}

type timed struct {
	at string
	ms float64
}

// slowest times each query, the best of three, and gives the n slowest.
func slowest(queries []panelQuery, a api, n int) []timed {
	all := make([]timed, 0, len(queries))
	for _, q := range queries {
		best := timed{at: q.at, ms: 1e9}
		for range 3 {
			begin := time.Now()
			if _, err := q.points(a); err == nil {
				best.ms = min(best.ms, float64(time.Since(begin).Microseconds())/1000)
			}
		}
		all = append(all, best)
	}
	slices.SortFunc(all, func(x, y timed) int { return cmp.Compare(y.ms, x.ms) })
	return all[:n]
}

// TestBenchDashboards is "make bench-dashboards": every panel's query against
// the running demo, with the goal for the slowest.
func TestBenchDashboards(t *testing.T) {
	if os.Getenv("SIDELIGHT_BENCH") == "" {
		t.Skip("a benchmark: run make bench-dashboards")
	}
	m := startDemo(t)
	checkPanels(t, m)
	time.Sleep(2 * time.Minute) // a query over seconds of data would flatter
	all := slowest(panelQueries(t, m.api), m.api, len(panelQueries(t, m.api)))
	fmt.Printf("\n%d queries of all panels on the demo, five minutes by five seconds; the ten slowest, best of three\n\n", len(all))
	fmt.Printf("| ms | panel |\n|---:|---|\n")
	for _, q := range all[:10] {
		fmt.Printf("| %.1f | %s |\n", q.ms, q.at)
	}
	verdict := "met"
	if all[0].ms >= 100 {
		verdict = "missed"
	}
	fmt.Printf("\ngoal dashboards-demo-slowest: %.1f ms < 100 ms %s\n", all[0].ms, verdict)
}
