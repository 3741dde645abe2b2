package scenarios

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// world is a mesh of real processes, shared by all scenarios.
type world struct {
	bin, dir     string
	api, grpc    string
	otlp         string
	outbound     string // of the caller's sidecar
	client       *http.Client
	retry        []*instance
	v1, v2       []*instance
	sniffer      *instance
	snifferDelay atomic.Int64
	more         int // sidecars beside those of newWorld
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{bin: os.Getenv("SIDELIGHT_BIN"), dir: t.TempDir(), client: &http.Client{Timeout: 40 * time.Second}}
	if w.bin == "" {
		t.Skip("SIDELIGHT_BIN names no binaries: run `make scenarios`")
	}
	if err := os.Mkdir(filepath.Join(w.dir, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		w.retry = append(w.retry, newInstance(t, retryService))
		w.v1 = append(w.v1, newInstance(t, webService("1", fmt.Sprint("v1-", i))))
		w.v2 = append(w.v2, newInstance(t, webService("2", fmt.Sprint("v2-", i))))
	}
	w.sniffer = newInstance(t, sniffer(func() time.Duration { return time.Duration(w.snifferDelay.Load()) }))

	w.api, w.grpc, w.otlp = freeAddress(t), freeAddress(t), freeAddress(t)
	start(t, w, "sidelight", "run", "--config-dir", filepath.Join(w.dir, "config"), "--data-dir", filepath.Join(w.dir, "data"),
		"--api", w.api, "--admin", freeAddress(t), "--grpc", w.grpc, "--grpc-tls", freeAddress(t), "--otlp-grpc", w.otlp, "--otlp-http", freeAddress(t),
		"--scrape-interval", "1s")
	w.outbound = freeAddress(t)
	w.sidecar(t, "caller", "v1", 0, "--outbound", w.outbound)
	var retry []endpoint
	for i, instance := range w.retry {
		inbound := freeAddress(t)
		w.sidecar(t, "retry-service", "v1", i, "--outbound", "off", "--inbound", inbound+"="+instance.address()+"/http/80")
		retry = append(retry, endpoint{inbound, "retry-service", "v1"})
	}
	inbound := freeAddress(t)
	w.sidecar(t, "sniffer", "v1", 0, "--outbound", "off", "--inbound", inbound+"="+w.sniffer.address()+"/http/80")
	w.services(t, retry, []endpoint{{inbound, "sniffer", "v1"}}, w.web(w.v1, w.v2))
	w.synced(t, 5, 0)
	return w
}

// endpoint is where an instance of a workload is reached.
type endpoint struct{ address, workload, version string }

func (w *world) web(v1, v2 []*instance) []endpoint {
	var list []endpoint
	for _, i := range v1 {
		list = append(list, endpoint{i.address(), "myweb-v1", "v1"})
	}
	for _, i := range v2 {
		list = append(list, endpoint{i.address(), "myweb-v2", "v2"})
	}
	return list
}

// services writes the ServiceEntries into the watched folder.
func (w *world) services(t *testing.T, retry, sniffer, web []endpoint) {
	t.Helper()
	w.service(t, "retry-service", retry)
	w.service(t, "sniffer", sniffer)
	w.service(t, "myweb-service", web)
}

func (w *world) service(t *testing.T, name string, endpoints []endpoint) {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %[1]s}
spec:
  hosts: [%[1]s.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints:
`, name)
	for _, e := range endpoints {
		host, port, _ := net.SplitHostPort(e.address)
		fmt.Fprintf(&text, "  - {address: %s, ports: {http: %s}, labels: {app: %s, version: %s, service.istio.io/workload-name: %s}}\n",
			host, port, name, e.version, e.workload)
	}
	path := filepath.Join(w.dir, "config", name+".yaml")
	if err := os.WriteFile(path+".new", []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func (w *world) sidecar(t *testing.T, app, version string, n int, more ...string) {
	t.Helper()
	name := fmt.Sprintf("%s-%d", app, n)
	args := []string{
		"--node-id", "sidecar~" + name, "--workload", app, "--app-name", app, "--version", version, "--namespace", "default",
		"--server", w.grpc, "--collector", w.otlp, "--admin", "off", "--metrics", freeAddress(t), "--health", "off", "--drain-time", "200ms",
	}
	start(t, w, "sidelight-proxy", append(args, more...)...)
}

// start runs a program until the test ends. What it said is shown when the test
// failed.
func start(t *testing.T, w *world, program string, args ...string) {
	t.Helper()
	var said bytes.Buffer
	var mu sync.Mutex
	cmd := exec.Command(filepath.Join(w.bin, program), args...)
	cmd.Stdout, cmd.Stderr = lockedWriter{&mu, &said}, lockedWriter{&mu, &said}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		if t.Failed() {
			mu.Lock()
			defer mu.Unlock()
			lines := strings.Split(said.String(), "\n")
			t.Logf("%s %s said:\n%s", program, strings.Join(args[:min(2, len(args))], " "), strings.Join(lines[max(0, len(lines)-15):], "\n"))
		}
	})
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// given are the addresses that freeAddress gave: whoever got one may not have
// bound it yet.
var given sync.Map

// freeAddress finds a port below those that the kernel takes for outgoing
// connections: one that is free now is still free when its process binds it.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(10000)))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			if _, before := given.LoadOrStore(address, true); !before {
				return address
			}
		}
	}
	t.Fatal("no free port between 20000 and 30000")
	return ""
}

// get asks the API and decodes the answer.
func (w *world) get(t *testing.T, path string, query url.Values, into any) {
	t.Helper()
	res, err := w.client.Get("http://" + w.api + path + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d %s %v", path, res.StatusCode, body, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
}

// ask asks the API for something that may not be there yet.
func (w *world) ask(t *testing.T, path string) (status int, body string) {
	t.Helper()
	res, err := w.client.Get("http://" + w.api + path)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(text)
}

// cli runs the command line against the server.
func (w *world) cli(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // cleanups call it, too
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, "sidelight"), append(args, "--address", "http://"+w.api)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("sidelight %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// synced waits until so many sidecars run what is desired since a revision.
func (w *world) synced(t *testing.T, nodes int, revision uint64) {
	t.Helper()
	nodes += w.more
	eventually(t, "all sidecars run the desired configuration", 30*time.Second, func() (bool, string) {
		res, err := w.client.Get("http://" + w.api + "/api/v1/nodes")
		if err != nil {
			return false, err.Error()
		}
		defer res.Body.Close()
		var view struct {
			Desired *struct{ Number uint64 }
			Summary struct{ Nodes, Synced int }
		}
		if err := json.NewDecoder(res.Body).Decode(&view); err != nil {
			return false, err.Error()
		}
		ok := view.Desired != nil && view.Desired.Number >= revision && view.Summary.Nodes == nodes && view.Summary.Synced == nodes
		return ok, fmt.Sprintf("%+v", view.Summary)
	})
}

// revision gives the number of the newest revision.
func (w *world) revision(t *testing.T) uint64 {
	t.Helper()
	var answer struct{ Revisions []struct{ Number uint64 } }
	w.get(t, "/api/v1/config/revisions", url.Values{"limit": {"1"}}, &answer)
	if len(answer.Revisions) == 0 {
		return 0
	}
	return answer.Revisions[0].Number
}

// apply applies a scenario's file as it is, and takes its objects away when the
// scenario ends.
func (w *world) apply(t *testing.T, file string) {
	t.Helper()
	w.applyFile(t, filepath.Join("testdata", file))
}

// applyText does the same with objects that stand in the test.
func (w *world) applyText(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "objects.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.applyFile(t, file)
}

func (w *world) applyFile(t *testing.T, file string) {
	t.Helper()
	said := w.cli(t, "config", "apply", "-f", file)
	w.synced(t, 5, w.revision(t))
	t.Cleanup(func() {
		for line := range strings.Lines(said) {
			if words := strings.Fields(line); len(words) == 3 && words[0] == "added" {
				w.cli(t, "config", "delete", words[1], words[2])
			}
		}
		w.synced(t, 5, w.revision(t))
		for _, i := range slices.Concat(w.retry, w.v1, w.v2, []*instance{w.sniffer}) {
			i.forget()
		}
	})
}

// answer is what the caller got.
type answer struct {
	status int
	body   string
	header http.Header
	took   time.Duration
	trace  string
}

// call sends a request through the caller's sidecar.
func (w *world) call(t *testing.T, host, path string, header ...string) answer {
	t.Helper()
	return w.send(t, http.MethodGet, host, path, header...)
}

func (w *world) send(t *testing.T, method, host, path string, header ...string) answer {
	t.Helper()
	return w.sendTo(t, w.outbound, method, host, path, header...)
}

func (w *world) sendTo(t *testing.T, address, method, host, path string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	trace := fmt.Sprintf("%032x", time.Now().UnixNano())
	req.Header.Set("traceparent", "00-"+trace+"-00000000000000aa-01")
	begin := time.Now()
	res, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, strings.TrimSpace(string(body)), res.Header, time.Since(begin), trace}
}

// metric sums the newest values of a query.
func (w *world) metric(t *testing.T, query string) float64 {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	w.get(t, "/prometheus/api/v1/query", url.Values{"query": {query}}, &answer)
	sum := 0.0
	for _, r := range answer.Data.Result {
		v, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	return sum
}

// edge is an edge of the graph, as far as the scenarios look.
type edge struct {
	Source, Target string
	RPS            float64 `json:"rps"`
	Flags          map[string]float64
	AnsweredBy     struct{ Upstream, Proxy float64 } `json:"answered_by"`
	Attempts       float64                           `json:"attempts_per_request"`
	Mirrored       bool
}

// edge finds an edge by the names at its ends; false when there is none.
func (w *world) edge(t *testing.T, source, target string) (edge, bool) {
	t.Helper()
	var view struct{ Edges []edge }
	w.get(t, "/api/v1/graph", url.Values{"window": {"30s"}}, &view)
	for _, e := range view.Edges {
		if strings.HasSuffix(e.Source, source) && strings.HasSuffix(e.Target, target) {
			return e, true
		}
	}
	return edge{}, false
}

// tapped is a tap event, as far as the scenarios look.
type tapped struct {
	Direction  string
	Authority  string
	Status     int
	Flags      string
	AnsweredBy string `json:"answered_by"`
	Attempts   []struct {
		Status     int
		DurationMS float64 `json:"duration_ms"`
	}
	TraceID string `json:"trace_id"`
	TLS     string
	Object  string
	Route   string
}

// tap listens to the caller's requests while f runs, and for as long as it
// takes until enough have come.
func (w *world) tap(t *testing.T, want int, f func()) []tapped {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, "sidelight"), "tap", "default/caller", "--where", `direction = "outbound"`, "-o", "json",
		"--limit", "1000", "--count", strconv.Itoa(want), "--address", "http://"+w.api)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // until the session has reached the sidecars, on a slow machine, too
	f()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("tap: %v\n%s", err, said.String())
	}
	var events []tapped
	for decoder := json.NewDecoder(&out); decoder.More(); {
		var e tapped
		if err := decoder.Decode(&e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// eventually waits until ok, and says what it saw last when it never was.
func eventually(t *testing.T, what string, within time.Duration, ok func() (bool, string)) {
	t.Helper()
	last := ""
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		good, saw := ok()
		if good {
			return
		}
		last = saw
	}
	t.Fatalf("never: %s; last seen: %s", what, last)
}
