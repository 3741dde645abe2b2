package tcp_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/tcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var notifications = mesh.Workload{Namespace: "cinema", Name: "notifications"}

type meter struct {
	mu             sync.Mutex
	opened         int
	sent, received int64
	closed         chan forward.Exchange
}

func (m *meter) Opened(*forward.Exchange) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opened++
}

func (m *meter) Moved(_ *forward.Exchange, sent, received int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent += sent
	m.received += received
}

func (m *meter) Closed(x *forward.Exchange) { m.closed <- *x }

// through gives the address of a proxy before the endpoints.
func through(t *testing.T, idle time.Duration, c cluster.Config) (string, *meter) {
	t.Helper()
	engine, err := forward.NewEngine(forward.Options{Workload: mesh.Workload{Namespace: "cinema", Name: "tickets"}})
	if err != nil {
		t.Fatal(err)
	}
	m := &meter{closed: make(chan forward.Exchange, 1000)}
	sockets := listen.NewSet(listen.Options{Engines: listen.Engines{TCP: tcp.New(engine, m).Serve}})
	address, err := sockets.Reserve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "" {
		if err := engine.Apply(forward.Snapshot{Clusters: []cluster.Config{c}}); err != nil {
			t.Fatal(err)
		}
	}
	err = sockets.Apply([]listen.Config{{Name: "tcp", Address: address, Direction: listen.Outbound, Kind: listen.TCP, Cluster: "notifications", IdleTimeout: idle}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		sockets.Drain(ctx)
	})
	return address, m
}

func server(t *testing.T, h func(*net.TCPConn)) cluster.Config {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				h(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return cluster.Config{Name: "notifications", Endpoints: []cluster.Endpoint{{Address: ln.Addr().String(), Workload: notifications}}}
}

func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Second))
	return c.(*net.TCPConn)
}

func TestBothWaysWithHalfClose(t *testing.T) {
	address, m := through(t, 0, server(t, func(c *net.TCPConn) {
		b, _ := io.ReadAll(c) // ends only when the client's half is closed
		c.Write(append([]byte("got "), b...))
	}))
	c := dial(t, address)
	payload := make([]byte, 200_000)
	c.Write(payload)
	c.CloseWrite()
	got, err := io.ReadAll(c)
	if err != nil || len(got) != len(payload)+4 {
		t.Fatalf("got %d bytes, %v", len(got), err)
	}
	x := <-m.closed
	if x.Protocol != mesh.TCP || x.Flags != 0 || x.Destination.Workload != notifications || x.Source.Name != "tickets" || x.Connections != 1 {
		t.Errorf("exchange %+v", x)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.opened != 1 || m.sent != 200_000 || m.received != 200_004 || x.RequestBytes != m.sent || x.ResponseBytes != m.received {
		t.Errorf("meter %d, %d, %d", m.opened, m.sent, m.received)
	}
}

func TestFailures(t *testing.T) {
	dead, _ := net.Listen("tcp", "127.0.0.1:0")
	deadAddress := dead.Addr().String()
	dead.Close()
	for _, tt := range []struct {
		name    string
		cluster cluster.Config
		flags   string
	}{
		{"no cluster", cluster.Config{}, "NC"},
		{"no endpoint", cluster.Config{Name: "notifications"}, "UH"},
		{"refused", cluster.Config{Name: "notifications", Endpoints: []cluster.Endpoint{{Address: deadAddress, Workload: notifications}}}, "UF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, m := through(t, 0, tt.cluster)
			if _, err := io.ReadAll(dial(t, address)); err != nil {
				t.Logf("closed with %v", err)
			}
			x := <-m.closed
			if x.Flags.String() != tt.flags || !x.Destination.IsUnknown() || m.opened != 1 || !x.Failed() {
				t.Errorf("got %s to %s, opened %d", x.Flags, x.Destination.Name, m.opened)
			}
		})
	}
}

