package metrics

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// backends are the stores that Querier reads: the embedded one, the same
// through the Prometheus API of a collector, and real ones that Forward writes
// to, from Debian.
var backends = map[string]func(t *testing.T) backend{
	"embedded": func(t *testing.T) backend {
		s := open(t, Options{})
		return backend{s, s, func() {}}
	},
	"collector": func(t *testing.T) backend {
		s := open(t, Options{})
		api := httptest.NewServer(s.Handler())
		t.Cleanup(api.Close)
		return backend{reader(t, api.URL), s, func() {}}
	},
	"prometheus": func(t *testing.T) backend {
		address := free(t)
		run(t, address, "prometheus", "--config.file=/dev/null", "--storage.tsdb.path="+t.TempDir(), "--web.listen-address="+address,
			"--web.enable-remote-write-receiver", "--enable-feature=native-histograms", "--log.level=error")
		return forwarded(t, address)
	},
	"victoria-metrics": func(t *testing.T) backend {
		address := free(t)
		run(t, address, "victoria-metrics", "-storageDataPath="+t.TempDir(), "-httpListenAddr="+address, "-search.latencyOffset=1s",
			"-retentionPeriod=100y", "-loggerLevel=ERROR")
		return forwarded(t, address)
	},
}

type backend struct {
	Querier
	write   storage.AppendableV2
	settled func() // waits until what was written can be read
}

