package statefile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	f := At(dir, "things.json")
	var got []string
	if ok, err := f.Load(&got); ok || err != nil {
		t.Fatalf("load of nothing: %v, %v", ok, err)
	}
	for _, want := range [][]string{{"a"}, {"b", "c"}} {
		if err := f.Save(want); err != nil {
			t.Fatal(err)
		}
		if ok, err := f.Load(&got); !ok || err != nil || len(got) != len(want) {
			t.Fatalf("load: %v, %v, %v", ok, err, got)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d files are left, want one", len(entries))
	}
	if err := f.Save(func() {}); err == nil {
		t.Error("a function was saved")
	}
	if err := os.WriteFile(filepath.Join(dir, "things.json"), []byte(`["a`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load(&got); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("damaged file: %v", err)
	}
	if ok, err := (File{}).Load(&got); ok || err != nil || (File{}).Save(1) != nil {
		t.Error("the zero File keeps something")
	}
}
