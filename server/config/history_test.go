package config

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// timeout tells which form of one object a revision has.
func timeout(t *testing.T, s *Store, revision uint64) time.Duration {
	t.Helper()
	objects, err := s.Content(revision)
	if err != nil || len(objects) == 0 {
		t.Fatalf("content of revision %d: %v, %v", revision, objects, err)
	}
	return objects[0].VirtualService().Http[0].Timeout.AsDuration()
}

func TestHistoryIsBounded(t *testing.T) {
	opts := Options{Dir: t.TempDir(), StateDir: t.TempDir()}
	f := openFolder(t, opts, map[string]string{"one.yaml": vs("a", "1s"), "two.yaml": vs("b", "1s")})
	for i := range 2*keptRevisions + 30 {
		f.write("one.yaml", vs("a", fmt.Sprintf("%ds", i+2)))
		f.reload()
	}
	newest := uint64(2*keptRevisions + 31)
	for range 2 { // as it was, and after a restart
		if got := f.store.Revisions(0); len(got) != keptRevisions || got[0].Number != newest {
			t.Errorf("kept %d revisions to %d", len(got), got[0].Number)
		}
		for n := newest - keptRevisions + 1; n <= newest; n++ {
			if got := timeout(t, f.store, n); got != time.Duration(n)*time.Second {
				t.Fatalf("revision %d has the timeout %s", n, got)
			}
		}
		if _, err := f.store.Content(newest - keptRevisions); !errors.Is(err, mesh.ErrNotFound) {
			t.Errorf("content of a revision too old: %v, want not found", err)
		}
		f = openFolder(t, opts, nil)
	}
	data, err := os.ReadFile(f.store.history.path)
	if lines := bytes.Count(data, []byte("\n")); err != nil || lines > 2*keptRevisions || lines != f.store.history.lines || len(data) != f.store.history.bytes {
		t.Errorf("history file has %d lines and %d bytes, counted %d and %d, %v", lines, len(data), f.store.history.lines, f.store.history.bytes, err)
	}
}

// Instances that come and go do not push out what people did.
func TestHistoryKeepsWhatPeopleDid(t *testing.T) {
	instance := func(i int) string {
		return fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: w, namespace: cinema}\nspec: {address: 10.0.%d.%d}\n", i/250, i%250+1)
	}
	opts := Options{Dir: t.TempDir(), StateDir: t.TempDir()}
	f := openFolder(t, opts, map[string]string{"w.yaml": instance(0)})
	for i := range 300 {
		if i%30 == 0 {
			f.write("one.yaml", vs("a", fmt.Sprintf("%ds", i+1)))
			f.reload()
		}
		f.write("w.yaml", instance(i+1))
		f.reload()
	}
	for range 2 { // as it was, and after a restart
		kept := f.store.Revisions(0)
		people := 0
		for _, rev := range kept {
			if !rev.EndpointsOnly() {
				people++
			}
		}
		if len(kept) != keptRevisions || people != 10 {
			t.Errorf("of %d revisions kept %d are people's, want all 10", len(kept), people)
		}
		for i, rev := range kept {
			if i < keptRevisions/2 && rev.Number != kept[0].Number-uint64(i) {
				t.Fatalf("the newest are not whole: revision %d is number %d from the end", rev.Number, i)
			}
		}
		last := kept[len(kept)-1]
		if got := timeout(t, f.store, last.Number); got != time.Second {
			t.Errorf("revision %d has the timeout %s, want 1s", last.Number, got)
		}
		f = openFolder(t, opts, nil)
	}
}

