package config

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// cluster is a source as a cluster is one: it gives all that it holds when it is
// watched and after each change, and its connection breaks.
type cluster struct {
	mu      sync.Mutex
	holds   map[string]string
	changed chan struct{}
	breaks  chan error
}

func newCluster(documents map[string]string) *cluster {
	return &cluster{holds: documents, changed: make(chan struct{}, 1), breaks: make(chan error)}
}

func (c *cluster) Name() string { return "cluster" }

func (c *cluster) Watch(ctx context.Context, changed func(Given)) error {
	for {
		c.mu.Lock()
		holds := c.holds
		c.mu.Unlock()
		if holds != nil {
			given := Given{Documents: map[string]Document{}}
			for name, text := range holds {
				given.Documents[name] = Document{Text: text, By: "kubectl"}
			}
			changed(given)
		}
		select {
		case <-c.changed:
		case err := <-c.breaks:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *cluster) set(documents map[string]string) {
	c.mu.Lock()
	c.holds = documents
	c.mu.Unlock()
	c.changed <- struct{}{}
}

func openWith(t *testing.T, dir, state string, source Source) (store *Store, snapshots chan Snapshot, stop func()) {
	t.Helper()
	store, err := Open(Options{Dir: dir, StateDir: state, Sources: []Source{source}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	snapshots = make(chan Snapshot, 100)
	store.Subscribe(func(s Snapshot) { snapshots <- s })
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = store.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return store, snapshots, stop
}

// A cluster and the directory together are the desired configuration.
func TestSource(t *testing.T) {
	dir, state := t.TempDir(), t.TempDir()
	put(t, dir+"/a.yaml", vs("a", "1s"))
	source := newCluster(map[string]string{"cinema/b": vs("b", "1s"), "cinema/c": vs("c", "1s")})
	store, snapshots, stop := openWith(t, dir, state, source)
	waitFor(t, snapshots, "a=1s b=1s c=1s")
	if rev := store.Snapshot().Revision; rev.By != "cluster" || rev.Source != "cluster" {
		t.Errorf("the revision is by %q from %q, want the cluster", rev.By, rev.Source)
	}
	o, err := store.Object(Key{KindVirtualService, "cinema", "b"})
	if err != nil || o.Source != "cluster:cinema/b" {
		t.Fatalf("b is from %v, %v", o, err)
	}

	// What is broken keeps its last good form; the directory is heard as before.
	source.set(map[string]string{"cinema/b": vs("b", "2s"), "cinema/c": strings.Replace(vs("c", "9s"), "timeout", "timeuot", 1)})
	waitFor(t, snapshots, "a=1s b=2s c=1s")
	put(t, dir+"/a.yaml", vs("a", "3s"))
	waitFor(t, snapshots, "a=3s b=2s c=1s")
	if rev := store.Snapshot().Revision; rev.By != "directory" {
		t.Errorf("the directory's revision is by %q", rev.By)
	}

	// What the cluster holds is not ours to write.
	_, err = store.Apply(t.Context(), []byte(vs("b", "4s")), "ana")
	var refused *InvalidError
	if !errors.As(err, &refused) || refused.Problems[0].Code != CodeElsewhere || !strings.Contains(err.Error(), "comes from cluster") {
		t.Errorf("apply: %v", err)
	}
	if _, err := store.Delete(t.Context(), Key{KindVirtualService, "cinema", "b"}, "ana"); !errors.As(err, &refused) {
		t.Errorf("delete: %v", err)
	}
	first := store.Revisions(0)
	if _, err := store.Rollback(t.Context(), first[len(first)-1].Number, "ana"); !errors.Is(err, mesh.ErrInvalid) {
		t.Errorf("rollback over the cluster's objects: %v", err)
	}

	// While it is away all stays, and is told of.
	source.breaks <- fmt.Errorf("connection refused")
	deadline := time.Now().Add(10 * time.Second)
	for told := false; !told; time.Sleep(5 * time.Millisecond) {
		for _, p := range store.Problems() {
			told = told || p.File == "cluster" && strings.Contains(p.Message, "connection refused")
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody tells that the cluster is away: %v", store.Problems())
		}
	}
	if got := len(store.Objects()); got != 3 {
		t.Errorf("%d objects without the cluster, want 3", got)
	}
	stop()

	// After a restart its objects are there before it is heard; what is gone by
	// then goes.
	later := newCluster(nil)
	store, snapshots, _ = openWith(t, dir, state, later)
	if got := len(store.Objects()); got != 3 {
		t.Errorf("%d objects before the cluster is heard again, want 3", got)
	}
	later.set(map[string]string{"cinema/b": vs("b", "2s")})
	waitFor(t, snapshots, "a=3s b=2s")
}
