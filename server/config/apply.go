package config

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// apiDir is where the API puts objects that no file holds yet.
const apiDir = "api"

// Applied is what an accepted API change led to.
type Applied struct {
	Revision *mesh.Revision // nil when nothing differed
	Objects  []*Object      // as they are in effect now; empty after Delete
	Warnings []Problem
}

// Apply writes objects into the directory, all or none, and returns when they
// are in effect. by says who asks. An *InvalidError tells why not.
//
// An object that a file of its own already holds is replaced there; a new one
// gets a file below api/. A file that holds other objects too is not written:
// its comments and order belong to whoever wrote it.
func (s *Store) Apply(ctx context.Context, text []byte, by string) (Applied, error) {
	return s.change(ctx, origin{by: by, source: "api"}, func() (plan, error) { return s.planApply(text) })
}

// Delete removes one object's file. mesh.ErrNotFound when there is no such
// object; an *InvalidError when its file holds others too.
func (s *Store) Delete(ctx context.Context, key Key, by string) (Applied, error) {
	return s.change(ctx, origin{by: by, source: "api"}, func() (plan, error) { return s.planDelete(key) })
}

// Validate tells what Apply would find, and changes nothing.
func (s *Store) Validate(text []byte) []Problem {
	s.changing.Lock()
	defer s.changing.Unlock()
	p, err := s.planApply(text)
	if invalid, ok := errors.AsType[*InvalidError](err); ok {
		return invalid.Problems
	}
	return p.warnings
}

// plan is a change that was found good: what to write, by path relative to the
// directory; nil content removes.
type plan struct {
	files    map[string][]byte
	keys     []Key
	warnings []Problem
}

func (s *Store) change(ctx context.Context, from origin, makePlan func() (plan, error)) (Applied, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	from.by = cmp.Or(from.by, "api")
	if err := ctx.Err(); err != nil {
		return Applied{}, fmt.Errorf("change configuration: %w", err)
	}
	// What the directory says by now is judged against, not what it said; it is
	// not this caller's change either.
	if err := s.load(origin{by: "directory"}); err != nil {
		return Applied{}, fmt.Errorf("read configuration: %w: %w", mesh.ErrUnavailable, err)
	}
	p, err := makePlan()
	if err != nil {
		s.metrics.changes.WithLabelValues("refused").Inc()
		return Applied{}, err
	}
	before := s.Snapshot().Revision.Number
	err = s.write(p.files)
	// Also after a failure: what was written is there.
	if loadErr := s.load(from); err == nil {
		err = loadErr
	}
	if err != nil {
		s.metrics.changes.WithLabelValues("failed").Inc()
		return Applied{}, fmt.Errorf("write configuration: %w: %w", mesh.ErrUnavailable, err)
	}
	s.metrics.changes.WithLabelValues("accepted").Inc()

	applied := Applied{Objects: []*Object{}, Warnings: p.warnings}
	if rev := s.Snapshot().Revision; rev.Number != before {
		applied.Revision = &rev
	}
	for _, key := range p.keys {
		if o, err := s.Object(key); err == nil {
			applied.Objects = append(applied.Objects, o)
		}
	}
	return applied, nil
}

func (s *Store) planApply(text []byte) (plan, error) {
	p := plan{files: map[string][]byte{}, warnings: []Problem{}}
	objects, problems := decodeText(text)
	replaced := map[Key]*Object{}
	for _, o := range objects {
		replaced[o.Key()] = o
		p.keys = append(p.keys, o.Key())
		name, problem := s.fileFor(o)
		if problem != nil {
			problems = append(problems, *problem)
			continue
		}
		p.files[name] = []byte(o.YAML)
	}
	if !HasErrors(problems) {
		problems = append(problems, s.checkWith(replaced)...)
	}
	sortProblems(problems)
	if HasErrors(problems) {
		return plan{}, &InvalidError{problems}
	}
	p.warnings = append(p.warnings, problems...)
	return p, nil
}

