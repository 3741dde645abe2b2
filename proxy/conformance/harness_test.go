package conformance

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a peer may take before it counts as silent. Only cases
// where silence is the outcome wait that long.
const patience = 400 * time.Millisecond

// settle is how long after the last expected answer another one is waited for.
const settle = 20 * time.Millisecond

// sidecar forwards everything for any host to one address, without retries.
func sidecar(t *testing.T, upstream string, http2 bool) (address string) {
	t.Helper()
	engine, err := forward.NewEngine(forward.Options{
		Workload: mesh.Workload{Namespace: "cinema", Name: "web", App: "web"}, NodeID: "web-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	table, err := route.New(route.Config{Name: "all", VirtualHosts: []route.VirtualHost{{
		Name: "all", Domains: []string{"*"},
		Routes: []route.Route{{Name: "all", Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "all"}}}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	err = engine.Apply(forward.Snapshot{Routes: []*route.Table{table}, Clusters: []cluster.Config{
		{Name: "all", HTTP2: http2, Endpoints: []cluster.Endpoint{{Address: upstream}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	sockets := listen.NewSet(listen.Options{Engines: listen.Engines{HTTP: engine.Serve, Refused: engine.Refused}})
	if address, err = sockets.Reserve("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	// Inbound: the suite is about messages, and outbound adds what sidecars tell
	// each other.
	err = sockets.Apply([]listen.Config{{Name: "test", Address: address, Direction: listen.Inbound, RouteName: "all"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		sockets.Drain(ctx)
		engine.Close()
	})
	return address
}

// message is a request or an answer as somebody understood it.
type message struct {
	Line    string // "GET /a?b HTTP/1.1", or "200"
	Host    string
	Header  map[string][]string
	Body    string
	Trailer map[string][]string
	Broken  bool // the body did not end as it should; answers only
}

// Headers that each hop has for itself, that net/http adds, or that a proxy
// says of itself.
var perHop = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade", "Trailer", "Content-Length", "Date",
	"Accept-Encoding", "X-Request-Id", "Traceparent", "X-Envoy-Attempt-Count", "X-Envoy-Upstream-Service-Time", "X-Forwarded-Proto",
	"X-Envoy-Expected-Rq-Timeout-Ms", "Proxy-Status", "X-Forwarded-For", "User-Agent", "Tracestate",
}

func endToEnd(h http.Header) map[string][]string {
	out := maps.Clone(map[string][]string(h))
	for _, name := range perHop {
		delete(out, name)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// backend is a net/http server that writes down what it understands, and the
// very bytes that reached it.
type backend struct {
	address string
	mu      sync.Mutex
	got     []message
	fresh   []*teeConn // that brought bytes since the last take
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.address = ln.Addr().String()
	s := &http.Server{
		Handler: b, DisableGeneralOptionsHandler: true, ReadHeaderTimeout: time.Minute,
		MaxHeaderBytes: 60<<10 - 4<<10, // the sidecar's own limit
		ErrorLog:       nil,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(tee{ln, b})
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	return b
}

// ServeHTTP answers with the request's number on its server and its path, so
// that answers can be told apart.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := message{Line: r.Method + " " + r.RequestURI, Host: r.Host}
	if r.URL.IsAbs() { // a proxy sends the origin form
		m.Line = r.Method + " " + r.URL.RequestURI()
	}
	body, err := io.ReadAll(r.Body)
	m.Header, m.Body, m.Broken = endToEnd(r.Header), string(body), err != nil
	m.Trailer = endToEnd(r.Trailer)
	if m.Broken { // whether and when half a request is passed on is nobody's right
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	b.got = append(b.got, m)
	b.mu.Unlock()
	w.Header().Set("X-Path", r.URL.Path)
	_, _ = fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
}

// take gives what arrived since the last call, and of each connection that had
// a part in it all that ever came by it: the end of a request that was cut off
// may come late.
func (b *backend) take() (got []message, raw []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	got = b.got
	for _, c := range b.fresh {
		raw = append(raw, c.raw.String())
		c.fresh = false
	}
	b.got, b.fresh = nil, nil
	return got, raw
}

// tee writes down what its connections read.
type tee struct {
	net.Listener
	b *backend
}

func (t tee) Accept() (net.Conn, error) {
	c, err := t.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &teeConn{Conn: c, b: t.b}, nil
}

type teeConn struct {
	net.Conn
	b     *backend
	raw   bytes.Buffer
	fresh bool
}

func (c *teeConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	c.raw.Write(p[:n])
	if n > 0 && !c.fresh {
		c.fresh, c.b.fresh = true, append(c.b.fresh, c)
	}
	return n, err
}

// talk sends bytes as they are and gives the answers that come back, and
// whether the connection was closed by the peer.
func talk(t *testing.T, address string, methods []string, bytesOut string, halfClose bool) (answers []message, closed bool) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		_, _ = io.WriteString(c, bytesOut)
		if halfClose {
			_ = c.(*net.TCPConn).CloseWrite()
		}
	}()
	r := bufio.NewReader(c)
	wait := patience
	for i := 0; ; i++ {
		_ = c.SetReadDeadline(time.Now().Add(wait))
		method := http.MethodGet
		if i < len(methods) {
			method = methods[i]
		}
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			var ne net.Error
			return answers, !errors.As(err, &ne) || !ne.Timeout()
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		m := message{Line: fmt.Sprint(res.StatusCode), Header: endToEnd(res.Header), Body: string(body), Broken: err != nil}
		if res.StatusCode >= 400 {
			m.Body, m.Header, m.Broken = "", nil, false // each words it in its own way
		}
		answers = append(answers, m)
		if slices.Equal(res.Header["X-Path"], []string{canaryPath}) {
			wait = settle // there should be nothing more
		}
	}
}

// wantStrict wants nothing of that in what came by each connection.
func wantStrict(t *testing.T, raw []string) {
	t.Helper()
	for _, bytes := range raw {
		for _, problem := range strict(bytes) {
			t.Errorf("upstream got %s", problem)
		}
	}
}

// strict finds what a careful server could read in two ways, in bytes that the
// sidecar sent.
func strict(raw string) (problems []string) {
	for len(raw) > 0 {
		head, rest, ok := strings.Cut(raw, "\r\n\r\n")
		if !ok {
			return append(problems, fmt.Sprintf("a head without an end: %q", raw))
		}
		var lengths, hosts, codings int
		length := 0
		chunked := false
		for i, line := range strings.Split(head, "\r\n") {
			if strings.ContainsAny(line, "\r\n\x00") {
				problems = append(problems, fmt.Sprintf("a control character in %q", line))
			}
			if i == 0 {
				continue
			}
			name, value, ok := strings.Cut(line, ":")
			if !ok || name == "" || strings.TrimSpace(name) != name {
				problems = append(problems, fmt.Sprintf("no header: %q", line))
			}
			switch strings.ToLower(name) {
			case "host":
				hosts++
			case "content-length":
				lengths++
				if _, err := fmt.Sscanf(value, "%d", &length); err != nil {
					problems = append(problems, fmt.Sprintf("content-length %q", value))
				}
			case "transfer-encoding":
				codings++
				chunked = strings.TrimSpace(value) == "chunked"
				if !chunked {
					problems = append(problems, fmt.Sprintf("transfer-encoding %q", value))
				}
			}
		}
		if hosts != 1 || lengths > 1 || codings > 1 || lengths+codings > 1 {
			problems = append(problems, fmt.Sprintf("%d hosts, %d lengths, %d codings in %q", hosts, lengths, codings, head))
		}
		switch {
		case chunked:
			_, after, ok := strings.Cut("\r\n"+rest, "\r\n0\r\n")
			if !ok {
				return problems // cut off: its sender went away
			}
			_, raw, _ = strings.Cut("\r\n"+after, "\r\n\r\n")
		case length > len(rest):
			return problems
		default:
			raw = rest[length:]
		}
	}
	return problems
}
