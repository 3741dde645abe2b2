package traces

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"time"
)

// The duration index leads to the blocks that have spans of a trace which took,
// as far as the store had seen it then, at least what its level says. A trace
// grows with each of its blocks, so the one that makes it long leads to it. Of a
// trace that went on after tracesKnown others had come, only the rest is known.
const (
	listedMost = 32 // traces that a row lists
	// tookIndexed stands among the attributes of an hour that has this index.
	tookIndexed = "\x00took"
)

// tookLevels are what a trace of each level took at least: from a millisecond to
// an hour, two levels an octave.
var tookLevels = func() (least [44]time.Duration) {
	for i := range least {
		least[i] = time.Duration(float64(time.Millisecond) * math.Pow(2, float64(i)/2))
	}
	return least
}()

// tookLevel gives the highest level that a trace of that duration reaches.
func tookLevel(took time.Duration) (level int, ok bool) {
	level, exact := slices.BinarySearch(tookLevels[:], took)
	if !exact {
		level--
	}
	return level, level >= 0
}

func levelName(level int) string { return strconv.Itoa(level) }

// extent is from when to when a trace went on, in ns.
type extent struct{ start, end int64 }

func (e extent) with(o extent) extent {
	return extent{min(e.start, o.start), max(e.end, o.end)}
}

// tookRows gives, level by level, the traces of a block that reach it: their
// numbers in the block, or nothing when they are many. seen is how far each went
// on.
func tookRows(seen []extent, row func(level int, listed []byte)) {
	var count [len(tookLevels)]int
	for _, e := range seen {
		if level, ok := tookLevel(time.Duration(e.end - e.start)); ok {
			count[level]++
		}
	}
	reach := 0
	for level := len(count) - 1; level >= 0; level-- {
		if reach += count[level]; reach == 0 {
			continue
		}
		var listed []byte
		for t, e := range seen {
			if reach > listedMost {
				break
			}
			if l, ok := tookLevel(time.Duration(e.end - e.start)); ok && l >= level {
				listed = binary.AppendUvarint(listed, uint64(t))
			}
		}
		row(level, listed)
	}
}

// traceSet remembers the newest traces, so that they can be counted, and what
// was seen of each summed up, without holding all of them.
type traceSet struct {
	members map[traceID]extent
	order   []traceID
	next    int
}

func newTraceSet() *traceSet { return &traceSet{members: make(map[traceID]extent)} }

// add notes what a block has of a trace. It gives all that was seen of it, and
// whether the trace is new.
func (t *traceSet) add(id traceID, e extent) (all extent, isNew bool) {
	if before, ok := t.members[id]; ok {
		all = before.with(e)
		if all != before {
			t.members[id] = all
		}
		return all, false
	}
	if len(t.order) < tracesKnown {
		t.order = append(t.order, id)
	} else {
		delete(t.members, t.order[t.next])
		t.order[t.next] = id
		t.next = (t.next + 1) % len(t.order)
	}
	t.members[id] = e
	return e, true
}
