package forward_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// An answer that says how long it is may still be slow: its head, and each piece
// that is less than a buffer, must not wait for the next.
func TestSlowAnswerOfKnownLength(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			next := make(chan string)
			e := rawBackend(t, func(c net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
					return
				}
				for piece := range next {
					io.WriteString(c, piece)
				}
			})
			s := newSidecar(t, tickets, listen.Outbound)
			s.simple(route.Forward{}, e)
			transport := s.client.Transport.(*http.Transport)
			if proto == "HTTP/2.0" {
				transport.Protocols = new(http.Protocols)
				transport.Protocols.SetUnencryptedHTTP2(true)
			}
			head := make(chan *http.Response, 1)
			go func() {
				res, err := transport.RoundTrip(s.request("GET", "/", nil))
				if err != nil {
					t.Error(err)
				}
				head <- res
			}()
			next <- "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"
			var res *http.Response
			select {
			case res = <-head:
			case <-time.After(5 * time.Second):
				t.Error("the head does not come before the body")
				next <- "12345678"
				res = <-head
			}
			defer res.Body.Close()
			if res.Proto != proto || res.ContentLength != 8 {
				t.Fatalf("%s, length %d", res.Proto, res.ContentLength)
			}
			for _, piece := range []string{"12", "3456", "78"} {
				next <- piece
				got := make([]byte, len(piece))
				if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != piece {
					t.Fatalf("got %q, %v", got, err)
				}
			}
			close(next)
			if x := s.seen.next(t); x.Status != 200 || x.Flags != 0 {
				t.Errorf("%d %s", x.Status, x.Flags)
			}
		})
	}
}

// A client that takes nothing must not keep the others from what is theirs.
func TestSlowAnswersOfManyClients(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	e := backend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "1")
		http.NewResponseController(w).Flush()
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	})
	s := newSidecar(t, tickets, listen.Outbound, nothingSeen)
	s.simple(route.Forward{}, e)
	answers := make(chan *http.Response)
	for range 50 {
		go func() {
			res, err := s.client.Do(s.request("GET", "/", nil))
			if err == nil {
				_, err = io.ReadFull(res.Body, make([]byte, 1))
			}
			if err != nil {
				t.Error(err)
			}
			answers <- res
		}()
	}
	for range 50 {
		select {
		case res := <-answers:
			defer res.Body.Close()
		case <-time.After(10 * time.Second):
			t.Fatal("an answer does not come")
		}
	}
}

// A stream that is cut before its first piece is a cut answer, not none: its head
// comes, and its end does not.
func TestStreamCutAtItsHead(t *testing.T) {
	e := rawBackend(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		}
	})
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, e)
	res, err := s.client.Do(s.request("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); err == nil || res.StatusCode != 200 {
		t.Errorf("%d, and the body ends as if it were whole", res.StatusCode)
	}
	if x := s.seen.next(t); x.Flags != forward.FlagUC || x.Status != 200 {
		t.Errorf("%d %s", x.Status, x.Flags)
	}
}

// An answer that comes whole, with trailers, gets no length on its way: clients
// that know where the body ends do not wait for what is behind it.
func TestTrailersBehindAShortAnswer(t *testing.T) {
	e := rawBackend(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nfour\r\n0\r\nX-Sum: 4\r\n\r\n")
		}
	})
	for _, h2 := range []bool{false, true} {
		s := newSidecar(t, tickets, listen.Outbound)
		s.simple(route.Forward{}, e)
		if h2 {
			transport := s.client.Transport.(*http.Transport)
			transport.Protocols = new(http.Protocols)
			transport.Protocols.SetUnencryptedHTTP2(true)
		}
		a := s.get("/")
		if a.body != "four" || a.Trailer.Get("X-Sum") != "4" || a.ContentLength != -1 {
			t.Errorf("%s: %q, trailers %v, length %d", a.Proto, a.body, a.Trailer, a.ContentLength)
		}
	}
}
