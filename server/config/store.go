package config

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// Options configure a Store. Dir is required.
type Options struct {
	Dir      string // watched; made when it is missing
	StateDir string // revision history; "" keeps none across restarts
	// Check finds what is wrong between objects (registry.Check); its errors
	// refuse an API change, in the directory they are reported only.
	Check      func([]*Object) []Problem
	Debounce   time.Duration // quiet time after a file event; 0 means 100 ms
	Rescan     time.Duration // poll for changes that raised no event; 0 means 5 s
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	Now        func() time.Time      // nil: time.Now
}

// Snapshot is the whole desired configuration at one revision. It is shared
// and must not be changed.
type Snapshot struct {
	Revision mesh.Revision
	Objects  []*Object // by key
	Problems []Problem // by place
}

// Applied is what an accepted API change led to.
type Applied struct {
	Revision *mesh.Revision // nil when nothing differed
	Objects  []*Object
	Warnings []Problem
}

// Store is the desired configuration.
type Store struct{ opts Options }

// Open loads the directory; it is complete (revision made) when Open returns.
func Open(opts Options) (*Store, error) { return &Store{opts: opts}, nil }

// Run watches the directory until ctx ends.
func (s *Store) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Snapshot is the present state.
func (s *Store) Snapshot() Snapshot { return Snapshot{} }

// Objects lists all objects, by key.
func (s *Store) Objects() []*Object { return s.Snapshot().Objects }

// Object finds one object; mesh.ErrNotFound when there is none.
func (s *Store) Object(key Key) (*Object, error) { return nil, mesh.ErrNotFound }

// Problems lists what is wrong in the directory now.
func (s *Store) Problems() []Problem { return s.Snapshot().Problems }

// Revisions lists the newest revisions, newest first; limit 0 means all kept.
func (s *Store) Revisions(limit int) []mesh.Revision { return nil }

// Revision finds one revision; mesh.ErrNotFound when it is not kept.
func (s *Store) Revision(n uint64) (mesh.Revision, error) { return mesh.Revision{}, mesh.ErrNotFound }

// Content gives all objects of a revision; mesh.ErrNotFound when not kept.
func (s *Store) Content(n uint64) ([]*Object, error) { return nil, mesh.ErrNotFound }

// Apply writes the documents into the directory; all or nothing.
func (s *Store) Apply(ctx context.Context, yaml []byte, by string) (Applied, error) {
	return Applied{}, mesh.ErrUnavailable
}

// Delete removes one object.
func (s *Store) Delete(ctx context.Context, key Key, by string) (Applied, error) {
	return Applied{}, mesh.ErrUnavailable
}

// Validate tells what Apply would say, and changes nothing.
func (s *Store) Validate(yaml []byte) []Problem { return nil }

// Subscribe calls fn with the present state before it returns, then with each
// later revision, in order, one at a time. fn must not block for long.
func (s *Store) Subscribe(fn func(Snapshot)) (cancel func()) { return func() {} }
