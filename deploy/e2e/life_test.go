package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCounts runs a demo as a script does: for a while, for the one object
// that it prints at the end. Its usual port is taken.
func TestCounts(t *testing.T) {
	if l, err := net.Listen("tcp", "127.0.0.1:8430"); err == nil {
		defer l.Close() // else somebody has it already, which is as good
	}
	m := &meshUnderTest{mark: newMark(), tmp: t.TempDir()}
	t.Setenv(runMark, m.mark)
	t.Setenv("TMPDIR", m.tmp)
	begun := time.Now()
	got := commandFor(t, 60*time.Second, "demo", "--duration", "15s", "-o", "json", "--no-browser")
	t.Logf("took %.1f s", time.Since(begun).Seconds())
	if got.code != 0 {
		t.Fatalf("exit code %d:\n%s", got.code, got.stderr)
	}
	wantAll(t, "the demo", got.stderr, "port 8430 is taken, using ", "Open  http://127.0.0.1:")
	counts := decode[map[string]json.Number](t, got.stdout)
	want := []string{"dropped", "edges", "errors", "nodes_synced", "proxies", "requests", "revisions", "services", "spans", "tap_events", "traces", "workloads"}
	if keys := slices.Sorted(maps.Keys(counts)); !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
	for key, value := range counts {
		if n, err := value.Int64(); err != nil || n < 0 || n == 0 && key != "dropped" {
			t.Errorf("%s is %s", key, value)
		}
	}
	t.Logf("%v", counts)
	if err := m.leftovers(); err != nil {
		t.Error(err)
	}
}

func TestKilledDemo(t *testing.T) {
	t.Parallel()
	m := startDemo(t)
	folder := m.folder(t)
	begun := time.Now()
	if err := m.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "no process and no file is left of "+folder, m.leftovers)
	t.Logf("all gone after %.1f s", time.Since(begun).Seconds())
}

// TestInterruptedStart ends a demo before it is live.
func TestInterruptedStart(t *testing.T) {
	t.Parallel()
	m := launchDemo(t, "--port", fmt.Sprint(freePort(t)))
	eventually(t, 10*time.Second, "a few processes run", func() error {
		if n := len(m.processes()); n < 6 {
			return fmt.Errorf("%d run", n)
		}
		return nil
	})
	if err := m.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	eventually(t, 3*time.Second, "no process and no file is left", m.leftovers)
	<-m.exited
	if code := m.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0:\n%s", code, m.printed)
	}
}

func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	got := command(t, "demo", "--no-browser", "--port", port)
	if got.code != 1 {
		t.Errorf("exit code %d, want 1", got.code)
	}
	wantAll(t, "the demo", got.stderr, "--port "+port, "something else listens there")
	if strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("want one line, got:\n%s", got.stderr)
	}
}
