package listen_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// set answers HTTP with the listener's name, and TCP by echo.
func set(t *testing.T, o listen.Options) *listen.Set {
	t.Helper()
	if o.Engines.HTTP == nil {
		o.Engines.HTTP = func(c *listen.Config, w http.ResponseWriter, _ *http.Request) { io.WriteString(w, c.Name) }
	}
	o.Engines.TCP = func(ctx context.Context, c *listen.Config, conn net.Conn) {
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		defer stop()
		io.WriteString(conn, c.Name+"\n")
		io.Copy(conn, conn)
	}
	s := listen.NewSet(o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		s.Drain(ctx)
	})
	return s
}

func reserve(t *testing.T, s *listen.Set) string {
	t.Helper()
	address, err := s.Reserve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func httpListener(name, address string) listen.Config {
	return listen.Config{Name: name, Address: address, Direction: listen.Outbound, RouteName: "r"}
}

func tcpListener(name, address string) listen.Config {
	return listen.Config{Name: name, Address: address, Direction: listen.Outbound, Kind: listen.TCP, Cluster: "c"}
}

func get(t *testing.T, address string) (string, error) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 3 * time.Second}
	res, err := c.Get("http://" + address)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

func TestReservedUntilConfigured(t *testing.T) {
	s := set(t, listen.Options{})
	address := reserve(t, s)
	if _, err := get(t, address); err == nil {
		t.Error("an address without configuration answers")
	}
	if err := s.Apply([]listen.Config{httpListener("a", address)}); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t, address); got != "a" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := s.Apply(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, address); err == nil {
		t.Error("a listener that is gone answers")
	}
	if s.Addresses()[address] != "" || s.Counts().Refused < 2 {
		t.Errorf("addresses %v, counts %+v", s.Addresses(), s.Counts())
	}
}

func TestChangesUnderOpenConnections(t *testing.T) {
	s := set(t, listen.Options{})
	address := reserve(t, s)
	if err := s.Apply([]listen.Config{httpListener("one", address)}); err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	c := http.Client{Transport: tr}
	ask := func() string {
		res, err := c.Get("http://" + address)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return string(b)
	}
	ask()
	if err := s.Apply([]listen.Config{httpListener("two", address)}); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != "two" {
		t.Errorf("got %q", got)
	}
	if n := s.Counts().Accepted; n != 1 {
		t.Errorf("%d connections, want the same one", n)
	}
	if err := s.Apply([]listen.Config{tcpListener("three", address)}); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 6)
	if io.ReadFull(conn, buf); string(buf) != "three\n" {
		t.Errorf("got %q", buf)
	}
}

func TestAllOrNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	freeAddress := free.Addr().String()
	free.Close()
	s := set(t, listen.Options{})
	address := reserve(t, s)
	if err := s.Apply([]listen.Config{httpListener("old", address)}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		configs []listen.Config
		want    string
	}{
		{"port in use", []listen.Config{httpListener("new", address), httpListener("b", freeAddress), httpListener("c", taken.Addr().String())}, "listener c: listen on " + taken.Addr().String() + ": the port is in use"},
		{"address twice", []listen.Config{httpListener("new", address), httpListener("other", address)}, "is taken by listener new"},
		{"no cluster", []listen.Config{{Name: "x", Address: freeAddress, Kind: listen.TCP, Direction: listen.Inbound}}, "listener x: no cluster"},
		{"no routes", []listen.Config{{Name: "x", Address: freeAddress, Direction: listen.Inbound}}, "neither routes"},
		{"no direction", []listen.Config{{Name: "x", Address: freeAddress, RouteName: "r"}}, "direction"},
		{"no name", []listen.Config{{Address: freeAddress}}, "no name"},
		{"no address", []listen.Config{{Name: "x"}}, "no address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := s.Apply(tt.configs)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if got, err := get(t, address); got != "old" {
				t.Errorf("the old listener gives %q, %v", got, err)
			}
			if _, err := net.Dial("tcp", freeAddress); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("an address of the refused change is bound: %v", err)
			}
		})
	}
	if _, err := s.Reserve(taken.Addr().String()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("reserve: %v", err)
	}
}

func TestNewListenerComesAndGoes(t *testing.T) {
	free, _ := net.Listen("tcp", "127.0.0.1:0")
	address := free.Addr().String()
	free.Close()
	s := set(t, listen.Options{})
	if err := s.Apply([]listen.Config{tcpListener("t", address)}); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "x")
	if err := s.Apply(nil); err != nil {
		t.Fatal(err)
	}
	for range 100 { // closing is the drain's, in the background
		c, err := net.Dial("tcp", address)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the address is still bound")
}

