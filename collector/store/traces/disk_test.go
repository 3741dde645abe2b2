package traces_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/collector/store/traces/storetest"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// smallDisk gives a folder on a disk of its own, and how to make it larger.
func smallDisk(t *testing.T) (dir string, grow func()) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=12m"); err != nil {
		t.Skipf("needs a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir, func() {
		t.Helper()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=256m"); err != nil {
			t.Fatal(err)
		}
	}
}

// fill writes until the store says that its disk is full.
func fill(t *testing.T, s *traces.Store) {
	t.Helper()
	noise := make([]byte, 64<<10)
	for range 2000 {
		_, _ = rand.Read(noise)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := s.WriteSpans(ctx, storetest.Batch(storetest.Span{
			Trace: 2, ID: 1, Service: "noise", Name: "x", At: time.Now(), Attributes: map[string]string{"noise": hex.EncodeToString(noise)},
		}))
		cancel()
		if errors.Is(err, mesh.ErrExhausted) && strings.Contains(err.Error(), "is full") {
			return
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	t.Fatal("the disk does not become full")
}

// A full disk refuses spans and hides none that are there; once there is room it
// goes on by itself.
func TestFullDisk(t *testing.T) {
	dir, grow := smallDisk(t)
	s := open(t, traces.Options{Dir: dir})
	write(t, s, 1)
	fill(t, s)
	if got, err := s.Get(t.Context(), storetest.ID(1)); err != nil || len(got.Spans) != 1 {
		t.Errorf("on a full disk: %+v, %v", got, err)
	}
	if s.Stats().Refused == 0 {
		t.Error("what was refused is not counted")
	}
	grow()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := s.WriteSpans(t.Context(), storetest.Batch(storetest.Span{Trace: 3, ID: 1, Service: "web", Name: "GET /", At: time.Now()}))
		if err == nil {
			break
		}
		if !errors.Is(err, mesh.ErrExhausted) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if _, err := s.Get(t.Context(), storetest.ID(3)); err != nil {
		t.Error(err)
	}
}

// A process that ends on a full disk ends, and finds what it had stored.
func TestCloseOnFullDisk(t *testing.T) {
	dir, grow := smallDisk(t)
	s, err := traces.Open(traces.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, 1)
	fill(t, s)
	if err := s.Close(); !errors.Is(err, mesh.ErrExhausted) {
		t.Errorf("closed: %v", err)
	}
	grow() // what waited ends
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		again, err := traces.Open(traces.Options{Dir: dir})
		if err == nil {
			t.Cleanup(func() { _ = again.Close() })
			if _, err := again.Get(t.Context(), storetest.ID(1)); err != nil {
				t.Error(err)
			}
			return
		}
		if time.Now().After(deadline) { // the first one holds the folder until then
			t.Fatal(err)
		}
	}
}
