package trace

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

// Band is a part of traces by the rank of their duration, in percent. The zero
// value is all of them.
type Band struct{ From, To float64 }

// ParseBand reads "95..100"; "" is everything.
func ParseBand(text string) (Band, error) {
	if text == "" {
		return Band{}, nil
	}
	from, to, ok := strings.Cut(text, "..")
	least, err1 := strconv.ParseFloat(from, 64)
	most, err2 := strconv.ParseFloat(to, 64)
	if !ok || err1 != nil || err2 != nil || !(least >= 0 && least < most && most <= 100) {
		return Band{}, fmt.Errorf("%q is no part of 0..100", text)
	}
	return Band{least, most}, nil
}

// Whole tells whether nothing is left out.
func (b Band) Whole() bool { return b == Band{} || b == Band{0, 100} }

// Durations gives the shortest and the longest duration within the band; a
// longest of 0 is no bound. ok is false when there are no traces.
func (b Band) Durations(found []traces.Summary) (least, most time.Duration, ok bool) {
	if len(found) == 0 {
		return 0, 0, false
	}
	sorted := make([]float64, 0, len(found))
	for _, s := range found {
		sorted = append(sorted, s.DurationMS)
	}
	slices.Sort(sorted)
	at := func(percent float64) float64 {
		return sorted[min(len(sorted)-1, int(percent/100*float64(len(sorted))))]
	}
	least = time.Duration(math.Floor(at(b.From) * float64(time.Millisecond)))
	if b.To < 100 {
		most = time.Duration(math.Ceil(at(b.To) * float64(time.Millisecond)))
	}
	return least, most, true
}
