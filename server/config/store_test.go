package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// vs gives a VirtualService that differs from others of its name by the timeout.
func vs(name, timeout string) string {
	return strings.Replace(route("timeout: "+timeout), "name: a", "name: "+name, 1)
}

// folder is a configuration directory and a store that is read by hand.
type folder struct {
	t     *testing.T
	dir   string
	store *Store
}

func openFolder(t *testing.T, opts Options, files map[string]string) *folder {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	f := &folder{t: t, dir: opts.Dir}
	for name, text := range files {
		f.write(name, text)
	}
	s, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	f.store = s
	return f
}

func (f *folder) write(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) remove(name string) {
	f.t.Helper()
	if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) reload() {
	f.t.Helper()
	f.store.changing.Lock()
	defer f.store.changing.Unlock()
	if err := f.store.load(origin{by: "directory"}); err != nil {
		f.t.Fatal(err)
	}
}

// want compares the objects in effect, as "name timeout@revision", and the
// codes of the problems.
func (f *folder) want(revision uint64, objects, codes string) {
	f.t.Helper()
	var got, problems []string
	for _, o := range f.store.Objects() {
		got = append(got, fmt.Sprintf("%s %s@%d", o.Name, o.VirtualService().Http[0].Timeout.AsDuration(), o.Revision))
	}
	for _, p := range f.store.Problems() {
		problems = append(problems, p.File+":"+p.Code)
	}
	if diff := cmp.Diff(objects, strings.Join(got, ", ")); diff != "" {
		f.t.Errorf("objects (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(codes, strings.Join(problems, " ")); diff != "" {
		f.t.Errorf("problems (-want +got):\n%s", diff)
	}
	if got := f.store.Snapshot().Revision.Number; got != revision {
		f.t.Errorf("revision = %d, want %d", got, revision)
	}
}

func TestBadFilesLeaveGoodObjects(t *testing.T) {
	f := openFolder(t, Options{}, map[string]string{
		"one.yaml":     vs("a", "1s") + "---\n" + vs("b", "1s"),
		"sub/two.yml":  vs("c", "1s"),
		"notes.txt":    "not: [yaml",
		".hidden.yaml": "not: [yaml",
		"empty.yaml":   "# nothing\n",
	})
	f.want(1, "a 1s@1, b 1s@1, c 1s@1", "")

	f.write("one.yaml", vs("a", "2s")+"---\n"+vs("b", "soon"))
	f.reload()
	f.want(2, "a 2s@2, b 1s@1, c 1s@1", "one.yaml:SL1012 one.yaml:SL1007")

	// A document that cannot even be named may be any of its file's.
	f.write("one.yaml", "a: [\n---\n"+vs("b", "2s"))
	f.reload()
	f.want(3, "a 2s@2, b 2s@3, c 1s@1", "one.yaml:SL1001 one.yaml:SL1012")

	// What is gone without a trace is gone.
	f.write("one.yaml", vs("b", "2s"))
	f.remove("sub/two.yml")
	f.reload()
	f.want(4, "b 2s@3", "")
	if got, want := f.store.Snapshot().Revision.Summary, "removed VirtualService cinema/a and VirtualService cinema/c"; got != want {
		t.Errorf("summary = %q, want %q", got, want)
	}

	// A file that cannot be read is not a file that is empty.
	if err := os.Remove(filepath.Join(f.dir, "one.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(f.dir, "one.yaml")); err != nil {
		t.Fatal(err)
	}
	f.reload()
	f.want(4, "b 2s@3", "one.yaml:SL1002 one.yaml:SL1012")
}

func TestSameObjectTwice(t *testing.T) {
	f := openFolder(t, Options{}, map[string]string{"b.yaml": vs("a", "1s")})
	f.write("a.yaml", "\n\n"+vs("a", "2s"))
	f.reload()
	// What is in effect stays; the problem names both places.
	f.want(1, "a 1s@1", "a.yaml:SL1010")
	p := f.store.Problems()[0]
	if p.Line != 3 || !strings.Contains(p.Message, "b.yaml:1") {
		t.Errorf("problem = %v, want both places", p)
	}
	f.remove("b.yaml")
	f.reload()
	f.want(2, "a 2s@2", "")
}

func TestRevisions(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	state := t.TempDir()
	opts := Options{Dir: t.TempDir(), StateDir: state, Now: func() time.Time { return now }}
	f := openFolder(t, opts, map[string]string{"one.yaml": vs("a", "1s")})
	var seen []uint64
	cancel := f.store.Subscribe(func(s Snapshot) { seen = append(seen, s.Revision.Number) })

	f.write("one.yaml", "# a comment\n"+vs("a", "1s"))
	f.reload() // no revision
	f.write("one.yaml", vs("a", "2s"))
	f.write("two.yaml", vs("b", "1s"))
	f.reload() // one for both
	f.remove("two.yaml")
	f.reload()
	cancel()
	f.write("one.yaml", vs("a", "3s"))
	f.reload()
	if diff := cmp.Diff([]uint64{1, 2, 3}, seen); diff != "" {
		t.Errorf("revisions seen (-want +got):\n%s", diff)
	}

	rev, err := f.store.Revision(2)
	if err != nil {
		t.Fatal(err)
	}
	want := mesh.Revision{
		Number: 2, At: now, By: "directory", Source: "directory: 2 files", Summary: "added VirtualService cinema/b, changed VirtualService cinema/a",
		Objects: []mesh.Change{
			{Op: "changed", Kind: "VirtualService", Namespace: "cinema", Name: "a"},
			{Op: "added", Kind: "VirtualService", Namespace: "cinema", Name: "b"},
		}, Hash: rev.Hash,
	}
	if diff := cmp.Diff(want, rev); diff != "" {
		t.Errorf("revision 2 (-want +got):\n%s", diff)
	}
	content, err := f.store.Content(2)
	if err != nil || len(content) != 2 || content[0].VirtualService().Http[0].Timeout.AsDuration() != 2*time.Second {
		t.Errorf("content of revision 2 = %v, %v", content, err)
	}
	if rev, _ := f.store.Revision(3); rev.Summary != "removed VirtualService cinema/b" || rev.Source != "file:two.yaml" {
		t.Errorf("revision 3 = %+v", rev)
	}
	if _, err := f.store.Revision(9); !errors.Is(err, mesh.ErrNotFound) {
		t.Errorf("revision 9: %v, want not found", err)
	}
	if got := f.store.Revisions(2); len(got) != 2 || got[0].Number != 4 || got[1].Number != 3 {
		t.Errorf("newest two = %v", got)
	}

	// After a restart without a change the number stays, and its content is there.
	f = openFolder(t, opts, nil)
	f.want(4, "a 3s@4", "")
	if diff := cmp.Diff(rev, must(f.store.Revision(2))); diff != "" {
		t.Errorf("revision 2 after the restart (-want +got):\n%s", diff)
	}
	if _, err := f.store.Content(4); err != nil {
		t.Error(err)
	}
	content, err = f.store.Content(2)
	if err != nil || len(content) != 2 || content[0].VirtualService().Http[0].Timeout.AsDuration() != 2*time.Second || content[0].Source != "one.yaml" {
		t.Errorf("content of an earlier process: %v, %v", content, err)
	}
	if _, err := f.store.Content(9); !errors.Is(err, mesh.ErrNotFound) {
		t.Errorf("content of revision 9: %v, want not found", err)
	}
	// With one it goes on.
	f.write("one.yaml", vs("a", "9s"))
	f = openFolder(t, opts, nil)
	f.want(5, "a 9s@5", "")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestDamagedHistory(t *testing.T) {
	state := t.TempDir()
	path := filepath.Join(state, historyFile)
	for _, tt := range []struct {
		name, text string
		next       uint64 // 0: refused
	}{
		{"torn last line", `{"number":41}` + "\n" + `{"numb`, 42},
		{"back in time", `{"number":41}` + "\n" + `{"number":7}` + "\n", 42},
		{"blank lines", "\n" + `{"number":41}` + "\n\n", 42},
		{"rubbish", "\x00\x00\x00", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			s, err := Open(Options{Dir: t.TempDir(), StateDir: state})
			if tt.next == 0 {
				if err == nil || !strings.Contains(err.Error(), path) {
					t.Errorf("opened with %v, want an error that names the file", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Snapshot().Revision.Number; got != tt.next {
				t.Errorf("revision = %d, want %d", got, tt.next)
			}
		})
	}
}

func TestUnreadableDirectoryKeepsAll(t *testing.T) {
	f := openFolder(t, Options{}, map[string]string{"one.yaml": vs("a", "1s")})
	if err := os.Rename(f.dir, f.dir+".away"); err != nil {
		t.Fatal(err)
	}
	f.store.changing.Lock()
	err := f.store.load(origin{by: "directory"})
	f.store.changing.Unlock()
	if err == nil {
		t.Fatal("a directory that is gone was read")
	}
	f.want(1, "a 1s@1", ".:SL1002")
	if err := os.Rename(f.dir+".away", f.dir); err != nil {
		t.Fatal(err)
	}
	f.reload()
	f.want(1, "a 1s@1", "")
}

func TestApply(t *testing.T) {
	f := openFolder(t, Options{}, map[string]string{
		"shared.yaml": vs("a", "1s") + "---\n" + vs("b", "1s"),
		"own.yaml":    "# by hand\n" + vs("c", "1s"),
	})
	s := f.store
	apply := func(text string) (Applied, error) { return s.Apply(t.Context(), []byte(text), "tomas") }

	// New objects get files below api/, replaced ones stay where they are.
	got, err := apply(vs("d", "1s") + "---\n" + vs("c", "2s"))
	if err != nil {
		t.Fatal(err)
	}
	f.want(2, "a 1s@1, b 1s@1, c 2s@2, d 1s@2", "")
	if got.Revision == nil || got.Revision.By != "tomas" || got.Revision.Source != "api" || len(got.Objects) != 2 {
		t.Errorf("applied = %+v", got)
	}
	var files []string
	for name := range s.tree.files {
		files = append(files, name)
	}
	slices.Sort(files)
	if diff := cmp.Diff([]string{"api/cinema/virtualservice-d.yaml", "own.yaml", "shared.yaml"}, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}

	// The same again is no revision.
	if got, err = apply(vs("d", "1s")); err != nil || got.Revision != nil || len(got.Objects) != 1 {
		t.Errorf("apply of the same = %+v, %v", got, err)
	}

	// All or nothing.
	for name, tt := range map[string]struct{ text, code, hint string }{
		"shared file":    {vs("d", "9s") + "---\n" + vs("a", "9s"), CodeElsewhere, "shared.yaml"},
		"invalid":        {vs("d", "9s") + "---\n" + vs("e", "soon"), CodeValue, "15s"},
		"twice":          {vs("d", "9s") + "---\n" + vs("d", "8s"), CodeDuplicate, "remove"},
		"nothing":        {"# nothing\n", CodeNotObject, ""},
		"not yaml":       {"a: [", CodeSyntax, ""},
		"other's object": {"kind: Pod\napiVersion: v1\nmetadata: {name: x}\n", CodeUnknownKind, ""},
	} {
		_, err := apply(tt.text)
		var invalid *InvalidError
		if !errors.As(err, &invalid) || !errors.Is(err, mesh.ErrInvalid) {
			t.Errorf("%s: %v, want InvalidError", name, err)
			continue
		}
		i := slices.IndexFunc(invalid.Problems, func(p Problem) bool { return p.Code == tt.code })
		if i < 0 || !strings.Contains(invalid.Problems[i].Hint, tt.hint) {
			t.Errorf("%s: problems %v, want %s with a hint at %q", name, invalid.Problems, tt.code, tt.hint)
		}
		if diff := cmp.Diff(invalid.Problems, s.Validate([]byte(tt.text))); diff != "" {
			t.Errorf("%s: Validate says otherwise (-apply +validate):\n%s", name, diff)
		}
	}
	f.want(2, "a 1s@1, b 1s@1, c 2s@2, d 1s@2", "")

	// Delete takes the file.
	if _, err := s.Delete(t.Context(), Key{KindVirtualService, "cinema", "d"}, "tomas"); err != nil {
		t.Fatal(err)
	}
	f.want(3, "a 1s@1, b 1s@1, c 2s@2", "")
	if _, err := s.Delete(t.Context(), Key{KindVirtualService, "cinema", "a"}, "tomas"); !errors.Is(err, mesh.ErrInvalid) {
		t.Errorf("delete out of a shared file: %v, want invalid", err)
	}
	if _, err := s.Delete(t.Context(), Key{KindVirtualService, "cinema", "zz"}, "tomas"); !errors.Is(err, mesh.ErrNotFound) {
		t.Errorf("delete of nothing: %v, want not found", err)
	}
	// An object that is only there in a broken form can be replaced and deleted.
	f.write("own.yaml", vs("c", "soon"))
	if _, err := apply(vs("c", "5s")); err != nil {
		t.Error(err)
	}
	f.want(4, "a 1s@1, b 1s@1, c 5s@4", "")
}

func TestApplyToALink(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(elsewhere, []byte(vs("a", "1s")), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, "x.yaml")); err != nil {
		t.Fatal(err)
	}
	f := openFolder(t, Options{Dir: dir}, nil)
	_, err := f.store.Apply(t.Context(), []byte(vs("a", "2s")), "tomas")
	if !errors.Is(err, mesh.ErrInvalid) || !strings.Contains(err.Error(), "link") {
		t.Errorf("apply to a link: %v, want a refusal", err)
	}
}

// The directory's own changes are not the caller's, even when Apply is the
// first to see them.
func TestApplyLeavesOthersChangesToThem(t *testing.T) {
	f := openFolder(t, Options{}, nil)
	f.write("one.yaml", vs("a", "1s"))
	got, err := f.store.Apply(t.Context(), []byte(vs("b", "1s")), "tomas")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Revision.Objects) != 1 || got.Revision.Number != 3 {
		t.Errorf("revision = %+v, want b alone as revision 3", got.Revision)
	}
	if rev := must(f.store.Revision(2)); rev.By != "directory" {
		t.Errorf("revision 2 by %q, want the directory", rev.By)
	}
}

func TestCheckIsHeard(t *testing.T) {
	severity := SeverityWarning
	check := func(objects []*Object) []Problem {
		var out []Problem
		for _, o := range objects {
			out = append(out, o.Problem(severity, CodeNoHost, "spec.http[0].route[0].destination.host", "no such host", ""))
		}
		return out
	}
	f := openFolder(t, Options{Check: check}, map[string]string{"one.yaml": vs("a", "1s")})
	f.want(1, "a 1s@1", "one.yaml:SL3001")
	if p := f.store.Problems()[0]; p.Line != 7 || p.Column != 28 {
		t.Errorf("problem at %d:%d, want 7:28", p.Line, p.Column)
	}
	got, err := f.store.Apply(t.Context(), []byte(vs("b", "1s")), "tomas")
	if err != nil || len(got.Warnings) != 1 || got.Warnings[0].Object != "VirtualService cinema/b" {
		t.Errorf("applied = %+v, %v, want one warning about b", got, err)
	}
	severity = SeverityError
	if _, err := f.store.Apply(t.Context(), []byte(vs("c", "1s")), "tomas"); !errors.Is(err, mesh.ErrInvalid) {
		t.Errorf("apply against an error of the check: %v, want invalid", err)
	}
}