// TestBackends holds all backends to the same answers.
func TestBackends(t *testing.T) {
	for name, make := range backends {
		t.Run(name, func(t *testing.T) {
			b := make(t)
			// Real ones take nothing from long ago.
			begin := time.Now().Add(-3 * time.Minute).Truncate(time.Second)
			series := func(code string) labels.Labels {
				return labels.FromStrings("__name__", "istio_requests_total", "instance", "10.0.0.1:15020", "namespace", "cinema", "workload", "web", "reporter", "source",
					"source_workload", "web", "source_workload_namespace", "cinema", "destination_workload", "catalog", "destination_workload_namespace", "cinema",
					"destination_service", "catalog.cinema.svc.cluster.local", "request_protocol", "http", "response_code", code, "response_flags", "-")
			}
			for i := range 13 {
				at := begin.Add(time.Duration(i) * 10 * time.Second)
				app := b.write.AppenderV2(t.Context())
				for code, value := range map[string]float64{"200": float64(i * 100), "503": float64(i * 5)} {
					if _, err := app.Append(0, series(code), 0, at.UnixMilli(), value, nil, nil, storage.AOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				if err := app.Commit(); err != nil {
					t.Fatal(err)
				}
			}
			b.settled()
			checkBackend(t, b, begin)
		})
	}
}

func checkBackend(t *testing.T, b backend, begin time.Time) {
	ctx, end := t.Context(), begin.Add(2*time.Minute)
	got, err := b.Instant(ctx, `sum by (response_code) (istio_requests_total)`, end)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, s := range got {
		values[s.Labels["response_code"]] = s.Value
	}
	if diff := cmp.Diff(map[string]float64{"200": 1200, "503": 60}, values); diff != "" {
		t.Errorf("instant (-want +got):\n%s", diff)
	}
	if s, err := b.Instant(ctx, "nothing_at_all", end); err != nil || len(s) != 0 {
		t.Errorf("of nothing: %v, %v", s, err)
	}
	ranged, err := b.Range(ctx, `istio_requests_total{response_code="503"}`, begin, end, 30*time.Second)
	if err != nil || len(ranged) != 1 || len(ranged[0].Points) != 5 || ranged[0].Points[4].Value != 60 || !ranged[0].Points[0].At.Equal(begin) {
		t.Errorf("range: %+v, %v", ranged, err)
	}
	if _, err := b.Instant(ctx, "sum(", end); err == nil {
		t.Error("nonsense is answered")
	}
	if _, err := b.Range(ctx, "up", end, begin, time.Second); err == nil {
		t.Error("a range that ends before it begins is answered")
	}
	batches, err := Edges(ctx, b, end, time.Minute)
	if err != nil || len(batches) != 1 || len(batches[0].Deltas) != 1 || batches[0].Workload.Name != "web" {
		t.Fatalf("edges: %+v, %v", batches, err)
	}
	requests := batches[0].Deltas[0].Requests
	if n := requests[mesh.Outcome{Code: 200, Flags: "-"}]; n < 590 || n > 610 {
		t.Errorf("edges: %v requests in a minute, want 600", n)
	}
}

func reader(t *testing.T, url string) *Remote {
	t.Helper()
	r, err := NewRemote(RemoteOptions{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// forwarded is a backend at an address that a Forward writes to.
func forwarded(t *testing.T, address string) backend {
	f, err := NewForward(ForwardOptions{URL: "http://" + address + "/api/v1/write", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	startForward(t, f)
	r := reader(t, "http://"+address)
	settled := func() {
		until(t, "26 samples sent", func() bool { return f.Stats().Sent == 26 })
		until(t, "two series can be read", func() bool {
			s, err := r.Instant(context.Background(), "last_over_time(istio_requests_total[5m])", time.Now())
			return err == nil && len(s) == 2
		})
	}
	return backend{r, f.Tee(open(t, Options{})), settled}
}

func startForward(t *testing.T, f *Forward) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after 20 s: %s", what)
		}
	}
}

func free(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run starts a program and waits until it answers HTTP.
func run(t *testing.T, address, program string, args ...string) {
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is not installed: `make tools` installs it on Debian", program)
	}
	cmd := exec.Command(path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	until(t, program+" answers", func() bool {
		resp, err := http.Get("http://" + address + "/-/healthy")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
}

// A store that is away loses nothing: samples wait, also over a restart, and
// come in their order.
func TestForwardWaits(t *testing.T) {
	var mu sync.Mutex
	status, taken := http.StatusServiceUnavailable, 0
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if status == http.StatusNoContent {
			taken++
		}
		w.WriteHeader(status)
	}))
	defer other.Close()
	dir := t.TempDir()
	make := func() *Forward {
		f, err := NewForward(ForwardOptions{URL: other.URL + "/write", Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := make()
	stop := startForward(t, f)
	store := f.Tee(open(t, Options{}))
	for i := range 3 {
		app := store.AppenderV2(t.Context())
		if _, err := app.Append(0, labels.FromStrings("__name__", "x"), 0, epoch().UnixMilli()+int64(i), 1, nil, nil, storage.AOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "it is known to be away", func() bool { return !f.Stats().Since.IsZero() })
	stop()
	if s := f.Stats(); s.Sent != 0 || s.WaitingBytes == 0 || s.Error == "" {
		t.Errorf("while away %+v", s)
	}
	mu.Lock()
	status = http.StatusNoContent
	mu.Unlock()
	f = make()
	if s := f.Stats(); s.WaitingBytes == 0 {
		t.Errorf("after a restart %+v", s)
	}
	startForward(t, f)
	until(t, "all is sent", func() bool { s := f.Stats(); return s.Sent == 3 && s.WaitingBytes == 0 && s.Since.IsZero() })
	if s := f.Stats(); s.Dropped+s.Refused != 0 {
		t.Errorf("lost %+v", s)
	}
	// What the other store will never take is counted and given up.
	mu.Lock()
	status = http.StatusBadRequest
	mu.Unlock()
	f.queue.Put([]byte{10, 0}, 2)
	until(t, "it is refused", func() bool { return f.Stats().Refused >= 2 })
}

func TestForwardNeedsAURL(t *testing.T) {
	if _, err := NewForward(ForwardOptions{URL: "nowhere", Dir: t.TempDir()}); err == nil {
		t.Error("a URL that is none is taken")
	}
}

// Whatever another store answers, it is figures or an error of a kind.
func FuzzAnswers(f *testing.F) {
	f.Add(200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1.5,"NaN"]}]}}`)
	f.Add(200, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":null,"values":[[1e300,"1"],[2,"x"]]}]}}`)
	f.Add(200, `{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`)
	f.Add(422, `{"status":"error","errorType":"execution","error":"no"}`)
	f.Add(200, `{"status":"success"}`)
	f.Add(500, "<html>")
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		r, err := NewRemote(RemoteOptions{URL: "http://store", Transport: answering{status, body}})
		if err != nil {
			t.Fatal(err)
		}
		_, instant := r.Instant(t.Context(), "x", epoch())
		_, ranged := r.Range(t.Context(), "x", epoch(), epoch().Add(time.Minute), time.Second)
		for _, err := range []error{instant, ranged} {
			if err != nil && !errors.Is(err, mesh.ErrInvalid) && !errors.Is(err, mesh.ErrExhausted) && !errors.Is(err, mesh.ErrUnavailable) {
				t.Errorf("error of no kind: %v", err)
			}
		}
	})
}

// answering is a store that always says the same.
type answering struct {
	status int
	body   string
}

// RoundTrip implements http.RoundTripper.
func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Status: http.StatusText(a.status), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}
