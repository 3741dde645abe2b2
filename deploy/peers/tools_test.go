package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// echo answers with what it got.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("X-Proto", r.Proto)
	w.Header().Set("X-Method", r.Method)
	if r.URL.Path == "/trailers" {
		w.Header().Set("Trailer", "X-Sum")
		defer w.Header().Set("X-Sum", strconv.Itoa(len(body)))
	}
	if len(body) == 0 {
		body = []byte("hello")
	}
	_, _ = w.Write(body)
}

// output of a program of others, which must end well.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: run deploy/install-for-tests", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestCurl(t *testing.T) {
	client, _ := chain(t, serveHTTP(t, http.HandlerFunc(echo)), false)
	url := "http://" + client.address
	big := filepath.Join(t.TempDir(), "big")
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB, above what is kept for retries
	if err := os.WriteFile(big, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want []string
	}{
		"HTTP/1.1":              {nil, []string{"HTTP/1.1 200", "hello"}},
		"HTTP/1.0":              {[]string{"--http1.0"}, []string{"200 OK", "hello"}},
		"HTTP/2":                {[]string{"--http2-prior-knowledge"}, []string{"HTTP/2 200", "x-proto: HTTP/1.1", "hello"}},
		"HEAD":                  {[]string{"--head"}, []string{"HTTP/1.1 200", "X-Method: HEAD"}},
		"POST":                  {[]string{"-d", "name=value"}, []string{"X-Method: POST", "name=value"}},
		"expect":                {[]string{"-H", "Expect: 100-continue", "-d", "name=value"}, []string{"name=value"}},
		"chunked":               {[]string{"-H", "Transfer-Encoding: chunked", "-d", "name=value"}, []string{"name=value"}},
		"trailers":              {[]string{"--path-as-is", url + "/trailers", "-H", "TE: trailers", "-d", "four"}, []string{"X-Sum: 4"}},
		"HTTP/2, trailers":      {[]string{"--http2-prior-knowledge", url + "/trailers", "-d", "four"}, []string{"x-sum: 4"}},
		"two on one connection": {[]string{url}, []string{"hello"}},
	} {
		args := append([]string{"-sS", "-i", "--max-time", "60"}, tt.args...)
		if !slices.ContainsFunc(tt.args, func(a string) bool { return strings.HasPrefix(a, url) }) || name == "two on one connection" {
			args = append(args, url)
		}
		out := tool(t, "curl", args...)
		for _, want := range tt.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", name, want, last(out, 1000))
			}
		}
	}
	for _, proto := range []string{"--http1.1", "--http2-prior-knowledge"} {
		back := filepath.Join(t.TempDir(), "back")
		tool(t, "curl", "-sS", proto, "--max-time", "60", "--data-binary", "@"+big, "-o", back, url)
		if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes of %d came back: %v", proto, len(got), len(content), err)
		}
	}
	if code := tool(t, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--proxy", url, "http://app.shop/"); code != "200" {
		t.Errorf("as a proxy for HTTP: %s", code)
	}
}

// wrk and h2load press; nobody loses a request, and all count the same.
func TestLoadGenerators(t *testing.T) {
	client, server := chain(t, serveHTTP(t, http.HandlerFunc(echo)), false)
	out := tool(t, "wrk", "-t2", "-c32", "-d2s", "--timeout", "30s", "http://"+client.address)
	if strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") {
		t.Errorf("wrk:\n%s", out)
	}
	requests := number(t, out, `(\d+) requests in`)
	seen := settled(t, client)
	// At its end wrk leaves what is under way: at most one a connection.
	if n := client.total(t, mesh.MetricRequests); n < requests || n > requests+32 {
		t.Errorf("the sidecar counted %v requests, wrk %v", n, requests)
	}
	const n = 3000
	out = tool(t, "h2load", "-n", strconv.Itoa(n), "-c10", "-m20", "http://"+client.address)
	if !strings.Contains(out, fmt.Sprintf("%d done, %d succeeded, 0 failed, 0 errored, 0 timeout", n, n)) {
		t.Errorf("h2load:\n%s", out)
	}
	if got := settled(t, client) - seen; got != n {
		t.Errorf("the client's sidecar counted %v requests, h2load %d", got, n)
	}
	if a, b := client.total(t, mesh.MetricRequests, mesh.LabelCode, "200"), server.total(t, mesh.MetricRequests, mesh.LabelCode, "200"); b < a || b > a+32 {
		t.Errorf("the client's sidecar counted %v, the server's %v", a, b)
	}
	if n := client.total(t, mesh.MetricUpstreamConnections); n > 400 {
		t.Errorf("%v connections were opened: keep-alive does not work", n)
	}
}

