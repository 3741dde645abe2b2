package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// stagesView is GET /api/v1/config/rollout, as far as the test looks at it.
type stagesView struct {
	Phase  string   `json:"phase"`
	Target uint64   `json:"target"`
	Base   uint64   `json:"base"`
	Canary []string `json:"canary"`
}

type revisionsView struct {
	Revisions []struct {
		Number  uint64    `json:"number"`
		At      time.Time `json:"at"`
		Summary string    `json:"summary"`
		Hash    string    `json:"hash"`
	} `json:"revisions"`
}

type transition struct {
	At       time.Time `json:"at"`
	State    string    `json:"state"`
	Revision uint64    `json:"revision"`
}

// stagedMesh is a server that rolls out by stages, with a canary and a node that
// waits, both callers of one app.
type stagedMesh struct {
	halves
	serverProcess *exec.Cmd
	outbounds     map[string]string // by node
}

const (
	canaryNode  = "shopper-1.shop"
	waitingNode = "guest-1.shop"
)

func (m *stagedMesh) startServer(t *testing.T) {
	t.Helper()
	m.serverProcess = m.start(t, "server", "sidelight", "run", "--config-dir", "config", "--data-dir", "data",
		"--api", m.server, "--admin", m.admin, "--grpc", m.grpc, "--grpc-tls", "127.0.0.1:0",
		"--otlp-grpc", m.otlpGRPC, "--otlp-http", m.otlpHTTP, "--rollout-canary", canaryNode, "--rollout-watch", "3s")
	eventually(t, 60*time.Second, "the server answers", func() error { return m.try("/api/v1/status", new(struct{})) })
}

// change writes another route: a revision.
func (m *stagedMesh) change(t *testing.T, n int) {
	t.Helper()
	text := fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: posters, namespace: shop}\nspec:\n  hosts: [posters.shop.svc.cluster.local]\n  http: [{timeout: %ds, route: [{destination: {host: posters.shop.svc.cluster.local}}]}]\n", 100+n)
	if err := os.WriteFile(filepath.Join(m.dir, "config", "route.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// known is what the server says of its past.
type known struct {
	at        time.Time
	revisions revisionsView
	stages    stagesView
	nodes     nodesView
	history   map[string][]transition
}

func (m *stagedMesh) look() (k known, err error) {
	k.at, k.history = time.Now(), map[string][]transition{}
	err = errors.Join(m.try("/api/v1/config/revisions?limit=1000", &k.revisions), m.try("/api/v1/config/rollout", &k.stages), m.try("/api/v1/nodes", &k.nodes))
	for node := range m.outbounds {
		var h []transition
		err = errors.Join(err, m.try("/api/v1/nodes/"+node+"/history", &h))
		k.history[node] = h
	}
	return k, err
}

// converged waits until the newest revision is with all nodes, and is number at
// least. A node beyond the canary must not have it before the stage is over.
func (m *stagedMesh) converged(t *testing.T, least uint64) {
	t.Helper()
	eventually(t, 90*time.Second, fmt.Sprintf("revision %d or a later one runs everywhere", least), func() error {
		var stages stagesView
		var v nodesView
		if err := errors.Join(m.try("/api/v1/nodes", &v), m.try("/api/v1/config/rollout", &stages)); err != nil {
			return err
		}
		if n := v.node(waitingNode); stages.Phase == "canary" && n.Revision >= stages.Target {
			t.Fatalf("%s runs revision %d while the canary of %d is watched", n.ID, n.Revision, stages.Target)
		}
		if v.Desired.Number < least || stages.Phase != "done" || stages.Target != v.Desired.Number {
			return fmt.Errorf("revision %d is desired, the roll-out is %+v", v.Desired.Number, stages)
		}
		for node := range m.outbounds {
			if n := v.node(node); n.State != "synced" || n.Revision != v.Desired.Number {
				return fmt.Errorf("%+v", n)
			}
		}
		return nil
	})
}

// remembers compares what a server says after its restart with what one said
// before its end.
func (m *stagedMesh) remembers(t *testing.T, before known) {
	t.Helper()
	after, err := m.look()
	if err != nil {
		t.Fatal(err)
	}
	for _, was := range before.revisions.Revisions {
		if !slices.Contains(after.revisions.Revisions, was) {
			t.Errorf("revision %+v is not what it was, or not there: %+v", was, after.revisions)
		}
	}
	if a, b := after.stages, before.stages; a.Target < b.Target || a.Target == b.Target && b.Phase == "done" && a.Phase != "done" ||
		a.Target == b.Target && a.Phase == "canary" && (a.Base != b.Base || !slices.Equal(a.Canary, b.Canary)) {
		t.Errorf("the roll-out was %+v, and is %+v", b, a)
	}
	for node, was := range before.history {
		for _, tr := range was {
			// The inventory of nodes is written every two seconds.
			if tr.At.After(before.at.Add(-5 * time.Second)) {
				continue
			}
			if !slices.ContainsFunc(after.history[node], func(a transition) bool {
				return a.At.Equal(tr.At) && a.State == tr.State && a.Revision == tr.Revision
			}) {
				t.Errorf("%s: what it was at %s (%s at revision %d) is forgotten: %+v", node, tr.At, tr.State, tr.Revision, after.history[node])
			}
		}
	}
}

// visitors call the app through each sidecar until stopped, and tell what failed.
func (m *stagedMesh) visitors() (stop func() (visits int, failed []string)) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed []string
	visits, done := 0, make(chan struct{})
	for node, outbound := range m.outbounds {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(50 * time.Millisecond):
				}
				status, err := through(outbound, "GET", "posters.shop.svc.cluster.local", "/v1/posters/7")
				mu.Lock()
				if visits++; err != nil || status != 200 {
					failed = append(failed, fmt.Sprintf("%s by %s: status %d, %v", time.Now().Format(time.StampMilli), node, status, err))
				}
				mu.Unlock()
			}
		})
	}
	return func() (int, []string) {
		close(done)
		wg.Wait()
		return visits, failed
	}
}

