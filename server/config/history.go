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
	keptChanges   = 200      // of one revision's list, in the file
	keptBytes     = 64 << 20 // of the file
	historyFile   = "revisions.jsonl"
)

// history is the last revisions with their content, in memory and in a file:
// one JSON object a line, oldest first. A line holds what its revision changed
// in the content; the first of a chain holds all of it. Lines are appended, and
// the file is written anew when it holds twice what is kept, so that a change
// costs what it changes. It is safe for concurrent use.
type history struct {
	path     string // "" keeps no file
	maxBytes int    // of the file

	mu      sync.RWMutex
	entries []entry // oldest first
	number  uint64  // of the newest, also when it is not kept
	lines   int     // in the file
	bytes   int     // in the file
	// anew says that the file cannot be appended to: it is damaged, or its last
	// line does not say what the newest entry does.
	anew bool
}

type entry struct {
	revision mesh.Revision
	content  []*record // by key; nil: not known
}

// line is an entry in the file.
type line struct {
	mesh.Revision
	Whole bool      `json:"whole,omitempty"` // Set is all of the content
	Set   []*record `json:"set,omitempty"`   // what differs from the line before
	Gone  []Key     `json:"gone,omitempty"`
}

func openHistory(dir string, log *slog.Logger) (*history, error) {
	h := &history{maxBytes: keptBytes}
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
	h.bytes = len(data)
	h.anew = bad > 0 || !bytes.HasSuffix(data, []byte("\n"))
	return h, nil
}

func (h *history) parse(data []byte) (bad int) {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	var content []*record
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		h.lines++
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil || l.Number <= h.number {
			bad++
			content = nil // what follows says only how it differs from this
			continue
		}
		if l.Objects == nil {
			l.Objects = []mesh.Change{}
		}
		content = l.apply(content)
		h.entries = append(h.entries, entry{l.Revision, content})
		h.number = l.Number
	}
	h.trim()
	return bad
}

// apply gives the content after a line.
func (l *line) apply(before []*record) []*record {
	if before == nil && !l.Whole {
		return nil
	}
	if l.Whole {
		before = nil
	}
	after := make([]*record, 0, len(before)+len(l.Set))
	replaced := make(map[Key]bool, len(l.Set)+len(l.Gone))
	for _, r := range l.Set {
		replaced[r.Key] = true
	}
	for _, k := range l.Gone {
		replaced[k] = true
	}
	for _, r := range before {
		if !replaced[r.Key] {
			after = append(after, r)
		}
	}
	after = append(after, l.Set...)
	slices.SortFunc(after, func(a, b *record) int { return a.Compare(b.Key) })
	return after
}

// trim lets go of the oldest: first of those that nobody made, of which a fleet of
// instances makes more in an hour than people in a month. The newer half stays as
// it is: roll-outs and nodes rest on it.
func (h *history) trim() {
	for len(h.entries) > keptRevisions {
		older := h.entries[:len(h.entries)-keptRevisions/2]
		least := max(0, slices.IndexFunc(older, func(e entry) bool { return e.revision.EndpointsOnly() }))
		h.entries = slices.Delete(slices.Clone(h.entries), least, least+1)
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

// earlier gives the objects of the newest revision, which an earlier process
// made, without what takes decoding.
func (h *history) earlier() []*Object {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if len(h.entries) == 0 {
		return nil
	}
	content := h.entries[len(h.entries)-1].content
	objects := make([]*Object, 0, len(content))
	for _, r := range content {
		objects = append(objects, &Object{
			Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, Source: r.Source, Line: r.Line, YAML: r.YAML,
			Hash: r.Hash, Revision: r.Revision, record: r,
		})
	}
	return objects
}

// resume says that the newest revision, made by an earlier process, is in
// effect again with this content.
func (h *history) resume(objects []*Object) {
	h.mu.Lock()
	defer h.mu.Unlock()
	newest := &h.entries[len(h.entries)-1]
	content, set, gone := records(newest.content, objects)
	h.anew = h.anew || newest.content == nil || len(set)+len(gone) > 0
	newest.content = content
}

func (h *history) add(rev mesh.Revision, objects []*Object) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var before []*record
	if n := len(h.entries); n > 0 {
		before = h.entries[n-1].content
	}
	content, set, gone := records(before, objects)
	h.entries = append(h.entries, entry{rev, content})
	h.number = rev.Number
	h.trim()
	if h.path == "" {
		return nil
	}
	if h.anew || h.lines >= 2*keptRevisions {
		return h.rewrite()
	}
	text, err := encodeLine(line{Revision: rev, Whole: before == nil, Set: set, Gone: gone})
	if err != nil {
		return err
	}
	if h.bytes+len(text) > h.maxBytes {
		return h.rewrite()
	}
	h.anew = true // until it is known to be whole
	if err := appendFile(h.path, text); err != nil {
		return err
	}
	h.anew, h.lines, h.bytes = false, h.lines+1, h.bytes+len(text)
	return nil
}

// rewrite writes the whole file in one step. Revisions that would make it too
// large are forgotten, the oldest first.
func (h *history) rewrite() error {
	h.anew = true
	for {
		var out bytes.Buffer
		var before []*record
		for _, e := range h.entries {
			l := line{Revision: e.revision, Whole: before == nil && e.content != nil}
			l.Set, l.Gone = changes(before, e.content)
			if e.content == nil {
				l.Set, l.Gone = nil, nil
			}
			text, err := encodeLine(l)
			if err != nil {
				return err
			}
			out.Write(text)
			before = e.content
		}
		if n := len(h.entries); out.Len() > h.maxBytes && n > 1 {
			h.entries = append([]entry(nil), h.entries[(n+1)/2:]...)
			continue
		}
		if err := writeFile(h.path, out.Bytes()); err != nil {
			return err
		}
		h.anew, h.lines, h.bytes = false, len(h.entries), out.Len()
		return nil
	}
}

func encodeLine(l line) ([]byte, error) {
	if len(l.Objects) > keptChanges {
		l.Objects = l.Objects[:keptChanges]
	}
	text, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encode revision %d: %w", l.Number, err)
	}
	return append(text, '\n'), nil
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

func (h *history) content(n uint64) ([]*record, bool) {
	e, ok := h.find(n)
	return e.content, ok && e.content != nil
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

func appendFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("append to %s: %w", path, err)
	}
	return nil
}
