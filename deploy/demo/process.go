package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// group owns the child processes. Each child's stdin is a pipe whose other end
// only this process holds, so that a child notices when its parent is gone,
// however it went; on Linux the kernel tells it, too. Children stand in
// process groups of their own: a Ctrl-C at the terminal reaches the parent
// alone, which then stops them in order.
type group struct {
	logs    string // folder for what the children print
	started chan startRequest
	done    chan struct{}
	ended   chan ending // children that ended by themselves

	mu       sync.Mutex
	children []*child
	stopping bool
}

// ending is a child that nobody stopped.
type ending struct {
	child string
	err   error
}

type child struct {
	name   string
	cmd    *exec.Cmd
	stdin  io.Closer
	exited chan struct{}
	err    error
	asked  atomic.Bool // it was stopped, and not by itself
}

type startRequest struct {
	cmd  *exec.Cmd
	done chan error
}

func newGroup(logs string) *group {
	g := &group{logs: logs, started: make(chan startRequest), done: make(chan struct{}), ended: make(chan ending)}
	go g.spawn()
	return g
}

// spawn starts every child from one locked thread, because the kernel sends
// the parent-death signal when the thread that started a child ends.
func (g *group) spawn() {
	runtime.LockOSThread()
	for {
		select {
		case req := <-g.started:
			req.done <- req.cmd.Start()
		case <-g.done:
			return
		}
	}
}

// start runs a program under a name that its log file gets, too.
func (g *group) start(name, program string, args ...string) error {
	log, err := os.OpenFile(filepath.Join(g.logs, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	req := startRequest{cmd, make(chan error)}
	g.started <- req
	if err := <-req.done; err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	c := &child{name: name, cmd: cmd, stdin: stdin, exited: make(chan struct{})}
	g.mu.Lock()
	g.children = append(g.children, c)
	g.mu.Unlock()
	go g.wait(c)
	return nil
}

func (g *group) wait(c *child) {
	c.err = c.cmd.Wait()
	close(c.exited)
	g.mu.Lock()
	stopping := g.stopping
	g.mu.Unlock()
	if stopping || c.asked.Load() {
		return
	}
	select {
	case g.ended <- ending{c.name, g.obituary(c)}:
	case <-g.done:
	}
}

// obituary says how a child ended and, if it ended by its own decision, why.
func (g *group) obituary(c *child) error {
	state := c.cmd.ProcessState
	if state == nil || !state.Exited() {
		return fmt.Errorf("%s was ended (%w)", c.name, c.err)
	}
	return fmt.Errorf("%s ended by itself (%s): %s", c.name, state, lastLine(filepath.Join(g.logs, c.name+".log")))
}

// stop ends all children: politely, all at once, and after patience by force.
func (g *group) stop(patience time.Duration) {
	g.mu.Lock()
	g.stopping = true
	children := slices.Clone(g.children)
	g.mu.Unlock()
	for _, c := range children {
		_ = c.stdin.Close()
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, c := range children {
		select {
		case <-c.exited:
		case <-ctx.Done():
			_ = c.cmd.Process.Kill()
			<-c.exited
		}
	}
	close(g.done)
}

// stopOne ends a child by its name: politely, and after patience by force.
func (g *group) stopOne(name string, patience time.Duration) {
	g.mu.Lock()
	at := slices.IndexFunc(g.children, func(c *child) bool { return c.name == name })
	if at < 0 || g.stopping {
		g.mu.Unlock()
		return
	}
	c := g.children[at]
	g.children = slices.Delete(g.children, at, at+1)
	c.asked.Store(true)
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	g.mu.Unlock()
	select {
	case <-c.exited:
	case <-time.After(patience):
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
	_ = c.stdin.Close()
}

// lastLine gives the end of a log, which is where a process says why it ended.
func lastLine(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return "no log"
	}
	lines := splitLines(content)
	if len(lines) == 0 {
		return "it printed nothing"
	}
	return lines[len(lines)-1]
}

func splitLines(content []byte) []string {
	var lines []string
	for begin, i := 0, 0; i <= len(content); i++ {
		if i == len(content) || content[i] == '\n' {
			if i > begin {
				lines = append(lines, string(content[begin:i]))
			}
			begin = i + 1
		}
	}
	return lines
}
