package tcpconn

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Conn is a TCP socket. Its methods may be called by several goroutines.
type Conn struct {
	*net.TCPConn
	raw      syscall.RawConn
	in, out  side
	patience atomic.Int64 // see GiveUpAfter
}

// side is one direction, with what the call under way is about: the poller's
// callbacks take no arguments, and making one for each call would cost memory.
type side struct {
	mu   sync.Mutex
	try  func(fd uintptr) (done bool)
	p    []byte
	n    int
	fail syscall.Errno
	once bool            // do not wait for room
	buf  *[16 << 10]byte // of Pieces
}

func wrap(t *net.TCPConn) net.Conn {
	raw, err := t.SyscallConn()
	if err != nil {
		return t
	}
	c := &Conn{TCPConn: t, raw: raw}
	c.in.try, c.out.try = c.in.receive, c.out.send
	return c
}

// Read receives what is there, or waits for something.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s := &c.in
	s.mu.Lock()
	defer s.mu.Unlock()
	s.p, s.n, s.fail = p, 0, 0
	err := c.raw.Read(s.try)
	s.p = nil
	switch {
	case err != nil:
		return 0, err
	case s.fail != 0:
		return 0, c.failure("read", s.fail)
	case s.n == 0:
		return 0, io.EOF
	}
	return s.n, nil
}

// Write sends all of p.
func (c *Conn) Write(p []byte) (int, error) {
	s := &c.out
	s.mu.Lock()
	defer s.mu.Unlock()
	patience := time.Duration(c.patience.Load())
	s.p, s.n, s.fail, s.once = p, 0, 0, patience > 0
	err := c.raw.Write(s.try)
	for s.once = false; err == nil && s.fail == 0 && s.n < len(p); { // there was no room
		err = c.more(patience)
	}
	s.p = nil
	if err == nil && s.fail != 0 {
		err = c.failure("write", s.fail)
	}
	return s.n, err
}

// more sends what is left, until nothing was taken for as long as patience.
func (c *Conn) more(patience time.Duration) error {
	before := c.out.n
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	err := c.raw.Write(c.out.try)
	_ = c.SetWriteDeadline(time.Time{})
	if errors.Is(err, os.ErrDeadlineExceeded) && c.out.n > before {
		return nil
	}
	return err
}

// GiveUpAfter has writes fail when the far end takes nothing for so long. No time
// is asked for until one has to wait. It takes the place of write deadlines.
func (c *Conn) GiveUpAfter(patience time.Duration) { c.patience.Store(int64(patience)) }

func (c *Conn) failure(op string, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, errno)}
}

// receive is a try to read; false when there is nothing.
func (s *side) receive(fd uintptr) (done bool) {
	for {
		s.n, s.fail = call(syscall.SYS_RECVFROM, fd, s.p)
		switch s.fail {
		case syscall.EAGAIN:
			s.fail = 0
			return false
		case syscall.EINTR:
		default:
			return true
		}
	}
}

// send is a try to write the rest; false when there is no room and it is to wait.
func (s *side) send(fd uintptr) (done bool) {
	for s.n < len(s.p) {
		n, err := call(syscall.SYS_SENDTO, fd, s.p[s.n:])
		switch err {
		case 0:
			s.n += n
		case syscall.EAGAIN:
			return s.once
		case syscall.EINTR:
		default:
			s.fail = err
			return true
		}
	}
	return true
}

// Pieces gives what arrives, piece by piece, until each returns false, at the end
// (nil) or on an error. A connection from which nothing arrives holds no buffer.
// With bulk above 0 it also returns, with their number, when so many bytes wait.
func (c *Conn) Pieces(bulk int, each func(p []byte) bool) (waiting int, err error) {
	s := &c.in
	s.mu.Lock()
	defer s.mu.Unlock()
	for try := s.piece; ; {
		s.p, s.n, s.fail = nil, 0, 0
		// What each does must not be done in there: Close waits for it to return.
		if err := c.raw.Read(try); err != nil {
			return 0, err
		}
		if s.fail != 0 {
			return 0, c.failure("read", s.fail)
		}
		if s.n == 0 {
			return 0, nil
		}
		full := s.n == len(s.buf)
		ok := each(s.buf[:s.n])
		buffers.Put(s.buf)
		s.buf = nil
		if !ok {
			return 0, nil
		}
		if full && bulk > 0 {
			if waiting = c.queued(); waiting >= bulk {
				return waiting, nil
			}
		}
	}
}

// queued is how many bytes wait to be received.
func (c *Conn) queued() (n int) {
	_ = c.raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }) // closed: none
	return n
}

// buffers are what pieces stand in.
var buffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// piece is a try to read into a buffer that is there for so long only as it
// holds something; false when there is nothing.
func (s *side) piece(fd uintptr) (done bool) {
	s.buf = buffers.Get().(*[16 << 10]byte)
	s.p = s.buf[:]
	if done = s.receive(fd); !done || s.n <= 0 || s.fail != 0 {
		buffers.Put(s.buf)
		s.buf = nil
	}
	s.p = nil
	return done
}

// call receives or sends without waiting.
func call(which, fd uintptr, p []byte) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall6(which, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
	if err != 0 {
		return 0, err
	}
	return int(n), 0
}
