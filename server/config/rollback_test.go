package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestRollback(t *testing.T) {
	opts := Options{Dir: t.TempDir(), StateDir: t.TempDir()}
	shared := "# all of them\n---\n# a, by hand\n" + vs("a", "1s") + "---\n" + vs("b", "1s") + "---\n# the end\n"
	f := openFolder(t, opts, map[string]string{"shared.yaml": shared, "own.yaml": vs("c", "1s")})

	f.write("shared.yaml", "# all of them\n---\n# a, changed\n"+vs("a", "2s")+"---\n"+vs("b", "1s")+"---\n"+vs("d", "1s")+"---\n# the end\n")
	f.remove("own.yaml")
	f.write("new.yaml", vs("e", "1s"))
	f.reload()
	f.want(2, "a 2s@2, b 1s@1, d 1s@2, e 1s@2", "")

	f = openFolder(t, opts, nil) // what an earlier process wrote can be gone back to
	got, err := f.store.Rollback(t.Context(), 1, "ana")
	if err != nil {
		t.Fatal(err)
	}
	f.want(3, "a 1s@3, b 1s@1, c 1s@3", "")
	rev := got.Revision
	if rev == nil || rev.By != "ana" || rev.Source != "rollback:1" ||
		rev.Summary != "rolled back to revision 1: added 1, changed 1, removed 2 objects" || rev.Hash != must(f.store.Revision(1)).Hash {
		t.Errorf("revision = %+v", rev)
	}
	// What stands around the documents is not ours.
	if diff := cmp.Diff(shared, f.read("shared.yaml")); diff != "" {
		t.Errorf("shared.yaml (-want +got):\n%s", diff)
	}
	if f.read("own.yaml") != vs("c", "1s") || f.read("new.yaml") != "" {
		t.Errorf("own.yaml = %q, new.yaml = %q", f.read("own.yaml"), f.read("new.yaml"))
	}

	// Nothing to do is no revision; and one can go forward again.
	if got, err = f.store.Rollback(t.Context(), 1, "ana"); err != nil || got.Revision != nil {
		t.Errorf("rollback to what runs = %+v, %v", got, err)
	}
	if _, err = f.store.Rollback(t.Context(), 2, "ana"); err != nil {
		t.Fatal(err)
	}
	f.want(4, "a 2s@4, b 1s@1, d 1s@4, e 1s@4", "")
	if _, err = f.store.Rollback(t.Context(), 77, "ana"); !errors.Is(err, mesh.ErrNotFound) {
		t.Errorf("rollback to nothing: %v, want not found", err)
	}
}

func (f *folder) read(name string) string {
	data, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		f.t.Fatal(err)
	}
	return string(data)
}

// A broken form is what one wants to get rid of.
func TestRollbackOverBrokenFile(t *testing.T) {
	f := openFolder(t, Options{}, map[string]string{"one.yaml": vs("a", "1s") + "---\n" + vs("b", "1s")})
	f.write("one.yaml", vs("a", "2s")+"---\n"+vs("b", "1s"))
	f.reload()
	f.write("one.yaml", vs("a", "soon")+"---\n"+vs("b", "1s"))
	f.reload()
	f.want(2, "a 2s@2, b 1s@1", "one.yaml:SL1012 one.yaml:SL1007")
	if _, err := f.store.Rollback(t.Context(), 1, "ana"); err != nil {
		t.Fatal(err)
	}
	f.want(3, "a 1s@3, b 1s@1", "")
}

func TestRollbackOfALink(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "x.yaml")
	dir := t.TempDir()
	f := openFolder(t, Options{Dir: dir}, nil)
	if err := os.WriteFile(elsewhere, []byte(vs("a", "1s")), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(dir, "x.yaml")); err != nil {
		t.Fatal(err)
	}
	f.reload()
	if _, err := f.store.Rollback(t.Context(), 1, "ana"); !errors.Is(err, mesh.ErrInvalid) {
		t.Errorf("rollback over a link: %v, want a refusal", err)
	}
	f.want(2, "a 1s@2", "")
}
