package observe

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidelight-mesh/sidelight/server/skew"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const uuid = "0f8fad5b-d9cb-469f-a165-70867728950e"

// nonce is istiod's.
func nonce(version string) string { return version + uuid }

func syncz(sent, acked string) string {
	return `[{"cluster_id":"Kubernetes","proxy":"web-1.cinema","cluster_sent":"` + nonce(sent) + `","cluster_acked":"` + nonce(acked) +
		`","listener_sent":"` + nonce(acked) + `","listener_acked":"` + nonce(acked) + `"}]`
}

// istiod's list has no times and forgets; what is made of it has and does not.
func TestStatesOverTime(t *testing.T) {
	o, err := New([]string{"http://istiod:15014/debug/syncz"}, time.Second, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 3, 3, 0, 0, 0, time.UTC)
	s := o.list[0]
	step := func(d time.Duration, body string, want skew.State, reason string) {
		t.Helper()
		at = at.Add(d)
		list, err := parseSyncz([]byte(body))
		o.take(s, list, err, at)
		nodes, _ := o.View()
		if len(nodes) != 1 || nodes[0].State != want || !strings.Contains(nodes[0].Reason, reason) {
			t.Fatalf("at %s: %+v, want %s %s", at, nodes, want, reason)
		}
	}
	const one, two = "2026-11-03T03:00:00Z/1", "2026-11-03T03:00:00Z/2"
	step(0, syncz(one, one), skew.Synced, "")
	step(time.Second, syncz(two, one), skew.InFlight, "cluster: sent "+two+", acknowledged "+one)
	step(3*time.Second, syncz(two, one), skew.Slow, "")
	step(9*time.Second, syncz(two, one), skew.Stale, "")
	step(time.Second, syncz(two, two), skew.Synced, "")
	if nodes, _ := o.View(); nodes[0].Version != two {
		t.Errorf("version %q", nodes[0].Version)
	}
	step(time.Second, strings.Replace(syncz(two, two), `}]`, `,"resources":{"type.googleapis.com/envoy.config.cluster.v3.Cluster":{"lastError":"no such thing"}}}]`, 1), skew.Rejected, "cluster: no such thing")
	step(time.Second, `[]`, skew.Disconnected, "does not list it")
	o.take(s, nil, errors.New("connection refused"), at)
	if _, sources := o.View(); sources[0].Error != "connection refused" {
		t.Errorf("%+v", sources)
	}
	o.take(s, nil, nil, at.Add(2*time.Hour))
	if nodes, _ := o.View(); len(nodes) != 0 {
		t.Errorf("kept for ever: %+v", nodes)
	}
}

func TestEnvoyDump(t *testing.T) {
	body := `{"configs":[{"@type":"x","bootstrap":{"node":{"id":"envoy-1"}}},
		{"version_info":"7","dynamic_active_clusters":[{"version_info":"7"}],"dynamic_warming_clusters":[{"version_info":"8"}]},
		{"version_info":"7","dynamic_listeners":[{"name":"inbound","error_state":{"details":"unknown field"}}]}]}`
	list, err := parseDump([]byte(body), "envoy:15000")
	if err != nil || len(list) != 1 || list[0].id != "envoy-1" || list[0].version != "7" || list[0].refused != "inbound unknown field" ||
		!strings.Contains(list[0].behind, "1 resources are warming") {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := parseDump([]byte(`{}`), ""); err == nil {
		t.Error("no dump was read")
	}
}

// Over a socket, until it is stopped.
func TestPolls(t *testing.T) {
	istiod := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(syncz("a", "a"))) }))
	defer istiod.Close()
	o, err := New([]string{istiod.URL + "/debug/syncz", "csds://127.0.0.1:1"}, 20*time.Millisecond, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	var running sync.WaitGroup
	running.Go(func() { o.Run(ctx) })
	t.Cleanup(running.Wait)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		nodes, sources := o.View()
		if len(nodes) == 1 && nodes[0].State == skew.Synced && sources[1].Error != "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%+v %+v", nodes, sources)
		}
	}
}

func TestSourcesAreChecked(t *testing.T) {
	for _, bad := range []string{"istiod", "http://istiod:15014/", "ftp://x/debug/syncz"} {
		if _, err := New([]string{bad}, 0, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(syncz("a", "b")))
	f.Add([]byte(`{"configs":[{"error_state":{}}]}`))
	f.Fuzz(func(_ *testing.T, body []byte) {
		_, _ = parseSyncz(body)
		_, _ = parseDump(body, "h")
	})
}
