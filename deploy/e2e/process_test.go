package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// runMark is the environment variable by which the processes of one test are
// found: children inherit it, whatever their arguments.
const runMark = "E2E_RUN"

func newMark() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// environment is this process's own without what would set flags, plus extra.
func environment(extra ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "SIDELIGHT_") })
	return append(env, extra...)
}

// process is a running process, as the kernel shows it.
type process struct {
	pid  int
	args []string
}

// flag gives the first value of a flag among the arguments, or "".
func (p process) flag(name string) string {
	if i := slices.Index(p.args, name); i >= 0 && i+1 < len(p.args) {
		return p.args[i+1]
	}
	return ""
}

func (p process) is(words ...string) bool {
	return len(p.args) > len(words) && slices.Equal(p.args[1:1+len(words)], words)
}

func (p process) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(p.pid, sig); err != nil {
		t.Fatalf("send %s to %d: %v", sig, p.pid, err)
	}
}

// processes lists what runs with a mark, zombies left out.
func processes(mark string) []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		environ, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil || !slices.Contains(strings.Split(string(environ), "\x00"), runMark+"="+mark) {
			continue // another user's, or gone meanwhile
		}
		cmdline, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || len(cmdline) == 0 {
			continue
		}
		found = append(found, process{pid, strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")})
	}
	return found
}

func names(ps []process) string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = fmt.Sprintf("%d %s", p.pid, strings.Join(p.args, " "))
	}
	return strings.Join(lines, "\n")
}

// listening gives the TCP addresses that a process listens on.
func (p process) listening() ([]string, error) {
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.pid))
	if err != nil {
		return nil, err
	}
	sockets := make(map[string]bool)
	for _, fd := range fds {
		link, err := os.Readlink(fd)
		if inode, ok := strings.CutPrefix(link, "socket:["); err == nil && ok {
			sockets[strings.TrimSuffix(inode, "]")] = true
		}
	}
	var addresses []string
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		content, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range bytes.Lines(content) {
			field := strings.Fields(string(line))
			const listen = "0A"
			if len(field) < 10 || field[3] != listen || !sockets[field[9]] {
				continue
			}
			_, port, _ := strings.Cut(field[1], ":")
			n, err := strconv.ParseUint(port, 16, 16)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", table, err)
			}
			addresses = append(addresses, net.JoinHostPort("127.0.0.1", strconv.FormatUint(n, 10)))
		}
	}
	return addresses, nil
}

// given are the ports that tests have got: who has one may not listen on it yet.
var given = struct {
	sync.Mutex
	ports map[int]bool
}{ports: make(map[int]bool)}

// freePort gives a port below the range that the kernel takes outgoing ports
// from, so that it is still free when its process binds it.
func freePort(t *testing.T) int {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	for range 200 {
		var b [2]byte
		_, _ = rand.Read(b[:])
		port := 10000 + (int(b[0])<<8|int(b[1]))%9000
		if given.ports[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = l.Close()
			given.ports[port] = true
			return port
		}
	}
	t.Fatal("no free port on 127.0.0.1 from 10000 to 19000")
	return 0
}
