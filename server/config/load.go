package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// origin says who makes a change.
type origin struct {
	by     string
	source string // "" means: the files that changed
	why    string // goes before the summary
}

// load reads the directory and makes a revision when an object differs. The
// caller holds changing.
func (s *Store) load(from origin) error {
	s.metrics.loads.Inc()
	t, err := readTree(s.opts.Dir, s.tree)
	if err != nil {
		// Not an empty directory: one that could not be read. What was in effect
		// stays in effect.
		s.keepAll(err)
		return err
	}
	s.tree = t
	before := s.Snapshot()
	if before.Revision.Number == 0 {
		before.Objects = s.history.earlier()
	}
	all, silent, troubles := s.withSources(t)
	objects, problems := merge(all, before.Objects, silent)
	problems = append(problems, troubles...)
	problems = append(problems, s.opts.Check(objects)...)
	sortProblems(problems)

	rev, isNew := s.revise(before, objects, from)
	for _, o := range objects {
		if o.Revision == 0 {
			o.Revision = rev.Number
		}
	}
	after := Snapshot{Revision: rev, Objects: objects, Problems: problems}
	if isNew {
		err = s.history.add(rev, objects)
	}
	s.mu.Lock()
	s.snapshot = after
	s.mu.Unlock()
	s.metrics.state(after)
	if isNew {
		s.opts.Logger.Info("configuration changed", "revision", rev.Number, "by", rev.By, "source", rev.Source, "summary", rev.Summary)
		for _, sub := range s.subs {
			sub.fn(after)
		}
	}
	if err != nil {
		// The change is in effect; only its number could be forgotten.
		s.opts.Logger.Error("keep history of revisions", "error", err)
	}
	return nil
}

// keepAll leaves the objects and says why they may be old.
func (s *Store) keepAll(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	problem := Problem{
		Severity: SeverityError, Code: CodeFile, File: ".", Line: 1, Column: 1,
		Message: err.Error(), Hint: "the configuration of the last good reading stays in effect",
	}
	kept := slices.DeleteFunc(slices.Clone(s.snapshot.Problems), func(p Problem) bool { return p.File == "." })
	s.snapshot.Problems = append([]Problem{problem}, kept...)
}

// merge makes the objects in effect from what the files hold and from what was
// in effect before. A candidate whose content is that of the object before
// keeps its revision; a changed one has revision 0. silent are how the names of
// files begin of which nothing is known yet.
func merge(t tree, before []*Object, silent []string) ([]*Object, []Problem) {
	m := merging{
		tree: t, before: make(map[Key]*Object, len(before)),
		candidates: map[Key][]*Object{}, broken: map[Key]bool{}, unclear: map[string]bool{}, silent: silent, problems: []Problem{},
	}
	for _, o := range before {
		m.before[o.Key()] = o
	}
	m.collect()
	objects := m.choose()
	objects = append(objects, m.keep()...)
	slices.SortFunc(objects, func(a, b *Object) int { return a.Key().Compare(b.Key()) })
	return objects, m.problems
}

type merging struct {
	tree       tree
	before     map[Key]*Object
	candidates map[Key][]*Object // by place
	broken     map[Key]bool      // objects that are there in a form that is not good
	unclear    map[string]bool   // files with something broken that names no object
	silent     []string          // how the names begin of files of which nothing is known yet
	problems   []Problem
}

func (m *merging) collect() {
	for _, name := range slices.Sorted(maps.Keys(m.tree.files)) {
		f := m.tree.files[name]
		if f.err != nil {
			m.problems = append(m.problems, *f.err)
			m.unclear[name] = true
			continue
		}
		for _, d := range f.docs {
			m.problems = append(m.problems, d.problems...)
			switch {
			case d.object != nil:
				m.candidates[d.key] = append(m.candidates[d.key], d.object)
			case d.key != Key{}:
				m.broken[d.key] = true
			default:
				m.unclear[name] = true
			}
		}
	}
}

// choose takes one candidate for each object. Of two, the one that is in effect
// stays; otherwise the first by place.
func (m *merging) choose() []*Object {
	objects := make([]*Object, 0, len(m.candidates))
	for key, all := range m.candidates {
		chosen := all[0]
		old := m.before[key]
		for _, c := range all {
			if old != nil && c.Source == old.Source {
				chosen = c
				break
			}
		}
		for _, c := range all {
			if c != chosen {
				m.problems = append(m.problems, c.Problem(SeverityError, CodeDuplicate, "",
					fmt.Sprintf("%s is also in %s:%d, which is in effect; this one is not", key, chosen.Source, chosen.Line),
					"remove one of the two"))
			}
		}
		if old != nil && old.Spec != nil && old.Hash == chosen.Hash && old.Source == chosen.Source && old.Line == chosen.Line && old.YAML == chosen.YAML {
			objects = append(objects, old) // revisions share what they have in common
			continue
		}
		// Documents are shared between readings: never write to them.
		o := *chosen
		o.Revision = 0
		if old != nil && old.Hash == o.Hash {
			o.Revision = old.Revision
		}
		objects = append(objects, &o)
	}
	return objects
}

