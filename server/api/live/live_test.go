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
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"github.com/sidelight-mesh/sidelight/mesh"
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
			if err := w.hub.Serve(rw, r, "ann"); err != nil {
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
func (s *stream) Take() any              { s.mu.Lock(); defer s.mu.Unlock(); s.n++; return s.n }
func (s *stream) Close()                 { s.mu.Lock(); defer s.mu.Unlock(); s.closed = true }

func (w *world) events(user string, _ json.RawMessage) (Stream, error) {
	if user != "ann" {
		return nil, fmt.Errorf("user %q", user)
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
	d := websocket.Dialer{Subprotocols: []string{Protocol}, EnableCompression: true,
		NetDialContext: func(context.Context, string, string) (net.Conn, error) {
			mine, theirs := net.Pipe()
			w.net.conns <- theirs
			return mine, nil
		}}
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

func TestSnapshotThenDeltas(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.dial()
		defer c.Close()
		c.say(`{"op":"subscribe","id":"x","channel":"v"}`)
		first := c.read()
		if first.Type != "snapshot" || first.ID != "x" || first.Seq != 1 || first.Epoch == "" || !first.At.Equal(time.Now()) {
			t.Errorf("first frame %+v", first)
		}
		want := fmt.Sprintf(`{"epoch":%q,"seq":1,"at":%q,"group":"g","total":1,"items":[{"id":"a","v":1}]}`,
			first.Epoch, first.At.Format("2006-01-02T15:04:05.000Z"))
		if diff := cmp.Diff(want, string(first.Data)); diff != "" {
			t.Errorf("snapshot (-want +got):\n%s", diff)
		}
		for i, step := range []struct {
			id   string
			v    int
			want string
		}{
			{"a", 2, `{"total":1,"items":[{"id":"a","v":2}],"gone":[]}`},
			{"b", 5, `{"total":2,"items":[{"id":"b","v":5}],"gone":[]}`},
			{"b", 5, `{"total":2,"items":[],"gone":[]}`}, // the heartbeat
			{"a", -1, `{"total":1,"items":[],"gone":["a"]}`},
		} {
			w.set(step.id, step.v)
			f := c.read()
			if f.Type != "delta" || f.Seq != uint64(i+2) {
				t.Errorf("frame %d: %+v", i, f)
			}
			if diff := cmp.Diff(step.want, string(f.Data)); diff != "" {
				t.Errorf("delta %d (-want +got):\n%s", i, diff)
			}
		}
	})
}

func TestViewsAreShared(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var clients []*client
		for i := range 5 {
			c := w.dial()
			defer c.Close()
			c.say(fmt.Sprintf(`{"op":"subscribe","id":"id%d","channel":"v","params":1}`, i))
			clients = append(clients, c)
		}
		other := w.dial()
		defer other.Close()
		other.say(`{"op":"subscribe","id":"x","channel":"v","params":2}`)
		for range 4 {
			for i, c := range clients {
				if f := c.read(); f.ID != fmt.Sprintf("id%d", i) {
					t.Errorf("client %d got a frame for %q", i, f.ID)
				}
			}
			other.read()
		}
		if w.computed["1"] != 4 || w.computed["2"] != 4 {
			t.Errorf("computed %v, want each view once a tick", w.computed)
		}
		for _, c := range clients {
			_ = c.Close()
		}
		_ = other.Close()
		time.Sleep(10 * time.Second)
		if w.computed["1"] > 6 {
			t.Errorf("computed %d times with nobody looking", w.computed["1"])
		}
	})
}

