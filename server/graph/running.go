package graph

import "math"

// What stands for many is a sum that follows them: what one of them came to is
// taken off, what it comes to now is added. So that nothing is left behind, in
// whatever order, however often and however large, such sums are whole numbers.

// quanta are a number a second, counted in small parts.
type quanta int64

// How many parts one has: so many that one request an hour is a million of them,
// and so few that there is room for two thousand million requests a second. Of
// bytes there are more, of which such small parts do not matter.
const (
	perThing = 1 << 32
	perByte  = 1 << 16
)

// mostQuanta is what one summand may be at most: seventeen million requests a
// second from one workload to another are a lie.
const mostQuanta = 1 << 56

func quantaOf(rate, per float64) quanta {
	return quanta(math.Round(min(rate*per, mostQuanta)))
}

// rate is the number a second of what is not bytes.
func (q quanta) rate() float64 { return float64(q) / perThing }

// count is how many of what an entry may count.
type count struct {
	key uint32
	n   quanta
}

// per is how many quanta one of what a key counts has.
func (k *keys) per(key uint32) float64 {
	if key == k.plain+sumSent || key == k.plain+sumReceived {
		return perByte
	}
	return perThing
}

// running adds lists of counts up. Like sums it is reused.
type running struct {
	v       []quanta
	touched []uint32
}

func newRunning(k keys) *running { return &running{v: make([]quanta, k.end)} }

// add adds counts so many times: once, or minus once.
func (r *running) add(list []count, times quanta) {
	for _, c := range list {
		if r.v[c.key] == 0 {
			r.touched = append(r.touched, c.key)
		}
		r.v[c.key] += c.n * times
	}
}

// take empties it into a list.
func (r *running) take(into []count) []count {
	into = into[:0]
	for _, key := range r.touched {
		if n := r.v[key]; n != 0 {
			into = append(into, count{key, n})
			r.v[key] = 0
		}
	}
	r.touched = r.touched[:0]
	return into
}
