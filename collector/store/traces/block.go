package traces

import (
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// block is a block of spans as it is read: the columns that builder wrote. It
// is never changed once decoded.
type block struct {
	texts     []string
	traceIDs  []traceID
	resources []resource
	shapes    [][]uint32 // keys

	spans, parents                           []spanID // a parent for each row, zero where there is none
	trace, source, name, message, code, form []uint32
	start, took                              []int64
	values                                   []uint32 // attributes of all rows, row after row
	valuesAt                                 []uint32 // where those of a row begin
	rest                                     []byte
	restAt                                   []uint32 // where that of a row begins; one more than rows

	grouping sync.Once
	grouped  []uint32 // rows by trace
	groupAt  []uint32 // where those of a trace begin; one more than traces
	totals   []partial
}

// Bounds of what a corrupt block can make the decoder allocate.
const (
	maxBlock     = 256 << 20
	maxBlockRows = 4 << 20
)

func newDecoder() (*zstd.Decoder, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxBlock))
	if err != nil {
		return nil, fmt.Errorf("make zstd decoder: %w", err)
	}
	return decoder, nil
}

func decodeBlock(zstd *zstd.Decoder, raw []byte) (*block, error) {
	head := decoder{rest: raw}
	if version := head.byte(); version != blockVersion {
		return nil, fmt.Errorf("block of version %d: %w", version, errCorrupt)
	}
	rows, traces := head.count(min(maxBlockRows, len(raw))), head.count(len(raw))
	parents := head.count(rows)
	traceIDs, spanIDs, parentIDs := head.bytes(16*traces), head.bytes(8*rows), head.bytes(8*parents)
	if head.bad {
		return nil, errCorrupt
	}
	b := &block{traceIDs: make([]traceID, traces), spans: make([]spanID, rows), parents: make([]spanID, rows)}
	for i := range b.traceIDs {
		copy(b.traceIDs[i][:], traceIDs[16*i:])
	}
	for i := range b.spans {
		copy(b.spans[i][:], spanIDs[8*i:])
	}
	body, err := zstd.DecodeAll(head.rest, nil)
	if err != nil {
		return nil, fmt.Errorf("decode block: %w", err)
	}
	d := decoder{rest: body}
	b.readTexts(&d)
	b.readResources(&d)
	columns := make([]uint32, 7*rows)
	column := func(limit int) []uint32 {
		c := columns[:rows:rows]
		columns = columns[rows:]
		d.column(c, limit)
		return c
	}
	b.trace, b.source, b.name = column(traces), column(len(b.resources)), column(len(b.texts))
	b.message, b.code = column(len(b.texts)), column(2*codeParent)
	lengths := column(len(body) + 1)
	b.start, b.took = make([]int64, rows), make([]int64, rows)
	last := int64(0)
	for i := range b.start {
		last += d.varint()
		b.start[i] = last
	}
	for i := range b.took {
		b.took[i] = int64(d.uvarint())
	}
	b.readShapes(&d, column)
	b.restAt = make([]uint32, rows+1)
	for i, n := range lengths {
		b.restAt[i+1] = b.restAt[i] + n
		if b.restAt[i+1] < b.restAt[i] {
			d.fail()
		}
	}
	b.rest = d.bytes(int(b.restAt[rows]))
	next := 0
	for i, code := range b.code {
		if code&codeParent == 0 {
			continue
		}
		if next == parents {
			return nil, errCorrupt
		}
		copy(b.parents[i][:], parentIDs[8*next:])
		next++
	}
	if d.bad || len(d.rest) > 0 || rows > 0 && (traces == 0 || len(b.resources) == 0 || len(b.texts) < keysKnown) {
		return nil, errCorrupt
	}
	return b, nil
}

func (b *block) readTexts(d *decoder) {
	n := d.count(len(d.rest))
	ends, sum := make([]int, n), 0
	for i := range ends {
		sum += d.count(maxBlock)
		ends[i] = sum
	}
	blob := string(d.bytes(sum))
	if d.bad {
		return
	}
	b.texts = make([]string, n)
	begin := 0
	for i, end := range ends {
		b.texts[i] = blob[begin:end]
		begin = end
	}
}

func (b *block) readResources(d *decoder) {
	b.resources = make([]resource, d.count(len(d.rest)))
	for i := range b.resources {
		r := &b.resources[i]
		n := d.count(len(d.rest))
		for range n {
			key, value := d.count(len(b.texts)-1), d.count(len(b.texts)-1)
			r.keys, r.values = append(r.keys, uint32(key)), append(r.values, uint32(value))
		}
		if d.bad {
			return
		}
		r.service, r.workload = serviceAndWorkload(b.resourceText(r, attrService), b.resourceText(r, attrWorkload), b.resourceText(r, attrNamespace))
	}
}

func (b *block) resourceText(r *resource, key string) string {
	for i, k := range r.keys {
		if b.texts[k] == key {
			return b.texts[r.values[i]]
		}
	}
	return ""
}

