package scenarios

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

const retryCluster = `{cluster="outbound|80||retry-service.default.svc.cluster.local"}`

func TestScenarios(t *testing.T) {
	w := newWorld(t)
	for _, s := range []struct {
		file string
		play func(*testing.T, *world)
	}{
		{"retry.yaml", playRetry},
		{"circuit-breaker.yaml", playCircuitBreaker},
		{"lb-random.yaml", playRandom},
		{"lb-header-hash.yaml", playHeaderHash},
		{"mirror.yaml", playMirror},
	} {
		begin := time.Now()
		passed := t.Run(strings.TrimSuffix(s.file, ".yaml"), func(t *testing.T) {
			w.apply(t, s.file)
			s.play(t, w)
		})
		word := "passed"
		if !passed {
			word = "FAILED"
		}
		fmt.Printf("%-22s %s  %.1f s\n", s.file, word, time.Since(begin).Seconds())
	}
}

// Answers are 200 although instances fail, within the times and tries that the
// file gives.
func playRetry(t *testing.T, w *world) {
	var crashed, busy, lost answer
	events := w.tap(t, 3, func() {
		crashed = w.call(t, "retry-service", "/?failRate=50&mode=crash")
		busy = w.call(t, "retry-service", "/?failRate=90&mode=busy")
		for _, i := range w.retry {
			i.forget()
		}
		lost = w.call(t, "retry-service", "/?failRate=100&mode=busy")
	})
	if n := total(w.retry); n != 16 {
		t.Errorf("%d tries reached the instances when all failed, want 1 + 15", n)
	}
	// A request may run out of its tries: 0.9^16 is 0.19.
	for name, a := range map[string]answer{"crash": crashed, "busy": busy} {
		if a.status != 200 && (name != "busy" || a.status != 503) {
			t.Errorf("%s: the caller got %d %q", name, a.status, a.body)
		}
		if a.took > 15*time.Second+500*time.Millisecond {
			t.Errorf("%s: it took %s", name, a.took)
		}
	}
	if lost.status != 503 {
		t.Errorf("with all tries lost: %d", lost.status)
	}
	for _, a := range []answer{crashed, busy, lost} {
		e := eventOf(t, events, a)
		if e.Status != a.status || len(e.Attempts) < 1 || len(e.Attempts) > 16 {
			t.Errorf("tap: status %d, %d attempts, for an answer %d", e.Status, len(e.Attempts), a.status)
		}
		for _, try := range e.Attempts {
			if try.DurationMS > 1200 {
				t.Errorf("a try took %.0f ms, longer than its second", try.DurationMS)
			}
		}
		w.wantTrace(t, a.trace, len(e.Attempts))
	}
	if e := eventOf(t, events, lost); e.Flags != "URX" || len(e.Attempts) != 16 || e.AnsweredBy != "upstream" {
		t.Errorf("tap of the lost one: flags %s, %d attempts, answered by %s", e.Flags, len(e.Attempts), e.AnsweredBy)
	}
	eventually(t, "attempts on the edge", 15*time.Second, func() (bool, string) {
		e, _ := w.edge(t, "caller", "retry-service")
		return e.Attempts > 1.5 && e.Flags["URX"] > 0, fmt.Sprintf("%+v", e)
	})
}

// eventOf gives the event of the request that was answered so.
func eventOf(t *testing.T, events []tapped, a answer) tapped {
	t.Helper()
	i := slices.IndexFunc(events, func(e tapped) bool { return e.TraceID == a.trace })
	if i < 0 {
		t.Fatalf("no event of trace %s among %+v", a.trace, events)
	}
	return events[i]
}

// wantTrace waits for a trace with a span for each of several attempts.
func (w *world) wantTrace(t *testing.T, id string, attempts int) {
	t.Helper()
	if attempts < 2 {
		return
	}
	eventually(t, "the attempts in the trace", 15*time.Second, func() (bool, string) {
		res, err := w.client.Get("http://" + w.api + "/api/v1/traces/" + id)
		if err != nil {
			return false, err.Error()
		}
		res.Body.Close()
		if res.StatusCode != 200 {
			return false, res.Status
		}
		var trace struct{ Spans []struct{ Operation string } }
		w.get(t, "/api/v1/traces/"+id, nil, &trace)
		n, seen := 0, []string{}
		for _, s := range trace.Spans {
			if strings.HasPrefix(s.Operation, "attempt ") {
				n++
			}
			seen = append(seen, s.Operation)
		}
		return n == attempts, fmt.Sprintf("%d of %d attempts among the spans %q", n, attempts, seen)
	})
}

