package traces

import (
	"encoding/binary"
	"hash/fnv"
	"time"
)

// Every key begins with the hour in which its spans arrived, so that an hour
// goes with one range deletion. Arrival is our own clock's: a span's own times
// may be anything.
//
//	hour kind ...
//	     'b' sequence                         -> block of spans
//	     't' trace sequence                   -> nothing: the trace has spans in that block
//	     'r' trace                            -> record of the trace, merged
//	     'i' index hash ^arrival trace        -> nothing: see index
//	     'n' service 0 operation              -> nothing: a name that was seen
const (
	kindBlock  = 'b'
	kindTrace  = 't'
	kindRecord = 'r'
	kindIndex  = 'i'
	kindNames  = 'n'
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
)

type (
	hour    uint32
	traceID [16]byte
)

func hourOf(t time.Time) hour { return hour(t.Unix() / 3600) }

func (h hour) begin() time.Time { return time.Unix(int64(h)*3600, 0) }

// hashOf names an index value in eight bytes.
func hashOf(value string) uint64 {
	f := fnv.New64a()
	_, _ = f.Write([]byte(value))
	return f.Sum64()
}

func prefix(h hour, kind byte) []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, 48), uint32(h)), kind)
}

func blockKey(h hour, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(prefix(h, kindBlock), seq)
}

func traceKey(h hour, id traceID, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(prefix(h, kindTrace), id[:]...), seq)
}

func recordKey(h hour, id traceID) []byte { return append(prefix(h, kindRecord), id[:]...) }

func nameKey(h hour, service, operation string) []byte {
	return append(append(append(prefix(h, kindNames), service...), 0), operation...)
}

func indexPrefix(h hour, by index, hash uint64) []byte {
	return binary.BigEndian.AppendUint64(append(prefix(h, kindIndex), byte(by)), hash)
}

// indexKey inverts the arrival, so that a scan goes from new to old.
func indexKey(h hour, by index, hash uint64, arrival time.Time, id traceID) []byte {
	key := binary.BigEndian.AppendUint64(indexPrefix(h, by, hash), ^uint64(arrival.UnixNano()))
	return append(key, id[:]...)
}

// splitIndexKey gives the arrival and the trace of an index key.
func splitIndexKey(key []byte) (arrival time.Time, id traceID) {
	tail := key[len(key)-24:]
	copy(id[:], tail[8:])
	return time.Unix(0, int64(^binary.BigEndian.Uint64(tail))), id
}

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