// readShapes reads the attributes, a column for each key of each shape, and
// lays them out row by row.
func (b *block) readShapes(d *decoder, column func(int) []uint32) {
	b.shapes = make([][]uint32, d.count(len(d.rest)))
	for i := range b.shapes {
		n := d.count(len(d.rest))
		keys := make([]uint32, 0, n)
		for range n {
			keys = append(keys, uint32(d.count(len(b.texts)-1)))
		}
		b.shapes[i] = keys
	}
	b.form = column(len(b.shapes))
	if d.bad {
		return
	}
	b.valuesAt = make([]uint32, len(b.form))
	rowsOf := make([][]uint32, len(b.shapes))
	total := 0
	for i, s := range b.form {
		b.valuesAt[i] = uint32(total)
		total += len(b.shapes[s])
		rowsOf[s] = append(rowsOf[s], uint32(i))
	}
	if total > maxBlock/4 {
		d.fail()
		return
	}
	b.values = make([]uint32, total)
	var scratch []uint32
	for s, keys := range b.shapes {
		rows := rowsOf[s]
		scratch = slices.Grow(scratch[:0], len(rows))[:len(rows)]
		for place := range keys {
			d.column(scratch, len(b.texts))
			for j, r := range rows {
				b.values[b.valuesAt[r]+uint32(place)] = scratch[j]
			}
		}
	}
}

// attributes gives the keys and values of a row, as numbers.
func (b *block) attributes(row uint32) (keys, values []uint32) {
	keys = b.shapes[b.form[row]]
	at := b.valuesAt[row]
	return keys, b.values[at : at+uint32(len(keys))]
}

func (b *block) attribute(row uint32, key string) string {
	keys, values := b.attributes(row)
	for i, k := range keys {
		if b.texts[k] == key {
			return b.texts[values[i]]
		}
	}
	return ""
}

func (b *block) failed(row uint32) bool {
	return b.code[row]>>codeStatusShift&codeStatus == statusError
}

func (b *block) status(row uint32) int {
	text := b.attribute(row, attrStatus)
	if text == "" {
		text = b.attribute(row, attrStatusOld)
	}
	return statusOf(text)
}

// group sorts the rows by trace and sums each trace up, once.
func (b *block) group() {
	b.grouping.Do(func() {
		b.groupAt = make([]uint32, len(b.traceIDs)+1)
		for _, t := range b.trace {
			b.groupAt[t+1]++
		}
		for i := 1; i < len(b.groupAt); i++ {
			b.groupAt[i] += b.groupAt[i-1]
		}
		b.grouped = make([]uint32, len(b.trace))
		next := slices.Clone(b.groupAt)
		b.totals = make([]partial, len(b.traceIDs))
		for row, t := range b.trace {
			b.grouped[next[t]] = uint32(row)
			next[t]++
			b.totals[t].add(b, uint32(row))
		}
	})
}

// rowsOf gives the rows of a trace, nil when the block has none.
func (b *block) rowsOf(id traceID) []uint32 {
	t := slices.Index(b.traceIDs, id)
	if t < 0 {
		return nil
	}
	b.group()
	return b.grouped[b.groupAt[t]:b.groupAt[t+1]]
}

// partial is what one block knows of a trace, but for its services.
type partial struct {
	start, end    int64 // ns
	spans, errors int
	first         uint32 // the row that names the trace: a root, or the earliest
	root          bool
}

func (p *partial) add(b *block, row uint32) {
	start := b.start[row]
	if p.spans == 0 || start < p.start {
		p.start = start
	}
	p.end = max(p.end, start+b.took[row])
	isRoot := b.code[row]&codeParent == 0
	if p.spans == 0 || isRoot && !p.root || isRoot == p.root && start < b.start[p.first] {
		p.first, p.root = row, isRoot
	}
	p.spans++
	if b.failed(row) {
		p.errors++
	}
}

// blockCache keeps decoded blocks: the traces that one search looks into lie
// side by side.
type blockCache struct {
	mu     sync.Mutex
	blocks map[blockName]*block
	order  []blockName
	rows   int
}

type blockName struct {
	generation
	seq uint32
}

// cachedRows bounds the cache; a row takes about 150 bytes.
const cachedRows = 200_000

func (c *blockCache) get(name blockName) *block {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blocks[name]
}

func (c *blockCache) put(name blockName, b *block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blocks == nil {
		c.blocks = make(map[blockName]*block)
	}
	if _, ok := c.blocks[name]; ok {
		return
	}
	c.blocks[name] = b
	c.order = append(c.order, name)
	c.rows += b.weight()
	for c.rows > cachedRows && len(c.order) > 1 {
		oldest := c.order[0]
		c.order = c.order[1:]
		c.rows -= c.blocks[oldest].weight()
		delete(c.blocks, oldest)
	}
}

// weight counts a block's rows, and some for the block itself.
func (b *block) weight() int { return len(b.spans) + 50 }