func TestResume(t *testing.T) {
	for name, tc := range map[string]struct {
		away  time.Duration
		epoch string
		seq   int64 // against the last one seen
		want  string
	}{
		"at once":          {0, "", 0, "delta"},
		"after a minute":   {time.Minute, "", 0, "delta"},
		"one frame behind": {time.Minute, "", -1, "delta"},
		"too late":         {10 * time.Minute, "", 0, "snapshot"},
		"another epoch":    {0, "other", 0, "snapshot"},
		"from the future":  {0, "", 99, "snapshot"},
		"from long ago":    {0, "", -100, "snapshot"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				stays := w.dial()
				defer stays.Close()
				c := w.dial()
				c.say(`{"op":"subscribe","id":"x","channel":"v"}`)
				epoch := c.read().Epoch
				var last got
				for i := range 3 {
					w.set("b", 10+i)
					last = c.read()
				}
				_ = c.Close()
				w.set("c", 77)
				time.Sleep(tc.away)
				if tc.epoch != "" {
					epoch = tc.epoch
				}
				back := w.dial()
				defer back.Close()
				back.say(fmt.Sprintf(`{"op":"subscribe","id":"x","channel":"v","resume":{"epoch":%q,"seq":%d}}`, epoch, uint64(max(int64(last.Seq)+tc.seq, 0))))
				f := back.read()
				if f.Type != tc.want {
					t.Fatalf("got a %s, want a %s", f.Type, tc.want)
				}
				if f.Type == "delta" && f.Seq != last.Seq+1+uint64(tc.seq) {
					t.Errorf("resumed at %d after %d", f.Seq, last.Seq)
				}
				for !strings.Contains(string(f.Data), `"v":77`) { // what happened meanwhile arrives
					next := back.read()
					if next.Seq != f.Seq+1 {
						t.Errorf("seq %d after %d", next.Seq, f.Seq)
					}
					f = next
				}
			})
		})
	}
}

// A client that reads nothing is cut off after half a minute, and nobody else
// notices it.
func TestClientThatReadsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		deaf := w.dial()
		defer deaf.Close()
		deaf.say(`{"op":"subscribe","id":"x","channel":"v"}`)
		good := w.dial()
		defer good.Close()
		good.say(`{"op":"subscribe","id":"x","channel":"v"}`)
		began := time.Now()
		for i := range 40 {
			if f := good.read(); f.Seq != uint64(i+1) {
				t.Fatalf("frame %d has seq %d", i, f.Seq)
			}
			if late := time.Since(began) - time.Duration(i)*time.Second; late < 0 || late > 1100*time.Millisecond {
				t.Fatalf("frame %d came after %s", i, time.Since(began))
			}
		}
		st := w.hub.Stats()
		if st.Stalled != 1 || st.Sockets != 1 || st.LostFrames == 0 {
			t.Errorf("stats %+v, want one stalled, one left", st)
		}
	})
}

// A client that was busy for a while is told what it lost and gets the newest
// snapshot, then deltas from there.
func TestSlowClientIsConflated(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.dial()
		defer c.Close()
		c.say(`{"op":"subscribe","id":"x","channel":"v"}`)
		c.read()
		time.Sleep(25 * time.Second)
		w.set("a", 42)
		time.Sleep(1100 * time.Millisecond)
		held := c.read() // was being written all the time
		gap := c.read()
		snap := c.read()
		next := c.read()
		if gap.Type != "gap" || snap.Type != "snapshot" || next.Type != "delta" || next.Seq != snap.Seq+1 {
			t.Fatalf("got %s, %s, %s, %s", held.Type, gap.Type, snap.Type, next.Type)
		}
		if gap.Lost != snap.Seq-held.Seq {
			t.Errorf("lost %d between %d and %d", gap.Lost, held.Seq, snap.Seq)
		}
		if !strings.Contains(string(snap.Data), `{"id":"a","v":42}`) {
			t.Errorf("the snapshot is not the newest: %s", snap.Data)
		}
	})
}

func TestWholeState(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.dial()
		defer c.Close()
		c.say(`{"op":"subscribe","id":"o","channel":"whole"}`)
		for i := range 3 {
			f := c.read()
			if f.Type != "snapshot" || string(f.Data) != fmt.Sprintf(`{"n":%d}`, i+1) {
				t.Errorf("frame %d: %+v %s", i, f, f.Data)
			}
		}
		time.Sleep(20 * time.Second)
		var frames []got
		for len(frames) < 3 {
			frames = append(frames, c.read())
		}
		if frames[1].Type != "gap" || frames[2].Seq != frames[0].Seq+frames[1].Lost+1 {
			t.Errorf("after a pause: %+v", frames)
		}
	})
}

