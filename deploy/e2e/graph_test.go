package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// graphView is GET /api/v1/graph, as far as the tests look at it.
type graphView struct {
	At    time.Time   `json:"at"`
	Nodes []graphNode `json:"nodes"`
	Edges []graphEdge `json:"edges"`
	Stale []struct {
		Source string    `json:"source"`
		Node   string    `json:"node"`
		Since  time.Time `json:"since"`
		Reason string    `json:"reason"`
	} `json:"stale"`
}

type graphNode struct {
	ID     string `json:"id"`
	Meshed bool   `json:"meshed"`
}

type graphEdge struct {
	Source     string             `json:"source"`
	Target     string             `json:"target"`
	Protocol   string             `json:"protocol"`
	RPS        float64            `json:"rps"`
	ErrorRatio float64            `json:"error_ratio"`
	Flags      map[string]float64 `json:"flags"`
	Attempts   float64            `json:"attempts_per_request"`
	Active     float64            `json:"active_connections"`
	Sent       float64            `json:"sent_bytes_per_s"`
	Series     []float64          `json:"rps_series"` // of the last minute
	Weight     *struct {
		Configured float64 `json:"configured"`
		Actual     float64 `json:"actual"`
	} `json:"weight"`
	Client *edgeSide `json:"client_side"`
	Server *edgeSide `json:"server_side"`
}

type edgeSide struct {
	RPS        float64 `json:"rps"`
	ErrorRatio float64 `json:"error_ratio"`
}

func (e graphEdge) String() string {
	return short(e.Source) + " → " + short(e.Target) + " (" + e.Protocol + ")"
}

// short gives the last part of a node's ID: "workload:front/web" is "web".
func short(id string) string {
	return id[strings.LastIndexAny(id, "/:")+1:]
}

func (v graphView) edge(source, target string) *graphEdge {
	i := slices.IndexFunc(v.Edges, func(e graphEdge) bool { return short(e.Source) == source && short(e.Target) == target })
	if i < 0 {
		return nil
	}
	return &v.Edges[i]
}

const bank = "api.bank.example"

// cinemaEdges is the online cinema as its documentation draws it.
var cinemaEdges = []struct{ source, target, protocol string }{
	{"ingress", "web", "http"},
	{"web", "catalog-v1", "http"},
	{"web", "catalog-v2", "http"},
	{"catalog-v1", "reviews", "http"},
	{"catalog-v1", "posters", "http"},
	{"catalog-v2", "reviews", "http"},
	{"catalog-v2", "posters", "http"},
	{"recommendations", "catalog-v1", "http"},
	{"recommendations", "catalog-v2", "http"},
	{"web", "tickets", "http"},
	{"tickets", "seats", "grpc"},
	{"tickets", "payments", "http"},
	{"tickets", "notifications", "tcp"},
	{"payments", bank, "http"},
	{"unknown", "catalog-v1", "http"}, // the caller without a sidecar
}

func checkEdges(t *testing.T, m *meshUnderTest) {
	eventually(t, 20*time.Second, "every edge of the cinema", func() error {
		var v graphView
		if err := m.try("/api/v1/graph?window=30s", &v); err != nil {
			return err
		}
		for _, want := range cinemaEdges {
			e := v.edge(want.source, want.target)
			if e == nil {
				return fmt.Errorf("no edge %s → %s", want.source, want.target)
			}
			if e.Protocol != want.protocol {
				return fmt.Errorf("%s, want %s", e, want.protocol)
			}
			if e.RPS <= 0 && e.Active <= 0 && e.Sent <= 0 {
				return fmt.Errorf("%s has no traffic", e)
			}
		}
		return nil
	})
	var v graphView
	m.get(t, "/api/v1/graph", &v)
	for _, n := range v.Nodes {
		outside := n.ID == "unknown" || strings.HasPrefix(n.ID, "external:")
		if n.Meshed == outside {
			t.Errorf("%s: meshed is %v", n.ID, n.Meshed)
		}
	}
	if len(v.Stale) > 0 {
		t.Errorf("stale while all run: %+v", v.Stale)
	}
}

// scrapeInterval is the demo's.
const scrapeInterval = time.Second