func TestWhoBrokeOff(t *testing.T) {
	address, m := through(t, 0, server(t, func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 1))
		c.SetLinger(0) // a reset instead of a proper end
	}))
	c := dial(t, address)
	c.Write([]byte("x"))
	io.ReadAll(c)
	if x := <-m.closed; x.Flags != forward.FlagUC {
		t.Errorf("the upstream broke off: got %s", x.Flags)
	}
	address, m = through(t, 0, server(t, func(c *net.TCPConn) { io.Copy(c, c) }))
	c = dial(t, address)
	c.Write([]byte("x"))
	io.ReadFull(c, make([]byte, 1))
	c.SetLinger(0)
	c.Close()
	if x := <-m.closed; x.Flags != forward.FlagDC {
		t.Errorf("the client broke off: got %s", x.Flags)
	}
}

func TestConnectionLimit(t *testing.T) {
	c := server(t, func(c *net.TCPConn) { io.Copy(c, c) })
	c.Limits.MaxConnections = 1
	address, m := through(t, 0, c)
	first := dial(t, address)
	first.Write([]byte("x"))
	if _, err := first.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	io.ReadAll(dial(t, address))
	if x := <-m.closed; x.Flags != forward.FlagUO {
		t.Errorf("got %s", x.Flags)
	}
}

func TestIdleTimeoutSeesBothDirections(t *testing.T) {
	address, m := through(t, 150*time.Millisecond, server(t, func(c *net.TCPConn) {
		for range 10 { // the client says nothing all the while
			if _, err := c.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(40 * time.Millisecond)
		}
		io.Copy(io.Discard, c)
	}))
	c := dial(t, address)
	got, _ := io.ReadAll(c)
	if len(got) != 10 {
		t.Errorf("got %d bytes before the connection was closed as idle", len(got))
	}
	if x := <-m.closed; x.Duration < 400*time.Millisecond || x.Duration > 2*time.Second {
		t.Errorf("lived %s", x.Duration)
	}
}

// Much that waits is spliced, in a direction that goes on by copying before and
// after; every byte arrives in order.
func TestBulkBothWays(t *testing.T) {
	const size = 8 << 20
	address, m := through(t, 0, server(t, func(c *net.TCPConn) {
		io.Copy(c, c)
		c.CloseWrite()
	}))
	c := dial(t, address)
	c.SetDeadline(time.Now().Add(30 * time.Second))
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = byte(i * i >> 8)
	}
	go func() {
		c.Write(sent[:10])
		time.Sleep(10 * time.Millisecond)
		c.Write(sent[10 : size/2])
		time.Sleep(10 * time.Millisecond)
		c.Write(sent[size/2:])
		c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes came back of %d, %v", len(got), size, err)
	}
	if x := <-m.closed; x.RequestBytes != size || x.ResponseBytes != size {
		t.Errorf("counted %d and %d", x.RequestBytes, x.ResponseBytes)
	}
}

// A connection that waits holds little: no buffers.
func TestIdleConnectionsHoldLittle(t *testing.T) {
	const n = 200
	address, _ := through(t, 0, server(t, func(c *net.TCPConn) { io.Copy(c, c) }))
	before := memory()
	for range n {
		c := dial(t, address)
		c.Write([]byte("x"))
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	// The server, in this process, copies by the kernel or holds 32 KiB a connection.
	if each := (memory() - before) / n; each > 48<<10 {
		t.Errorf("%d bytes a connection", each)
	}
}

func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// A connection whose far end takes nothing more can be closed from outside.
func TestStuckConnectionEnds(t *testing.T) {
	stuck := make(chan struct{})
	address, m := through(t, 0, server(t, func(*net.TCPConn) { <-stuck }))
	t.Cleanup(func() { close(stuck) }) // before the server's
	c := dial(t, address)
	c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	if n, err := c.Write(make([]byte, 64<<20)); err == nil {
		t.Fatalf("%d bytes went to nobody", n)
	}
	c.SetLinger(0)
	c.Close()
	// The client's reset is not seen while its bytes wait; the drain, at the end,
	// has to close both.
	select {
	case <-m.closed:
	case <-time.After(100 * time.Millisecond):
	}
}
