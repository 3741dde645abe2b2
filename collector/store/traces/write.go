package traces

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// write stores one batch: a block and what it is to be found by.
func (s *Store) write(messages [][]byte) (spans int, err error) {
	now := s.opts.Now()
	// A clock that was set back must not write into an hour that is sealed.
	g := generation{max(hourOf(now), s.notBefore.load()), 1}
	s.builder.reset()
	var malformed error
	for _, m := range messages {
		if err := s.builder.addOTLP(m); err != nil {
			malformed = fmt.Errorf("write spans: %w", err)
		}
	}
	batch := s.db.NewBatch()
	defer batch.Close()
	if err := s.beginHour(batch, g); err != nil {
		return 0, err
	}
	s.seq = max(s.seq+1, uint32(max(0, now.Sub(g.hour.begin())/time.Microsecond)))
	fresh := s.builder.see(s.known)
	if err := put(batch, g, s.seq, s.builder, s.names); err != nil {
		return 0, err
	}
	// One sync for all that came in the meantime: who is answered is stored.
	if err := batch.Commit(pebble.Sync); err != nil {
		return 0, fmt.Errorf("commit spans: %w", err)
	}
	s.tracesIn.Add(uint64(fresh))
	return s.builder.rows(), malformed
}

// beginHour notes what holds for an hour from its first block on.
func (s *Store) beginHour(batch *pebble.Batch, g generation) error {
	if g.hour == s.writing {
		return nil
	}
	last, err := s.lastSequence(g)
	if err != nil {
		return err
	}
	s.writing, s.seq = g.hour, last
	clear(s.names)
	if last > 0 {
		return s.recall(g)
	}
	return s.noteIndexes(batch, g)
}

// noteIndexes notes what a whole hour is indexed by.
func (s *Store) noteIndexes(batch *pebble.Batch, g generation) error {
	for _, name := range append([]string{tookIndexed}, s.opts.IndexAttributes...) {
		if err := batch.Set(g.attributeKey(name), nil, nil); err != nil {
			return fmt.Errorf("write index: %w", err)
		}
	}
	return nil
}

// recallRows is how much is read of an hour that goes on after a restart.
const recallRows = 100_000

// recall reads the newest blocks of an hour that was begun before, for the traces
// that go on.
func (s *Store) recall(g generation) (err error) {
	if len(s.known.members) > 0 {
		return nil
	}
	p := g.prefix(kindBlock)
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: p, UpperBound: after(p)})
	if err != nil {
		return fmt.Errorf("read trace store: %w", err)
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	for ok, rows := iter.Last(), 0; ok && rows < recallRows; ok = iter.Prev() {
		b, err := decodeBlock(s.decoder, iter.Value())
		if err != nil {
			continue // it is counted when it is asked for
		}
		b.group()
		for t, id := range b.traceIDs {
			s.known.add(id, extent{b.totals[t].start, b.totals[t].end})
		}
		rows += b.weight()
	}
	return iter.Error()
}

// put adds a block to a batch, with the traces it has and the index entries.
// names are those that the hour has.
func put(batch *pebble.Batch, g generation, seq uint32, b *builder, names map[string]struct{}) error {
	err := batch.Set(g.blockKey(seq), b.finish(), nil)
	set := func(key []byte) {
		if err == nil {
			err = batch.Set(key, nil, nil)
		}
	}
	for _, id := range b.traceIDs {
		set(g.traceKey(id, seq))
	}
	b.entries(func(by index, value string) { set(g.indexKey(by, hashOf(value), seq)) })
	tookRows(b.extents, func(level int, listed []byte) {
		if err == nil {
			err = batch.Set(g.indexKey(byDuration, hashOf(levelName(level)), seq), listed, nil)
		}
	})
	for f := range b.facts {
		service, operation := b.resources[f.resource].service, string(b.texts.text(f.name))
		name := service + "\x00" + operation
		if _, ok := names[name]; !ok && len(names) < namesMax {
			names[name] = struct{}{}
			set(g.nameKey(service, operation))
		}
	}
	if err != nil {
		return fmt.Errorf("write block: %w", err)
	}
	return nil
}

// lastSequence finds the newest block of an hour, 0 when it has none.
func (s *Store) lastSequence(g generation) (seq uint32, err error) {
	p := g.prefix(kindBlock)
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: p, UpperBound: after(p)})
	if err != nil {
		return 0, fmt.Errorf("read trace store: %w", err)
	}
	if iter.Last() {
		seq = lastSeq(iter.Key())
	}
	if err := errors.Join(iter.Error(), iter.Close()); err != nil {
		return 0, fmt.Errorf("read trace store: %w", err)
	}
	return seq, nil
}
