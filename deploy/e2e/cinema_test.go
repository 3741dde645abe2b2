package e2e

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestCinema looks at the plain demo from every side, then treats it badly,
// and ends it as people do. The order matters: what needs a healthy mesh and a
// minute of traffic comes before what breaks it.
func TestCinema(t *testing.T) {
	stats := filepath.Join(t.TempDir(), "load.jsonl")
	m := startDemo(t, "--load-stats", stats)
	took := time.Since(m.begun)
	t.Logf("graph live %.1f s after process start", took.Seconds())
	if took > 10*time.Second {
		t.Errorf("the graph was live after %s, want at most 10 s", took)
	}
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"the whole cinema is in the graph", func(t *testing.T) { checkEdges(t, m) }},
		{"a new edge is seen at once", func(t *testing.T) { checkNewEdges(t, m) }},
		{"tap shows what matches only", func(t *testing.T) { checkTapFilter(t, m) }},
		{"tap shows no credentials", func(t *testing.T) { checkTapRedaction(t, m) }},
		{"tap accounts for every request", func(t *testing.T) { checkTapLedger(t, m) }},
		{"traces lead to the bank", func(t *testing.T) { checkTraces(t, m) }},
		{"the Jaeger API tells the same", func(t *testing.T) { checkJaeger(t, m) }},
		{"rates agree with the load's own counts", func(t *testing.T) { checkRates(t, m, stats) }},
		{"both sides of each edge agree", func(t *testing.T) { checkSides(t, m) }},
		{"the Prometheus API tells the same", func(t *testing.T) { checkPrometheus(t, m) }},
		{"every panel of the dashboards has data", func(t *testing.T) {
			checkPanels(t, m)
			checkEvent(t, m, "Configuration sync: Convergence A", "Server: Tap A", "Collector: Calls between services A") // others tap meanwhile
		}},
		{"the command line shows the graph", func(t *testing.T) { checkGraphCommands(t, m) }},
		{"sockets that are abused harm nobody", func(t *testing.T) { checkAbusedSockets(t, m) }},
		{"garbage on every port harms nobody", func(t *testing.T) { checkGarbage(t, m) }},
		{"refused configuration changes nothing", func(t *testing.T) { checkBrokenConfig(t, m) }},
		{"a killed sidecar leaves the rest serving", func(t *testing.T) { checkKilledSidecar(t, m) }},
		{"a frozen server leaves the sidecars serving", func(t *testing.T) { checkFrozenServer(t, m) }},
	} {
		t.Run(step.name, step.run)
	}
	t.Run("Ctrl-C ends everything", func(t *testing.T) {
		begun := time.Now()
		if err := m.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		eventually(t, 3*time.Second, "no process and no file is left", m.leftovers)
		<-m.exited
		if code := m.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
		t.Logf("all gone after %.1f s", time.Since(begun).Seconds())
	})
}
