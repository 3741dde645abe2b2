package cluster

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// The sizes where a cluster says none: Istio's ring, Envoy's bounds.
const (
	defaultRingMin   = 1024
	defaultRingMax   = 8 << 20
	defaultTableSize = 65537
)

// Hash is the hash of a request's key: xxHash64 with seed 0, as in Envoy, so
// that sidecars of both kinds send a key to the same endpoint.
func Hash(key string) uint64 { return xxhash.Sum64String(key) }

// point is a host's place on the ring.
type point struct {
	hash uint64
	host uint32 // index into the usable hosts
}

// ringPoints lays hosts out on a ring, each at as many places as its weight
// asks for, named "address_0", "address_1", … A host that comes or goes moves
// the keys before its own places, and some others because each host's number of
// places changes with it. Sizes are Envoy's: the lightest host has at least one
// place, and all together at least ringMin.
func ringPoints(hosts []*Host, total, ringMin, ringMax uint64) []point {
	low, high := float64(cmp.Or(ringMin, defaultRingMin)), float64(cmp.Or(ringMax, defaultRingMax))
	lightest := math.Inf(1)
	for _, h := range hosts {
		lightest = min(lightest, float64(h.Endpoint().weight())/float64(total))
	}
	scale := min(math.Ceil(lightest*low)/lightest, high)
	points := make([]point, 0, int(math.Ceil(scale)))
	var target, made float64
	for i, h := range hosts {
		key := append([]byte(h.Endpoint().Address), '_')
		base := len(key)
		target += scale * float64(h.Endpoint().weight()) / float64(total)
		// Shares may differ by less than one place, which rounding must not turn
		// into a host without any.
		for n := int64(0); made < target-1e-6; n++ {
			key = strconv.AppendInt(key[:base], n, 10)
			points = append(points, point{hash: xxhash.Sum64(key), host: uint32(i)})
			made++
		}
	}
	slices.SortFunc(points, func(a, b point) int { return cmp.Compare(a.hash, b.hash) })
	return points
}

// around finds the first place at or after a hash.
func around(points []point, hash uint64) uint32 {
	low, high := 0, len(points)
	for low < high {
		if middle := int(uint(low+high) >> 1); points[middle].hash < hash {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == len(points) {
		low = 0
	}
	return points[low].host
}

// maglevTable fills a table of prime size by the hosts' preferences, in turns
// by weight (Eisenbud and others, "Maglev", 2016, 3.4). Hosts are ordered by
// address, so that all sidecars have the same table.
func maglevTable(hosts []*Host, size uint64) []uint32 {
	size = cmp.Or(size, defaultTableSize)
	type entry struct {
		host         uint32
		offset, skip uint64
		next         uint64
		weight       float64
		target       float64
	}
	entries := make([]entry, len(hosts))
	var heaviest float64
	for i, h := range hosts {
		address := h.Endpoint().Address
		seeded := xxhash.NewWithSeed(1)
		_, _ = seeded.WriteString(address) // never fails
		entries[i] = entry{
			host: uint32(i), offset: xxhash.Sum64String(address) % size, skip: seeded.Sum64()%(size-1) + 1,
			weight: float64(h.Endpoint().weight()),
		}
		heaviest = max(heaviest, entries[i].weight)
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return strings.Compare(hosts[a.host].Endpoint().Address, hosts[b.host].Endpoint().Address)
	})
	const empty = math.MaxUint32
	table := make([]uint32, size)
	for i := range table {
		table[i] = empty
	}
	filled := uint64(0)
	for turn := 1.0; filled < size; turn++ {
		for i := range entries {
			e := &entries[i]
			if turn*e.weight < e.target {
				continue
			}
			e.target += heaviest
			place := (e.offset + e.skip*e.next) % size
			for table[place] != empty {
				e.next++
				place = (e.offset + e.skip*e.next) % size
			}
			table[place] = e.host
			e.next++
			if filled++; filled == size {
				break
			}
		}
	}
	return table
}
