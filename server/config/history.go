package config

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/sidelight-mesh/sidelight/mesh"
)

const (
	keptRevisions = 100
	keptChanges   = 200 // of one revision, in the file
	historyFile   = "revisions.jsonl"
)

// history is the last revisions, in memory with their content, and in a file
// without it: one JSON object a line, oldest first. It is safe for concurrent
// use.
type history struct {
	path string // "" keeps no file

	mu      sync.RWMutex
	entries []entry // oldest first
	number  uint64  // of the newest, also when it is not kept
}

type entry struct {
	revision mesh.Revision
	objects  []*Object // nil when it was made by an earlier process
}

func openHistory(dir string, log *slog.Logger) (*history, error) {
	h := &history{}
	if dir == "" {
		return h, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	h.path = filepath.Join(dir, historyFile)
	data, err := os.ReadFile(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read history of revisions: %w", err)
	}
	bad := h.parse(data)
	if bad > 0 && len(h.entries) == 0 {
		// To begin at 1 again would make nodes look newer than the server.
		return nil, fmt.Errorf("history of revisions %s is damaged: mend it, or remove it to count from 1 again", h.path)
	}
	if bad > 0 {
		log.Warn("history of revisions has damaged lines", "path", h.path, "lines", bad)
	}
	return h, nil
}

func (h *history) parse(data []byte) (bad int) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var rev mesh.Revision
		if err := json.Unmarshal(lines.Bytes(), &rev); err != nil || rev.Number <= h.number {
			bad++
			continue
		}
		if rev.Objects == nil {
			rev.Objects = []mesh.Change{}
		}
		h.entries = append(h.entries, entry{revision: rev})
		h.number = rev.Number
	}
	h.trim()
	return bad
}

func (h *history) trim() {
	if over := len(h.entries) - keptRevisions; over > 0 {
		h.entries = append([]entry(nil), h.entries[over:]...)
	}
}

func (h *history) next() uint64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.number + 1
}

func (h *history) last() (mesh.Revision, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if len(h.entries) == 0 {
		return mesh.Revision{}, false
	}
	return h.entries[len(h.entries)-1].revision, true
}

// resume says that the newest revision, made by an earlier process, is in
// effect again with this content.
func (h *history) resume(objects []*Object) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.entries[len(h.entries)-1].objects = objects
}

func (h *history) add(rev mesh.Revision, objects []*Object) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.entries = append(h.entries, entry{rev, objects})
	h.number = rev.Number
	h.trim()
	if h.path == "" {
		return nil
	}
	// The file is small, so it is written whole: a torn line cannot be, and it
	// needs no compaction.
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	for _, e := range h.entries {
		rev := e.revision
		if len(rev.Objects) > keptChanges {
			rev.Objects = rev.Objects[:keptChanges]
		}
		if err := enc.Encode(rev); err != nil {
			return fmt.Errorf("encode revision %d: %w", rev.Number, err)
		}
	}
	return writeFile(h.path, out.Bytes())
}

func (h *history) list(limit int) []mesh.Revision {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if limit <= 0 || limit > len(h.entries) {
		limit = len(h.entries)
	}
	out := make([]mesh.Revision, 0, limit)
	for i := range limit {
		out = append(out, h.entries[len(h.entries)-1-i].revision)
	}
	return out
}

func (h *history) find(n uint64) (entry, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, v := range slices.Backward(h.entries) {
		if v.revision.Number == n {
			return v, true
		}
	}
	return entry{}, false
}

func (h *history) revision(n uint64) (mesh.Revision, bool) {
	e, ok := h.find(n)
	return e.revision, ok
}

func (h *history) content(n uint64) ([]*Object, bool) {
	e, ok := h.find(n)
	return e.objects, ok && e.objects != nil
}

// writeFile replaces a file in one step: readers see the old content or the
// new, and so does the next start after a crash.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
