package traces

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Numbers of attribute keys that every block's dictionary begins with; 0 is
// the empty text. Keys of Options.IndexAttributes follow.
const (
	keySource = 1 + iota
	keyDestination
	keyRoute
	keyStatus
	keyStatusOld
	keyService
	keyWorkload
	keyNamespace
	keysKnown
)

var knownKeys = [keysKnown]string{
	keySource: attrSource, keyDestination: attrDestination, keyRoute: attrRoute, keyStatus: attrStatus, keyStatusOld: attrStatusOld,
	keyService: attrService, keyWorkload: attrWorkload, keyNamespace: attrNamespace,
}

// row is one span on its way into a block, its texts as numbers.
type row struct {
	trace                   traceID
	span, parent            spanID
	start, took             int64 // ns
	code                    uint32
	resource, name, message uint32
	rest                    []byte // fields of OTLP's Span that have no column, as they came
	keys, values            []uint32
}

// A row's code holds what takes few bits.
const (
	codeKind   = 7 // OTLP's SpanKind
	codeStatus = 3 // OTLP's StatusCode, above the kind
	codeParent = 1 << 5

	codeStatusShift = 3
)

// builder makes a block of spans: columns of numbers, the texts in one
// dictionary, attributes by shape (the set of a span's keys), so that what
// repeats from span to span costs next to nothing. It is used again and again.
type builder struct {
	indexed []string // attributes that have an index
	encoder *zstd.Encoder

	texts     dictionary
	traces    map[traceID]uint32
	traceIDs  []traceID
	extents   []extent          // of each trace, after see as far as known
	byRaw     map[string]uint32 // resources as they came
	resources []resource
	byKeys    map[string]uint32 // shapes
	shapes    []shape

	spans                                     []spanID
	parents                                   []spanID // of rows that have one
	trace, source, name, message, code, shape []uint32
	start, took                               []int64
	rests                                     []uint32 // lengths
	rest                                      []byte

	facts     map[factKey]struct{}
	lastFact  factKey
	attribute map[[2]uint32]struct{} // values of indexed attributes

	row       row
	attrs     []seenAttribute // of the span before, by place
	keyBytes  []byte
	body, out []byte
}

// resource is who sent spans.
type resource struct {
	keys, values      []uint32
	service, workload string
}

// shape is a set of keys, with a column of values for each.
type shape struct {
	keys []uint32
	rows int
	// columns[i] are the values of keys[i], row by row.
	columns [][]uint32
}

type seenAttribute struct {
	raw        []byte
	key, value uint32
}

// factKey is what the indexes know of a span, in numbers of the dictionary.
type factKey struct {
	resource, name, source, target, route, status uint32
	failed                                        bool
}

func newBuilder(indexed []string) (*builder, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("make zstd encoder: %w", err)
	}
	b := &builder{
		indexed: indexed, encoder: encoder,
		traces: make(map[traceID]uint32), byRaw: make(map[string]uint32), byKeys: make(map[string]uint32),
		facts: make(map[factKey]struct{}), attribute: make(map[[2]uint32]struct{}),
	}
	b.reset()
	return b, nil
}

func (b *builder) reset() {
	b.texts.reset()
	for _, key := range knownKeys[1:] {
		b.texts.number([]byte(key))
	}
	for _, key := range b.indexed {
		b.texts.number([]byte(key))
	}
	clear(b.traces)
	clear(b.byRaw)
	clear(b.byKeys)
	clear(b.facts)
	clear(b.attribute)
	b.lastFact = factKey{resource: math.MaxUint32}
	b.traceIDs, b.extents, b.resources, b.shapes = b.traceIDs[:0], b.extents[:0], b.resources[:0], b.shapes[:0]
	b.spans, b.parents, b.start, b.took, b.rest = b.spans[:0], b.parents[:0], b.start[:0], b.took[:0], b.rest[:0]
	for _, column := range []*[]uint32{&b.trace, &b.source, &b.name, &b.message, &b.code, &b.shape, &b.rests} {
		*column = (*column)[:0]
	}
	b.attrs = b.attrs[:0]
}

func (b *builder) rows() int { return len(b.spans) }