// decodeText gives the objects of a text that came by the API, by key, and what
// is wrong with it.
func decodeText(text []byte) ([]*Object, []Problem) {
	docs := decodeFile("", text)
	var problems []Problem
	if len(docs) == 0 {
		problems = append(problems, Problem{
			Severity: SeverityError, Code: CodeNotObject, Line: 1, Column: 1,
			Message: "there is no object in the text", Hint: "send one or more YAML documents",
		})
	}
	seen := map[Key]*Object{}
	objects := make([]*Object, 0, len(docs))
	for _, d := range docs {
		problems = append(problems, d.problems...)
		if d.object == nil {
			continue
		}
		if first := seen[d.key]; first != nil {
			problems = append(problems, d.object.Problem(SeverityError, CodeDuplicate, "",
				fmt.Sprintf("%s is given twice, first in line %d", d.key, first.Line), "remove one of the two"))
			continue
		}
		seen[d.key] = d.object
		objects = append(objects, d.object)
	}
	slices.SortFunc(objects, func(a, b *Object) int { return a.Key().Compare(b.Key()) })
	return objects, problems
}

// checkWith looks at the objects in effect with some replaced, and gives the
// problems of those.
func (s *Store) checkWith(replaced map[Key]*Object) []Problem {
	objects := make([]*Object, 0, len(replaced))
	for _, o := range replaced {
		objects = append(objects, o)
	}
	for _, o := range s.Objects() {
		if replaced[o.Key()] == nil {
			objects = append(objects, o)
		}
	}
	slices.SortFunc(objects, func(a, b *Object) int { return a.Key().Compare(b.Key()) })
	return slices.DeleteFunc(s.opts.Check(objects), func(p Problem) bool { return p.File != "" })
}

func (s *Store) planDelete(key Key) (plan, error) {
	name, count := s.find(key)
	if name == "" {
		return plan{}, fmt.Errorf("%s: %w", key, mesh.ErrNotFound)
	}
	if problem := s.writable(key, name, count); problem != nil {
		return plan{}, &InvalidError{[]Problem{*problem}}
	}
	return plan{files: map[string][]byte{name: nil}, warnings: []Problem{}}, nil
}

// find tells the file that holds an object, good or broken, and how many
// documents it has. The one in effect is preferred.
func (s *Store) find(key Key) (name string, documents int) {
	if o, err := s.Object(key); err == nil {
		if f := s.tree.files[o.Source]; f != nil {
			return o.Source, len(f.docs)
		}
		if s.giver(o.Source) != "" {
			return o.Source, 1
		}
	}
	for _, rel := range slices.Sorted(maps.Keys(s.tree.files)) {
		docs := s.tree.files[rel].docs
		if slices.ContainsFunc(docs, func(d document) bool { return d.key == key }) {
			return rel, len(docs)
		}
	}
	return "", 0
}

// fileFor tells the file to write an object to.
func (s *Store) fileFor(o *Object) (string, *Problem) {
	name, count := s.find(o.Key())
	if name == "" {
		name = apiFile(o.Key())
		if f := s.tree.files[name]; f != nil { // somebody keeps something else there
			count = len(f.docs) + 1
		}
	}
	problem := s.writable(o.Key(), name, count)
	if problem != nil {
		problem.File, problem.Line = "", o.Line
	}
	return name, problem
}

func (s *Store) writable(key Key, name string, documents int) *Problem {
	p := &Problem{
		Severity: SeverityError, Code: CodeElsewhere, File: name, Line: 1, Column: 1, Object: key.String(),
		Message: fmt.Sprintf("%s belongs in %s, which holds other objects too", key, name),
		Hint:    "change it in " + name + ", or give it a file of its own there",
	}
	if source := s.giver(name); source != "" {
		p.Message = fmt.Sprintf("%s comes from %s", key, source)
		p.Hint = "change it there"
		if source == "kubernetes" {
			p.Hint = "change it there, with kubectl"
		}
		return p
	}
	if documents > 1 {
		return p
	}
	if f := s.tree.files[name]; f != nil && f.linked {
		p.Message = fmt.Sprintf("%s is in %s, which is a link to somewhere else", key, name)
		p.Hint = "change it where the link leads"
		return p
	}
	return nil
}

func apiFile(key Key) string {
	name := strings.ToLower(key.Kind) + "-" + key.Name
	if len(name) > 200 { // file systems end at 255 bytes, object names at 253
		sum := sha256.Sum256([]byte(key.Name))
		name = fmt.Sprintf("%s-%x", name[:180], sum[:8])
	}
	return path.Join(apiDir, key.Namespace, name+".yaml")
}

func (s *Store) write(files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		target := filepath.Join(s.opts.Dir, filepath.FromSlash(name))
		if files[name] == nil {
			if err := os.Remove(target); err != nil {
				return fmt.Errorf("remove file: %w", err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		if err := writeFile(target, files[name]); err != nil {
			return err
		}
	}
	return nil
}
