// Package statefile keeps small pieces of a server's memory in files, one JSON
// value each, over a restart and over a kill at any point: a file is replaced
// whole or not at all. Its users are the parts of the server that remember:
// alerts, the inventory of nodes, roll-outs. It never decides what is kept.
package statefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is one kept value. The zero File keeps nothing.
type File struct{ path string }

// At names a file in a directory, which is made when something is saved; dir
// "" keeps nothing.
func At(dir, name string) File {
	if dir == "" {
		return File{}
	}
	return File{filepath.Join(dir, name)}
}

// Load reads the value into v. ok is false when nothing was saved yet.
func (f File) Load(v any) (ok bool, err error) {
	if f.path == "" {
		return false, nil
	}
	data, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read state: %w", err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, fmt.Errorf("read state %s: %w: it is damaged; move it away to begin without it", f.path, err)
	}
	return true, nil
}

// Save replaces the value. When it returns without an error the value is on
// disk; killed before, the old one is.
func (f File) Save(v any) error {
	if f.path == "" {
		return nil
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("save state %s: %w", f.path, err)
	}
	if err := f.replace(data); err != nil {
		return fmt.Errorf("save state %s: %w", f.path, err)
	}
	return nil
}

func (f File) replace(data []byte) (err error) {
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, filepath.Base(f.path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err := tmp.Write(data); err != nil {
		_ = tmp.Close()
		return err
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), f.path)
}
