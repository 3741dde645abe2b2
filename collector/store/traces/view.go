package traces

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// view is the store at one moment, for one query.
type view struct {
	store *Store
	snap  *pebble.Snapshot
	hours []storedHour // newest first
	seek  *pebble.Iterator
}

// view lets a query in until it is closed.
func (s *Store) view() (v *view, err error) {
	done, err := s.begin()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			done()
		}
	}()
	v = &view{store: s, snap: s.db.NewSnapshot()}
	if v.seek, err = v.snap.NewIter(nil); err != nil {
		return nil, errors.Join(fmt.Errorf("read trace store: %w", err), v.snap.Close())
	}
	if v.hours, err = hoursOf(v.seek); err != nil {
		return nil, errors.Join(err, v.seek.Close(), v.snap.Close())
	}
	return v, nil
}

func (v *view) close() error {
	defer v.store.reading.RUnlock()
	return errors.Join(v.seek.Close(), v.snap.Close())
}

// storedHour is an hour and what sealing it has done, if it is sealed.
type storedHour struct {
	generation
	state hourState
}

// hoursOf lists the hours that hold anything, newest first.
func hoursOf(iter *pebble.Iterator) ([]storedHour, error) {
	var hours []storedHour
	for ok := iter.SeekGE(hourKey(1)); ok; {
		g := storedHour{generation: generation{hour: hour(binary.BigEndian.Uint32(iter.Key())), gen: 1}}
		if key := iter.Key(); len(key) == 5 && key[4] == 0 {
			state, err := decodeState(iter.Value())
			if err != nil {
				return nil, fmt.Errorf("hour %s: %w", g.hour.begin().UTC().Format("2006-01-02 15h"), err)
			}
			g.gen, g.state = state.gen, state
		}
		hours = append(hours, g)
		ok = iter.SeekGE(hourKey(g.hour + 1))
	}
	if err := iter.Error(); err != nil {
		return nil, fmt.Errorf("read trace store: %w", err)
	}
	slices.Reverse(hours)
	return hours, nil
}

// blocksOf lists the blocks of an hour that have, or by their half of the ID
// could have, spans of a trace.
func (v *view) blocksOf(g generation, id traceID) ([]uint32, error) {
	p := g.tracePrefix(id)
	var seqs []uint32
	for ok := v.seek.SeekGE(p); ok && len(v.seek.Key()) == len(p)+4 && string(v.seek.Key()[:len(p)]) == string(p); ok = v.seek.Next() {
		seqs = append(seqs, lastSeq(v.seek.Key()))
	}
	return seqs, v.seek.Error()
}

// partsOf walks every block that holds rows of a trace.
func (v *view) partsOf(ctx context.Context, id traceID) parts {
	return func(visit func(b *block, rows []uint32)) error { return v.eachBlock(ctx, id, visit) }
}

func (v *view) eachBlock(ctx context.Context, id traceID, visit func(b *block, rows []uint32)) error {
	for _, g := range v.hours {
		seqs, err := v.blocksOf(g.generation, id)
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			if err := ctx.Err(); err != nil {
				return err
			}
			b, err := v.block(g.generation, seq)
			if err != nil {
				return err
			}
			if b == nil {
				continue
			}
			if rows := b.rowsOf(id); rows != nil {
				visit(b, rows)
			}
		}
	}
	return nil
}

// block gives a block, nil when the disk gave it back damaged.
func (v *view) block(g generation, seq uint32) (*block, error) {
	name := blockName{g, seq}
	if b := v.store.cache.get(name); b != nil {
		return b, nil
	}
	value, closer, err := v.snap.Get(g.blockKey(seq))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := decodeBlock(v.store.decoder, value)
	if closeErr := closer.Close(); closeErr != nil {
		return nil, closeErr
	}
	if err != nil {
		v.store.corrupt.Add(1)
		v.store.opts.Logger.Warn("block of spans left out", "hour", g.hour.begin(), "err", err)
		return nil, nil
	}
	v.store.cache.put(name, b)
	return b, nil
}

func (v *view) has(key []byte) (bool, error) {
	_, closer, err := v.snap.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, closer.Close()
}

// countMax is how many blocks of a choice are counted: more are many.
const countMax = 4000

// noMore tells whether one list of entries leads to no more blocks of an hour
// than another, and not to many. It counts the rows of the rarest entry of each.
func (v *view) noMore(g generation, one, other []entry) (bool, error) {
	a, err := v.rarest(g, one)
	if err != nil {
		return false, err
	}
	b, err := v.rarest(g, other)
	return a <= b && a < countMax, err
}

func (v *view) rarest(g generation, entries []entry) (least int, err error) {
	least = countMax
	for _, e := range entries {
		p := g.indexPrefix(e.by, hashOf(e.value))
		n := 0
		for ok := v.seek.SeekGE(p); ok && n < least && bytes.HasPrefix(v.seek.Key(), p); ok = v.seek.Next() {
			n++
		}
		if err := v.seek.Error(); err != nil {
			return 0, err
		}
		least = n
	}
	return least, nil
}

// walk goes through the blocks of an hour, from new to old, that each of some
// index entries leads to.
type walk struct {
	iters    []*pebble.Iterator
	prefixes [][]byte
	begun    bool
	at       uint32 // inverted
}

type entry struct {
	by    index
	value string
}

func (v *view) walk(g generation, entries []entry) (*walk, error) {
	w := &walk{}
	for _, e := range entries {
		p := g.indexPrefix(e.by, hashOf(e.value))
		iter, err := v.snap.NewIter(&pebble.IterOptions{LowerBound: p, UpperBound: after(p)})
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.iters, w.prefixes = append(w.iters, iter), append(w.prefixes, p)
	}
	return w, nil
}

func (w *walk) close() (err error) {
	for _, iter := range w.iters {
		err = errors.Join(err, iter.Close())
	}
	return err
}

// listed gives the traces of the block that the first entry's row lists; nil when
// it lists none.
func (w *walk) listed() ([]uint32, error) {
	value, err := w.iters[0].ValueAndErr()
	if err != nil || len(value) == 0 {
		return nil, err
	}
	d := decoder{rest: value}
	var list []uint32
	for len(d.rest) > 0 {
		list = append(list, uint32(d.count(maxBlockRows)))
	}
	if d.bad {
		return nil, nil // look at all
	}
	return list, nil
}

// next moves on to the next block that all lead to.
func (w *walk) next() (seq uint32, ok bool) {
	if w.begun {
		if w.at++; w.at == 0 {
			return 0, false
		}
	}
	w.begun = true
	for agreed := 0; agreed < len(w.iters); {
		for i, iter := range w.iters {
			if !iter.SeekGE(binary.BigEndian.AppendUint32(slices.Clone(w.prefixes[i]), w.at)) {
				return 0, false
			}
			found := lastSeq(iter.Key())
			if found != w.at {
				w.at, agreed = found, 0
			}
			if agreed++; agreed == len(w.iters) {
				break
			}
		}
	}
	return ^w.at, true
}
