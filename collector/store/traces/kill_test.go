package traces_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/sidelight-mesh/sidelight/collector/receive"
	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// collectEnv names the folder in which this binary, started again, is a
// process that only receives and stores spans.
const collectEnv = "SIDELIGHT_TEST_COLLECT"

// collect runs until its input ends.
func collect(dir string) error {
	store, err := traces.Open(traces.Options{Dir: dir})
	if err != nil {
		return err
	}
	r, err := receive.New(receive.Options{HTTP: "127.0.0.1:0", GRPC: "127.0.0.1:0", Store: store})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	overGRPC, overHTTP := r.Addrs()
	fmt.Println(overGRPC, overHTTP)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return errors.Join(r.Run(ctx), store.Close())
}

// collector is such a process.
type collector struct {
	cmd        *exec.Cmd
	in         io.Closer
	grpc, http string // addresses
}

func startCollector(t testing.TB, dir string) *collector {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), collectEnv+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &collector{cmd: cmd, in: in}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the collecting process says %q: %v", line, err)
	}
	if _, err := fmt.Sscan(line, &c.grpc, &c.http); err != nil {
		t.Fatal(err)
	}
	return c
}

// stop lets the process end and gives what it has taken of processors.
func (c *collector) stop(t testing.TB) time.Duration {
	t.Helper()
	_ = c.in.Close()
	if err := c.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime()
}

// killed is what a kill -9 under load cost.
type killed struct {
	stored, lost int           // batches
	acknowledged int           // of those lost
	window       time.Duration // from when the oldest lost one was sent to the kill
	open         time.Duration // until the store is open again
}

const killBatch = 100 // spans, one trace

// kill sends batches from many senders, kills the process in the middle, and
// looks for each batch in what is left.
func kill(t testing.TB, after time.Duration) killed {
	t.Helper()
	dir := t.TempDir()
	c := startCollector(t, dir)
	type sending struct {
		at    time.Time
		acked bool
	}
	var (
		mu      sync.Mutex
		sent    []sending
		over    bool
		senders sync.WaitGroup
	)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	send := func() bool {
		mu.Lock()
		n := len(sent)
		message := oneTrace(n)
		if over {
			mu.Unlock()
			return false
		}
		sent = append(sent, sending{at: time.Now()})
		mu.Unlock()
		resp, err := client.Post("http://"+c.http+"/v1/traces", "application/x-protobuf", bytes.NewReader(message))
		if err != nil {
			return false
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err == nil && resp.StatusCode == http.StatusOK {
			mu.Lock()
			sent[n].acked = true
			mu.Unlock()
		}
		return true
	}
	for range 16 {
		senders.Go(func() {
			for send() {
			}
		})
	}
	time.Sleep(after)
	at := time.Now()
	if err := c.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait()
	mu.Lock()
	over = true
	mu.Unlock()
	senders.Wait()

	began := time.Now()
	store, err := traces.Open(traces.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	k := killed{open: time.Since(began)}
	for n, s := range sent {
		if s.at.After(at) {
			continue
		}
		id := traceOf(n)
		trace, err := store.Get(t.Context(), id.String())
		switch {
		case err == nil && len(trace.Spans) == killBatch:
			k.stored++
		case err == nil || errors.Is(err, mesh.ErrNotFound):
			k.lost++
			k.window = max(k.window, at.Sub(s.at))
			if s.acked {
				k.acknowledged++
			}
		default:
			t.Fatal(err)
		}
	}
	if corrupt := store.Stats().Corrupt; corrupt > 0 {
		t.Errorf("%d blocks are damaged", corrupt)
	}
	return k
}

// oneTrace is a batch of spans of trace n.
func oneTrace(n int) []byte {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "web")
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	now := pcommon.NewTimestampFromTime(time.Now())
	for i := range killBatch {
		s := spans.AppendEmpty()
		s.SetTraceID(traceOf(n))
		s.SetSpanID(pcommon.SpanID{6: byte(n), 7: byte(i + 1)})
		s.SetName("GET /")
		s.SetStartTimestamp(now)
		s.SetEndTimestamp(now)
		s.Attributes().PutInt("n", int64(n))
	}
	message, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return message
}

// Killed while it writes, the store has all that it said it has, and is open
// again at once.
func TestKilled(t *testing.T) {
	k := kill(t, 750*time.Millisecond)
	t.Logf("%+v", k)
	if k.acknowledged > 0 {
		t.Errorf("%d batches are lost that senders were told are stored", k.acknowledged)
	}
	if k.stored < 10 {
		t.Errorf("%d batches are stored: nothing was under way", k.stored)
	}
	if k.open > 5*time.Second {
		t.Errorf("open again after %s", k.open)
	}
}

// killStep is between the kills, so that twelve of them fall all over the time
// from one write to the next.
const killStep = 9 * time.Millisecond

// killedOften gives the worst of some kills.
func killedOften(t testing.TB, times int) (worst killed) {
	for i := range times {
		k := kill(t, 800*time.Millisecond+time.Duration(i)*killStep)
		worst.stored += k.stored
		worst.lost += k.lost
		worst.acknowledged += k.acknowledged
		worst.window = max(worst.window, k.window)
		worst.open = max(worst.open, k.open)
	}
	return worst
}

func ms(d time.Duration) float64 { return math.Round(float64(d)/1e4) / 100 }