func TestEvents(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.dial()
		defer c.Close()
		c.say(`{"op":"subscribe","id":"t","channel":"e"}`)
		synctest.Wait()
		s := w.streams[0]
		for i := range 3 {
			s.ready <- struct{}{}
			f := c.read()
			if f.Type != "event" || f.Seq != uint64(i+1) || string(f.Data) != fmt.Sprint(i+1) {
				t.Errorf("event %d: %+v", i, f)
			}
		}
		close(s.done)
		if f := c.read(); f.Type != "event" {
			t.Errorf("what waited did not come first: %+v", f)
		}
		if f := c.read(); f.Type != "end" || f.Reason != "ttl" {
			t.Errorf("end: %+v", f)
		}
		synctest.Wait()
		if !s.closed {
			t.Error("the stream was not closed")
		}
		c.say(`{"op":"subscribe","id":"t","channel":"e"}`) // the ID is free again
		synctest.Wait()
		_ = c.Close()
		synctest.Wait()
		if !w.streams[1].closed {
			t.Error("the stream outlived its socket")
		}
	})
}

func TestUnsubscribe(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.dial()
		defer c.Close()
		c.say(`{"op":"subscribe","id":"x","channel":"v"}`)
		c.say(`{"op":"subscribe","id":"t","channel":"e"}`)
		c.read()
		c.say(`{"op":"unsubscribe","id":"x"}`)
		c.say(`{"op":"unsubscribe","id":"t"}`)
		synctest.Wait()
		if !w.streams[0].closed {
			t.Error("the stream was not closed")
		}
		c.say(`{"op":"unsubscribe","id":"x"}`)
		if f := c.read(); f.Type != "error" || f.ID != "x" || !strings.Contains(f.Error["message"], `no subscription "x"`) {
			t.Errorf("got %+v", f)
		}
	})
}

func TestNonsense(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.dial()
		defer c.Close()
		for name, tc := range map[string]struct{ say, want string }{
			"empty":           {``, "not what is expected"},
			"not json":        {`hello`, "not what is expected"},
			"wrong json":      {`[1,2]`, "not what is expected"},
			"wrong type":      {`{"op":7,"id":"x"}`, "not what is expected"},
			"no id":           {`{"op":"subscribe"}`, "id must have 1 to 64 bytes"},
			"long id":         {`{"op":"subscribe","id":"` + strings.Repeat("x", 65) + `"}`, "got 65"},
			"unknown op":      {`{"op":"drop","id":"x"}`, `op "drop"`},
			"no channel":      {`{"op":"subscribe","id":"x"}`, "there are e, v, whole"},
			"unknown channel": {`{"op":"subscribe","id":"x","channel":"grahp"}`, `channel "grahp"`},
			"bad params":      {`{"op":"subscribe","id":"x","channel":"v","params":"bad"}`, "no such view"},
			"bad resume":      {`{"op":"subscribe","id":"x","channel":"v","resume":{"seq":-1}}`, "not what is expected"},
			"deep":            {strings.Repeat("[", 60000), "not what is expected"},
			"nul":             {"\x00\xff", "not what is expected"},
		} {
			c.say(tc.say)
			if f := c.read(); f.Type != "error" || !strings.Contains(f.Error["message"], tc.want) {
				t.Errorf("%s: got %+v, want %q", name, f, tc.want)
			}
		}
		if err := c.WriteMessage(websocket.BinaryMessage, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if f := c.read(); !strings.Contains(f.Error["message"], "binary") {
			t.Errorf("binary: %+v", f)
		}
		c.say(`{"op":"subscribe","id":"x","channel":"v"}`)
		if f := c.read(); f.Type != "snapshot" {
			t.Errorf("the socket is of no use after nonsense: %+v", f)
		}
		c.say(`{"op":"subscribe","id":"x","channel":"v"}`)
		if f := c.read(); f.Type != "error" || !strings.Contains(f.Error["message"], "in use") {
			t.Errorf("same id twice: %+v", f)
		}
	})
}

func TestSubscriptionLimit(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.dial()
		defer c.Close()
		for i := range MaxSubscriptions {
			c.say(fmt.Sprintf(`{"op":"subscribe","id":"%d","channel":"e"}`, i))
		}
		c.say(`{"op":"subscribe","id":"more","channel":"e"}`)
		if f := c.read(); f.Type != "error" || f.ID != "more" || !strings.Contains(f.Error["message"], "16 subscriptions") {
			t.Errorf("got %+v", f)
		}
	})
}

