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
	// "kubernetes:cinema/VirtualService/catalog". It has no colon.
	Name() string
	// Watch gives changed everything that the source holds, whole, once it is known
	// and after each change, until ctx ends. It does not change what it gave. An
	// error, or an end, has it called again after a pause; until it gives something
	// again, what it gave holds.
	Watch(ctx context.Context, changed func(Given)) error
}

// Given is all that a source holds.
type Given struct {
	Documents map[string]Document // by name
	Problems  []Problem           // what the source itself cannot read
}

// Document is one object, or several, in YAML.
type Document struct {
	Text string
	By   string // who wrote it last; "" when nobody knows
}

// LabelService is on the WorkloadEntries that are endpoints of a service in a
// cluster, and names it. The service's ServiceEntry selects them by it.
const LabelService = "sidelight.io/service"

// sourced is what a source gave last.
type sourced struct {
	Source
	heard bool // it gave something since the process began
	files map[string]*file
	err   error // why it is not watched just now
	// problems are what it said itself.
	problems []Problem
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
		err := of.Watch(ctx, func(g Given) {
			pause = againFirst
			s.give(of, g)
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
func (s *Store) give(of *sourced, given Given) {
	files := make(map[string]*file, len(given.Documents))
	writers := map[string]bool{}
	s.changing.Lock()
	defer s.changing.Unlock()
	for name, doc := range given.Documents {
		name = of.Name() + ":" + name
		if before := of.files[name]; before != nil && before.text == doc.Text {
			files[name] = before
			continue
		}
		files[name] = &file{text: doc.Text, docs: decodeFile(name, []byte(doc.Text))}
		writers[doc.By] = true
	}
	by := of.Name()
	if who := slices.Collect(maps.Keys(writers)); len(who) == 1 && who[0] != "" && of.heard {
		by = fmt.Sprintf("%s (%s)", by, who[0])
	}
	of.files, of.problems, of.heard, of.err = files, given.Problems, true, nil
	s.reload(origin{by: by, source: of.Name()})
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
		problems = append(problems, of.problems...)
		if of.err != nil {
			problems = append(problems, Problem{
				Severity: SeverityWarning, Code: CodeSource, File: of.Name(), Line: 1, Column: 1,
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
