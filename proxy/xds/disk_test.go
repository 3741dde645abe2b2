package xds

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// someCandidate is a small configuration of several revisions.
func someCandidate(t testing.TB) *candidate {
	t.Helper()
	s := newStore()
	tr := newTranslator("1.2.3")
	for _, in := range []struct {
		kind     string
		name     string
		revision uint64
		m        proto.Message
	}{
		{mesh.TypeCluster, "catalog", 3, edsCluster("catalog")},
		{mesh.TypeCluster, "reviews", 5, edsCluster("reviews")},
		{mesh.TypeEndpoint, "catalog", 4, endpoints("catalog", 8080)},
		{mesh.TypeListener, "outbound", 1, listener("outbound", "main")},
		{mesh.TypeRoute, "main", 2, routes("main", "catalog")},
	} {
		r, err := tr.translate(in.kind, in.name, "hash-of-"+in.name, in.revision, wrap(in.m))
		if err != nil {
			t.Fatal(err)
		}
		s.accept(update{kind: in.kind, revision: in.revision, set: []*resource{r}}, time.Now())
	}
	s.accept(update{kind: mesh.TypeListener, revision: 6}, time.Now()) // nothing changed for listeners
	return s.candidate()
}

func TestDiskRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "web")
	d := newDisk(dir, "node-1")
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	want := someCandidate(t)
	for range 2 { // the second replaces the first
		if err := d.save(want, at); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(d.path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("file mode is %v, want 0600", got)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d files are left, want one", len(entries))
	}

	updates, savedAt, err := d.load(newTranslator("1.2.3"))
	if err != nil || !savedAt.Equal(at) {
		t.Fatalf("load: saved at %v, %v", savedAt, err)
	}
	s := newStore()
	s.restore(updates)
	got := s.candidate()
	if got.heard {
		t.Error("a configuration from disk counts as heard from a control plane")
	}
	if diff := cmp.Diff(shape(want.snapshot()), shape(got.snapshot())); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	if got.revision() != 6 {
		t.Errorf("revision is %d, want 6", got.revision())
	}
	for kind, typ := range want.types {
		for name, r := range typ.resources {
			back := got.types[kind].resources[name]
			if back == nil || back.version != r.version || back.revision != r.revision {
				t.Errorf("%s %s came back as %+v", kind, name, back)
			}
		}
	}
}

func TestDiskRefuses(t *testing.T) {
	dir := t.TempDir()
	d := newDisk(dir, "node-1")
	if err := d.save(someCandidate(t), time.Now()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-5] ^= 1
	tests := []struct {
		name    string
		content []byte
		node    string
		build   *translator
		want    string
	}{
		{"empty", nil, "node-1", nil, "is no sidelight-config/1 file"},
		{"text", []byte("hello\nworld"), "node-1", nil, "is no sidelight-config/1 file"},
		{"other format", bytes.Replace(whole, []byte("config/1"), []byte("config/9"), 1), "node-1", nil, "is no sidelight-config/1 file"},
		{"cut off", whole[:len(whole)-10], "node-1", nil, "the checksum does not fit"},
		{"one bit", flipped, "node-1", nil, "the checksum does not fit"},
		{"longer", append(bytes.Clone(whole), 'x'), "node-1", nil, "the checksum does not fit"},
		{"other node", whole, "node-2", nil, `the file belongs to node "node-1"`},
		{"build that knows less", whole, "node-1", &translator{checker{fields: map[string]map[string]bool{}, build: "0.9"}}, "not supported by build 0.9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			other := newDisk(t.TempDir(), tt.node)
			if err := os.WriteFile(other.path, tt.content, 0o600); err != nil {
				t.Fatal(err)
			}
			if tt.build == nil {
				tt.build = newTranslator("1.2.3")
			}
			updates, _, err := other.load(tt.build)
			if !errors.Is(err, mesh.ErrInvalid) || !strings.Contains(err.Error(), tt.want) || updates != nil {
				t.Errorf("load gives %d updates and %v, want %q", len(updates), err, tt.want)
			}
		})
	}
	if _, _, err := newDisk(t.TempDir(), "node-1").load(newTranslator("1")); !errors.Is(err, mesh.ErrNotFound) {
		t.Errorf("load without file: %v", err)
	}
	if _, _, err := newDisk("", "node-1").load(newTranslator("1")); !errors.Is(err, mesh.ErrNotFound) {
		t.Errorf("load without directory: %v", err)
	}
}

func TestDiskSaysWhenItCannotWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := newDisk(filepath.Join(file, "state"), "n").save(someCandidate(t), time.Now())
	if _, ok := errors.AsType[*fs.PathError](err); !ok {
		t.Errorf("save below a file: %v", err)
	}
}

func FuzzStateFile(f *testing.F) {
	d := newDisk(f.TempDir(), "node-1")
	if err := d.save(someCandidate(f), time.Now()); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(d.path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte("{}\n"))
	tr := newTranslator("1.2.3")
	f.Fuzz(func(t *testing.T, content []byte) {
		updates, _, err := d.decode(content, tr)
		if err == nil {
			s := newStore()
			s.restore(updates)
			s.candidate().snapshot()
		}
	})
}
