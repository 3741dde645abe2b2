package target

import (
	"context"
	"slices"
)

// Static is a fixed list of targets.
type Static []Target

// Run implements Source.
func (s Static) Run(ctx context.Context, update func([]Target)) error {
	update(slices.Clone(s))
	<-ctx.Done()
	return nil
}

// Func makes a Source of a function: the way in for a part of the same
// process that knows targets in its own terms.
type Func func(ctx context.Context, update func([]Target)) error

// Run implements Source.
func (f Func) Run(ctx context.Context, update func([]Target)) error { return f(ctx, update) }
