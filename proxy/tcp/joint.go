package tcp

import (
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/tcpconn"
)

// joint is two connections whose bytes pass to each other.
type joint struct {
	meter          Meter
	x              *forward.Exchange // its byte counts belong to mu
	client, server net.Conn
	up, down       way
	idle           time.Duration

	mu   sync.Mutex
	last time.Time // when bytes were last seen to have moved
	over bool
}

func newJoint(meter Meter, x *forward.Exchange, client, server net.Conn, idle time.Duration) *joint {
	j := &joint{meter: meter, x: x, client: client, server: server, idle: idle, last: time.Now()}
	j.up, j.down = way{src: client, dst: server}, way{src: server, dst: client}
	return j
}

// pass returns when both directions have ended.
func (j *joint) pass() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		j.one(&j.up)
	}()
	j.one(&j.down)
	<-done
	j.look(time.Now(), true)
	switch {
	case j.down.broke():
		j.x.Flags |= forward.FlagUC
	case j.up.broke():
		j.x.Flags |= forward.FlagDC
	}
}

// one passes one direction. When it is broken off there is nothing to wait for
// in the other.
func (j *joint) one(w *way) {
	if w.run(); w.err != nil {
		j.close()
	}
}

func (j *joint) close() {
	_ = j.client.Close()
	_ = j.server.Close()
}

// look counts what moved since the last look, and closes a joint that was idle
// for too long. It gives when to look again, at the latest.
func (j *joint) look(now time.Time, last bool) time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.over {
		return lookEvery
	}
	j.over = last
	sent, received := j.up.bytes.Load()-j.x.RequestBytes, j.down.bytes.Load()-j.x.ResponseBytes
	if sent != 0 || received != 0 {
		j.x.RequestBytes += sent
		j.x.ResponseBytes += received
		j.last = now
		j.meter.Moved(j.x, sent, received)
	} else if now.Sub(j.last) >= j.idle {
		go j.close() // TLS says goodbye, which may take a while: others are to be looked at
	}
	return max(j.idle/2, time.Millisecond)
}

// lookEvery is how often live connections are looked at.
const lookEvery = time.Second

// joints are those that live. One timer looks at them all, and only while there
// are any, so that neither the copying nor a connection that is idle costs time.
type joints struct {
	mu    sync.Mutex
	live  map[*joint]struct{}
	timer *time.Timer
	every time.Duration
}

func (s *joints) add(j *joint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		s.live = make(map[*joint]struct{})
	}
	s.live[j] = struct{}{}
	if every := min(lookEvery, max(j.idle/2, time.Millisecond)); s.timer == nil || every < s.every {
		s.arm(every)
	}
}

func (s *joints) remove(j *joint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, j)
}

// arm is called with the lock held.
func (s *joints) arm(after time.Duration) {
	if s.timer != nil {
		s.timer.Stop()
	}
	s.every, s.timer = after, time.AfterFunc(after, s.look)
}

func (s *joints) look() {
	s.mu.Lock()
	live := slices.Collect(maps.Keys(s.live))
	s.mu.Unlock()
	now, next := time.Now(), lookEvery
	for _, j := range live {
		next = min(next, j.look(now, false))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.live) == 0 {
		s.timer, s.live = nil, nil
		return
	}
	s.arm(next)
}

// buffers are what bytes pass through that come from no socket.
var buffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// way is one direction.
type way struct {
	src, dst net.Conn
	bytes    atomic.Int64
	err      error // nil after a proper end
	reading  bool  // err came from src
}

// broke reports whether src broke the connection off.
func (w *way) broke() bool { return w.err != nil && w.reading && !errors.Is(w.err, net.ErrClosed) }

// bulk is how much must wait in a socket to be spliced: moved in the kernel, by
// calls that cost more than copying little.
const bulk = 64 << 10

// run moves bytes until src has said everything, and then tells dst so.
func (w *way) run() {
	src, ahead := listen.Socket(w.src)
	switch dst, _ := listen.Socket(w.dst); {
	case src == nil:
		w.copy()
	case len(ahead) > 0 && !w.write(ahead):
	default:
		w.pass(src, dst)
	}
	if c, ok := w.dst.(interface{ CloseWrite() error }); ok && w.err == nil {
		_ = c.CloseWrite()
	}
}

// pass moves bytes out of a socket; what waits there in great amount is spliced
// into dst, when that is one, too.
func (w *way) pass(src, dst *tcpconn.Conn) {
	most := 0
	if dst != nil {
		most = bulk
	}
	for {
		waiting, err := src.Pieces(most, w.write)
		if err != nil {
			w.err, w.reading = err, true
		}
		if w.err != nil || waiting == 0 {
			return
		}
		if !w.splice(src, dst, int64(waiting)) {
			return
		}
	}
}

// splice moves what waits in a socket, in parts, so that a slow far end is not
// taken for an idle one; false when dst takes no more.
func (w *way) splice(src, dst *tcpconn.Conn, waiting int64) bool {
	for waiting > 0 && w.err == nil {
		n, err := dst.ReadFrom(io.LimitReader(src.TCPConn, min(waiting, bulk)))
		w.bytes.Add(n)
		waiting -= n
		w.err = err // of dst: what is spliced had arrived
		if n == 0 {
			break
		}
	}
	return w.err == nil
}

// copy moves bytes where TLS, or something else, stands between socket and
// bytes.
func (w *way) copy() {
	buf := buffers.Get().(*[16 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := w.src.Read(buf[:])
		if n > 0 && !w.write(buf[:n]) || errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			w.err, w.reading = err, true
			return
		}
	}
}

// write passes bytes on; false when dst takes no more.
func (w *way) write(p []byte) bool {
	n, err := w.dst.Write(p)
	w.bytes.Add(int64(n))
	w.err = err
	return err == nil
}
