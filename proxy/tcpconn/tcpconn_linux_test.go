package tcpconn_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidelight-mesh/sidelight/proxy/tcpconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair gives a wrapped connection and its other end.
func pair(t *testing.T) (*tcpconn.Conn, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		near.Close()
		far.Close()
	})
	c, ok := tcpconn.Wrap(near).(*tcpconn.Conn)
	if !ok {
		t.Fatalf("%s has no such calls", runtime.GOOS)
	}
	return c, far.(*net.TCPConn)
}

func TestReadsAndWrites(t *testing.T) {
	c, far := pair(t)
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("nothing asked for: %d, %v", n, err)
	}
	// More than what fits into sockets, both ways at once.
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<19)
	var all sync.WaitGroup
	for _, way := range []struct {
		from io.Writer
		to   io.Reader
	}{{c, far}, {far, c}} {
		all.Go(func() {
			if n, err := way.from.Write(sent); n != len(sent) || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
		})
		all.Go(func() {
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(way.to, got); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("other bytes came, %v", err)
			}
		})
	}
	all.Wait()
	far.CloseWrite()
	if n, err := c.Read(make([]byte, 9)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

func TestDeadlinesAndClose(t *testing.T) {
	c, far := pair(t)
	c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	var ne net.Error
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("at the deadline: %v", err)
	}
	c.SetReadDeadline(time.Time{})
	far.Write([]byte("x"))
	if n, err := c.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("without it: %d, %v", n, err)
	}
	c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	if n, err := c.Write(make([]byte, 64<<20)); n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("to one that reads nothing: %d, %v", n, err)
	}
	time.AfterFunc(10*time.Millisecond, func() { c.Close() })
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed meanwhile: %v", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestReset(t *testing.T) {
	c, far := pair(t)
	far.SetLinger(0)
	far.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write: %v", err)
	}
}

func TestPieces(t *testing.T) {
	c, far := pair(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() {
		far.Write(sent)
		far.CloseWrite()
	}()
	var got []byte
	take := func(p []byte) bool {
		got = append(got, p...)
		return len(got) < 100_000 || len(got) > 200_000
	}
	for range 100_000 { // each return but the last is because take wanted it so
		before := len(got)
		if n, err := c.Pieces(0, take); n != 0 || err != nil {
			t.Fatalf("%d wait, %v", n, err)
		}
		if len(got) == before {
			break
		}
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came of %d", len(got), len(sent))
	}
}

func TestPiecesTellsOfBulk(t *testing.T) {
	c, far := pair(t)
	go far.Write(make([]byte, 1<<20))
	seen := 0
	waiting, err := c.Pieces(64<<10, func(p []byte) bool {
		seen += len(p)
		time.Sleep(20 * time.Millisecond) // more comes meanwhile
		return true
	})
	if err != nil || waiting < 64<<10 {
		t.Fatalf("%d wait after %d bytes, %v", waiting, seen, err)
	}
	if n, err := io.ReadFull(c, make([]byte, waiting)); err != nil {
		t.Errorf("%d were there, %v", n, err)
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	c, far := pair(t)
	p := make([]byte, 8)
	if n := testing.AllocsPerRun(100, func() {
		far.Write(p)
		c.Read(p)
		c.Write(p)
		far.Read(p)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestGivesUp(t *testing.T) {
	c, far := pair(t)
	const patience = 200 * time.Millisecond
	c.GiveUpAfter(patience)
	taken := make(chan int64)
	go func() { // takes a little at a time, for longer than the patience, and then nothing
		n := int64(0)
		for range 10 {
			k, _ := io.CopyN(io.Discard, far, 2<<20)
			n += k
			time.Sleep(patience / 4)
		}
		taken <- n
	}()
	begin := time.Now()
	n, err := c.Write(make([]byte, 256<<20))
	if took, sent := time.Since(begin), <-taken; !errors.Is(err, os.ErrDeadlineExceeded) || int64(n) < sent || took < 2*patience {
		t.Errorf("%d bytes after %s, of which %d were taken: %v", n, took, sent, err)
	}
	go io.Copy(io.Discard, far)
	if n, err := c.Write(make([]byte, 64<<20)); n != 64<<20 || err != nil {
		t.Errorf("after it takes again: %d, %v", n, err)
	}
}
