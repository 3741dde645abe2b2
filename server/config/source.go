package config

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Source is where objects come from besides the directory: a Kubernetes cluster,
// a catalog of services. What a source knows in other words it gives as objects,
// so that everything after it is the same: a service and its instances are a
// ServiceEntry with endpoints, or with WorkloadEntries.
type Source interface {
	// Name says who the source is; it goes before the names of its documents, as in
	// "kubernetes:cinema/virtualservice/catalog". It has no colon.
	Name() string
	// Watch gives changed everything that the source holds, whole, once it is known
	// and after each change, until ctx ends: documents of YAML by name. It does not
	// change what it gave. An error, or an end, has it called again after a pause;
	// until it gives something again, what it gave holds.
	Watch(ctx context.Context, changed func(documents map[string]string)) error
}

// sourced is what a source gave last.
type sourced struct {
	Source
	heard bool // it gave something since the process began
	files map[string]*file
	err   error // why it is not watched just now
}

// again is the pause before a source is watched again, at first and at most.
const (
	againFirst = time.Second
	againMost  = 30 * time.Second
)

// watchSource follows one source until ctx ends.
func (s *Store) watchSource(ctx context.Context, of *sourced) {
	pause := againFirst
	for ctx.Err() == nil {
		err := of.Watch(ctx, func(documents map[string]string) {
			pause = againFirst
			s.give(of, documents)
		})
		if ctx.Err() != nil {
			return
		}
		s.opts.Logger.Warn("source of configuration broke off", "source", of.Name(), "error", err, "again_in", pause)
		s.changing.Lock()
		if of.err = err; err == nil {
			of.err = fmt.Errorf("the source ended")
		}
		s.reload(origin{by: of.Name()})
		s.changing.Unlock()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, againMost)
	}
}

// give takes what a source holds now. What did not change keeps its decoded form.
func (s *Store) give(of *sourced, documents map[string]string) {
	files := make(map[string]*file, len(documents))
	s.changing.Lock()
	defer s.changing.Unlock()
	for name, text := range documents {
		name = of.Name() + ":" + name
		if before := of.files[name]; before != nil && before.text == text {
			files[name] = before
			continue
		}
		files[name] = &file{text: text, docs: decodeFile(name, []byte(text))}
	}
	of.files, of.heard, of.err = files, true, nil
	s.reload(origin{by: of.Name(), source: of.Name()})
}

// reload reads everything; what cannot be read stays, and is told.
func (s *Store) reload(from origin) {
	if err := s.load(from); err != nil {
		s.opts.Logger.Error("read configuration", "error", err)
	}
}

// withSources gives what the directory and all sources hold.
func (s *Store) withSources(t tree) (all tree, silent []string, problems []Problem) {
	if len(s.sources) == 0 {
		return t, nil, nil
	}
	all = tree{files: maps.Clone(t.files), dirs: t.dirs}
	for _, of := range s.sources {
		maps.Copy(all.files, of.files)
		if !of.heard {
			silent = append(silent, of.Name()+":")
		}
		if of.err != nil {
			problems = append(problems, Problem{
				Severity: SeverityWarning, Code: CodeFile, File: of.Name(), Line: 1, Column: 1,
				Message: fmt.Sprintf("%s cannot be watched: %v", of.Name(), of.err), Hint: "what it gave last stays in effect; it is tried again",
			})
		}
	}
	return all, silent, problems
}

// giver names the source that a file is of; "" for the directory.
func (s *Store) giver(name string) string {
	before, _, ok := strings.Cut(name, ":")
	if ok && slices.ContainsFunc(s.sources, func(of *sourced) bool { return of.Name() == before }) {
		return before
	}
	return ""
}