// sameResource gives the number of a resource of this builder's texts.
func (b *builder) sameResource(r resource) uint32 {
	b.keyBytes = append(b.keyBytes[:0], 0) // no message begins so
	for i := range r.keys {
		b.keyBytes = binary.LittleEndian.AppendUint32(b.keyBytes, r.keys[i])
		b.keyBytes = binary.LittleEndian.AppendUint32(b.keyBytes, r.values[i])
	}
	n, ok := b.byRaw[string(b.keyBytes)]
	if !ok {
		n = b.addResource(r)
		b.byRaw[string(b.keyBytes)] = n
	}
	return n
}

func (b *builder) addResource(r resource) uint32 {
	text := func(key uint32) string {
		if i := slices.Index(r.keys, key); i >= 0 {
			return string(b.texts.text(r.values[i]))
		}
		return ""
	}
	r.service, r.workload = serviceAndWorkload(text(keyService), text(keyWorkload), text(keyNamespace))
	b.noteIndexed(r.keys, r.values)
	b.resources = append(b.resources, r)
	return uint32(len(b.resources) - 1)
}

// sortByKey brings attributes into the order in which their keys were first
// seen, so that senders who shuffle them have one shape. Few are out of place.
func sortByKey(keys, values []uint32) {
	for i := 1; i < len(keys); i++ {
		key, value := keys[i], values[i]
		j := i
		for ; j > 0 && keys[j-1] > key; j-- {
			keys[j], values[j] = keys[j-1], values[j-1]
		}
		keys[j], values[j] = key, value
	}
}

// add puts a row into the columns.
func (b *builder) add(r *row) {
	b.addTrace(r)
	code := r.code
	if r.parent != (spanID{}) {
		code |= codeParent
		b.parents = append(b.parents, r.parent)
	}
	b.spans = append(b.spans, r.span)
	b.start, b.took = append(b.start, r.start), append(b.took, r.took)
	b.source, b.name, b.message = append(b.source, r.resource), append(b.name, r.name), append(b.message, r.message)
	b.code = append(b.code, code)
	b.rests, b.rest = append(b.rests, uint32(len(r.rest))), append(b.rest, r.rest...)

	number := b.shapeOf(r.keys)
	b.shape = append(b.shape, number)
	s := &b.shapes[number]
	s.rows++
	for i, v := range r.values {
		s.columns[i] = append(s.columns[i], v)
	}
	b.noteFacts(r)
}

// addTrace notes whose span a row is.
func (b *builder) addTrace(r *row) {
	own := extent{r.start, r.start + r.took}
	if n := len(b.trace); n > 0 && b.traceIDs[b.trace[n-1]] == r.trace {
		at := b.trace[n-1]
		b.trace = append(b.trace, at)
		b.extents[at] = b.extents[at].with(own)
		return
	}
	at, ok := b.traces[r.trace]
	if ok {
		b.extents[at] = b.extents[at].with(own)
	} else {
		at = uint32(len(b.traceIDs))
		b.traces[r.trace] = at
		b.traceIDs, b.extents = append(b.traceIDs, r.trace), append(b.extents, own)
	}
	b.trace = append(b.trace, at)
}

// see adds to what the block has of each trace what was seen of it before, and
// gives how many are new.
func (b *builder) see(known *traceSet) (fresh int) {
	for i, id := range b.traceIDs {
		all, isNew := known.add(id, b.extents[i])
		b.extents[i] = all
		if isNew {
			fresh++
		}
	}
	return fresh
}

func (b *builder) shapeOf(keys []uint32) uint32 {
	if n := len(b.shape); n > 0 {
		if last := b.shape[n-1]; slices.Equal(b.shapes[last].keys, keys) {
			return last
		}
	}
	b.keyBytes = b.keyBytes[:0]
	for _, k := range keys {
		b.keyBytes = binary.LittleEndian.AppendUint32(b.keyBytes, k)
	}
	n, ok := b.byKeys[string(b.keyBytes)]
	if !ok {
		n = uint32(len(b.shapes))
		b.byKeys[string(b.keyBytes)] = n
		b.shapes = append(b.shapes, shape{keys: slices.Clone(keys), columns: make([][]uint32, len(keys))})
	}
	return n
}

