// Package dialect knows what meshes call their metrics: which series count
// traffic on an edge, what they count, and how their labels name the two ends.
// Package scrape asks it once for each series that is new, and from then on
// knows the answer by the series' reference.
//
// A dialect is a table. The package does no I/O, keeps no state, and imports
// the shared vocabulary only.
package dialect

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Field says what a series counts: where in a mesh.EdgeDelta its increase goes.
type Field uint8

// What a series can count.
const (
	Requests      Field = iota + 1 // by Outcome
	Responses                      // by Outcome, with who answered and why
	Latency                        // milliseconds
	RequestBytes                   // the sum of a histogram
	ResponseBytes                  // the sum of a histogram
	Attempts
	NewConnections
	TCPOpened
	TCPClosed
	SentBytes
	ReceivedBytes
	ActiveConnections // a level
	// ProcessStart belongs to no edge: when the target's process started, in
	// seconds since 1970. A counter's first value means something only with it.
	ProcessStart
)

// Part says which series of a metric one is.
type Part uint8

// A counter, gauge or native histogram is one series, a classic histogram
// three kinds of them.
const (
	Whole Part = iota
	Bucket
	Sum
	Count
)

// Fact is what a series means.
type Fact struct {
	Field   Field
	Part    Part
	Upper   float64 // of a Bucket, inclusive
	Scale   float64 // multiplies values and bounds into the field's unit
	Key     mesh.EdgeKey
	Outcome mesh.Outcome // of Requests and Responses, of the histograms' series, and of TCPClosed
}

// Failed reports whether a TCPClosed counts connections that failed.
func (f Fact) Failed() bool {
	return f.Field == TCPClosed && f.Outcome.Flags != "" && f.Outcome.Flags != string(mesh.FlagNone)
}

// Labels gives a series' label by name, "" when it has none. Labels of the
// target are among them.
type Labels func(name string) string

// first gives the first of the labels that is there and known.
func (l Labels) first(names ...string) string {
	for _, name := range names {
		if v := known(l(name)); v != "" {
			return v
		}
	}
	return ""
}

// Dialect is one mesh's names.
type Dialect struct {
	Name    string
	metrics map[string]metric
}

// metric says what one metric name means.
type metric struct {
	field     Field
	histogram bool
	scale     float64
	when      func(Labels) bool // nil: always; what others call the same is left alone
	key       func(Labels) mesh.EdgeKey
	outcome   func(Labels) mesh.Outcome
}

// Set is the dialects that a collector reads. Names of different dialects must
// not overlap; the first one wins.
type Set []*Dialect

// All gives every dialect there is.
func All() Set { return Set{Istio(), Sidelight(), Linkerd(), Consul(), Hubble(), Process()} }

// Resolve says what the series called name with these labels means, and
// whether it means anything.
func (s Set) Resolve(name string, labels Labels) (Fact, bool) {
	for _, d := range s {
		if fact, ok := d.Resolve(name, labels); ok {
			return fact, true
		}
	}
	return Fact{}, false
}

// Resolve says what the series means in this dialect.
func (d *Dialect) Resolve(name string, labels Labels) (Fact, bool) {
	m, ok := d.metrics[name]
	part := Whole
	if !ok {
		if m, part, ok = d.classic(name); !ok {
			return Fact{}, false
		}
	}
	if m.when != nil && !m.when(labels) {
		return Fact{}, false
	}
	fact := Fact{Field: m.field, Part: part, Scale: m.scale}
	if part == Bucket {
		upper, err := strconv.ParseFloat(labels("le"), 64)
		if err != nil || upper != upper {
			return Fact{}, false
		}
		fact.Upper = upper
	}
	if m.key != nil {
		fact.Key = m.key(labels)
	}
	if m.outcome != nil {
		fact.Outcome = m.outcome(labels)
	}
	return fact, true
}

// classic finds the histogram that name is a series of.
func (d *Dialect) classic(name string) (metric, Part, bool) {
	for suffix, part := range map[string]Part{"_bucket": Bucket, "_sum": Sum, "_count": Count} {
		base, ok := strings.CutSuffix(name, suffix)
		if !ok {
			continue
		}
		m, ok := d.metrics[base]
		return m, part, ok && m.histogram
	}
	return metric{}, Whole, false
}

// Stored says how the series of one metric are read back from a store: by the
// name under which they are there, and whether they are levels or counters.
type Stored struct {
	Name  string
	Level bool
}

// Stored lists what the set's dialects read, as it is stored: of histograms
// that are kept whole the classic buckets, of the others the sum.
func (s Set) Stored() []Stored {
	var out []Stored
	for _, d := range s {
		for name, m := range d.metrics {
			switch {
			case m.field == ProcessStart:
			case m.field == Latency:
				out = append(out, Stored{Name: name + "_bucket"})
			case m.histogram:
				out = append(out, Stored{Name: name + "_sum"})
			default:
				out = append(out, Stored{Name: name, Level: m.field == ActiveConnections})
			}
		}
	}
	slices.SortFunc(out, func(a, b Stored) int { return strings.Compare(a.Name, b.Name) })
	return out
}
