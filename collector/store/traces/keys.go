package traces

import (
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Every key begins with the hour in which its spans arrived, so that an hour
// goes with one range deletion. Arrival is our own clock's: a span's own times
// may be anything. Below an hour stand its generations, of which one counts:
// sealing an hour writes the next and deletes the last in one step.
//
//	0 'f'                                     -> version of this layout
//	hour 0                                    -> state of the hour: see hourState
//	hour generation kind ...
//	     'b' sequence                         -> block of spans
//	     't' trace sequence                   -> nothing: the trace has spans in that block
//	     'i' index hash ^sequence             -> the block has such a span; see index
//	     'n' service 0 operation              -> nothing: a name that was seen
//	     'a' attribute                        -> nothing: the whole hour is indexed by it
//
// A sequence is the arrival in microseconds of the hour, moved on where two
// blocks would share one. Of a trace's ID the first half stands in keys: the
// block tells the rest.
const (
	kindBlock  = 'b'
	kindTrace  = 't'
	kindIndex  = 'i'
	kindNames  = 'n'
	kindByAttr = 'a'
)

// index tells which property of a span an index entry speaks of.
type index byte

const (
	byAll index = iota
	byService
	byOperation
	byWorkload
	byEdge
	bySource
	byTarget
	byRoute
	byStatus // "503" and "5xx"
	byError
	byAttribute // "key\x00value", of the attributes that Options names
	byDuration  // see tookLevel; the row's value lists the traces, if they are few
)

type (
	hour    uint32
	traceID [16]byte
	spanID  [8]byte
)

// atomicHour is an hour that only goes up.
type atomicHour struct{ v atomic.Uint32 }

func (a *atomicHour) load() hour { return hour(a.v.Load()) }

func (a *atomicHour) raise(h hour) {
	for old := a.v.Load(); uint32(h) > old && !a.v.CompareAndSwap(old, uint32(h)); old = a.v.Load() {
	}
}

// String gives the hex form, empty when there is no ID.
func (id spanID) String() string {
	if id == (spanID{}) {
		return ""
	}
	return hex.EncodeToString(id[:])
}

// generation is an hour as a reader sees it.
type generation struct {
	hour hour
	gen  byte
}

func hourOf(t time.Time) hour { return hour(t.Unix() / 3600) }

func (h hour) begin() time.Time { return time.Unix(int64(h)*3600, 0) }

// arrival is when the block of a sequence arrived.
func (h hour) arrival(seq uint32) time.Time {
	return h.begin().Add(time.Duration(seq) * time.Microsecond)
}

// hashOf names an index value in eight bytes. Two values may share one: what
// an index leads to is always looked at.
func hashOf(value string) uint64 { return xxhash.Sum64String(value) }

func hourKey(h hour) []byte { return binary.BigEndian.AppendUint32(make([]byte, 0, 48), uint32(h)) }

func stateKey(h hour) []byte { return append(hourKey(h), 0) }

func versionKey() []byte { return append(hourKey(0), 'f') }

func (g generation) key() []byte { return append(hourKey(g.hour), g.gen) }

func (g generation) prefix(kind byte) []byte { return append(g.key(), kind) }

func (g generation) blockKey(seq uint32) []byte {
	return binary.BigEndian.AppendUint32(g.prefix(kindBlock), seq)
}

func (g generation) tracePrefix(id traceID) []byte { return append(g.prefix(kindTrace), id[:8]...) }

func (g generation) traceKey(id traceID, seq uint32) []byte {
	return binary.BigEndian.AppendUint32(g.tracePrefix(id), seq)
}

func (g generation) nameKey(service, operation string) []byte {
	return append(append(append(g.prefix(kindNames), service...), 0), operation...)
}

func (g generation) attributeKey(name string) []byte { return append(g.prefix(kindByAttr), name...) }

func (g generation) indexPrefix(by index, hash uint64) []byte {
	return binary.BigEndian.AppendUint64(append(g.prefix(kindIndex), byte(by)), hash)
}

// indexKey inverts the sequence, so that a scan goes from new to old.
func (g generation) indexKey(by index, hash uint64, seq uint32) []byte {
	return binary.BigEndian.AppendUint32(g.indexPrefix(by, hash), ^seq)
}

// lastSeq reads the sequence that a key ends with.
func lastSeq(key []byte) uint32 { return binary.BigEndian.Uint32(key[len(key)-4:]) }

// after gives the first key behind all keys that begin with prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
