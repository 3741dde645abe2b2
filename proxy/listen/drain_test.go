package listen_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// drainLater drains in the background and gives the number of connections cut.
func drainLater(s *listen.Set, limit time.Duration) <-chan int {
	cut := make(chan int, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		cut <- s.Drain(ctx)
	}()
	return cut
}

// Clients on kept-alive connections lose no request to a drain: each answer
// says that it is the connection's last, and only then is the connection closed.
func TestDrainLosesNoRequestOfBusyClients(t *testing.T) {
	s := set(t, listen.Options{})
	address := reserve(t, s)
	if err := s.Apply([]listen.Config{httpListener("a", address)}); err != nil {
		t.Fatal(err)
	}
	const clients = 20
	var served atomic.Int64
	var load sync.WaitGroup
	warm := make(chan struct{}, clients)
	for i := range clients {
		load.Go(func() {
			// Over HTTP/1, a body that cannot be had again: net/http repeats nothing.
			// Over HTTP/2 it may, where GOAWAY says that a stream was not served.
			body := func() io.Reader { return io.MultiReader(strings.NewReader("x")) }
			tr := &http.Transport{}
			if i%2 == 1 {
				body = func() io.Reader { return strings.NewReader("x") }
				tr.Protocols = new(http.Protocols)
				tr.Protocols.SetUnencryptedHTTP2(true)
			}
			defer tr.CloseIdleConnections()
			client := &http.Client{Transport: tr, Timeout: 20 * time.Second}
			for n := 0; ; n++ {
				if n == 3 {
					warm <- struct{}{}
				}
				res, err := client.Post("http://"+address, "text/plain", body())
				if errors.Is(err, syscall.ECONNREFUSED) {
					return // a new connection, which is not taken: nothing was sent
				}
				if err != nil {
					t.Errorf("client %d, request %d: %v", i, n, err)
					return
				}
				got, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || string(got) != "a" {
					t.Errorf("client %d, request %d: %q, %v", i, n, got, err)
					return
				}
				served.Add(1)
			}
		})
	}
	for range clients {
		<-warm
	}
	cut := drainLater(s, 30*time.Second)
	load.Wait()
	if n := <-cut; n != 0 {
		t.Errorf("%d connections were cut", n)
	}
	if served.Load() < 3*clients {
		t.Errorf("%d requests were served only", served.Load())
	}
}

// An HTTP/2 client is told by GOAWAY, with the streams that will be answered,
// and gets their answers.
func TestDrainSaysGoAway(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s := set(t, listen.Options{Engines: listen.Engines{HTTP: func(_ *listen.Config, w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		w.WriteHeader(200)
		io.WriteString(w, "done")
	}}})
	address := reserve(t, s)
	if err := s.Apply([]listen.Config{httpListener("a", address)}); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(c, http2.ClientPreface)
	fr := http2.NewFramer(c, c)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := fr.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	if err := fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: requestBlock(t, address), EndStream: true, EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	<-arrived
	cut := drainLater(s, 30*time.Second)
	var goAway, released bool
	var status, body string
	for body == "" || !goAway {
		f, err := fr.ReadFrame()
		if err != nil {
			t.Fatalf("after GOAWAY %v, status %q, body %q: %v", goAway, status, body, err)
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			goAway = true
			if f.LastStreamID < 1 || f.ErrCode != http2.ErrCodeNo {
				t.Errorf("GOAWAY %s, last stream %d", f.ErrCode, f.LastStreamID)
			}
			if !released {
				close(release)
				released = true
			}
		case *http2.MetaHeadersFrame:
			status = f.PseudoValue("status")
		case *http2.DataFrame:
			body += string(f.Data())
		}
	}
	if status != "200" || body != "done" {
		t.Errorf("the stream under way got %s %q", status, body)
	}
	for {
		if _, err := fr.ReadFrame(); err != nil {
			break // closed by the sidecar, without being cut
		}
	}
	if n := <-cut; n != 0 {
		t.Errorf("%d connections were cut", n)
	}
}

func requestBlock(t *testing.T, authority string) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", authority}, {":path", "/"}} {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// An app that finishes a request may have to call others for it: what it sends
// is taken until what it received is answered.
func TestDrainKeepsOutboundUntilInboundIsDone(t *testing.T) {
	arrived, called := make(chan struct{}), make(chan error, 1)
	var outbound string
	s := set(t, listen.Options{Engines: listen.Engines{HTTP: func(cfg *listen.Config, w http.ResponseWriter, _ *http.Request) {
		if cfg.Direction == listen.Inbound {
			close(arrived)
			err := <-called
			w.WriteHeader(200)
			fmt.Fprint(w, err)
			return
		}
		w.WriteHeader(200)
		io.WriteString(w, cfg.Name)
	}}})
	in := reserve(t, s)
	outbound = reserve(t, s)
	inbound := httpListener("in", in)
	inbound.Direction = listen.Inbound
	if err := s.Apply([]listen.Config{inbound, httpListener("out", outbound)}); err != nil {
		t.Fatal(err)
	}
	answer := make(chan string, 1)
	go func() {
		body, err := get(t, in)
		if err != nil {
			body = err.Error()
		}
		answer <- body
	}()
	<-arrived
	cut := drainLater(s, 30*time.Second)
	refused(t, in)
	body, err := get(t, outbound) // over a new connection
	if err == nil && body != "out" {
		err = fmt.Errorf("got %q", body)
	}
	called <- err
	if got := <-answer; got != "<nil>" {
		t.Errorf("the app could not call others while it finished: %s", got)
	}
	if n := <-cut; n != 0 {
		t.Errorf("%d connections were cut", n)
	}
	refused(t, outbound)
}

// refused waits until an address takes no more connections.
func refused(t *testing.T, address string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			_ = c.Close()
		}
	}
	t.Fatalf("%s still takes connections", address)
}
