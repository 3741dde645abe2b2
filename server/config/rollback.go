package config

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Rollback writes the files so that the objects are those of an earlier
// revision, and returns when they are in effect, as a new revision. Objects
// whose meaning is the same in both are left as they are written. by says who
// asks.
//
// mesh.ErrNotFound: the revision's content is not kept. An *InvalidError: a
// file is not the store's to write, or an object is not accepted any more.
func (s *Store) Rollback(ctx context.Context, n uint64, by string) (Applied, error) {
	from := origin{by: by, source: fmt.Sprintf("rollback:%d", n), why: fmt.Sprintf("rolled back to revision %d", n)}
	return s.change(ctx, from, func() (plan, error) { return s.planRollback(n) })
}

func (s *Store) planRollback(n uint64) (plan, error) {
	then, err := s.Content(n)
	if err != nil {
		return plan{}, err
	}
	p := plan{files: map[string][]byte{}, warnings: []Problem{}}
	e := &editing{store: s, files: map[string][]edit{}}
	now := s.Objects()
	for _, c := range diff(now, then) {
		key := Key{c.Kind, c.Namespace, c.Name}
		p.keys = append(p.keys, key)
		e.change(key, objectIn(now, key), objectIn(then, key))
	}
	if len(e.problems) > 0 {
		return plan{}, &InvalidError{e.problems}
	}
	for name, edits := range e.files {
		if p.files[name], err = e.rewrite(name, edits); err != nil {
			return plan{}, err
		}
	}
	return p, nil
}

// editing collects what is to be done to files, document by document: what
// stands around them, comments included, stays.
type editing struct {
	store    *Store
	files    map[string][]edit
	problems []Problem
}

// edit puts text in the place of a document; nil is at the end of the file.
type edit struct {
	document *document
	text     string // "" removes
}

func (e *editing) change(key Key, now, then *Object) {
	name := ""
	switch {
	case now != nil:
		name = now.Source
	case then != nil:
		name = then.Source
	}
	f := e.store.tree.files[name]
	if e.store.giver(name) != "" {
		e.problems = append(e.problems, *e.store.writable(key, name, 1))
		return
	}
	if f != nil && (f.linked || f.err != nil) {
		problem := e.store.writable(key, name, 1)
		if problem == nil {
			problem = f.err
		}
		e.problems = append(e.problems, *problem)
		return
	}
	ed := edit{}
	if then != nil {
		ed.text = then.YAML
	}
	if f != nil {
		// The document may be broken now: its last good form is in effect then.
		if i := slices.IndexFunc(f.docs, func(d document) bool { return d.key == key }); i >= 0 {
			ed.document = &f.docs[i]
		}
	}
	if ed.document == nil && then == nil {
		problem := now.Problem(SeverityError, CodeKept, "", fmt.Sprintf("%s cannot be taken out of %s, where something is broken", key, name), "mend the file first")
		e.problems = append(e.problems, problem)
		return
	}
	e.files[name] = append(e.files[name], ed)
}

// rewrite gives the new content of a file; nil when no object is left in it.
func (e *editing) rewrite(name string, edits []edit) ([]byte, error) {
	f := e.store.tree.files[name]
	if f == nil {
		texts := make([]string, 0, len(edits))
		for _, ed := range edits {
			texts = append(texts, ed.text)
		}
		return []byte(strings.Join(texts, "---\n")), nil
	}
	data, err := readFile(filepath.Join(e.store.opts.Dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: %w", name, mesh.ErrUnavailable, err)
	}
	if sha256.Sum256(data) != f.sum {
		return nil, fmt.Errorf("%s changes just now: %w", name, mesh.ErrConflict)
	}
	text, hadMark := bytes.CutPrefix(data, []byte("\ufeff"))
	left := len(f.docs)
	var appended []string
	slices.SortFunc(edits, func(a, b edit) int { return b.at() - a.at() }) // from the end, so that places hold
	for _, ed := range edits {
		if ed.document == nil {
			appended = append(appended, ed.text)
			left++
			continue
		}
		start, end := ed.document.start, ed.document.start+len(ed.document.text)
		with := ed.text
		if with == "" {
			left--
		} else if strings.HasPrefix(ed.document.text, "---") {
			with = "---\n" + with
		}
		text = slices.Concat(text[:start], []byte(with), text[end:])
	}
	if left == 0 {
		return nil, nil
	}
	for _, a := range appended {
		if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
			text = append(slices.Clip(text), '\n')
		}
		text = slices.Concat(text, []byte("---\n"), []byte(a))
	}
	if hadMark {
		text = append([]byte("\ufeff"), text...)
	}
	return text, nil
}

func (e edit) at() int {
	if e.document == nil {
		return -1
	}
	return e.document.start
}
