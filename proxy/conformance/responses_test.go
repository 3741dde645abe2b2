package conformance

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// response is what a server sends, byte by byte, to one request.
type response struct {
	name   string
	bytes  string
	method string // of the request; default GET
	stays  bool   // the server keeps the connection open afterwards
	more   bool   // more is sent than was asked for
	// differs says why the sidecar rightly does something else than net/http's
	// client, and wants is the status that its client then gets.
	differs string
	wants   int
}

func responses() []response {
	var all []response
	add := func(name, bytes string, more ...func(*response)) {
		r := response{name: name, bytes: bytes, method: http.MethodGet}
		for _, f := range more {
			f(&r)
		}
		all = append(all, r)
	}
	head := func(r *response) { r.method = http.MethodHead }
	stays := func(r *response) { r.stays = true }
	more := func(r *response) { r.more = true }
	gateway := func(why string) func(*response) {
		return func(r *response) { r.differs, r.wants = why, http.StatusBadGateway }
	}
	ok := func(headers ...string) string { return lines(append([]string{"HTTP/1.1 200 OK"}, headers...)...) }
	const five, chunks = "hello", "5\r\nhello\r\n0\r\n\r\n"
	cl, te := "Content-Length: 5", "Transfer-Encoding: chunked"

	add("length", ok(cl)+five, stays)
	add("chunked", ok(te)+chunks, stays)
	add("until the end", ok()+five)
	add("1.0", "HTTP/1.0 200 OK\r\n\r\nhello")
	add("1.0 chunked", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks)
	add("length and chunked", ok(cl, te)+chunks, stays)
	add("chunked and a wrong length", ok(te, "Content-Length: 3")+chunks, stays)
	add("two equal lengths", ok(cl, cl)+five, stays)
	add("two lengths", ok(cl, "Content-Length: 6")+five+"!")
	for _, v := range []string{"-5", "+5", "0x5", "5, 5", "5, 6", "five", "", "99999999999999999999"} {
		add(fmt.Sprintf("length %q", v), ok("Content-Length: "+v)+five)
	}
	for _, v := range []string{"gzip", "gzip, chunked", "chunked, gzip", "identity", "Chunked", "xchunked", "chunked, chunked", ""} {
		add(fmt.Sprintf("coding %q", v), ok("Transfer-Encoding: "+v)+chunks)
	}
	add("two codings", ok(te, te)+chunks)
	add("more than the length", ok(cl)+"helloEXTRA", more)
	add("less than the length", ok("Content-Length: 50")+five)
	add("a chunk cut short", ok(te)+"5\r\nhel")
	add("no last chunk", ok(te)+"5\r\nhello\r\n")
	add("a broken chunk", ok(te)+"5\r\nhello\r\nxyz\r\n")
	add("an announced trailer", ok(te, "Trailer: X-T")+"5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", stays)
	add("a trailer that nobody announced", ok(te)+"5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", stays)

	add("204", "HTTP/1.1 204 No Content\r\n\r\n", stays)
	add("204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", more)
	add("304", "HTTP/1.1 304 Not Modified\r\nEtag: x\r\n\r\n", stays)
	add("304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", stays)
	add("205", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", stays)
	add("HEAD with a length", ok(cl), head, stays)
	add("HEAD chunked", ok(te), head, stays)
	add("HEAD with a body", ok(cl)+five, head, more)
	for _, status := range []string{"301", "404", "418", "500", "503", "599", "600", "999"} {
		add("status "+status, "HTTP/1.1 "+status+" Words\r\n"+cl+"\r\n\r\n"+five, stays)
	}
	add("no reason", "HTTP/1.1 200\r\n"+cl+"\r\n\r\n"+five, stays)
	add("an empty reason", "HTTP/1.1 200 \r\n"+cl+"\r\n\r\n"+five, stays)
	add("a sign before the status", "HTTP/1.1 +20 OK\r\n"+cl+"\r\n\r\n"+five, gateway("that is no status"))
	for _, line := range []string{"HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 abc OK", "HTTP/1.1", "HTTP/2 200 OK", "HTTP/9.9 200 OK", "ICY 200 OK", "200 OK", "", "HTTP/1.1 -20 OK"} {
		add(fmt.Sprintf("status line %q", line), line+"\r\n"+cl+"\r\n\r\n"+five)
	}
	add("nothing", "")
	add("half a head", "HTTP/1.1 200 OK\r\nX-A: ")
	add("garbage", "\x00\x01\x02\x03\r\n\r\n")
	add("a second answer behind", ok(cl)+five+ok(cl)+"other", more)
	add("an answer before the request's end", ok(cl)+five, stays)

	add("103 before", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+ok(cl)+five, stays)
	add("100 before", "HTTP/1.1 100 Continue\r\n\r\n"+ok(cl)+five, stays)
	add("five interim answers", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 5)+ok(cl)+five, stays)
	add("endless interim answers", strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("y", 900)+"\r\n\r\n", 400)+ok(cl)+five)
	add("only an interim answer", "HTTP/1.1 103 Early Hints\r\n\r\n")
	add("101 that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nraw",
		gateway("an upgrade that the client did not ask for is no answer"))

	add("folded", ok("X-A: 1\r\n 2", cl)+five, stays)
	add("no colon", ok("X-A", cl)+five)
	dropped := func(r *response) { r.differs, r.wants = "what is no header is not passed on", http.StatusOK }
	add("a space in the name", ok("X A: 1", cl)+five, dropped)
	add("a space before the colon", ok("X-A : 1", cl)+five, dropped)
	add("NUL in the value", ok("X-A: a\x00b", cl)+five)
	add("bytes above 127", ok("X-A: \xc3\xa9", cl)+five, stays)
	add("several values", ok("Set-Cookie: a=1", "Set-Cookie: b=2", cl)+five, stays)
	add("LF line ends", "HTTP/1.1 200 OK\n"+cl+"\n\n"+five, stays)
	add("hop by hop", ok("Keep-Alive: timeout=5", "Proxy-Authenticate: x", cl)+five, stays,
		func(r *response) { r.differs, r.wants = "both belong to one hop only", http.StatusOK })
	add("close", ok("Connection: close", cl)+five)
	add("a head above the limit", ok("X-A: "+strings.Repeat("a", 80<<10), cl)+five)
	add("a body of 1 MB", ok(fmt.Sprintf("Content-Length: %d", 1<<20))+strings.Repeat("z", 1<<20), stays)
	return all
}

