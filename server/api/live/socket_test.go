package live

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

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
		_, _, err := (&websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return mine, nil }}).Dial(mustURL(t).String(), nil)
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
