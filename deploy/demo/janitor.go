package demo

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// marker is a file that only a demo's own folder holds; the janitor removes no
// folder without it.
const marker = ".sidelight-demo"

// Janitor waits until the process that started it is gone, and then removes
// the demo's folder: the only thing that outlives a demo which was killed.
// It is started outside the parent-death signal, because it acts on it.
func Janitor(dir string) error {
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return fmt.Errorf("wait for the demo to end: %w", err)
	}
	// The other children notice by the same means; give them a moment to close
	// their files, then remove until nothing new appears.
	for range 20 {
		time.Sleep(100 * time.Millisecond)
		if err := removeFolder(dir); err == nil {
			return nil
		}
	}
	return removeFolder(dir)
}

func removeFolder(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, marker)); os.IsNotExist(err) {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return nil
		}
		return fmt.Errorf("remove %s: it holds no %s, so it is not a demo's", dir, marker)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	// The marker goes last, so that a removal that failed half way can be
	// tried again.
	for _, e := range entries {
		if strings.EqualFold(e.Name(), marker) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("remove %s: %w", dir, err)
		}
	}
	return os.RemoveAll(dir)
}
