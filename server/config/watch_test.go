package config

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// watch runs a store over a directory and gives its snapshots.
func watch(t *testing.T, dir string, rescan time.Duration) (*Store, <-chan Snapshot) {
	t.Helper()
	s, err := Open(Options{Dir: dir, Debounce: 10 * time.Millisecond, Rescan: rescan})
	if err != nil {
		t.Fatal(err)
	}
	snapshots := make(chan Snapshot, 1000)
	s.Subscribe(func(snap Snapshot) { snapshots <- snap })
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return s, snapshots
}

// state tells a snapshot's objects as "a=1s b=2s".
func state(s Snapshot) string {
	var out []string
	for _, o := range s.Objects {
		out = append(out, o.Name+"="+o.VirtualService().Http[0].Timeout.AsDuration().String())
	}
	return strings.Join(out, " ")
}

func waitFor(t *testing.T, snapshots <-chan Snapshot, want string) {
	t.Helper()
	timeout := time.After(60 * time.Second)
	last := "nothing"
	for last != want {
		select {
		case s := <-snapshots:
			last = state(s)
		case <-timeout:
			t.Fatalf("state is %q, want %q", last, want)
		}
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	_, snapshots := watch(t, dir, time.Hour) // events alone
	waitFor(t, snapshots, "")
	put(t, filepath.Join(dir, "a.yaml"), vs("a", "1s"))
	waitFor(t, snapshots, "a=1s")
	put(t, filepath.Join(dir, "deep/er/b.yaml"), vs("b", "1s")) // in folders that are new
	waitFor(t, snapshots, "a=1s b=1s")
	put(t, filepath.Join(dir, "deep/er/b.yaml"), vs("b", "2s"))
	waitFor(t, snapshots, "a=1s b=2s")
	if err := os.Rename(filepath.Join(dir, "deep"), filepath.Join(dir, ".deep")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, snapshots, "a=1s")
}

// A mounted ConfigMap changes by one rename of a link to a folder.
func TestWatchConfigMap(t *testing.T) {
	dir := t.TempDir()
	mount := func(version, timeout string) {
		t.Helper()
		put(t, filepath.Join(dir, "..v"+version, "a.yaml"), vs("a", timeout))
		if err := os.Symlink("..v"+version, filepath.Join(dir, "..new")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	mount("1", "1s")
	if err := os.Symlink("..data/a.yaml", filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	s, snapshots := watch(t, dir, time.Hour)
	waitFor(t, snapshots, "a=1s")
	for i := range 5 {
		mount(fmt.Sprint(i+2), fmt.Sprintf("%ds", i+2))
		if err := os.RemoveAll(filepath.Join(dir, fmt.Sprintf("..v%d", i+1))); err != nil {
			t.Fatal(err)
		}
		waitFor(t, snapshots, fmt.Sprintf("a=%ds", i+2))
	}
	if p := s.Problems(); len(p) > 0 {
		t.Errorf("problems: %v", p)
	}
}

// Changes behind a link raise no event here; the poll finds them.
func TestPoll(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "x.yaml")
	put(t, elsewhere, vs("a", "1s"))
	dir := t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, "x.yaml")); err != nil {
		t.Fatal(err)
	}
	_, snapshots := watch(t, dir, 20*time.Millisecond)
	waitFor(t, snapshots, "a=1s")
	put(t, elsewhere, vs("a", "22s"))
	waitFor(t, snapshots, "a=22s")
}

// A link back up does not lead round in circles.
func TestLinkLoop(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "sub/a.yaml"), vs("a", "1s"))
	if err := os.Symlink("..", filepath.Join(dir, "sub/up")); err != nil {
		t.Fatal(err)
	}
	_, snapshots := watch(t, dir, 20*time.Millisecond)
	waitFor(t, snapshots, "a=1s")
}

