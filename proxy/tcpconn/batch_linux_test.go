package tcpconn_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/tcpconn"
)

// slowConn counts writes, and lets each begin only when it is told.
type slowConn struct {
	net.Conn
	begin  chan struct{}
	writes atomic.Int64
}

func (c *slowConn) Write(p []byte) (int, error) {
	<-c.begin
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// What is written while a write is under way goes out as one, in order, and
// nothing is left behind at Close.
func TestBatchGathers(t *testing.T) {
	near, far := net.Pipe()
	slow := &slowConn{Conn: near, begin: make(chan struct{}, 10)}
	b := tcpconn.NewBatch(slow)
	var want bytes.Buffer
	for i := range 100 {
		p := bytes.Repeat([]byte{byte(i)}, i)
		want.Write(p)
		if n, err := b.Write(p); n != i || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		clear(p) // it is the caller's again
	}
	got := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(far)
		got <- all
	}()
	close(slow.begin)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if all := <-got; !bytes.Equal(all, want.Bytes()) {
		t.Errorf("%d bytes came of %d", len(all), want.Len())
	}
	if n := slow.writes.Load(); n > 3 {
		t.Errorf("%d writes", n)
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A far end that takes nothing makes writers wait, and Close does not.
func TestBatchIsBounded(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	b := tcpconn.NewBatch(near)
	var taken atomic.Int64
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			n, err := b.Write(make([]byte, 16<<10))
			if err != nil {
				return
			}
			taken.Add(int64(n))
		}
	})
	time.Sleep(50 * time.Millisecond)
	if n := taken.Load(); n > 256<<10 {
		t.Errorf("%d bytes were taken for a far end that reads none", n)
	}
	begin := time.Now()
	_ = b.Close()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("Close took %s", took)
	}
	writer.Wait()
}

func TestBatchFails(t *testing.T) {
	near, far := net.Pipe()
	b := tcpconn.NewBatch(near)
	defer b.Close()
	far.Close()
	var err error
	for end := time.Now().Add(5 * time.Second); err == nil && time.Now().Before(end); {
		_, err = b.Write([]byte("x"))
	}
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

// A far end that takes nothing for too long loses the connection, so that
// whoever reads from it sees.
func TestBatchGivesUp(t *testing.T) {
	c, _ := pair(t)
	c.GiveUpAfter(50 * time.Millisecond)
	b := tcpconn.NewBatch(c)
	go func() {
		for {
			if _, err := b.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read: %v", err)
	}
}