// A virtual listener binds nothing, so one address may stand for each
// direction; what is intercepted in truth is tested with the kernel's rules, in
// deploy/e2e.
func TestVirtualListeners(t *testing.T) {
	s := set(t, listen.Options{})
	address := reserve(t, s)
	entrance := tcpListener("entrance", address)
	entrance.OriginalDst = true
	out, in := httpListener("out", "0.0.0.0:1"), httpListener("in", "0.0.0.0:1")
	out.Virtual, in.Virtual, in.Direction = true, true, listen.Inbound
	if err := s.Apply([]listen.Config{entrance, out, in}); err != nil {
		t.Fatal(err)
	}
	if got := len(s.Configs()); got != 3 {
		t.Errorf("%d listeners are served, want 3", got)
	}
	if got := s.Addresses(); len(got) != 1 || got[address] != "entrance" {
		t.Errorf("bound: %v", got)
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 9)
	if io.ReadFull(c, buf); string(buf) != "entrance\n" {
		t.Errorf("who dials the entrance itself gets %q", buf)
	}
	twice := out
	twice.Name = "twice"
	if err := s.Apply([]listen.Config{out, twice}); err == nil || !strings.Contains(err.Error(), "taken by listener out") {
		t.Errorf("one address twice: %v", err)
	}
	named := out
	named.Address = "localhost:1"
	if err := s.Apply([]listen.Config{named}); err == nil || !strings.Contains(err.Error(), "not IP:port") {
		t.Errorf("a name as address: %v", err)
	}
}

func TestConnectionLimit(t *testing.T) {
	s := set(t, listen.Options{MaxConnections: 2})
	address := reserve(t, s)
	if err := s.Apply([]listen.Config{tcpListener("t", address)}); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetReadDeadline(time.Now().Add(2 * time.Second))
		_, err = c.Read(make([]byte, 1))
		if refused := err != nil; refused != (i == 2) {
			t.Errorf("connection %d: refused %v (%v)", i, refused, err)
		}
	}
	if n := s.Counts(); n.Refused != 1 || n.Active != 2 {
		t.Errorf("counts %+v", n)
	}
}

func TestDrainFinishesWhatIsUnderWay(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s := set(t, listen.Options{Engines: listen.Engines{HTTP: func(_ *listen.Config, w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		io.WriteString(w, "done")
	}}})
	address := reserve(t, s)
	if err := s.Apply([]listen.Config{httpListener("a", address)}); err != nil {
		t.Fatal(err)
	}
	type result struct {
		res  *http.Response
		body string
		err  error
	}
	results := make(chan result, 1)
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	go func() {
		res, err := (&http.Client{Transport: tr}).Get("http://" + address)
		r := result{res: res, err: err}
		if err == nil {
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			r.body = string(b)
		}
		results <- r
	}()
	<-arrived
	cut := make(chan int)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		cut <- s.Drain(ctx)
	}()
	for {
		c, err := net.Dial("tcp", address)
		if errors.Is(err, syscall.ECONNREFUSED) {
			break // it takes no more connections
		}
		if err == nil {
			c.Close()
		}
		time.Sleep(5 * time.Millisecond)
	}
	close(release)
	r := <-results
	if r.err != nil || r.body != "done" || !r.res.Close {
		t.Errorf("the request under way: %q, %v, close %v", r.body, r.err, r.res != nil && r.res.Close)
	}
	if n := <-cut; n != 0 {
		t.Errorf("%d connections were cut", n)
	}
	if _, err := s.Prepare(nil); err == nil {
		t.Error("a drained set takes configuration")
	}
}

func TestDrainCutsWhatWillNotEnd(t *testing.T) {
	s := set(t, listen.Options{})
	address := reserve(t, s)
	if err := s.Apply([]listen.Config{tcpListener("t", address)}); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.ReadFull(c, make([]byte, 2))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if n := s.Drain(ctx); n != 1 {
		t.Errorf("%d connections were cut, want 1", n)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
}

func TestSlowHeaderIsCut(t *testing.T) {
	s := set(t, listen.Options{HeaderTimeout: 50 * time.Millisecond})
	address := reserve(t, s)
	if err := s.Apply([]listen.Config{httpListener("a", address)}); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHo")
	c.SetReadDeadline(time.Now().Add(3 * time.Second))
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("the connection stays open: %v", err)
	}
}
