package traces

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// write stores one batch: a block, and for every trace in it the record and
// the index entries.
func (s *Store) write(td ptrace.Traces) error {
	block, err := s.codec.encode(td)
	if err != nil {
		return err
	}
	now := s.opts.Now()
	h := hourOf(now)
	if h != s.nameHour {
		s.nameHour = h
		clear(s.names)
	}
	s.seq++
	batch := s.db.NewBatch()
	defer batch.Close()
	set := func(key []byte) {
		if err == nil {
			err = batch.Set(key, nil, nil)
		}
	}
	if err := batch.Set(blockKey(h, s.seq), block, nil); err != nil {
		return fmt.Errorf("write block: %w", err)
	}
	records := make(map[traceID]*record)
	indexed := make(map[indexEntry]struct{})
	each(td, func(resource pcommon.Map, span ptrace.Span) {
		id := traceID(span.TraceID())
		f := factsOf(resource, span)
		r := records[id]
		if r == nil {
			r = &record{}
			records[id] = r
			set(traceKey(h, id, s.seq))
		}
		start := span.StartTimestamp().AsTime().UnixNano()
		r.add(start, start+int64(durationOf(span)), f.failed, span.ParentSpanID().IsEmpty(),
			firstSpan{start: start, service: f.service, operation: f.operation, status: uint64(f.status)})
		f.entries(func(by index, value string) {
			entry := indexEntry{by, hashOf(value), id}
			if _, ok := indexed[entry]; !ok {
				indexed[entry] = struct{}{}
				set(indexKey(h, by, entry.hash, now, id))
			}
		})
		if name := f.service + "\x00" + f.operation; len(s.names) < namesMax {
			if _, ok := s.names[name]; !ok {
				s.names[name] = struct{}{}
				set(nameKey(h, f.service, f.operation))
			}
		}
	})
	for id, r := range records {
		if err == nil {
			err = batch.Merge(recordKey(h, id), r.encode(), nil)
		}
	}
	if err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	// One sync for all that came in the meantime: who is answered is stored.
	if err := batch.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("commit spans: %w", err)
	}
	for id := range records {
		if s.known.add(id) {
			s.tracesIn.Add(1)
		}
	}
	return nil
}

type indexEntry struct {
	by   index
	hash uint64
	id   traceID
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