// noteFacts keeps what the indexes will say of the block.
func (b *builder) noteFacts(r *row) {
	f := factKey{resource: r.resource, name: r.name, failed: r.code>>codeStatusShift&codeStatus == statusError}
	var old uint32
	for i, key := range r.keys {
		switch value := r.values[i]; key {
		case keySource:
			f.source = value
		case keyDestination:
			f.target = value
		case keyRoute:
			f.route = value
		case keyStatus:
			f.status = value
		case keyStatusOld:
			old = value
		}
		if key > keyStatusOld {
			break
		}
	}
	if f.status == 0 {
		f.status = old
	}
	if f != b.lastFact {
		b.lastFact = f
		b.facts[f] = struct{}{}
	}
	if len(b.indexed) > 0 {
		b.noteIndexed(r.keys, r.values)
	}
}

func (b *builder) noteIndexed(keys, values []uint32) {
	for i, key := range keys {
		if key > 0 && values[i] != 0 && slices.Contains(b.indexed, string(b.texts.text(key))) {
			b.attribute[[2]uint32{key, values[i]}] = struct{}{}
		}
	}
}

// entries lists what the block is to be found by.
func (b *builder) entries(yield func(index, string)) {
	text := func(n uint32) string { return string(b.texts.text(n)) }
	yield(byAll, "")
	for f := range b.facts {
		r := b.resources[f.resource]
		facts{
			service: r.service, workload: r.workload, operation: text(f.name),
			source: text(f.source), target: text(f.target), route: text(f.route),
			status: statusOf(text(f.status)), failed: f.failed,
		}.entries(yield)
	}
	for pair := range b.attribute {
		yield(byAttribute, text(pair[0])+"\x00"+text(pair[1]))
	}
}

// blockVersion begins every block.
const blockVersion = 2

// finish gives the block; it is valid until the builder is used again.
//
//	version, rows, traces, dictionary size, then plain: IDs of traces, spans, parents;
//	then in zstd: dictionary, resources, columns, shapes with their columns, rests
func (b *builder) finish() []byte {
	out := append(b.out[:0], blockVersion)
	out = binary.AppendUvarint(out, uint64(len(b.spans)))
	out = binary.AppendUvarint(out, uint64(len(b.traceIDs)))
	out = binary.AppendUvarint(out, uint64(len(b.parents)))
	for i := range b.traceIDs {
		out = append(out, b.traceIDs[i][:]...)
	}
	for i := range b.spans {
		out = append(out, b.spans[i][:]...)
	}
	for i := range b.parents {
		out = append(out, b.parents[i][:]...)
	}

	body := binary.AppendUvarint(b.body[:0], uint64(len(b.texts.ends)))
	begin := uint32(0)
	for _, end := range b.texts.ends {
		body = binary.AppendUvarint(body, uint64(end-begin))
		begin = end
	}
	body = append(body, b.texts.blob...)
	body = binary.AppendUvarint(body, uint64(len(b.resources)))
	for i := range b.resources {
		r := &b.resources[i]
		body = binary.AppendUvarint(body, uint64(len(r.keys)))
		for j := range r.keys {
			body = binary.AppendUvarint(body, uint64(r.keys[j]))
			body = binary.AppendUvarint(body, uint64(r.values[j]))
		}
	}
	for _, column := range [][]uint32{b.trace, b.source, b.name, b.message, b.code, b.rests} {
		body = appendColumn(body, column)
	}
	last := int64(0)
	for _, at := range b.start {
		body = binary.AppendVarint(body, at-last)
		last = at
	}
	for _, took := range b.took {
		body = binary.AppendUvarint(body, uint64(took))
	}
	body = binary.AppendUvarint(body, uint64(len(b.shapes)))
	for i := range b.shapes {
		body = binary.AppendUvarint(body, uint64(len(b.shapes[i].keys)))
		for _, key := range b.shapes[i].keys {
			body = binary.AppendUvarint(body, uint64(key))
		}
	}
	body = appendColumn(body, b.shape)
	for i := range b.shapes {
		for _, column := range b.shapes[i].columns {
			body = appendColumn(body, column)
		}
	}
	body = append(body, b.rest...)
	b.body = body
	b.out = b.encoder.EncodeAll(body, out)
	return b.out
}