func TestHistoryBytesAreBounded(t *testing.T) {
	f := openFolder(t, Options{StateDir: t.TempDir()}, nil)
	f.store.history.maxBytes = 20_000
	for i := range 60 {
		f.write("one.yaml", vs("a", fmt.Sprintf("%ds", i+1)))
		f.reload()
	}
	data, err := os.ReadFile(f.store.history.path)
	if err != nil || len(data) > 20_000 {
		t.Errorf("history file has %d bytes, %v", len(data), err)
	}
	kept := f.store.Revisions(0)
	if len(kept) < 5 || len(kept) > 40 {
		t.Errorf("%d revisions are kept", len(kept))
	}
	oldest := kept[len(kept)-1].Number
	if got := timeout(t, f.store, oldest); got != time.Duration(oldest-1)*time.Second {
		t.Errorf("the oldest, %d, has the timeout %s", oldest, got)
	}
}

// A torn line costs what stood in it, and the next change mends the file.
func TestTornHistory(t *testing.T) {
	opts := Options{Dir: t.TempDir(), StateDir: t.TempDir()}
	f := openFolder(t, opts, map[string]string{"one.yaml": vs("a", "1s")})
	for _, d := range []string{"2s", "3s"} {
		f.write("one.yaml", vs("a", d))
		f.reload()
	}
	path := f.store.history.path
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)-40], 0o644); err != nil {
		t.Fatal(err)
	}
	f = openFolder(t, opts, nil) // revision 3 is forgotten, so its content is new
	f.want(3, "a 3s@3", "")
	f = openFolder(t, opts, nil)
	for n := uint64(1); n <= 3; n++ {
		if got := timeout(t, f.store, n); got != time.Duration(n)*time.Second {
			t.Errorf("revision %d has the timeout %s", n, got)
		}
	}
	h, err := openHistory(opts.StateDir, slog.New(slog.DiscardHandler))
	if err != nil || h.anew {
		t.Errorf("the file is still damaged, %v", err)
	}
}

// Places move without a revision; what a revision tells then is where its
// objects stood when it was made, also after a restart.
func TestHistoryKeepsPlaces(t *testing.T) {
	opts := Options{Dir: t.TempDir(), StateDir: t.TempDir()}
	f := openFolder(t, opts, map[string]string{"one.yaml": vs("a", "1s") + "---\n" + vs("b", "1s")})
	f.write("one.yaml", "# a\n# comment\n---\n"+vs("a", "2s")+"---\n\n"+vs("b", "1s"))
	f.reload()
	f.write("one.yaml", vs("a", "3s"))
	f.reload()
	f = openFolder(t, opts, nil)
	for n, want := range map[uint64][2]int{1: {1, 10}, 2: {4, 14}} {
		objects, err := f.store.Content(n)
		if err != nil || len(objects) != 2 {
			t.Fatal(objects, err)
		}
		for i, o := range objects {
			p := o.Problem(SeverityError, "", "spec.http[0].timeout", "", "")
			if o.Line != want[i] || p.Line != want[i]+7 {
				t.Errorf("revision %d: %s at line %d, its timeout at %d; want line %d", n, o.Name, o.Line, p.Line, want[i])
			}
		}
	}
}

// A restart takes down no more than a change does: an object that is broken by
// then keeps its last good form, and only what changed is in the revision.
func TestRestartOverBrokenFile(t *testing.T) {
	opts := Options{Dir: t.TempDir(), StateDir: t.TempDir()}
	f := openFolder(t, opts, map[string]string{"one.yaml": vs("a", "1s"), "two.yaml": vs("b", "1s"), "three.yaml": vs("c", "1s")})
	f.want(1, "a 1s@1, b 1s@1, c 1s@1", "")
	f.write("one.yaml", vs("a", "soon"))
	f.write("two.yaml", vs("b", "2s"))
	f.remove("three.yaml")
	f = openFolder(t, opts, nil)
	f.want(2, "a 1s@1, b 2s@2", "one.yaml:SL1012 one.yaml:SL1007")
	if rev := must(f.store.Revision(2)); rev.Summary != "changed VirtualService cinema/b, removed VirtualService cinema/c" {
		t.Errorf("revision 2: %s", rev.Summary)
	}
}
