package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// meshUnderTest is a running demo.
type meshUnderTest struct {
	api
	mark    string
	tmp     string // the demo's TMPDIR: its folder is made in here
	cmd     *exec.Cmd
	begun   time.Time
	printed *transcript
	exited  chan struct{} // closed when the demo's process has ended
}

// transcript collects what a process prints, line by line.
type transcript struct {
	mu    sync.Mutex
	lines []string
}

func (tr *transcript) read(r io.Reader) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		tr.mu.Lock()
		tr.lines = append(tr.lines, lines.Text())
		tr.mu.Unlock()
	}
}

func (tr *transcript) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return strings.Join(tr.lines, "\n")
}

var openLine = regexp.MustCompile(`Open\s+(http://127\.0\.0\.1:\d+)`)

// launchDemo starts a demo and does not wait for it to be live.
func launchDemo(t *testing.T, args ...string) *meshUnderTest {
	t.Helper()
	m := &meshUnderTest{mark: newMark(), tmp: t.TempDir(), printed: &transcript{}, exited: make(chan struct{})}
	m.cmd = exec.Command(sidelight(), append([]string{"demo", "--no-browser"}, args...)...)
	m.cmd.Env = environment(runMark+"="+m.mark, "TMPDIR="+m.tmp)
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C at the tests must not reach it first
	out, in := io.Pipe()
	m.cmd.Stdout, m.cmd.Stderr = in, in
	m.begun = time.Now()
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go m.printed.read(out)
	go func() {
		_ = m.cmd.Wait()
		_ = in.Close()
		close(m.exited)
	}()
	t.Cleanup(func() { m.cleanUp(t) })
	return m
}

// startDemo starts a demo on a port of its own and waits until it says that
// the graph is live.
func startDemo(t *testing.T, args ...string) *meshUnderTest {
	t.Helper()
	m := launchDemo(t, append([]string{"--port", fmt.Sprint(freePort(t))}, args...)...)
	eventually(t, 90*time.Second, "the demo prints its URL", func() error {
		if found := openLine.FindStringSubmatch(m.printed.String()); found != nil {
			m.api = api{url: found[1]}
			return nil
		}
		select {
		case <-m.exited:
			t.Fatalf("the demo ended: %s", m.cmd.ProcessState)
		default:
		}
		return errors.New("no URL yet")
	})
	return m
}

func (m *meshUnderTest) cleanUp(t *testing.T) {
	if t.Failed() {
		t.Logf("the demo printed:\n%s", m.printed)
		for _, p := range m.processes() {
			t.Logf("runs: %d %s", p.pid, strings.Join(p.args, " "))
		}
		m.showLogs(t)
	}
	select {
	case <-m.exited:
	default:
		_ = m.cmd.Process.Signal(syscall.SIGINT)
		select {
		case <-m.exited:
		case <-time.After(10 * time.Second):
			_ = m.cmd.Process.Kill()
			<-m.exited
		}
	}
	for _, p := range m.processes() {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
}

// showLogs prints the end of what the children said.
func (m *meshUnderTest) showLogs(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(m.tmp, "sidelight-demo-*", "logs", "*.log"))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil || len(content) == 0 {
			continue
		}
		t.Logf("%s:\n%s", filepath.Base(file), content[max(0, len(content)-1500):])
	}
}

func (m *meshUnderTest) processes() []process { return processes(m.mark) }

// folder is the one that the demo made for itself.
func (m *meshUnderTest) folder(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(m.tmp, "sidelight-demo-*"))
	if len(found) != 1 {
		t.Fatalf("folders of the demo: %q, want one", found)
	}
	return found[0]
}

// sidecar finds the sidecar of a node.
func (m *meshUnderTest) sidecar(t *testing.T, node string) process {
	t.Helper()
	for _, p := range m.processes() {
		if p.flag("--node-id") == node {
			return p
		}
	}
	t.Fatalf("no sidecar of %s runs", node)
	return process{}
}

// server finds the process that serves configuration, graph and API.
func (m *meshUnderTest) server(t *testing.T) process {
	t.Helper()
	for _, p := range m.processes() {
		if p.is("run") {
			return p
		}
	}
	t.Fatal("no server runs")
	return process{}
}

// leftovers tells what of the demo is still there.
func (m *meshUnderTest) leftovers() error {
	if ps := m.processes(); len(ps) > 0 {
		return fmt.Errorf("%d processes run:\n%s", len(ps), names(ps))
	}
	found, err := filepath.Glob(filepath.Join(m.tmp, "*"))
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("left behind: %q", found)
	}
	return err
}