// keep gives the objects that have no good form any more but are not gone
// either: their document is broken, or something in their file is and it may be
// theirs.
func (m *merging) keep() []*Object {
	var kept []*Object
	for key, old := range m.before {
		unheard := slices.ContainsFunc(m.silent, func(of string) bool { return strings.HasPrefix(old.Source, of) })
		if len(m.candidates[key]) > 0 || !m.broken[key] && !m.unclear[old.Source] && !unheard {
			continue
		}
		if old.Spec == nil { // of an earlier process
			var err error
			if old, err = old.record.object(); err != nil {
				continue // its own file says what is wrong with it
			}
		}
		kept = append(kept, old)
		if unheard {
			continue // that is how it was, and nothing is wrong with it
		}
		m.problems = append(m.problems, old.Problem(SeverityWarning, CodeKept, "",
			fmt.Sprintf("%s keeps its last good form, of revision %d", key, old.Revision),
			"it changes when the errors in its file are mended"))
	}
	return kept
}

// revise tells the revision that objects make after before, and whether it is a
// new one.
func (s *Store) revise(before Snapshot, objects []*Object, from origin) (mesh.Revision, bool) {
	hash := contentHash(objects)
	first := before.Revision.Number == 0
	if !first && hash == before.Revision.Hash {
		return before.Revision, false
	}
	if last, ok := s.history.last(); first && ok && last.Hash == hash {
		s.history.resume(objects) // a restart that changed nothing
		return last, false
	}
	changes := diff(before.Objects, objects)
	rev := mesh.Revision{
		Number: s.history.next(), At: s.opts.Now().UTC(), By: from.by, Source: from.source,
		Summary: summarize(changes), Objects: changes, Hash: hash,
	}
	if from.why != "" {
		rev.Summary = from.why + ": " + rev.Summary
	}
	if first && len(before.Objects) == 0 {
		rev.Summary = fmt.Sprintf("loaded %d objects", len(objects))
	}
	if rev.Source == "" {
		rev.Source = sourceOf(changes, before.Objects, objects)
	}
	return rev, true
}

func contentHash(objects []*Object) string {
	h := sha256.New()
	for _, o := range objects {
		_, _ = io.WriteString(h, o.Hash) // fixed length, sorted by key: no ambiguity
	}
	return hex.EncodeToString(h.Sum(nil))
}

func diff(before, after []*Object) []mesh.Change {
	changes := []mesh.Change{}
	add := func(op string, o *Object) {
		changes = append(changes, mesh.Change{Op: op, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name})
	}
	i, j := 0, 0
	for i < len(before) || j < len(after) {
		order := 0
		switch {
		case i == len(before):
			order = 1
		case j == len(after):
			order = -1
		default:
			order = before[i].Key().Compare(after[j].Key())
		}
		switch {
		case order < 0:
			add("removed", before[i])
			i++
		case order > 0:
			add("added", after[j])
			j++
		default:
			if before[i].Hash != after[j].Hash {
				add("changed", after[j])
			}
			i++
			j++
		}
	}
	return changes
}

// namedMost is how many changed objects a revision's summary names; of more it
// tells the number.
const namedMost = 3

func summarize(changes []mesh.Change) string {
	parts := []string{}
	for _, op := range []string{"added", "changed", "removed"} {
		names := []string{}
		for _, c := range changes {
			if c.Op == op {
				names = append(names, Key{c.Kind, c.Namespace, c.Name}.String())
			}
		}
		switch {
		case len(names) == 0:
		case len(changes) <= namedMost:
			parts = append(parts, op+" "+strings.Join(names, " and "))
		default:
			parts = append(parts, fmt.Sprintf("%s %d", op, len(names)))
		}
	}
	text := strings.Join(parts, ", ")
	if len(changes) > namedMost {
		text += " objects"
	}
	return text
}

// sourceOf names the file that a change came from, or how many there were.
func sourceOf(changes []mesh.Change, before, after []*Object) string {
	sources := map[Key]string{}
	for _, o := range slices.Concat(before, after) {
		sources[o.Key()] = o.Source
	}
	files := map[string]bool{}
	for _, c := range changes {
		files[sources[Key{c.Kind, c.Namespace, c.Name}]] = true
	}
	if len(files) == 1 {
		for f := range files {
			return "file:" + f
		}
	}
	return fmt.Sprintf("directory: %d files", len(files))
}