// Each instance is out at its second error in a row, then the sidecar answers
// by itself and nothing reaches an instance.
func playCircuitBreaker(t *testing.T, w *world) {
	var open answer
	for n := 0; open.status != 503; n++ {
		if n == 20 {
			t.Fatal("20 requests, and the breaker is closed")
		}
		open = w.call(t, "retry-service", "/?failRate=90&mode=busy")
	}
	opened := time.Now()
	for n, i := range w.retry {
		log := i.requests()
		for k := range log {
			last := k == len(log)-1
			if pair := k > 0 && !log[k].ok && !log[k-1].ok; pair != last {
				t.Errorf("instance %d: two errors in a row at request %d of %d", n, k+1, len(log))
			}
		}
	}
	before := total(w.retry)
	events := w.tap(t, 5, func() {
		for range 5 {
			a := w.call(t, "retry-service", "/?failRate=0")
			if a.status != 503 || a.body != "no healthy upstream" || a.took > 200*time.Millisecond {
				t.Errorf("with all instances out: %d %q after %s", a.status, a.body, a.took)
			}
			if s := a.header.Get("Proxy-Status"); !strings.Contains(s, "error=destination_unavailable") {
				t.Errorf("Proxy-Status: %q", s)
			}
		}
	})
	if n := total(w.retry) - before; n != 0 {
		t.Errorf("%d requests reached an instance that was out", n)
	}
	for _, e := range events {
		if e.Flags != "UH" || e.AnsweredBy != "proxy" || len(e.Attempts) != 0 {
			t.Errorf("tap: %+v", e)
		}
	}
	eventually(t, "the open breaker in metrics and graph", 15*time.Second, func() (bool, string) {
		ejected, flags := w.metric(t, "sidelight_outlier_ejections_active"+retryCluster), 0.0
		var view struct{ Edges []edge }
		w.get(t, "/api/v1/graph", url.Values{"window": {"30s"}}, &view)
		for _, e := range view.Edges {
			if strings.HasSuffix(e.Source, "caller") && e.AnsweredBy.Proxy > 0 {
				flags += e.Flags["UH"]
			}
		}
		return ejected == 3 && flags > 0, fmt.Sprintf("%v ejected, UH %v/s", ejected, flags)
	})
	w.wantMarker(t, "breaker open: default/caller has no endpoint of retry-service.default.svc.cluster.local left")
	if os.Getenv("SIDELIGHT_SLOW") == "" {
		t.Log("the breaker's minute is not waited for: SIDELIGHT_SLOW=1 does")
		return
	}
	for w.call(t, "retry-service", "/?failRate=0").status != 200 {
		if time.Since(opened) > 75*time.Second {
			t.Fatal("closed for 75 s")
		}
		time.Sleep(200 * time.Millisecond)
	}
	if took := time.Since(opened); took < 58*time.Second || took > 72*time.Second {
		t.Errorf("traffic came back after %s, want 60 to 70 s", took)
	}
	w.wantMarker(t, "breaker closed: default/caller asks retry-service.default.svc.cluster.local again")
	eventually(t, "the closed breaker in the metrics", 15*time.Second, func() (bool, string) {
		ejected := w.metric(t, "sidelight_outlier_ejections_active"+retryCluster)
		return ejected == 0, fmt.Sprint(ejected)
	})
}

// wantMarker waits for a marker of the graph's timeline.
func (w *world) wantMarker(t *testing.T, text string) {
	t.Helper()
	eventually(t, "the marker "+text, 15*time.Second, func() (bool, string) {
		var view struct {
			Markers []struct{ Kind, Text, At string }
		}
		w.get(t, "/api/v1/timeline", url.Values{"window": {"10m"}}, &view)
		for _, m := range view.Markers {
			if strings.HasPrefix(m.Text, text) && m.Kind == "breaker" && m.At != "" {
				return true, ""
			}
		}
		return false, fmt.Sprint(view.Markers)
	})
}

