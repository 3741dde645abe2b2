package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/auth"
)

// pipes is a network whose connections have no buffers and whose waiting a
// synctest bubble understands: what is not read blocks its writer at once.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// world is a hub behind a web server, with a view "v" that a test controls.
type world struct {
	t      *testing.T
	hub    *Hub
	net    *pipes
	cancel context.CancelFunc
	ended  sync.WaitGroup

	mu       sync.Mutex
	items    map[string]int
	computed map[string]int // by key
	streams  []*stream
}

func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &world{
			t: t, cancel: cancel, items: map[string]int{"a": 1}, computed: map[string]int{},
			net: &pipes{conns: make(chan net.Conn), closed: make(chan struct{})},
		}
		w.hub = New(Options{
			States:  map[string]StateChannel{"v": w.view, "whole": w.whole},
			Events:  map[string]EventChannel{"e": w.events},
			Explain: func(err error) any { return map[string]string{"message": err.Error()} },
			Logger:  slog.New(slog.DiscardHandler),
		})
		srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if err := w.hub.Serve(rw, r, auth.User{Name: "ann"}); err != nil {
				http.Error(rw, err.Error(), http.StatusTeapot)
			}
		})}
		w.ended.Go(func() { w.hub.Run(ctx) })
		w.ended.Go(func() { _ = srv.Serve(w.net) })
		f(t, w)
		w.stop()
		_ = srv.Close()
		w.ended.Wait()
	})
}

func (w *world) stop() { w.cancel(); synctest.Wait() }

func (w *world) set(id string, v int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if v < 0 {
		delete(w.items, id)
	} else {
		w.items[id] = v
	}
}

type item struct {
	ID string `json:"id"`
	V  int    `json:"v"`
}

func (w *world) view(params json.RawMessage) (string, func(time.Time) (State, error), error) {
	key := string(params)
	if key == `"bad"` {
		return "", nil, fmt.Errorf("no such view: %w", mesh.ErrInvalid)
	}
	return key, func(at time.Time) (State, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.computed[key]++
		var items []item
		for _, id := range []string{"a", "b", "c"} {
			if v, ok := w.items[id]; ok {
				items = append(items, item{id, v})
			}
		}
		var st State
		err := errors.Join(st.Fix("group", "g"), st.Put("total", len(items)),
			AddList(&st, "items", "gone", items, func(i *item) string { return i.ID }))
		return st, err
	}, nil
}

func (w *world) whole(json.RawMessage) (string, func(time.Time) (State, error), error) {
	n := 0
	return "", func(time.Time) (State, error) { n++; return Whole(map[string]int{"n": n}) }, nil
}

type stream struct {
	ready, done chan struct{}
	mu          sync.Mutex
	n           int
	closed      bool
}

func (s *stream) Ready() <-chan struct{} { return s.ready }
func (s *stream) Done() <-chan struct{}  { return s.done }
func (s *stream) Reason() string         { return "ttl" }
func (s *stream) Recheck()               {}
func (s *stream) Take() (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	return json.Marshal(s.n)
}
func (s *stream) Close() { s.mu.Lock(); defer s.mu.Unlock(); s.closed = true }

func (w *world) events(user auth.User, _ json.RawMessage) (Stream, error) {
	if user.Name != "ann" {
		return nil, fmt.Errorf("user %q", user.Name)
	}
	s := &stream{ready: make(chan struct{}, 1), done: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.streams = append(w.streams, s)
	return s, nil
}

// client is a browser's end.
type client struct {
	*websocket.Conn
	t *testing.T
}

func (w *world) dial() *client {
	w.t.Helper()
	d := websocket.Dialer{
		Subprotocols: []string{Protocol}, EnableCompression: true,
		NetDialContext: func(context.Context, string, string) (net.Conn, error) {
			mine, theirs := net.Pipe()
			w.net.conns <- theirs
			return mine, nil
		},
	}
	ws, resp, err := d.Dial("ws://pipe/api/v1/live", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if ws.Subprotocol() != Protocol {
		w.t.Errorf("subprotocol %q", ws.Subprotocol())
	}
	return &client{ws, w.t}
}

func (c *client) say(text string) {
	c.t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// got is any frame.
type got struct {
	ID, Type, Epoch, Reason string
	Seq, Lost               uint64
	At                      time.Time
	Data                    json.RawMessage
	Error                   map[string]string
}

func (c *client) read() got {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, text, err := c.ReadMessage()
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	var g got
	if err := json.Unmarshal(text, &g); err != nil {
		c.t.Fatalf("frame %s: %v", text, err)
	}
	return g
}

func (c *client) readClose() *websocket.CloseError {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Minute))
	for {
		_, _, err := c.ReadMessage()
		if err == nil {
			continue
		}
		var closed *websocket.CloseError
		if !errors.As(err, &closed) {
			c.t.Fatalf("ended without a close frame: %v", err)
		}
		return closed
	}
}

func mustURL(t *testing.T) *url.URL {
	t.Helper()
	u, err := url.Parse("ws://pipe/api/v1/live")
	if err != nil {
		t.Fatal(err)
	}
	return u
}