// TestChaos does to a directory what editors, checkouts and accidents do, in
// random order, and then leaves it in a known state: whatever happened, that
// state comes into effect, with nothing wrong left over. In between no revision
// ever has a half-written object in it.
func TestChaos(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano()))) // the state at the end is the same for each
	for i := range 5 {
		put(t, filepath.Join(dir, fmt.Sprintf("f%d.yaml", i)), vs(fmt.Sprintf("o%d", i), "1s"))
	}
	s, snapshots := watch(t, dir, 50*time.Millisecond)

	path := func(i int) string { return filepath.Join(dir, fmt.Sprintf("f%d.yaml", i)) }
	whole := func(i int) string { return vs(fmt.Sprintf("o%d", i), fmt.Sprintf("%ds", 1+rng.IntN(9))) }
	// Any of these may fail because of the one before: that is the point.
	acts := []func(i int){
		func(i int) { _ = os.WriteFile(path(i), []byte(whole(i)), 0o644) },
		func(i int) { // in two goes, as slow writers do
			text := whole(i)
			cut := rng.IntN(len(text))
			_ = os.WriteFile(path(i), []byte(text[:cut]), 0o644)
			time.Sleep(time.Duration(rng.IntN(15)) * time.Millisecond)
			_ = os.WriteFile(path(i), []byte(text), 0o644)
		},
		func(i int) { _ = os.Truncate(path(i), int64(rng.IntN(60))) },
		func(i int) { _ = os.Remove(path(i)) },
		func(i int) { _ = os.Rename(path(i), path(rng.IntN(5))) },
		func(i int) { _ = os.Rename(path(i), filepath.Join(dir, fmt.Sprintf(".f%d.swp", i))) },
		func(i int) { _ = os.Remove(path(i)); _ = os.Mkdir(path(i), 0o755) },
		func(i int) { _ = os.Remove(path(i)); _ = os.Symlink("nowhere", path(i)) },
		func(i int) { _ = os.WriteFile(path(i), []byte("\x00\xff garbage: ["), 0o644) },
		func(i int) { _ = os.WriteFile(filepath.Join(dir, "copy.yaml"), []byte(whole(i)), 0o644) },
	}
	for range 150 {
		acts[rng.IntN(len(acts))](rng.IntN(5))
		if rng.IntN(4) == 0 {
			time.Sleep(time.Duration(rng.IntN(12)) * time.Millisecond)
		}
	}
	_ = os.Remove(filepath.Join(dir, "copy.yaml"))
	want := ""
	for i := range 5 {
		_ = os.RemoveAll(path(i))
		put(t, path(i), vs(fmt.Sprintf("o%d", i), "42s"))
		want += fmt.Sprintf(" o%d=42s", i)
	}
	waitFor(t, snapshots, strings.TrimSpace(want))
	deadline := time.Now().Add(5 * time.Second)
	for len(s.Problems()) > 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if p := s.Problems(); len(p) > 0 {
		t.Errorf("problems at the end: %v", p)
	}
	if got := state(s.Snapshot()); got != strings.TrimSpace(want) {
		t.Errorf("state = %q, want %q", got, want)
	}
}

// Thousands of files in dozens of folders: a change of some is a change of some.
func TestThousandsOfFiles(t *testing.T) {
	const folders, each = 40, 100
	dir := t.TempDir()
	path := func(folder, file int) string {
		return filepath.Join(dir, fmt.Sprintf("team-%02d", folder), fmt.Sprintf("%02d.yaml", file))
	}
	name := func(folder, file int) string { return fmt.Sprintf("s-%02d-%02d", folder, file) }
	for i := range folders {
		for j := range each {
			put(t, path(i, j), vs(name(i, j), "1s"))
		}
	}
	s, snapshots := watch(t, dir, time.Hour)
	if n := len(s.Objects()); n != folders*each {
		t.Fatalf("%d objects at first", n)
	}
	// One file in each folder changes, a broken one comes, a whole folder goes.
	for i := range folders {
		put(t, path(i, i), vs(name(i, i), "2s"))
	}
	put(t, filepath.Join(dir, "team-00", "broken.yaml"), "a: [")
	if err := os.RemoveAll(filepath.Join(dir, "team-39")); err != nil {
		t.Fatal(err)
	}
	check := func(snap Snapshot) error {
		if want := (folders - 1) * each; len(snap.Objects) != want {
			return fmt.Errorf("%d objects, want %d", len(snap.Objects), want)
		}
		for _, o := range snap.Objects {
			var i, j int
			if _, err := fmt.Sscanf(o.Name, "s-%d-%d", &i, &j); err != nil {
				return err
			}
			timeout := o.VirtualService().Http[0].Timeout.AsDuration()
			if changed := i == j; changed != (timeout == 2*time.Second) || changed != (o.Revision > 1) {
				return fmt.Errorf("%s: timeout %s of revision %d", o.Name, timeout, o.Revision)
			}
		}
		if p := s.Problems(); len(p) != 1 || p[0].File != filepath.Join("team-00", "broken.yaml") {
			return fmt.Errorf("problems: %v", p)
		}
		return nil
	}
	timeout := time.After(time.Minute)
	for {
		err := check(s.Snapshot())
		if err == nil {
			return
		}
		select {
		case <-snapshots:
		case <-time.After(time.Second): // problems alone make no snapshot
		case <-timeout:
			t.Fatal(err)
		}
	}
}
