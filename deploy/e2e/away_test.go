package e2e

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// counter is a steady load's own account: when each answered request ended.
type counter struct {
	mu sync.Mutex
	at []time.Time
}

func (c *counter) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = append(c.at, time.Now())
}

// between counts the requests of a span of time.
func (c *counter) between(from, to time.Time) (n float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range c.at {
		if at.After(from) && !at.After(to) {
			n++
		}
	}
	return n
}

// startPrometheus runs Debian's, as a store that others write to and read.
func (h *halves) startPrometheus(t *testing.T, address string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("prometheus is not installed: `make tools` installs it on Debian")
	}
	cmd := exec.Command(path, "--config.file=/dev/null", "--storage.tsdb.path="+filepath.Join(h.dir, "prometheus"), "--web.listen-address="+address,
		"--web.enable-remote-write-receiver", "--enable-feature=native-histograms", "--log.level=error")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, 30*time.Second, "prometheus answers", func() error {
		resp, err := http.Get("http://" + address + "/-/ready")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
	return cmd
}

// TestAway takes the server away from its collector, and the store from both,
// in the middle of traffic. While one is away the rest goes on and says what is
// missing; when it is back, what was counted meanwhile is there, in its time.
func TestAway(t *testing.T) {
	t.Parallel()
	h := &halves{dir: t.TempDir()}
	store := ""
	for _, address := range []*string{&h.server, &h.admin, &h.grpc, &h.otlpGRPC, &h.otlpHTTP, &h.stores, &h.outbound, &h.outboundMetrics, &h.inbound, &h.inboundMetrics, &h.to, &store} {
		*address = net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	}
	h.url = "http://" + h.server
	if err := os.Mkdir(filepath.Join(h.dir, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, inboundPort, _ := net.SplitHostPort(h.inbound)
	if err := os.WriteFile(filepath.Join(h.dir, "config", "shop.yaml"), fmt.Appendf(nil, splitConfig, inboundPort), 0o600); err != nil {
		t.Fatal(err)
	}
	prometheus := h.startPrometheus(t, store)
	server := h.startServer(t, "--metrics-url", "http://"+store)
	h.startCollector(t, "--remote-write", "http://"+store+"/api/v1/write")
	h.start(t, "app", "sidelight", "demo", "service", "--role", "posters", "--listen", h.to)
	h.startSidecar(t, "posters", "--outbound", "off", "--inbound", h.inbound+"="+h.to+"/http/8080", "--metrics", h.inboundMetrics)
	h.startSidecar(t, "shopper", "--outbound", h.outbound, "--metrics", h.outboundMetrics)
	eventually(t, 30*time.Second, "a request passes", h.visit)
	load := h.visitSteadily(t)

	// The server is killed, and comes back with an empty memory.
	time.Sleep(3 * time.Second)
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait()
	time.Sleep(5 * time.Second)
	h.startServer(t, "--metrics-url", "http://"+store)
	h.wantWhole(t, load, "after the server was away", 9*time.Second)

	// The store alone is killed. The graph goes on without it, and says so.
	if err := prometheus.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = prometheus.Wait()
	gone := time.Now()
	eventually(t, 30*time.Second, "the graph says that there is no store", func() error {
		v, err := h.graph("5s")
		if err != nil {
			return err
		}
		if e := v.edge("shopper", "posters"); e == nil || e.RPS <= 0 {
			return fmt.Errorf("shopper → posters is %+v", e)
		}
		for _, s := range v.Stale {
			if s.Source == "metrics store" && s.Reason != "" {
				return nil
			}
		}
		return fmt.Errorf("stale: %+v", v.Stale)
	})
	if got := h.status("/api/v1/graph?at=" + time.Now().Add(-2*time.Hour).UTC().Format(time.RFC3339)); got != http.StatusServiceUnavailable {
		t.Errorf("the graph of two hours ago without a store: %d", got)
	}
	time.Sleep(6 * time.Second)
	h.wantWhole(t, load, "without a store", 10*time.Second)
	h.startPrometheus(t, store)
	back := time.Now()
	eventually(t, 40*time.Second, "the store has what was counted while it was away", func() error {
		var found struct {
			Data struct{ Result []struct{ Value [2]any } }
		}
		at := back.Add(-time.Second)
		count := fmt.Sprintf(`count_over_time(istio_requests_total{reporter="source",source_workload="shopper",response_code="200"}[%ds])`, int(at.Sub(gone).Seconds()))
		if err := h.try("/prometheus/api/v1/query"+query("query", count, "time", strconv.FormatInt(at.Unix(), 10)), &found); err != nil {
			return err
		}
		if len(found.Data.Result) != 1 {
			return fmt.Errorf("%d series, want one", len(found.Data.Result))
		}
		n, _ := strconv.Atoi(fmt.Sprint(found.Data.Result[0].Value[1]))
		if all := int(at.Sub(gone).Seconds()); n < all/2 { // busy machines miss some
			return fmt.Errorf("%d of %d scrapes", n, all)
		}
		return nil
	})
	eventually(t, 20*time.Second, "nothing is missing any more", func() error {
		v, err := h.graph("5s")
		if err == nil && len(v.Stale) > 0 {
			err = fmt.Errorf("stale: %+v", v.Stale)
		}
		return err
	})
}

// visit sends one request through the calling sidecar.
func (h *halves) visit() error {
	status, err := through(h.outbound, "GET", "posters.shop.svc.cluster.local", "/v1/posters/7")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	return err
}

// visitSteadily sends some twenty requests a second until the test ends.
func (h *halves) visitSteadily(t *testing.T) *counter {
	t.Helper()
	load := &counter{}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			if err := h.visit(); err == nil {
				load.add()
			} else if ctx.Err() == nil {
				t.Errorf("a request failed: %v", err)
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	return load
}

func (h *halves) graph(window string) (v graphView, err error) {
	return v, h.try("/api/v1/graph?window="+window, &v)
}

// wantWhole waits until the graph has, second by second, every request that the
// load counted lately, but for what is on its way at the borders.
func (h *halves) wantWhole(t *testing.T, load *counter, when string, lately time.Duration) {
	t.Helper()
	eventually(t, 30*time.Second, "every request, "+when, func() error {
		v, err := h.graph("5s")
		if err != nil {
			return err
		}
		e := v.edge("shopper", "posters")
		if e == nil {
			return fmt.Errorf("no edge; stale %+v", v.Stale)
		}
		got, want := 0.0, load.between(v.At.Add(-lately), v.At)
		for _, n := range e.Series[len(e.Series)-int(lately.Seconds()):] {
			got += n
		}
		if math.Abs(got-want) > 3 || want < 50 || time.Since(v.At) > 5*time.Second {
			return fmt.Errorf("%.1f of %.0f requests in the %s before %s: %v", got, want, lately, v.At.Format(time.TimeOnly), e.Series)
		}
		t.Logf("%s: %.1f of %.0f requests", when, got, want)
		return nil
	})
}

func (h *halves) status(path string) int {
	resp, err := http.Get(h.url + path)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
