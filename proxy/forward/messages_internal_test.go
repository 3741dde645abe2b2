package forward

import (
	"encoding/binary"
	"testing"
)

// FuzzMessages cuts a body into pieces: the count depends on the bytes alone.
func FuzzMessages(f *testing.F) {
	frame := func(n int) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(n)), make([]byte, n)...)
	}
	f.Add(append(frame(0), frame(3)...), uint8(1))
	f.Add(append(frame(20), frame(7)[:4]...), uint8(3))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 1, 2, 3}, uint8(2))
	f.Fuzz(func(t *testing.T, body []byte, piece uint8) {
		var want int64
		for rest := body; len(rest) >= 5; want++ {
			n := uint64(binary.BigEndian.Uint32(rest[1:5]))
			rest = rest[min(5+n, uint64(len(rest))):]
		}
		var got grpcMessages
		for rest := body; len(rest) > 0; {
			k := min(int(piece)+1, len(rest))
			got.pass(rest[:k])
			rest = rest[k:]
		}
		if n := got.n.Load(); n != want {
			t.Errorf("%d messages in pieces of %d, want %d", n, int(piece)+1, want)
		}
	})
}