func TestTopicLimit(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var clients []*client
		sub := func(n int) got {
			if n%MaxSubscriptions == 0 || len(clients) == 0 {
				clients = append(clients, w.dial())
			}
			c := clients[len(clients)-1]
			c.say(fmt.Sprintf(`{"op":"subscribe","id":"n%d","channel":"v","params":%d}`, n, n))
			for {
				if f := c.read(); f.ID == fmt.Sprintf("n%d", n) {
					return f
				}
			}
		}
		for n := range MaxTopics {
			if f := sub(n); f.Type != "snapshot" {
				t.Fatalf("view %d: %+v", n, f)
			}
		}
		if f := sub(MaxTopics); f.Type != "error" || !strings.Contains(f.Error["message"], "64 different views") {
			t.Errorf("one view more: %+v", f)
		}
		_ = clients[0].Close() // its views are idle now, and make room
		synctest.Wait()
		if f := sub(MaxTopics + 1); f.Type != "snapshot" {
			t.Errorf("after a client left: %+v", f)
		}
		for _, c := range clients {
			_ = c.Close()
		}
		time.Sleep(keepFor + 2*time.Second)
		synctest.Wait()
		if st := w.hub.Stats(); st.Topics != 0 || st.Sockets != 0 {
			t.Errorf("left over: %+v", st)
		}
	})
}

func TestMessageTooLarge(t *testing.T) {
	for name, text := range map[string]string{
		"plain":  strings.Repeat("x", MaxMessageBytes+1),
		"zipped": strings.Repeat("x", 50*MaxMessageBytes), // a few kB on the wire
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				c := w.dial()
				defer c.Close()
				c.EnableWriteCompression(name == "zipped")
				go func() { _ = c.WriteMessage(websocket.TextMessage, []byte(text)) }()
				if closed := c.readClose(); closed.Code != websocket.CloseMessageTooBig {
					t.Errorf("closed with %v", closed)
				}
			})
		})
	}
}

// A client whose machine is gone does not answer pings.
func TestPing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		alive, dead := w.dial(), w.dial()
		defer alive.Close()
		defer dead.Close()
		pings := 0
		dead.SetPingHandler(func(string) error { pings++; return nil })
		began := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				if _, _, err := alive.ReadMessage(); err != nil {
					return
				}
			}
		}()
		closed := dead.readClose()
		if closed.Code != websocket.CloseTryAgainLater || !strings.Contains(closed.Text, "ping") {
			t.Errorf("closed with %v", closed)
		}
		if took := time.Since(began); took != pingEvery+stallMax || pings != 2 {
			t.Errorf("closed after %s and %d pings", took, pings)
		}
		time.Sleep(time.Hour)
		if st := w.hub.Stats(); st.Sockets != 1 {
			t.Errorf("%d sockets are left, want the living one", st.Sockets)
		}
		_ = alive.Close()
		<-done
	})
}

func TestStop(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c, deaf := w.dial(), w.dial()
		defer c.Close()
		defer deaf.Close()
		deaf.say(`{"op":"subscribe","id":"x","channel":"v"}`)
		synctest.Wait()
		began := time.Now()
		w.cancel()
		if closed := c.readClose(); closed.Code != websocket.CloseGoingAway || closed.Text != "server is stopping" {
			t.Errorf("closed with %v", closed)
		}
		w.hub.serving.Wait()
		if took := time.Since(began); took > 2*stopGrace {
			t.Errorf("stopping took %s", took)
		}
		mine, theirs := net.Pipe()
		defer mine.Close()
		w.net.conns <- theirs
		_, _, err := websocket.NewClient(mine, mustURL(t), nil, 0, 0)
		if err == nil {
			t.Error("a socket was opened after the end")
		}
	})
}

// A client may flood the socket with nonsense and read none of the answers.
func TestFlood(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c, good := w.dial(), w.dial()
		defer c.Close()
		defer good.Close()
		flooded := make(chan struct{})
		go func() {
			defer close(flooded)
			for c.WriteMessage(websocket.TextMessage, []byte("?")) == nil {
			}
		}()
		good.say(`{"op":"subscribe","id":"x","channel":"v"}`)
		for range 35 {
			good.read()
		}
		<-flooded // the server has given it up
		if st := w.hub.Stats(); st.Stalled != 1 || st.Sockets != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

func mustURL(t *testing.T) *url.URL {
	t.Helper()
	u, err := url.Parse("ws://pipe/api/v1/live")
	if err != nil {
		t.Fatal(err)
	}
	return u
}
