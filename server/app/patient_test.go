package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// countedPool counts the buffers that are out.
type countedPool struct{ out atomic.Int64 }

func (p *countedPool) Get(n int) *[]byte {
	p.out.Add(1)
	b := make([]byte, n)
	return &b
}
func (p *countedPool) Put(*[]byte) { p.out.Add(-1) }

// What is written in pieces of any size is read as it is, by reads of any size, and
// who waits for more holds no buffer.
func TestPatientReads(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		here, there := net.Pipe()
		p, pool := &patient{Conn: here}, &countedPool{}
		want := make([]byte, random.IntN(4000))
		for i := range want {
			want[i] = byte(random.Uint32())
		}
		sizes := []int{1, 9, len(p.first) - 1, len(p.first), len(p.first) + 1, 1500}
		pieces := []int{sizes[random.IntN(len(sizes))], sizes[random.IntN(len(sizes))]}
		go func() {
			for i, rest := 0, want; len(rest) > 0; i++ {
				n := min(pieces[i%2], len(rest))
				_, _ = there.Write(rest[:n])
				rest = rest[n:]
			}
			_ = there.Close()
		}()
		var got []byte
		for {
			buf, n, err := p.ReadOnReady(sizes[random.IntN(len(sizes))], pool)
			if buf != nil {
				got = append(got, (*buf)[:n]...)
				pool.Put(buf)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, want) || pool.out.Load() != 0 {
			t.Fatalf("%d bytes in pieces of %d: %d come, %d buffers are out", len(want), pieces, len(got), pool.out.Load())
		}
	}
}

// scripted gives each read so many bytes, and notes how many buffers are out then.
type scripted struct {
	net.Conn
	pool *countedPool
	says []int
	out  []int64
}

func (s *scripted) Read(b []byte) (int, error) {
	s.out = append(s.out, s.pool.out.Load())
	if len(s.says) == 0 {
		return 0, io.EOF
	}
	n := min(s.says[0], len(b))
	s.says = s.says[1:]
	return n, nil
}

// No buffer is held while nothing is there, but where more is about to come.
func TestPatientWaitsWithoutBuffer(t *testing.T) {
	pool := &countedPool{}
	const full = 1 << 20
	s := &scripted{pool: pool, says: []int{20, full, full, 30, 20}}
	p := &patient{Conn: s}
	for {
		buf, _, err := p.ReadOnReady(32<<10, pool)
		if err != nil {
			break
		}
		pool.Put(buf)
	}
	if want := []int64{0, 0, 1, 1, 0, 0}; !slices.Equal(s.out, want) || pool.out.Load() != 0 {
		t.Errorf("buffers out at each read: %d, want %d; %d at the end", s.out, want, pool.out.Load())
	}
}

// asked counts how often gRPC waits by ReadOnReady.
type asked struct {
	*patient
	times *atomic.Int64
}

func (a asked) ReadOnReady(size int, pool mem.BufferPool) (*[]byte, int, error) {
	a.times.Add(1)
	return a.patient.ReadOnReady(size, pool)
}

type askedListener struct {
	net.Listener
	times *atomic.Int64
}

func (l askedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return asked{&patient{Conn: conn}, l.times}, nil
}

// gRPC knows ReadOnReady by its name only, so that a newer gRPC could pass it by.
func TestGRPCWaitsByReadOnReady(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var times atomic.Int64
	server := grpc.NewServer()
	defer server.Stop()
	go func() { _ = server.Serve(askedListener{l, &times}) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := conn.Invoke(ctx, "/none.None/None", nil, nil); status.Code(err) != codes.Unimplemented || times.Load() == 0 {
		t.Errorf("%v; it was asked %d times", err, times.Load())
	}
}