// script is a server that answers each connection's first request with the
// present case's bytes, and the canary as it should.
type script struct {
	address string
	mu      sync.Mutex
	now     response
}

func newScript(t *testing.T) *script {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{address: ln.Addr().String()}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			open.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		open.Wait()
	})
	return s
}

func (s *script) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		s.mu.Lock()
		now := s.now
		s.mu.Unlock()
		if req.URL.Path == canaryPath {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX-Path: /canary\r\nContent-Length: 6\r\n\r\ncanary")
			continue
		}
		_, _ = io.WriteString(c, now.bytes)
		if !now.stays {
			return
		}
	}
}

// ask sends one request and the canary, on one client, and gives what it
// understands of both; a status of 0 when there was no answer.
func ask(client *http.Client, address, method string) (answer, second message) {
	one := func(method, path string) message {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, nil)
		if err != nil {
			return message{Line: err.Error()}
		}
		res, err := client.Do(req)
		if err != nil {
			return message{Line: "0"}
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return message{
			Line: fmt.Sprint(res.StatusCode), Header: endToEnd(res.Header), Body: string(body), Broken: err != nil,
			Trailer: endToEnd(res.Trailer),
		}
	}
	return one(method, "/x"), one(http.MethodGet, canaryPath)
}

// TestResponses holds what a client gets through the sidecar against what
// net/http's client understands of the same bytes.
func TestResponses(t *testing.T) {
	upstream := newScript(t)
	through := sidecar(t, upstream.address, false)
	newClient := func() *http.Client {
		tr := &http.Transport{DisableCompression: true, MaxResponseHeaderBytes: 60 << 10}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	direct, proxied := newClient(), newClient()
	cases := responses()
	if len(cases) < 70 {
		t.Errorf("%d responses only", len(cases))
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			upstream.mu.Lock()
			upstream.now = c
			upstream.mu.Unlock()
			want, _ := ask(direct, upstream.address, c.method)
			got, second := ask(proxied, through, c.method)
			if second.Line == "502" && c.more {
				// It may meet what was left over, which is refused and ends the connection.
				_, second = ask(proxied, through, http.MethodGet)
			}
			if second.Body != "canary" || second.Line != "200" {
				t.Errorf("the next request got %+v", second)
			}
			switch {
			case c.differs != "":
				if got.Line != fmt.Sprint(c.wants) {
					t.Errorf("answered %s, want %d, because %s", got.Line, c.wants, c.differs)
				}
			case want.Line == "0":
				if got.Line != "502" && got.Line != "503" {
					t.Errorf("no client understands this answer, and through the sidecar it is %+v", got)
				}
			case want.Broken:
				if !got.Broken && got.Line != "0" {
					t.Errorf("half an answer came as a whole one: %+v", got)
				}
			default:
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-net/http +through the sidecar):\n%s", diff)
				}
			}
		})
	}
}