// settled gives the number of requests once it changes no more.
func settled(t *testing.T, s *sidecar) float64 {
	t.Helper()
	before := -1.0
	eventually(t, "the end of all requests", func() error {
		now := s.total(t, mesh.MetricRequests)
		same := now == before
		before = now
		time.Sleep(100 * time.Millisecond)
		if !same {
			return errors.New("still counting")
		}
		return nil
	})
	return before
}

func number(t *testing.T, text, pattern string) float64 {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in\n%s", pattern, text)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWebSocket(t *testing.T) {
	upgrader := websocket.Upgrader{EnableCompression: true}
	client, server := chain(t, serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, m, err := c.ReadMessage()
			if err != nil {
				return
			}
			if err := c.WriteMessage(kind, m); err != nil {
				return
			}
		}
	})), false)
	dialer := websocket.Dialer{EnableCompression: true, Subprotocols: []string{"chat"}, HandshakeTimeout: patience}
	c, res, err := dialer.Dial("ws://"+client.address+"/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("status %d", res.StatusCode)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for _, size := range []int{0, 1, 125, 126, 70_000, 3 << 20} {
		sent := bytes.Repeat([]byte("ab"), size/2)
		if err := c.WriteMessage(websocket.BinaryMessage, sent); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if _, got, err := c.ReadMessage(); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes: %d came back, %v", len(sent), len(got), err)
		}
	}
	ponged := make(chan string, 1)
	c.SetPongHandler(func(text string) error {
		ponged <- text
		return errors.New("enough")
	})
	if err := c.WriteControl(websocket.PingMessage, []byte("still there?"), time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.ReadMessage(); err == nil || <-ponged != "still there?" {
		t.Errorf("ping: %v", err)
	}
	c.Close()
	for _, s := range []*sidecar{client, server} {
		eventually(t, "the connection's end in the metrics of "+s.Args[len(s.Args)-1], func() error {
			if n := s.total(t, mesh.MetricRequests, mesh.LabelCode, "101"); n != 1 {
				return fmt.Errorf("%v upgrades", n)
			}
			return nil
		})
	}
}

// Prometheus scrapes a sidecar, with exemplars and native histograms.
func TestPrometheus(t *testing.T) {
	client, _ := chain(t, serveHTTP(t, http.HandlerFunc(echo)), false)
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: sidecars\n  static_configs: [{targets: [\"" + client.metrics + "\"]}]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatalf("%v: run deploy/install-for-tests", err)
	}
	api := freeAddress(t)
	// In this version, native histograms are scraped by protobuf, which has no
	// exemplars then; OpenMetrics, which it asks for otherwise, has them.
	launch(t, path, "--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "data"),
		"--web.listen-address", api, "--enable-feature=exemplar-storage", "--log.level=warn")
	trace := fmt.Sprintf("%032x", 77)
	for range 5 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+client.address, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Traceparent", "00-"+trace+"-00000000000000aa-01")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	query := func(path string, values url.Values, out any) error {
		text, err := fetch("http://" + api + path + "?" + values.Encode())
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), out)
	}
	eventually(t, "the requests in Prometheus", func() error {
		var got struct {
			Data struct{ Result []struct{ Value [2]any } }
		}
		err := query("/api/v1/query", url.Values{"query": {`sum(istio_requests_total{reporter="source",response_code="200"})`}}, &got)
		if err == nil && (len(got.Data.Result) != 1 || got.Data.Result[0].Value[1] != "5") {
			err = fmt.Errorf("%v", got)
		}
		return err
	})
	eventually(t, "the exemplar in Prometheus", func() error {
		var got struct {
			Data []struct {
				Exemplars []struct{ Labels map[string]string }
			}
		}
		err := query("/api/v1/query_exemplars", url.Values{
			"query": {"istio_request_duration_milliseconds_bucket"},
			"start": {time.Now().Add(-time.Hour).Format(time.RFC3339)}, "end": {time.Now().Add(time.Hour).Format(time.RFC3339)},
		}, &got)
		if err == nil && (len(got.Data) == 0 || got.Data[0].Exemplars[0].Labels["trace_id"] != trace) {
			err = fmt.Errorf("%v", got)
		}
		return err
	})
	var targets struct {
		Data struct {
			ActiveTargets []struct{ Health, LastError string }
		}
	}
	if err := query("/api/v1/targets", nil, &targets); err != nil || len(targets.Data.ActiveTargets) != 1 || targets.Data.ActiveTargets[0].Health != "up" {
		t.Errorf("targets %+v, %v", targets, err)
	}
}
