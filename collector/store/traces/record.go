package traces

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// record is what a result list shows of a trace. Each batch writes its own
// share and Pebble merges the shares, so that nothing is read to be written.
type record struct {
	start, end    int64 // ns
	spans, errors uint64
	root          bool // first is of a span without a parent
	first         firstSpan
	services      []ServiceCount // by name
}

// firstSpan is the span that names the trace: the root, or the earliest.
type firstSpan struct {
	start              int64
	service, operation string
	status             uint64
}

// maxRecordServices bounds what a hostile trace can make a record hold.
const maxRecordServices = 64

func (r *record) add(start, end int64, failed, isRoot bool, f firstSpan) {
	if r.spans == 0 || start < r.start {
		r.start = start
	}
	r.end = max(r.end, end)
	r.spans++
	service := ServiceCount{Name: f.service, Spans: 1}
	if failed {
		r.errors++
		service.Errors = 1
	}
	r.name(isRoot, f)
	r.count(service)
}

// name takes f over if it names the trace better: a root before any other
// span, an earlier one before a later.
func (r *record) name(isRoot bool, f firstSpan) {
	better := r.first.service == "" || isRoot && !r.root || isRoot == r.root && f.start < r.first.start
	if better {
		r.first, r.root = f, isRoot
	}
}

func (r *record) count(s ServiceCount) {
	at, found := slices.BinarySearchFunc(r.services, s.Name, func(c ServiceCount, name string) int { return strings.Compare(c.Name, name) })
	switch {
	case found:
		r.services[at].Spans += s.Spans
		r.services[at].Errors += s.Errors
	case len(r.services) < maxRecordServices:
		r.services = slices.Insert(r.services, at, s)
	}
}

func (r *record) merge(o record) {
	if o.spans == 0 {
		return
	}
	if r.spans == 0 || o.start < r.start {
		r.start = o.start
	}
	r.end = max(r.end, o.end)
	r.spans += o.spans
	r.errors += o.errors
	r.name(o.root, o.first)
	for _, s := range o.services {
		r.count(s)
	}
}

func (r *record) summary(id traceID) Summary {
	return Summary{
		TraceID: hex.EncodeToString(id[:]), Service: r.first.service, Operation: r.first.operation,
		Start: time.Unix(0, r.start), DurationMS: float64(r.end-r.start) / 1e6,
		Spans: int(r.spans), Errors: int(r.errors), Status: int(r.first.status), Services: r.services,
	}
}

func (r *record) encode() []byte {
	b := make([]byte, 0, 128)
	b = binary.AppendVarint(b, r.start)
	b = binary.AppendVarint(b, r.end)
	b = binary.AppendUvarint(b, r.spans)
	b = binary.AppendUvarint(b, r.errors)
	b = append(b, boolByte(r.root))
	b = binary.AppendVarint(b, r.first.start)
	b = appendString(b, r.first.service)
	b = appendString(b, r.first.operation)
	b = binary.AppendUvarint(b, r.first.status)
	b = binary.AppendUvarint(b, uint64(len(r.services)))
	for _, s := range r.services {
		b = appendString(b, s.Name)
		b = binary.AppendUvarint(b, uint64(s.Spans))
		b = binary.AppendUvarint(b, uint64(s.Errors))
	}
	return b
}

var errCorrupt = errors.New("corrupt record")

func decodeRecord(b []byte) (record, error) {
	d := decoder{rest: b}
	r := record{start: d.varint(), end: d.varint(), spans: d.uvarint(), errors: d.uvarint()}
	r.root = d.byte() == 1
	r.first = firstSpan{start: d.varint(), service: d.string(), operation: d.string(), status: d.uvarint()}
	n := d.uvarint()
	if n > maxRecordServices {
		return record{}, errCorrupt
	}
	for range n {
		r.services = append(r.services, ServiceCount{Name: d.string(), Spans: int(d.uvarint()), Errors: int(d.uvarint())})
	}
	if d.bad || len(d.rest) > 0 {
		return record{}, errCorrupt
	}
	return r, nil
}

// decoder reads what the append functions wrote; bad sticks.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) take(n int) {
	if n <= 0 || n > len(d.rest) {
		d.bad, d.rest = true, nil
		return
	}
	d.rest = d.rest[n:]
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.rest)
	d.take(n)
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	d.take(n)
	return v
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.bad = true
		return 0
	}
	b := d.rest[0]
	d.take(1)
	return b
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n == 0 || d.bad {
		return ""
	}
	if n > uint64(len(d.rest)) {
		d.bad, d.rest = true, nil
		return ""
	}
	s := string(d.rest[:n])
	d.take(int(n))
	return s
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// mergeRecords is Pebble's merger for record keys. A share that cannot be read
// is left out: the rest of the trace is worth more than an error.
var mergeRecords = &pebble.Merger{
	Name: "sidelight.trace-record.v1",
	Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		m := &recordMerger{}
		return m, m.MergeNewer(value)
	},
}

type recordMerger struct{ sum record }

// MergeNewer implements pebble.ValueMerger. Order does not matter.
func (m *recordMerger) MergeNewer(value []byte) error {
	if r, err := decodeRecord(value); err == nil {
		m.sum.merge(r)
	}
	return nil
}

// MergeOlder implements pebble.ValueMerger.
func (m *recordMerger) MergeOlder(value []byte) error { return m.MergeNewer(value) }

// Finish implements pebble.ValueMerger.
func (m *recordMerger) Finish(bool) ([]byte, io.Closer, error) { return m.sum.encode(), nil, nil }
