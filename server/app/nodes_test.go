package app

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidelight-mesh/sidelight/server/rollout"
)

// At one port nodes are told and may ask; what says nothing is let go.
func TestPortOfBothWays(t *testing.T) {
	a := start(t, nil)
	sidecar(t, a, "web-1") // over gRPC
	ask := func(scheme, address string, client *http.Client) (int, error) {
		res, err := client.Post(scheme+"://"+address+"/v3/discovery:clusters", "application/json",
			strings.NewReader(`{"node": {"id": "envoy-1", "metadata": {"NAMESPACE": "cinema"}}}`))
		if err != nil {
			return 0, err
		}
		_ = res.Body.Close()
		return res.StatusCode, nil
	}
	if status, err := ask("http", a.Addrs().XDS, http.DefaultClient); err != nil || status != 200 {
		t.Errorf("REST: %d, %v", status, err)
	}
	// Over TLS it is for those with a certificate.
	secure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer secure.CloseIdleConnections()
	if status, err := ask("https", a.Addrs().Secure, secure); err != nil || status != 401 {
		t.Errorf("REST over TLS without a certificate: %d, %v; want 401", status, err)
	}
	var status struct{ Nodes []struct{ ID string } }
	eventually(t, "both are known", func() bool {
		return get(t, a.Addrs().API, "/api/v1/nodes", &status) == 200 && len(status.Nodes) == 2
	})
	silent, err := net.Dial("tcp", a.Addrs().XDS)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	_ = silent.SetReadDeadline(time.Now().Add(4 * begin))
	if _, err := silent.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a connection that says nothing: %v; want it closed after %s", err, begin)
	}
}

// The roll-out can be watched from outside: how far it is, whom it leaves out, and
// whether a person or the canary holds it.
func TestRolloutMetrics(t *testing.T) {
	dir, registry := "", prometheus.NewRegistry()
	a := start(t, func(o *Options) {
		dir = o.ConfigDir
		o.Rollout = rollout.Policy{Nodes: []string{"web-1"}, Watch: time.Hour}
		o.Registerer, o.Gatherer = registry, registry
	})
	want := func(phase string, canary, held, paused int) {
		t.Helper()
		in := map[string]int{phase: 1}
		eventually(t, "the roll-out is "+phase, func() bool {
			return testutil.GatherAndCompare(registry, strings.NewReader(fmt.Sprintf(`
# HELP sidelight_rollout_nodes Connected nodes that have the newest revision first (canary), and that it is kept from (held).
# TYPE sidelight_rollout_nodes gauge
sidelight_rollout_nodes{part="canary"} %d
sidelight_rollout_nodes{part="held"} %d
# HELP sidelight_rollout_paused 1 while a person holds the roll-out, and those to come.
# TYPE sidelight_rollout_paused gauge
sidelight_rollout_paused %d
# HELP sidelight_rollout_phase 1 for the phase that the roll-out of the newest revision is in.
# TYPE sidelight_rollout_phase gauge
sidelight_rollout_phase{phase="canary"} %d
sidelight_rollout_phase{phase="done"} %d
sidelight_rollout_phase{phase="held"} %d
`, canary, held, paused, in[rollout.Canary], in[rollout.Done], in[rollout.Held])),
				"sidelight_rollout_nodes", "sidelight_rollout_paused", "sidelight_rollout_phase") == nil
		})
	}
	sidecar(t, a, "web-1")
	sidecar(t, a, "web-2")
	want(rollout.Done, 0, 0, 0)
	changed := strings.Replace(cinema, "weight: 90", "weight: 80", 1)
	if err := os.WriteFile(filepath.Join(dir, "cinema.yaml"), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	want(rollout.Canary, 1, 1, 0)
	if _, err := (rollouts{a}).Hold("mia", "lunch"); err != nil {
		t.Fatal(err)
	}
	want(rollout.Held, 1, 1, 1)
	if _, err := (rollouts{a}).Resume("mia"); err != nil {
		t.Fatal(err)
	}
	want(rollout.Done, 0, 0, 0)
	if since, err := testutil.GatherAndCount(registry, "sidelight_rollout_phase_start_timestamp_seconds"); err != nil || since != 1 {
		t.Errorf("since when: %d series, %v", since, err)
	}
}
