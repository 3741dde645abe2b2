package traces_test

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// stored is what a process took to store the stream, and left on disk.
type stored struct {
	cpu   time.Duration
	bytes int64
}

// ours sends the stream to a process of ours, over OTLP/HTTP or gRPC.
func ours(b *testing.B, payloads [][]byte, overGRPC bool) stored {
	b.Helper()
	dir := b.TempDir()
	c := startCollector(b, dir)
	before := processCPU(b, c.cmd.Process.Pid)
	send, hangUp := sender(c.http)
	if overGRPC {
		send, hangUp = senderGRPC(b, c.grpc)
	}
	err := feed(payloads, manySenders, send)
	hangUp()
	must(b, err)
	return stored{c.stop(b) - before, blocksOnDisk(b, dir)}
}

// jaegerOnBadger sends the stream over OTLP/HTTP to Jaeger with its embedded store,
// Badger, and waits until it says that all of it is saved. It does not sync
// what it writes, ours does. ok is false when there is no Jaeger to measure.
func jaegerOnBadger(b *testing.B, payloads [][]byte) (took stored, ok bool) {
	b.Helper()
	program := os.Getenv("JAEGER_BIN")
	if program == "" {
		return stored{}, false
	}
	dir := b.TempDir()
	address := make([]string, 9)
	for i := range address {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(b, err)
		address[i] = l.Addr().String()
		must(b, l.Close())
	}
	cmd := exec.Command(program,
		"--badger.ephemeral=false", "--badger.directory-key="+filepath.Join(dir, "key"), "--badger.directory-value="+filepath.Join(dir, "value"),
		"--collector.otlp.grpc.host-port="+address[0], "--collector.otlp.http.host-port="+address[1], "--admin.http.host-port="+address[2],
		"--collector.grpc-server.host-port="+address[3], "--collector.http-server.host-port="+address[4], "--query.http-server.host-port="+address[5],
		"--query.grpc-server.host-port="+address[6], "--http-server.host-port="+address[7],
		"--collector.queue-size="+strconv.Itoa(2*streamSpans), "--log-level=error")
	cmd.Env = append(os.Environ(), "SPAN_STORAGE_TYPE=badger")
	must(b, cmd.Start())
	b.Cleanup(func() { _ = cmd.Process.Kill() })
	saved := func() int {
		resp, err := http.Get("http://" + address[2] + "/metrics")
		if err != nil {
			return -1
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		sum := 0.0
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "jaeger_collector_spans_saved_by_svc_total{") && strings.Contains(line, `result="ok"`) {
				n, _ := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]), 64)
				sum += n
			}
		}
		return int(sum)
	}
	wait := func(what string, n int) {
		for deadline := time.Now().Add(4 * time.Minute); saved() < n; time.Sleep(100 * time.Millisecond) {
			if time.Now().After(deadline) {
				b.Fatalf("Jaeger: %s: %d spans are saved, waited for %d", what, saved(), n)
			}
		}
	}
	wait("start", 0)
	before := processCPU(b, cmd.Process.Pid)
	send, hangUp := sender(address[1])
	err := feed(payloads, manySenders, send)
	hangUp()
	must(b, err)
	wait("after the stream", streamSpans)
	must(b, cmd.Process.Signal(syscall.SIGTERM))
	_ = cmd.Wait()
	return stored{cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime() - before, blocksOnDisk(b, dir)}, true
}

// senderGRPC gives how to send over gRPC, and how to end that. A client of OTLP
// sends requests that it has in memory.
func senderGRPC(b *testing.B, address string) (send func([]byte) error, hangUp func()) {
	b.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(b, err)
	client := ptraceotlp.NewGRPCClient(conn)
	return func(raw []byte) error {
		request := ptraceotlp.NewExportRequest()
		if err := request.UnmarshalProto(raw); err != nil {
			return err
		}
		for deadline := time.Now().Add(sendFor); ; time.Sleep(50 * time.Millisecond) {
			_, err := client.Export(b.Context(), request)
			if status.Code(err) != codes.ResourceExhausted || time.Now().After(deadline) {
				return err
			}
		}
	}, func() { _ = conn.Close() }
}

// processCPU is what another process has taken so far.
func processCPU(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(b, err)
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	must(b, cmp.Or(err1, err2))
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

// blocksOnDisk is what a folder takes; files with holes count without them.
func blocksOnDisk(b *testing.B, dir string) (sum int64) {
	b.Helper()
	must(b, filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			sum += min(s.Blocks*512, info.Size())
		}
		return err
	}))
	return sum
}
