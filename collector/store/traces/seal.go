package traces

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"
)

// How an hour that is over is sealed.
const (
	sealAfter  = 5 * time.Minute // after its end: a trace may go on in the next
	sealWindow = 50_000          // rows whose traces are brought together
	sealRows   = 5_000           // of a sealed block: reading one trace decodes all of them
	sealTraces = 500_000         // decided at a time; more are taken in parts
	rareTraces = 50              // an operation with fewer in an hour keeps all of them
	slowShare  = 0.05            // of an operation's traces, the slowest, are kept
)

// sealLoop seals each hour some time after it has ended.
func (s *Store) sealLoop(ctx context.Context) {
	defer close(s.sealed)
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := s.sealEnded(ctx); err != nil && ctx.Err() == nil {
			s.opts.Logger.Error("hour of traces not sealed", "err", err)
		}
	}
}

func (s *Store) sealEnded(ctx context.Context) error {
	s.sealing.Lock()
	defer s.sealing.Unlock()
	hours, err := s.hours()
	if err != nil {
		return err
	}
	slices.Reverse(hours) // what is kept of an hour tells what to keep of the next
	newest := hourOf(s.opts.Now().Add(-sealAfter))
	for _, g := range hours {
		if g.gen > 1 || g.hour >= newest {
			continue
		}
		if err := s.seal(ctx, g.generation); err != nil {
			return fmt.Errorf("hour %s: %w", g.hour.begin().UTC().Format("2006-01-02 15h"), err)
		}
	}
	return nil
}

// sealing is one hour on its way from many small blocks to few large ones.
type sealing struct {
	store   *Store
	view    *view
	from    generation
	to      generation
	builder *builder
	names   map[string]struct{}
	rate    float64 // of ordinary traces that are kept
	parts   uint64
	used    map[uint32]struct{} // sequences
	known   *traceSet           // of the blocks that are written
	state   hourState
}

// seal writes the hour's next generation and lets it count in one step. Traces
// with an error, slow ones, and those of operations that were rare are kept
// whole; of the others a share.
func (s *Store) seal(ctx context.Context, g generation) (err error) {
	v, err := s.view()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	builder, err := newBuilder(s.opts.IndexAttributes)
	if err != nil {
		return err
	}
	run := &sealing{
		store: s, view: v, from: g, to: generation{g.hour, g.gen + 1}, builder: builder, names: make(map[string]struct{}),
		parts: 1, used: make(map[uint32]struct{}), state: hourState{gen: g.gen + 1},
	}
	if run.rate, err = s.sampleRate(g); err != nil {
		return err
	}
	s.notBefore.raise(g.hour + 1)
	for done := false; !done; {
		// What an interrupted run has left, or one with too few parts.
		if err := s.db.DeleteRange(run.to.key(), after(run.to.key()), pebble.NoSync); err != nil {
			return err
		}
		if done, err = run.all(ctx); err != nil {
			return err
		}
		run.parts *= 2
	}
	batch := s.db.NewBatch()
	defer batch.Close()
	if err := s.noteIndexes(batch, run.to); err != nil {
		return err
	}
	if err := batch.Set(stateKey(g.hour), run.state.encode(), nil); err != nil {
		return err
	}
	if err := batch.DeleteRange(g.key(), after(g.key()), nil); err != nil {
		return err
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return err
	}
	s.opts.Logger.Info("hour of traces sealed", "hour", g.hour.begin(), "share_of_ordinary", run.rate,
		"traces_kept", run.state.tracesKept, "traces_sampled_out", run.state.tracesSampled, "spans_sampled_out", run.state.spansSampled)
	return nil
}

// sampleRate is the share of ordinary traces to keep: what is configured, or
// less if hours like this one would not fit into what the store may hold.
func (s *Store) sampleRate(g generation) (float64, error) {
	held, err := s.db.EstimateDiskUsage(g.key(), after(g.key()))
	if err != nil {
		return 0, err
	}
	rate := s.opts.Sample
	if room := float64(s.opts.MaxBytes) / max(1, s.opts.Retention.Hours()); held > 0 {
		rate = min(rate, room/float64(held))
	}
	return rate, nil
}

