package xds

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// fixedStore hands out snapshots by hand.
type fixedStore struct{ fn func(config.Snapshot) }

func (f *fixedStore) Subscribe(fn func(config.Snapshot)) func() { f.fn = fn; return func() {} }

// BenchmarkUpdate compiles one changed endpoint for 1,000 nodes of 20
// namespaces that see 500 services, without streams.
func BenchmarkUpdate(b *testing.B) {
	var text strings.Builder
	for i := range 500 {
		text.WriteString(service(fmt.Sprintf("s%d.cinema.svc.cluster.local", i), fmt.Sprintf("10.0.%d.%d", i/250, i%250)))
	}
	snapshot := func(extra string) config.Snapshot {
		store, err := config.Open(config.Options{Dir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := store.Apply(b.Context(), []byte(text.String()+extra), "test"); err != nil {
			b.Fatal(err)
		}
		return store.Snapshot()
	}
	snapshots := []config.Snapshot{
		snapshot(service("x.cinema.svc.cluster.local", "10.9.0.1")), snapshot(service("x.cinema.svc.cluster.local", "10.9.0.2")),
	}
	source := &fixedStore{}
	s, err := New(Options{Store: source, Tracker: newRecorder()})
	if err != nil {
		b.Fatal(err)
	}
	source.fn(snapshots[0])
	for i := range 1000 {
		p, err := readProxy(testNode(b, fmt.Sprintf("node-%d", i), fmt.Sprintf("ns-%d", i%20), nil))
		if err != nil {
			b.Fatal(err)
		}
		s.mu.Lock()
		s.connect(p, s.opts.Now())
		s.mu.Unlock()
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		next := snapshots[n%2]
		next.Revision.Number = uint64(n + 1)
		source.fn(next)
	}
}
