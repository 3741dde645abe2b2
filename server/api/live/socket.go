package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/auth"
)

// repliesMax is how many error frames may wait for a client. When they do, its
// next message is read no sooner than it reads them.
const repliesMax = 16

// socket is one client. Its reader runs in the request's goroutine, its writer
// in one of its own; only the writer writes.
type socket struct {
	hub  *Hub
	user auth.User

	wakes   chan struct{}
	replies chan errorFrame
	gone    chan struct{} // the reader has ended
	mute    chan struct{} // the writer has ended
	revoked chan struct{} // the user may no longer have the socket
	once    sync.Once     // closes revoked
	feeds   sync.WaitGroup

	mu   sync.Mutex
	ws   *websocket.Conn
	subs map[string]subscription
	ids  []string // in the order of their subscription
}

func newSocket(h *Hub, user auth.User) *socket {
	return &socket{
		hub: h, user: user, wakes: make(chan struct{}, 1), replies: make(chan errorFrame, repliesMax),
		gone: make(chan struct{}), mute: make(chan struct{}), revoked: make(chan struct{}), subs: map[string]subscription{},
	}
}

func (s *socket) serve(ws *websocket.Conn) {
	s.mu.Lock()
	s.ws = ws
	s.mu.Unlock()
	go func() {
		defer close(s.mute)
		code, reason := s.write(&wire{ws})
		// Best effort: a client that reads nothing cannot be told.
		_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(stopGrace))
		_ = ws.Close()
	}()
	code, reason := s.read(ws)
	if code != 0 {
		_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(stopGrace))
	}
	close(s.gone)
	_ = ws.Close()
	<-s.mute
	s.mu.Lock()
	for _, sub := range s.subs {
		sub.close()
	}
	s.subs, s.ids = nil, nil
	s.mu.Unlock()
	s.feeds.Wait()
}

// cut ends the socket without a word.
func (s *socket) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ws != nil {
		_ = s.ws.NetConn().Close()
	}
}

func (s *socket) revoke() { s.once.Do(func() { close(s.revoked) }) }

// recheck lets each stream end that its user may no longer see.
func (s *socket) recheck() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		if events, ok := sub.(*eventSub); ok {
			events.stream.Recheck()
		}
	}
}

func (s *socket) wake() {
	select {
	case s.wakes <- struct{}{}:
	default:
	}
}

// write sends what waits until the socket ends, and gives the reason.
func (s *socket) write(out *wire) (code int, reason string) {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		var err error
		select {
		case <-s.gone:
			return websocket.CloseNormalClosure, ""
		case <-s.hub.stopping:
			return websocket.CloseGoingAway, "server is stopping"
		case <-s.revoked:
			return websocket.ClosePolicyViolation, "the access rules changed"
		case <-ping.C:
			err = out.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(stallMax))
		case f := <-s.replies:
			err = out.json(f)
		case <-s.wakes:
			err = s.flush(out)
		}
		if isTimeout(err) {
			s.hub.stalled.Add(1)
			s.hub.opts.Logger.Info("live client does not read, closed", "user", s.user.Name, "after_s", stallMax.Seconds())
			return websocket.CloseTryAgainLater, fmt.Sprintf("nothing was read for %s", stallMax)
		}
		if err != nil {
			return websocket.CloseNormalClosure, ""
		}
	}
}

func (s *socket) flush(out *wire) error {
	s.mu.Lock()
	ids, subs := slices.Clone(s.ids), maps.Clone(s.subs)
	s.mu.Unlock()
	for _, id := range ids {
		over, err := subs[id].send(out, id)
		if err != nil {
			return err
		}
		if over {
			s.drop(id, subs[id])
		}
	}
	return nil
}

// drop ends a subscription, unless the ID has been given to another since.
func (s *socket) drop(id string, sub subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subs[id] == sub {
		delete(s.subs, id)
		s.ids = slices.DeleteFunc(s.ids, func(other string) bool { return other == id })
		sub.close()
	}
}

