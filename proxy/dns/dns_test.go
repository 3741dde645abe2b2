package dns

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zone is a resolver whose answers a test changes.
type zone struct {
	mu      sync.Mutex
	found   map[string][]netip.Addr
	holds   time.Duration
	err     error
	asked   map[string][]time.Duration // since the beginning
	begin   time.Time
	hold    chan struct{} // lookups wait for it
	at, top int           // lookups under way, and the most there were
}

func newZone() *zone {
	return &zone{found: make(map[string][]netip.Addr), asked: make(map[string][]time.Duration), begin: time.Now()}
}

func (z *zone) Lookup(ctx context.Context, name string) ([]netip.Addr, time.Duration, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked[name] = append(z.asked[name], time.Since(z.begin))
	z.at++
	z.top = max(z.top, z.at)
	defer func() { z.at-- }()
	if hold := z.hold; hold != nil {
		z.mu.Unlock()
		select {
		case <-hold:
		case <-ctx.Done():
		}
		z.mu.Lock()
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	return z.found[name], z.holds, z.err
}

func (z *zone) set(name string, addresses ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.found[name] = addrs(addresses...)
}

func (z *zone) fail(err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.err = err
}

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		n := New(z, slog.New(slog.DiscardHandler))
		z.set("a", "10.0.0.1", "10.0.0.2")
		var told [][]netip.Addr
		w := n.Watch([]string{"a"}, 5*time.Second, false, func(_ string, found []netip.Addr) { told = append(told, found) })
		after := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		after(time.Second)
		z.set("a", "10.0.0.2", "10.0.0.1") // turned round: the same
		after(5 * time.Second)
		z.fail(errors.New("no answer")) // keeps what is known
		after(10 * time.Second)
		z.fail(nil)
		z.set("a", "10.0.0.3")
		after(5 * time.Second)
		w.Stop()
		z.set("a", "10.0.0.4")
		after(time.Minute)
		if diff := cmp.Diff([][]netip.Addr{addrs("10.0.0.1", "10.0.0.2"), addrs("10.0.0.3")}, told, cmp.Comparer(sameAddr)); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]time.Duration{0, 5 * time.Second, 10 * time.Second, 15 * time.Second, 20 * time.Second}, z.asked["a"]); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
		if all, failed := n.Lookups(); all != 5 || failed != 2 {
			t.Errorf("%d lookups, %d failed", all, failed)
		}
		n.Close()
	})
}

func sameAddr(a, b netip.Addr) bool { return a == b }

func TestWatchHeedsTTL(t *testing.T) {
	for _, c := range []struct {
		heed        bool
		holds, next time.Duration
	}{
		{true, 30 * time.Second, 30 * time.Second},
		{true, time.Millisecond, time.Second},
		{true, 0, 5 * time.Second},
		{false, 30 * time.Second, 5 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			z := newZone()
			z.holds = c.holds
			z.set("a", "10.0.0.1")
			n := New(z, slog.New(slog.DiscardHandler))
			n.Watch([]string{"a"}, 5*time.Second, c.heed, func(string, []netip.Addr) {})
			time.Sleep(c.next)
			synctest.Wait()
			if diff := cmp.Diff([]time.Duration{0, c.next}, z.asked["a"]); diff != "" {
				t.Errorf("%+v: asked (-want +got):\n%s", c, diff)
			}
			n.Close()
		})
	}
}

func TestLookupsAreFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.hold = make(chan struct{})
		n := New(z, slog.New(slog.DiscardHandler))
		var names []string
		for i := range 100 {
			names = append(names, string(rune('a'+i)))
			z.set(names[i], "10.0.0.1")
		}
		told := 0
		var mu sync.Mutex
		n.Watch(names, time.Hour, false, func(string, []netip.Addr) {
			mu.Lock()
			defer mu.Unlock()
			told++
		})
		synctest.Wait()
		if z.at != maxLookups {
			t.Errorf("%d lookups under way", z.at)
		}
		close(z.hold)
		synctest.Wait()
		if told != 100 || z.top != maxLookups {
			t.Errorf("told of %d names, up to %d at a time", told, z.top)
		}
		n.Close()
		n.Watch([]string{"late"}, time.Second, false, func(string, []netip.Addr) { t.Error("told after the end") })
		synctest.Wait()
	})
}

func TestCloseEndsLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.hold = make(chan struct{}) // for ever
		n := New(z, slog.New(slog.DiscardHandler))
		n.Watch([]string{"a"}, time.Second, false, func(string, []netip.Addr) { t.Error("told of nothing") })
		synctest.Wait()
		n.Close()
	})
}

// The machine's resolver tells how long an answer holds: the least of its
// records' times.
func TestSystemLearnsTTL(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go answer(server, map[dnsmessage.Type][]dnsmessage.Resource{
		dnsmessage.TypeA: {
			{Header: dnsmessage.ResourceHeader{TTL: 300}, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}},
			{Header: dnsmessage.ResourceHeader{TTL: 42}, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 2}}},
		},
		dnsmessage.TypeAAAA: {{Header: dnsmessage.ResourceHeader{TTL: 77}, Body: &dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 1, 0xd, 0xb8, 15: 9}}}},
	})
	found, holds, err := System{server: server.LocalAddr().String()}.Lookup(t.Context(), "bank.example.")
	if err != nil {
		t.Fatal(err)
	}
	if !sameSet(found, addrs("192.0.2.1", "192.0.2.2", "2001:db8::9")) || holds != 42*time.Second {
		t.Errorf("found %v, for %s", found, holds)
	}
	if _, _, err := (System{server: server.LocalAddr().String()}).Lookup(t.Context(), "nobody.example."); err == nil {
		t.Error("a name without records resolves")
	}
	if found, _, err := (System{}).Lookup(t.Context(), "127.0.0.1"); err != nil || !sameSet(found, addrs("127.0.0.1")) {
		t.Errorf("an address: %v, %v", found, err)
	}
}

// answer is a name server that knows bank.example.
func answer(server net.PacketConn, records map[dnsmessage.Type][]dnsmessage.Resource) {
	buf := make([]byte, 1500)
	for {
		n, from, err := server.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || len(m.Questions) == 0 {
			continue
		}
		q := m.Questions[0]
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		if q.Name.String() == "bank.example." {
			for _, r := range records[q.Type] {
				r.Header.Name, r.Header.Class = q.Name, dnsmessage.ClassINET
				m.Answers = append(m.Answers, r)
			}
		} else {
			m.RCode = dnsmessage.RCodeNameError
		}
		if packed, err := m.Pack(); err == nil {
			server.WriteTo(packed, from)
		}
	}
}

func FuzzReadTTL(f *testing.F) {
	m := dnsmessage.Message{Header: dnsmessage.Header{Response: true}, Answers: []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("a."), Class: dnsmessage.ClassINET, TTL: 9},
		Body:   &dnsmessage.AResource{},
	}}}
	packed, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Fuzz(func(t *testing.T, message []byte) {
		var l leastTTL
		if l.read(message); l.duration() < 0 {
			t.Error("holds for less than nothing")
		}
	})
}
