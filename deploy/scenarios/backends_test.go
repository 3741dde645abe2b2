package scenarios

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// request is one request as an instance saw it.
type request struct {
	at   time.Time
	host string
	ok   bool
}

// instance is one instance of a service, with its own log.
type instance struct {
	server *httptest.Server
	mu     sync.Mutex
	log    []*request
}

func newInstance(t *testing.T, serve func(http.ResponseWriter, *http.Request) bool) *instance {
	i := &instance{}
	i.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &request{at: time.Now(), host: r.Host}
		i.mu.Lock()
		i.log = append(i.log, seen) // as it comes: some take long, or are given up
		i.mu.Unlock()
		ok := serve(w, r)
		i.mu.Lock()
		seen.ok = ok
		i.mu.Unlock()
	}))
	t.Cleanup(func() {
		i.server.CloseClientConnections()
		i.server.Close()
	})
	return i
}

func (i *instance) address() string { return i.server.Listener.Addr().String() }

func (i *instance) requests() []request {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := make([]request, len(i.log))
	for n, r := range i.log {
		out[n] = *r
	}
	return out
}

func (i *instance) forget() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.log = nil
}

// retryService fails with the probability that the query names: at once with
// 503 (busy), or by a stall of two seconds and then a broken connection (crash).
func retryService(w http.ResponseWriter, r *http.Request) bool {
	rate, _ := strconv.Atoi(r.URL.Query().Get("failRate"))
	if rand.IntN(100) >= rate {
		fmt.Fprintln(w, "done")
		return true
	}
	if r.URL.Query().Get("mode") != "crash" {
		w.WriteHeader(http.StatusServiceUnavailable)
		return false
	}
	time.Sleep(2 * time.Second)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset, as of a process that died
	}
	_ = conn.Close()
	return false
}

func webService(version, id string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprintf(w, "Version %s: server id %s\n", version, id)
		return true
	}
}

func sniffer(delay func() time.Duration) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		time.Sleep(delay())
		w.WriteHeader(http.StatusTeapot)
		return true
	}
}

// total counts the requests of some instances.
func total(list []*instance) int {
	n := 0
	for _, i := range list {
		n += len(i.requests())
	}
	return n
}