// checkNewEdges makes workloads call whom they never called, and holds both
// ways to see it to two scrape intervals.
func checkNewEdges(t *testing.T, m *meshUnderTest) {
	const promised = 2 * scrapeInterval
	quickest := time.Hour
	for _, pair := range []struct{ node, source, host, target, path string }{
		{"posters-1.catalog", "posters", "reviews.catalog.svc.cluster.local", "reviews", "/v1/reviews/1"},
		{"reviews-1.catalog", "reviews", "posters.catalog.svc.cluster.local", "posters", "/v1/posters/1"},
		{"seats-1.booking", "seats", "posters.catalog.svc.cluster.local", "posters", "/v1/posters/1"},
		{"payments-1.booking", "payments", "reviews.catalog.svc.cluster.local", "reviews", "/v1/reviews/1"},
	} {
		conn := m.live(t)
		subscribe(t, conn, "g", "graph", map[string]any{"group": "workload", "window_s": 10})
		readUntil(t, conn, 5*time.Second, "the first snapshot", func(f frame) bool { return f.Type == "snapshot" })

		begun := time.Now()
		status, err := through(m.sidecar(t, pair.node).flag("--outbound"), "GET", pair.host, pair.path)
		if err != nil || status != 200 {
			t.Fatalf("%s calls %s: %d, %v", pair.source, pair.target, status, err)
		}
		bySocket := make(chan time.Duration, 1)
		go func() {
			defer close(bySocket)
			_ = conn.SetReadDeadline(begun.Add(10 * time.Second))
			for {
				var f frame
				var v graphView
				if conn.ReadJSON(&f) != nil || json.Unmarshal(f.Data, &v) != nil {
					return
				}
				if e := v.edge(pair.source, pair.target); e != nil && e.RPS > 0 {
					bySocket <- time.Since(begun)
					return
				}
			}
		}()
		eventually(t, 10*time.Second, "the new edge in GET /api/v1/graph", func() error {
			var v graphView
			if err := m.try("/api/v1/graph?window=10s", &v); err != nil {
				return err
			}
			if e := v.edge(pair.source, pair.target); e == nil || e.RPS == 0 {
				return errors.New("not there")
			}
			return nil
		})
		byHTTP := time.Since(begun)
		onSocket, ok := <-bySocket
		if !ok {
			t.Fatalf("%s → %s never came on the socket", pair.source, pair.target)
		}
		t.Logf("%s → %s: by HTTP after %.2f s, on the socket after %.2f s", pair.source, pair.target, byHTTP.Seconds(), onSocket.Seconds())
		quickest = min(quickest, max(byHTTP, onSocket))
	}
	// A busy machine delays scrapes; that no more than two are needed shows the
	// edge that was delayed least.
	if quickest > promised {
		t.Errorf("no new edge came within %s, the quickest took %s", promised, quickest)
	}
}

// loadLine is one line of the load generator's own account.
type loadLine struct {
	At       time.Time `json:"at"`
	Requests float64   `json:"requests"`
	Errors   float64   `json:"errors"`
}