// read takes the client's messages until the socket ends. A code tells how to
// close it; 0 when there is nobody to tell.
func (s *socket) read(ws *websocket.Conn) (code int, reason string) {
	alive := func() error { return ws.SetReadDeadline(time.Now().Add(pingEvery + stallMax)) }
	ws.SetReadLimit(MaxMessageBytes)
	ws.SetPongHandler(func(string) error { return alive() })
	for {
		if err := alive(); err != nil {
			return 0, ""
		}
		kind, r, err := ws.NextReader()
		if err != nil {
			return s.readFailed(err)
		}
		// The limit above counts compressed bytes.
		text, err := io.ReadAll(io.LimitReader(r, MaxMessageBytes+1))
		if err != nil {
			return s.readFailed(err)
		}
		if len(text) > MaxMessageBytes {
			return websocket.CloseMessageTooBig, fmt.Sprintf("messages may have at most %d bytes", MaxMessageBytes)
		}
		id, err := s.handle(kind, text)
		if err == nil {
			continue
		}
		select {
		case s.replies <- errorFrame{id, "error", s.hub.opts.Explain(err)}:
		case <-s.mute:
			return 0, ""
		}
	}
}

func (s *socket) readFailed(err error) (code int, reason string) {
	if isTimeout(err) {
		s.hub.stalled.Add(1)
		return websocket.CloseTryAgainLater, fmt.Sprintf("no answer to a ping for %s", stallMax)
	}
	return 0, ""
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// handle does what one message asks. The error is for the client.
func (s *socket) handle(kind int, text []byte) (id string, err error) {
	if kind != websocket.TextMessage {
		return "", fmt.Errorf("a binary message: only JSON text is understood: %w", mesh.ErrInvalid)
	}
	var req request
	if err := json.Unmarshal(text, &req); err != nil {
		return req.ID, fmt.Errorf("message is not what is expected here: %w: %w", err, mesh.ErrInvalid)
	}
	if req.ID == "" || len(req.ID) > MaxIDBytes {
		return "", fmt.Errorf("id must have 1 to %d bytes, got %d: %w", MaxIDBytes, len(req.ID), mesh.ErrInvalid)
	}
	switch req.Op {
	case "subscribe":
		return req.ID, s.subscribe(req)
	case "unsubscribe":
		s.mu.Lock()
		sub := s.subs[req.ID]
		s.mu.Unlock()
		if sub == nil {
			return req.ID, fmt.Errorf("unsubscribe: no subscription %q: %w", req.ID, mesh.ErrNotFound)
		}
		s.drop(req.ID, sub)
		return req.ID, nil
	}
	return req.ID, fmt.Errorf("op %q: subscribe and unsubscribe are known: %w", req.Op, mesh.ErrInvalid)
}

func (s *socket) subscribe(req request) error {
	s.mu.Lock()
	taken, n := s.subs[req.ID] != nil, len(s.subs)
	s.mu.Unlock()
	if taken {
		return fmt.Errorf("subscribe: id %q is in use on this socket: %w", req.ID, mesh.ErrConflict)
	}
	if n >= MaxSubscriptions {
		return fmt.Errorf("subscribe: this socket has %d subscriptions already: %w", MaxSubscriptions, mesh.ErrExhausted)
	}
	if open := s.hub.opts.States[req.Channel]; open != nil {
		sub, err := s.hub.subscribe(req.Channel, open, req.Params, req.Resume, s.wake)
		if err != nil {
			return err
		}
		s.add(req.ID, sub)
		return nil
	}
	if open := s.hub.opts.Events[req.Channel]; open != nil {
		stream, err := open(s.user, req.Params)
		if err != nil {
			return err
		}
		sub := &eventSub{stream: stream, closed: make(chan struct{})}
		s.add(req.ID, sub)
		s.feeds.Go(func() { sub.follow(s.wake) })
		stream.Recheck() // the rules may have changed since it was opened
		return nil
	}
	names := slices.Concat(slices.Collect(maps.Keys(s.hub.opts.States)), slices.Collect(maps.Keys(s.hub.opts.Events)))
	slices.Sort(names)
	return fmt.Errorf("channel %q: there are %s: %w", req.Channel, strings.Join(names, ", "), mesh.ErrInvalid)
}

// add is called by the reader only, so that nothing came between the check of
// the ID and this.
func (s *socket) add(id string, sub subscription) {
	s.mu.Lock()
	s.subs[id] = sub
	s.ids = append(s.ids, id)
	s.mu.Unlock()
	s.wake()
}

// wire writes messages, each within the time that a stalled client is given.
type wire struct{ ws *websocket.Conn }

func (w *wire) json(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	return w.text(text)
}

func (w *wire) text(b []byte) error {
	if err := w.ws.SetWriteDeadline(time.Now().Add(stallMax)); err != nil {
		return err
	}
	return w.ws.WriteMessage(websocket.TextMessage, b)
}

func (w *wire) prepared(p *websocket.PreparedMessage) error {
	if err := w.ws.SetWriteDeadline(time.Now().Add(stallMax)); err != nil {
		return err
	}
	return w.ws.WritePreparedMessage(p)
}
