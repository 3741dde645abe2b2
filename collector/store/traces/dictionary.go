package traces

import (
	"math"

	"github.com/cespare/xxhash/v2"
)

// dictionary numbers the texts of a block. Number 0 is the empty text.
type dictionary struct {
	blob  []byte
	ends  []uint32 // of each text in blob
	table []uint32 // by hash, open; 0 is a free place, else number+1
}

func (d *dictionary) reset() {
	d.blob, d.ends = d.blob[:0], d.ends[:0]
	if len(d.table) == 0 {
		d.table = make([]uint32, 1024)
	}
	clear(d.table)
	d.number(nil)
}

// size is how many texts there are.
func (d *dictionary) text(n uint32) []byte {
	begin := uint32(0)
	if n > 0 {
		begin = d.ends[n-1]
	}
	return d.blob[begin:d.ends[n]]
}

// number gives a text's number, a new one if it was not there.
func (d *dictionary) number(text []byte) uint32 {
	mask := uint64(len(d.table) - 1)
	at := xxhash.Sum64(text) & mask
	for ; d.table[at] != 0; at = (at + 1) & mask {
		if n := d.table[at] - 1; string(d.text(n)) == string(text) {
			return n
		}
	}
	if len(d.blob)+len(text) > math.MaxUint32 {
		return 0 // a block has far less: see pendingBytes
	}
	n := uint32(len(d.ends))
	d.blob = append(d.blob, text...)
	d.ends = append(d.ends, uint32(len(d.blob)))
	d.table[at] = n + 1
	if len(d.ends)*2 > len(d.table) {
		d.grow()
	}
	return n
}

func (d *dictionary) grow() {
	d.table = make([]uint32, 2*len(d.table))
	mask := uint64(len(d.table) - 1)
	for n := range d.ends {
		at := xxhash.Sum64(d.text(uint32(n))) & mask
		for d.table[at] != 0 {
			at = (at + 1) & mask
		}
		d.table[at] = uint32(n) + 1
	}
}
