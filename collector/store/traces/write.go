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
	if err := put(batch, g, s.seq, s.builder, s.names); err != nil {
		return 0, err
	}
	// One sync for all that came in the meantime: who is answered is stored.
	if err := batch.Commit(pebble.Sync); err != nil {
		return 0, fmt.Errorf("commit spans: %w", err)
	}
	for _, id := range s.builder.traceIDs {
		if s.known.add(id) {
			s.tracesIn.Add(1)
		}
	}
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
		return nil
	}
	for _, name := range s.opts.IndexAttributes {
		if err := batch.Set(g.attributeKey(name), nil, nil); err != nil {
			return fmt.Errorf("write index: %w", err)
		}
	}
	return nil
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

// traceSet remembers the newest trace IDs, so that traces can be counted
// without holding all of them.
type traceSet struct {
	members map[traceID]struct{}
	order   []traceID
	next    int
}

func newTraceSet(size int) *traceSet {
	return &traceSet{members: make(map[traceID]struct{}), order: make([]traceID, 0, min(size, 1024)), next: 0}
}

// add reports whether id is new.
func (t *traceSet) add(id traceID) bool {
	if _, ok := t.members[id]; ok {
		return false
	}
	if len(t.order) < tracesKnown {
		t.order = append(t.order, id)
	} else {
		delete(t.members, t.order[t.next])
		t.order[t.next] = id
		t.next = (t.next + 1) % len(t.order)
	}
	t.members[id] = struct{}{}
	return true
}
