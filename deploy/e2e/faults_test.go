package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nodesView is GET /api/v1/nodes, as far as the tests look at it.
type nodesView struct {
	Desired struct {
		Number uint64 `json:"number"`
	} `json:"desired"`
	Summary struct {
		Nodes  int `json:"nodes"`
		Synced int `json:"synced"`
	} `json:"summary"`
	Nodes []nodeStatus `json:"nodes"`
}

type nodeStatus struct {
	ID        string  `json:"id"`
	State     string  `json:"state"`
	Reason    string  `json:"reason"`
	WaitsOn   string  `json:"waits_on"`
	Build     string  `json:"build"`
	Connected bool    `json:"connected"`
	Revision  uint64  `json:"revision"`
	Behind    int     `json:"behind"`
	Lag       float64 `json:"lag_s"`
	Push      struct {
		Applied *float64 `json:"applied_ms"`
	} `json:"push"`
	Resources []struct {
		Type    string `json:"type"`
		Name    string `json:"name"`
		Desired string `json:"desired"`
		Acked   string `json:"acked"`
		Applied string `json:"applied"`
		State   string `json:"state"`
		Error   string `json:"error"`
	} `json:"resources"`
}

func (v nodesView) node(id string) nodeStatus {
	for _, n := range v.Nodes {
		if n.ID == id {
			return n
		}
	}
	return nodeStatus{}
}

// checkKilledSidecar ends the sidecar of one of two instances of tickets.
func checkKilledSidecar(t *testing.T, m *meshUnderTest) {
	const victim = "tickets-2.booking"
	m.sidecar(t, victim).signal(t, syscall.SIGKILL)
	eventually(t, 10*time.Second, "the node is disconnected", func() error {
		var v nodesView
		if err := m.try("/api/v1/nodes", &v); err != nil {
			return err
		}
		if n := v.node(victim); n.State != "disconnected" || n.Connected || n.Reason == "" {
			return fmt.Errorf("%+v", n)
		}
		return nil
	})
	eventually(t, 10*time.Second, "the graph says what is stale", func() error {
		var v graphView
		if err := m.try("/api/v1/graph", &v); err != nil {
			return err
		}
		for _, s := range v.Stale {
			if s.Node == victim && s.Reason != "" && !s.Since.IsZero() {
				t.Logf("stale: %+v", s)
				return nil
			}
		}
		return fmt.Errorf("stale is %+v", v.Stale)
	})
	eventually(t, 5*time.Second, "the demo tells what ended", func() error {
		if !strings.Contains(m.printed.String(), "sidecar-tickets-2 was ended (signal: killed)") {
			return errors.New("not told")
		}
		return nil
	})
	checkServing(t, m, "GET", "/", http.StatusOK)
	checkServing(t, m, "POST", "/tickets?card=good", http.StatusCreated)
	checkSynced(t, m, victim)
	if got := m.cli(t, "check", "-o", "wide"); got.code != 1 || !strings.Contains(got.stdout, "is disconnected: ") {
		t.Errorf("sidelight check: %+v", got)
	}
	if got := m.cli(t, "nodes", "--check"); got.code != 1 || !strings.Contains(got.stdout, "disconnected") {
		t.Errorf("nodes --check: exit code %d:\n%s", got.code, got.stdout)
	}
	checkEvent(t, m, "Proxy: Sidecars down A", "Configuration sync: Disconnected A")
}

// checkFrozenServer stops the process that is control plane and collector in
// one: sidecars must not need it to serve.
func checkFrozenServer(t *testing.T, m *meshUnderTest) {
	server := m.server(t)
	server.signal(t, syscall.SIGSTOP)
	thaw := func() { _ = syscall.Kill(server.pid, syscall.SIGCONT) }
	t.Cleanup(thaw)
	checkServing(t, m, "GET", "/", http.StatusOK)
	checkServing(t, m, "POST", "/tickets?card=good", http.StatusCreated)
	got := m.cli(t, "nodes", "--timeout", "500ms")
	if got.code != 4 || !strings.Contains(got.stderr, "--timeout") {
		t.Errorf("a server that does not answer: exit code %d, want 4:\n%s", got.code, got.stderr)
	}
	thaw()
	checkSynced(t, m, "tickets-2.booking")
	eventually(t, 15*time.Second, "the graph moves again", func() error {
		var v graphView
		if err := m.try("/api/v1/graph?window=5s", &v); err != nil {
			return err
		}
		if e := v.edge("ingress", "web"); e == nil || e.RPS < 10 || time.Since(v.At) > 4*time.Second {
			return fmt.Errorf("at %s: %+v", v.At, e)
		}
		return nil
	})
}
