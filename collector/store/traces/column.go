package traces

import (
	"encoding/binary"
	"errors"
)

// errCorrupt says that a block is not what was written.
var errCorrupt = errors.New("corrupt block")

// How the values of a column stand.
const (
	columnSame  = iota // one value for all rows
	columnRuns         // a value and how often it follows itself
	columnPlain        // each value
)

// appendColumn writes a column in the shortest of three ways.
func appendColumn(b []byte, values []uint32) []byte {
	runs := 0
	for i, v := range values {
		if i == 0 || v != values[i-1] {
			runs++
		}
	}
	switch {
	case runs <= 1:
		b = append(b, columnSame)
		if runs == 1 {
			b = binary.AppendUvarint(b, uint64(values[0]))
		}
		return b
	case runs*2 < len(values):
		b = append(b, columnRuns)
		for i := 0; i < len(values); {
			begin := i
			for i < len(values) && values[i] == values[begin] {
				i++
			}
			b = binary.AppendUvarint(b, uint64(values[begin]))
			b = binary.AppendUvarint(b, uint64(i-begin))
		}
		return b
	}
	b = append(b, columnPlain)
	for _, v := range values {
		b = binary.AppendUvarint(b, uint64(v))
	}
	return b
}

// decoder reads what the append functions wrote; bad sticks.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) fail() { d.rest, d.bad = nil, true }

func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.rest) {
		d.fail()
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	if len(d.rest) > 0 && d.rest[0] < 0x80 {
		v := d.rest[0]
		d.rest = d.rest[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) varint() int64 {
	v := d.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// count reads a number of things of which each takes at least one byte of what
// follows, or none where the caller bounds them itself.
func (d *decoder) count(limit int) int {
	v := d.uvarint()
	if v > uint64(limit) {
		d.fail()
		return 0
	}
	return int(v)
}

// column reads a column into values, each of them below limit.
func (d *decoder) column(values []uint32, limit int) {
	read := func() uint32 {
		v := d.uvarint()
		if v >= uint64(limit) {
			d.fail()
			return 0
		}
		return uint32(v)
	}
	kind := d.byte()
	if len(values) == 0 {
		return
	}
	switch kind {
	case columnSame:
		v := read()
		for i := range values {
			values[i] = v
		}
	case columnRuns:
		for i := 0; i < len(values); {
			v, n := read(), d.count(len(values)-i)
			if d.bad || n == 0 {
				d.fail()
				return
			}
			for range n {
				values[i] = v
				i++
			}
		}
	case columnPlain:
		for i := range values {
			values[i] = read()
		}
	default:
		d.fail()
	}
	if d.bad {
		clear(values) // whatever looks into it stays in bounds
	}
}