// all rewrites the hour part by part; false when a part had too many traces.
func (r *sealing) all(ctx context.Context) (done bool, err error) {
	clear(r.used)
	clear(r.names)
	r.known = newTraceSet()
	r.state = hourState{gen: r.to.gen}
	for part := range r.parts {
		var drop map[traceID]struct{}
		if r.rate < 1 {
			known, err := r.survey(ctx, part)
			if err != nil || known == nil {
				return false, err
			}
			if drop, err = r.decide(ctx, known); err != nil {
				return false, err
			}
		}
		if err := r.rewrite(ctx, part, drop); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (r *sealing) mine(id traceID, part uint64) bool {
	return r.parts == 1 || xxhash.Sum64(id[:])%r.parts == part
}

// eachBlock goes through the hour's blocks by arrival.
func (r *sealing) eachBlock(ctx context.Context, visit func(seq uint32, b *block) error) (err error) {
	p := r.from.prefix(kindBlock)
	iter, err := r.view.snap.NewIter(&pebble.IterOptions{LowerBound: p, UpperBound: after(p)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	for ok := iter.First(); ok; ok = iter.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := decodeBlock(r.store.decoder, iter.Value())
		if err != nil {
			r.store.corrupt.Add(1)
			r.store.opts.Logger.Warn("block of spans left out", "hour", r.from.hour.begin(), "err", err)
			continue
		}
		b.group()
		if err := visit(lastSeq(iter.Key()), b); err != nil {
			return err
		}
	}
	return iter.Error()
}

// known is what decides over a trace.
type known struct {
	start, end int64
	firstStart int64
	operation  uint64 // of the span that names it, hashed with its service
	spans      uint32
	root       bool
	failed     bool
}

// survey reads what there is of each trace of a part; nil when they are too many.
func (r *sealing) survey(ctx context.Context, part uint64) (map[traceID]known, error) {
	all := make(map[traceID]known)
	tooMany := errors.New("too many")
	err := r.eachBlock(ctx, func(_ uint32, b *block) error {
		for t, id := range b.traceIDs {
			if !r.mine(id, part) {
				continue
			}
			k := all[id]
			k.add(b, b.totals[t])
			if all[id] = k; len(all) > sealTraces {
				return tooMany
			}
		}
		return nil
	})
	if errors.Is(err, tooMany) {
		return nil, nil
	}
	return all, err
}

func (k *known) add(b *block, p partial) {
	first := b.start[p.first]
	if k.spans == 0 || p.root && !k.root || p.root == k.root && first < k.firstStart {
		k.root, k.firstStart = p.root, first
		k.operation = hashOf(b.resources[b.source[p.first]].service + "\x00" + b.texts[b.name[p.first]])
	}
	if k.spans == 0 || p.start < k.start {
		k.start = p.start
	}
	k.end = max(k.end, p.end)
	k.spans += uint32(p.spans)
	k.failed = k.failed || p.errors > 0
}

// decide tells which traces are sampled out.
func (r *sealing) decide(ctx context.Context, all map[traceID]known) (map[traceID]struct{}, error) {
	took := make(map[uint64][]int64)
	for _, k := range all {
		took[k.operation] = append(took[k.operation], k.end-k.start)
	}
	slow := make(map[uint64]int64, len(took))
	for operation, list := range took {
		if len(list) < rareTraces {
			slow[operation] = math.MinInt64
			continue
		}
		slices.Sort(list)
		slow[operation] = list[int(float64(len(list))*(1-slowShare))]
	}
	limit := uint64(r.rate * math.MaxUint32)
	drop := make(map[traceID]struct{})
	for id, k := range all {
		// The same for every hour that has a part of the trace.
		if k.failed || k.end-k.start >= slow[k.operation] || xxhash.Sum64(id[:])>>32 < limit {
			continue
		}
		kept, err := r.keptByNeighbours(ctx, id, k, slow[k.operation])
		if err != nil {
			return nil, err
		}
		if kept {
			continue
		}
		drop[id] = struct{}{}
		r.state.tracesSampled++
		r.state.spansSampled += uint64(k.spans)
	}
	r.state.tracesKept += uint64(len(all) - len(drop))
	return drop, nil
}

// keptByNeighbours looks for the rest of a trace in the hours beside.
func (r *sealing) keptByNeighbours(ctx context.Context, id traceID, k known, slow int64) (bool, error) {
	for _, g := range r.view.hours {
		if g.hour != r.from.hour-1 && g.hour != r.from.hour+1 {
			continue
		}
		seqs, err := r.view.blocksOf(g.generation, id)
		if err != nil {
			return false, err
		}
		for _, seq := range seqs {
			b, err := r.view.block(g.generation, seq)
			if err != nil {
				return false, err
			}
			if b == nil {
				continue
			}
			if t := slices.Index(b.traceIDs, id); t >= 0 {
				if g.gen > 1 {
					return true, ctx.Err()
				}
				b.group()
				k.add(b, b.totals[t])
			}
		}
	}
	return k.failed || k.end-k.start >= slow, ctx.Err()
}

// gathered is what a window has of one trace.
type gathered struct {
	id    traceID
	start int64
	rows  []place
}

// place is a row to be copied.
type place struct {
	b   *block
	row uint32
	seq uint32 // of b
}

// rewrite copies what is kept into large blocks, spans of a trace side by side
// and traces by their begin.
func (r *sealing) rewrite(ctx context.Context, part uint64, drop map[traceID]struct{}) error {
	window, rows := make(map[traceID]*gathered), 0
	write := func() error {
		traces := slices.SortedFunc(maps.Values(window), func(a, b *gathered) int {
			return cmp.Or(cmp.Compare(a.start, b.start), bytes.Compare(a.id[:], b.id[:]))
		})
		clear(window)
		rows = 0
		return r.write(traces)
	}
	err := r.eachBlock(ctx, func(seq uint32, b *block) error {
		for t, id := range b.traceIDs {
			if _, dropped := drop[id]; dropped || !r.mine(id, part) {
				continue
			}
			g := window[id]
			if g == nil {
				g = &gathered{id: id, start: b.totals[t].start}
				window[id] = g
			}
			g.start = min(g.start, b.totals[t].start)
			for _, row := range b.grouped[b.groupAt[t]:b.groupAt[t+1]] {
				g.rows = append(g.rows, place{b, row, seq})
				rows++
			}
		}
		if rows >= sealWindow {
			return write()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return write()
}

// write writes the traces of a window.
func (r *sealing) write(traces []*gathered) error {
	copies, newest := make(map[*block]*copier), uint32(0)
	r.builder.reset()
	for i, g := range traces {
		for _, p := range g.rows {
			c := copies[p.b]
			if c == nil {
				c = newCopier(r.builder, p.b)
				copies[p.b] = c
			}
			c.copy(p.row)
			newest = max(newest, p.seq)
		}
		if r.builder.rows() < sealRows && i < len(traces)-1 {
			continue
		}
		if err := r.put(newest); err != nil {
			return err
		}
		clear(copies) // their numbers are the builder's
		newest = 0
		r.builder.reset()
	}
	return nil
}

// put writes the builder's block, as having come when the newest of its spans did.
func (r *sealing) put(seq uint32) error {
	for {
		if _, taken := r.used[seq]; !taken {
			break
		}
		seq++
	}
	r.used[seq] = struct{}{}
	r.state.spansKept += uint64(r.builder.rows())
	r.builder.see(r.known)
	batch := r.store.db.NewBatch()
	defer batch.Close()
	if err := put(batch, r.to, seq, r.builder, r.names); err != nil {
		return err
	}
	return batch.Commit(pebble.NoSync)
}

// copier copies rows of a block into a builder.
type copier struct {
	to        *builder
	from      *block
	texts     []uint32 // numbers in to, plus one
	resources []uint32 // the same
}

func newCopier(to *builder, from *block) *copier {
	return &copier{to, from, make([]uint32, len(from.texts)), make([]uint32, len(from.resources))}
}

func (c *copier) text(n uint32) uint32 {
	if c.texts[n] == 0 {
		c.texts[n] = c.to.texts.number([]byte(c.from.texts[n])) + 1
	}
	return c.texts[n] - 1
}

func (c *copier) all(list []uint32, numbers []uint32) []uint32 {
	for _, n := range numbers {
		list = append(list, c.text(n))
	}
	return list
}

func (c *copier) resource(n uint32) uint32 {
	if c.resources[n] == 0 {
		from := &c.from.resources[n]
		c.resources[n] = c.to.sameResource(resource{keys: c.all(nil, from.keys), values: c.all(nil, from.values)}) + 1
	}
	return c.resources[n] - 1
}

func (c *copier) copy(n uint32) {
	b, r := c.from, &c.to.row
	keys, values := b.attributes(n)
	*r = row{
		trace: b.traceIDs[b.trace[n]], span: b.spans[n], parent: b.parents[n], start: b.start[n], took: b.took[n],
		code: b.code[n] &^ codeParent, resource: c.resource(b.source[n]), name: c.text(b.name[n]), message: c.text(b.message[n]),
		rest: b.rest[b.restAt[n]:b.restAt[n+1]], keys: c.all(r.keys[:0], keys), values: c.all(r.values[:0], values),
	}
	sortByKey(r.keys, r.values)
	c.to.add(r)
	r.rest = nil // it is the block's
}