func readLoad(path string) ([]loadLine, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var lines []loadLine
	for text := range bytes.Lines(content) {
		if !bytes.HasSuffix(text, []byte("\n")) {
			break // being written
		}
		var l loadLine
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// loadAt gives the counts at a time, between the lines around it.
func loadAt(lines []loadLine, at time.Time) (loadLine, bool) {
	for i := 1; i < len(lines); i++ {
		a, b := lines[i-1], lines[i]
		if at.Before(a.At) || at.After(b.At) {
			continue
		}
		part := float64(at.Sub(a.At)) / float64(b.At.Sub(a.At))
		return loadLine{at, a.Requests + part*(b.Requests-a.Requests), a.Errors + part*(b.Errors-a.Errors)}, true
	}
	return loadLine{}, false
}

// checkRates holds the rate of ingress → web over a minute against what the
// load generator counted in the same minute, three times.
func checkRates(t *testing.T, m *meshUnderTest, stats string) {
	const window = time.Minute
	var seen time.Time
	for range 3 {
		var v graphView
		var requests, failed float64
		eventually(t, 100*time.Second, "a minute of load", func() error {
			if err := m.try("/api/v1/graph?window=60s", &v); err != nil {
				return err
			}
			if !v.At.After(seen) {
				return errors.New("the view has not moved")
			}
			lines, err := readLoad(stats)
			if err != nil {
				return err
			}
			from, ok1 := loadAt(lines, v.At.Add(-window))
			to, ok2 := loadAt(lines, v.At)
			if !ok1 || !ok2 {
				return fmt.Errorf("the load has %d lines, none around %s", len(lines), v.At)
			}
			requests, failed = to.Requests-from.Requests, to.Errors-from.Errors
			return nil
		})
		seen = v.At
		e := v.edge("ingress", "web")
		if e == nil {
			t.Fatal("no edge ingress → web")
		}
		got, gotFailed := e.RPS*window.Seconds(), e.RPS*e.ErrorRatio*window.Seconds()
		t.Logf("in the minute before %s: load %.1f requests, graph %.1f (%+.2f %%); errors: load %.1f, graph %.1f",
			v.At.Format("15:04:05"), requests, got, 100*(got/requests-1), failed, gotFailed)
		if math.Abs(got-requests) > requests/100 {
			t.Errorf("graph says %.1f requests, the load %.1f: more than 1 %% apart", got, requests)
		}
		// So few errors come that one of them is more than 1 %.
		if math.Abs(gotFailed-failed) > max(2, failed/100) {
			t.Errorf("graph says %.1f errors, the load %.1f", gotFailed, failed)
		}
	}
}

// checkSides holds both reports of every edge against each other: apart by no
// more than what passes in one scrape interval.
func checkSides(t *testing.T, m *meshUnderTest) {
	const window = 60
	var v graphView
	m.get(t, "/api/v1/graph?window=60s", &v)
	checked := 0
	for _, e := range v.Edges {
		if e.Protocol == "tcp" || e.Source == "unknown" || strings.HasPrefix(e.Target, "external:") {
			continue
		}
		if e.Client == nil || e.Server == nil {
			t.Errorf("%s: client side %v, server side %v; want both", e, e.Client, e.Server)
			continue
		}
		checked++
		apart := math.Abs(e.Client.RPS-e.Server.RPS) * window
		oneScrape := max(1, e.Client.RPS*scrapeInterval.Seconds())
		if apart > oneScrape+0.5 {
			t.Errorf("%s: the client side has %.3f rps, the server side %.3f: %.1f requests apart, want at most %.1f", e, e.Client.RPS, e.Server.RPS, apart, oneScrape)
		}
	}
	if want := 12; checked < want {
		t.Errorf("%d edges have two sides, want at least %d", checked, want)
	}
}

func checkGraphCommands(t *testing.T, m *meshUnderTest) {
	table := m.cli(t, "edges").must(t)
	for _, want := range []string{"FROM", "booking/payments", bank, "said by the service", "grpc", "tcp"} {
		if !strings.Contains(table, want) {
			t.Errorf("edges does not print %q:\n%s", want, table)
		}
	}
	v := decode[graphView](t, m.cli(t, "edges", "-o", "json").must(t))
	if e := v.edge("payments", bank); e == nil || e.ErrorRatio <= 0 || e.Attempts <= 1 {
		t.Errorf("payments → bank is %+v, want errors and retries", e)
	}
	narrow := m.cli(t, "edges", "--where", "errors > 1%").must(t)
	if strings.Contains(narrow, "posters") || !strings.Contains(narrow, bank) {
		t.Errorf("edges --where 'errors > 1%%' prints:\n%s", narrow)
	}
	of := m.cli(t, "edges", "booking/payments").must(t)
	if strings.Count(of, "\n") < 3 || strings.Contains(of, "posters") || !strings.Contains(of, "booking/tickets") || !strings.Contains(of, bank) {
		t.Errorf("edges booking/payments prints:\n%s", of)
	}
	if one := m.cli(t, "stat", "booking/payments").must(t); strings.Count(one, "\n") != 2 || !strings.Contains(one, "payments") {
		t.Errorf("stat booking/payments prints:\n%s", one)
	}
	eventually(t, 15*time.Second, "stat prints the workloads, which others' changes reach meanwhile", func() error {
		stat := m.cli(t, "stat", "booking").must(t)
		for _, want := range []string{"payments", "tickets", "seats", "synced"} {
			if !strings.Contains(stat, want) {
				return fmt.Errorf("no %q:\n%s", want, stat)
			}
		}
		return nil
	})
	if v := decode[graphView](t, m.cli(t, "stat", "-o", "json", "--group", "namespace").must(t)); len(v.Nodes) < 3 {
		t.Errorf("stat by namespace has %d nodes, want at least 3", len(v.Nodes))
	}
}
