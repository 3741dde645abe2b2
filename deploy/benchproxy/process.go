package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that this run started.
type process struct {
	name string
	cmd  *exec.Cmd
	log  bytes.Buffer
}

func (b *bench) start(name string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(args[0], args[1:]...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	b.procs = append(b.procs, p)
	return p, nil
}

// stop ends what was started, the last first.
func (b *bench) stop() {
	for _, started := range slices.Backward(b.procs) {
		p := started.cmd
		_ = p.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(3*time.Second, func() { _ = p.Process.Kill() })
		_ = p.Wait()
		timer.Stop()
	}
}

// listens waits until an address takes connections.
func (p *process) listens(ctx context.Context, address string) error {
	dialer := net.Dialer{Timeout: time.Second}
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		c, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("%s does not listen on %s:\n%s", p.name, address, p.log.String())
}

// cpu is the processor time that the process's threads took so far, to the
// nanosecond: times in /proc/PID/stat go in steps of 10 ms. Threads that ended
// are not in it; none of the proxies ends threads that serve.
func (p *process) cpu() (time.Duration, error) {
	threads, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "task", "*", "schedstat"))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("%s has no threads in /proc", p.name)
	}
	var sum int64
	for _, file := range threads {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // it ended just now
		}
		ran, _, _ := strings.Cut(string(content), " ")
		ns, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %q is no time", file, content)
		}
		sum += ns
	}
	return time.Duration(sum), nil
}

// resident is the process's memory in bytes.
func (p *process) resident() (int64, error) {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "statm"))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(content))
	if len(f) < 2 {
		return 0, fmt.Errorf("%s has no size in /proc", p.name)
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// addresses gives n free ones; they are held together, so that none comes twice.
func addresses(n int) ([]string, error) {
	var list []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		list = append(list, l.Addr().String())
	}
	return list, nil
}
