package forward_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// A kept-alive connection to an endpoint that goes is closed when its request
// has ended, and not before; one to an endpoint that stays, or comes back, is
// kept.
func TestConnectionsOfEndpointsThatGo(t *testing.T) {
	asked, release, closed := make(chan struct{}), make(chan struct{}), make(chan struct{}, 10)
	goes := rawBackend(t, func(c net.Conn) {
		defer func() { closed <- struct{}{} }()
		for r := bufio.NewReader(c); ; {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if req.URL.Path == "/slow" {
				close(asked)
				<-release
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	stays := backend(t, answering(200))
	s := newSidecar(t, tickets, listen.Outbound, nothingSeen)
	both := func() { s.simple(route.Forward{}, goes, stays) }
	both()
	for range 2 { // in turns: one to each
		s.get("/")
	}

	s.simple(route.Forward{}, stays)
	both()
	select {
	case <-closed:
		t.Fatal("a connection was closed to an endpoint that came back at once")
	case <-time.After(1500 * time.Millisecond):
	}

	s.simple(route.Forward{}, goes)
	slow := make(chan answer, 1)
	go func() { slow <- s.get("/slow") }()
	<-asked
	s.simple(route.Forward{}, stays)
	select {
	case <-closed:
		t.Fatal("a connection was closed under its request")
	case <-time.After(1500 * time.Millisecond):
	}
	close(release)
	if a := <-slow; a.StatusCode != 200 || a.body != "ok" {
		t.Errorf("got %d %q", a.StatusCode, a.body)
	}
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the connection stays open to an endpoint that has gone")
	}
}

// An endpoint that sends more than was asked for does not answer the next
// request with it.
func TestUnaskedAnswers(t *testing.T) {
	const asked, unasked = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"
	up := rawBackend(t, func(c net.Conn) {
		for r := bufio.NewReader(c); ; {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			io.WriteString(c, asked+unasked)
		}
	})
	s := newSidecar(t, tickets, listen.Outbound, nothingSeen)
	s.simple(route.Forward{}, up)
	var wg sync.WaitGroup
	var refused atomic.Int64
	for range 16 {
		wg.Go(func() {
			for range 200 {
				switch a := s.get("/"); {
				case a.StatusCode == 502:
					refused.Add(1)
				case a.body != "ok":
					t.Errorf("got %d %q", a.StatusCode, a.body)
					return
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d of 3200 met the answer that was left over", refused.Load())
}

// An answer without a body gives its connection back before anybody is told of
// it: whoever gets that connection next has nothing to do with this answer.
func TestKeptConnections(t *testing.T) {
	up := rawBackend(t, func(c net.Conn) {
		for r := bufio.NewReader(c); ; {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	})
	s := newSidecar(t, tickets, listen.Outbound, nothingSeen)
	s.simple(route.Forward{}, up)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 400 {
				if a := s.get("/"); a.StatusCode != http.StatusNoContent {
					t.Errorf("got %d %q", a.StatusCode, a.body)
					return
				}
			}
		})
	}
	wg.Wait()
}