// Only v1, and each of its instances a third.
func playRandom(t *testing.T, w *world) {
	for range 300 {
		if a := w.call(t, "myweb-service", "/"); a.status != 200 || !strings.HasPrefix(a.body, "Version 1: server id v1-") {
			t.Fatalf("the caller got %d %q", a.status, a.body)
		}
	}
	for n, i := range w.v1 {
		if got := len(i.requests()); got < 70 || got > 130 {
			t.Errorf("instance %d got %d of 300 requests", n, got)
		}
	}
	if n := total(w.v2); n != 0 {
		t.Errorf("v2 got %d requests", n)
	}
	eventually(t, "all requests in the metrics", 15*time.Second, func() (bool, string) {
		n := w.metric(t, `istio_requests_total{reporter="source",destination_workload="myweb-v1",response_code="200"}`)
		return n == 300, fmt.Sprint(n)
	})
}

// One user, one instance; nobody in particular, all of them.
func playHeaderHash(t *testing.T, w *world) {
	t.Cleanup(func() { w.service(t, "myweb-service", w.web(w.v1, w.v2)) })
	const users = 40
	homes := func() []string {
		out := make([]string, users)
		for i := range out {
			out[i] = w.call(t, "myweb-service", "/", "User", fmt.Sprint("user-", i)).body
		}
		return out
	}
	tomas := w.call(t, "myweb-service", "/", "User", "tomas").body
	for range 30 {
		if a := w.call(t, "myweb-service", "/", "User", "tomas"); a.body != tomas || a.status != 200 {
			t.Fatalf("tomas was at %q, then got %d %q", tomas, a.status, a.body)
		}
	}
	spread := map[string]bool{}
	for range 60 {
		spread[w.call(t, "myweb-service", "/").body] = true
	}
	if len(spread) != 3 {
		t.Errorf("without the header %d of 3 instances were used", len(spread))
	}
	before := homes()
	joined := newInstance(t, webService("1", "v1-new"))
	revision := w.revision(t)
	w.service(t, "myweb-service", w.web(append(w.v1[:3:3], joined), w.v2))
	w.synced(t, 5, revision+1)
	if n := moved(before, homes()); n == 0 || n > users*6/10 {
		t.Errorf("%d of %d users moved when a fourth instance joined", n, users)
	}
	w.service(t, "myweb-service", w.web(w.v1, w.v2))
	w.synced(t, 5, revision+2)
	if n := moved(before, homes()); n != 0 {
		t.Errorf("%d of %d users are elsewhere after it has left again", n, users)
	}
}

func moved(before, after []string) int {
	n := 0
	for i := range before {
		if before[i] != after[i] {
			n++
		}
	}
	return n
}

// The caller hears of retry-service alone; the sniffer hears of everything.
func playMirror(t *testing.T, w *world) {
	const n = 21
	for range n {
		if a := w.call(t, "retry-service", "/"); a.status != 200 || a.body != "done" {
			t.Fatalf("the caller got %d %q", a.status, a.body)
		}
	}
	eventually(t, "all copies at the sniffer", 5*time.Second, func() (bool, string) {
		return len(w.sniffer.requests()) == n, fmt.Sprint(len(w.sniffer.requests()))
	})
	if got := total(w.retry); got != n {
		t.Errorf("retry-service got %d requests, want %d", got, n)
	}
	for _, r := range w.sniffer.requests() {
		if !strings.HasSuffix(r.host, "-shadow") {
			t.Errorf("the sniffer heard of host %q", r.host)
		}
	}
	eventually(t, "an edge of its own, marked", 15*time.Second, func() (bool, string) {
		copies, ok := w.edge(t, "caller", "sniffer")
		main, _ := w.edge(t, "caller", "retry-service")
		return ok && copies.Mirrored && !main.Mirrored && copies.RPS > 0, fmt.Sprintf("%+v", copies)
	})
	eventually(t, "copies in the metrics", 15*time.Second, func() (bool, string) {
		copies := w.metric(t, `sidelight_responses_total{reporter="source",destination_workload="sniffer"}`)
		standard := w.metric(t, `istio_requests_total{reporter="source",destination_workload="sniffer"}`)
		return copies == n && standard == 0, fmt.Sprintf("%v copies, %v in the standard metric", copies, standard)
	})
	w.snifferDelay.Store(int64(2 * time.Second))
	defer w.snifferDelay.Store(0)
	if a := w.call(t, "retry-service", "/"); a.status != 200 || a.took > time.Second {
		t.Errorf("with a slow sniffer: %d after %s", a.status, a.took)
	}
	w.sniffer.server.Listener.Close()
	w.sniffer.server.CloseClientConnections()
	if a := w.call(t, "retry-service", "/"); a.status != 200 || a.took > time.Second {
		t.Errorf("with a dead sniffer: %d after %s", a.status, a.took)
	}
}