// TestServerKilledInRollout kills the server at any point of a roll-out, again
// and again. What it knew it knows afterwards, the roll-out goes on where it was,
// and the sidecars never stop serving.
func TestServerKilledInRollout(t *testing.T) {
	t.Parallel()
	m := &stagedMesh{halves: halves{dir: t.TempDir()}, outbounds: map[string]string{}}
	address := func() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t))) }
	for _, a := range []*string{&m.server, &m.admin, &m.grpc, &m.otlpGRPC, &m.otlpHTTP, &m.inbound, &m.inboundMetrics, &m.to} {
		*a = address()
	}
	m.url = "http://" + m.server
	if err := os.Mkdir(filepath.Join(m.dir, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, inboundPort, _ := net.SplitHostPort(m.inbound)
	if err := os.WriteFile(filepath.Join(m.dir, "config", "shop.yaml"), fmt.Appendf(nil, splitConfig, inboundPort), 0o600); err != nil {
		t.Fatal(err)
	}
	m.startServer(t)
	m.start(t, "app", "sidelight", "demo", "service", "--role", "posters", "--listen", m.to)
	m.startSidecar(t, "posters", "--outbound", "off", "--inbound", m.inbound+"="+m.to+"/http/8080", "--metrics", m.inboundMetrics)
	for node, workload := range map[string]string{canaryNode: "shopper", waitingNode: "guest"} {
		m.outbounds[node] = address()
		m.startSidecar(t, workload, "--outbound", m.outbounds[node], "--metrics", address())
	}
	m.change(t, 0)
	m.converged(t, 2)
	for node, outbound := range m.outbounds {
		eventually(t, 30*time.Second, node+" reaches the app", func() error {
			status, err := through(outbound, "GET", "posters.shop.svc.cluster.local", "/v1/posters/7")
			if err == nil && status != 200 {
				err = fmt.Errorf("status %d", status)
			}
			return err
		})
	}

	stop := m.visitors()
	random := rand.New(rand.NewPCG(9, 4))
	for n := 1; n <= 5; n++ {
		m.change(t, n)
		// The stage takes some four seconds from here: before it, in it, after it.
		wait := time.Duration(random.Int64N(int64(5 * time.Second)))
		before, err := known{}, error(nil)
		for end := time.Now().Add(wait); before.at.IsZero() || time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if before, err = m.look(); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.serverProcess.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = m.serverProcess.Wait()
		t.Logf("killed %s after change %d: %+v, newest of %d revisions %d", wait.Round(time.Millisecond), n, before.stages, len(before.revisions.Revisions), before.nodes.Desired.Number)
		m.startServer(t)
		m.remembers(t, before)
		m.converged(t, uint64(2+n))
	}
	visits, failed := stop()
	t.Logf("%d visits", visits)
	if visits < 100 || len(failed) > 0 {
		t.Errorf("of %d visits %d failed: %q", visits, len(failed), failed[:min(len(failed), 5)])
	}
}
