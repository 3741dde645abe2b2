package traces

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// codec turns batches of spans into blocks and back: OTLP protobuf in zstd.
type codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

// maxBlock bounds what a corrupt block can make the decoder allocate.
const maxBlock = 256 << 20

func newCodec() (*codec, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("make zstd encoder: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock))
	if err != nil {
		return nil, fmt.Errorf("make zstd decoder: %w", err)
	}
	return &codec{encoder, decoder}, nil
}

func (c *codec) encode(td ptrace.Traces) ([]byte, error) {
	raw, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
	if err != nil {
		return nil, fmt.Errorf("encode block: %w", err)
	}
	return c.encoder.EncodeAll(raw, nil), nil
}

func (c *codec) decode(block []byte) (ptrace.Traces, error) {
	raw, err := c.decoder.DecodeAll(block, nil)
	if err != nil {
		return ptrace.Traces{}, fmt.Errorf("decode block: %w", err)
	}
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(raw)
	if err != nil {
		return ptrace.Traces{}, fmt.Errorf("decode block: %w", err)
	}
	return td, nil
}

func (c *codec) close() {
	_ = c.encoder.Close()
	c.decoder.Close()
}

// blockCache keeps the last few decoded blocks: the traces that one search
// verifies lie side by side. Decoded blocks are never changed.
type blockCache struct {
	mu     sync.Mutex
	blocks map[uint64]ptrace.Traces
	order  []uint64
}

const blocksCached = 32

func (c *blockCache) get(seq uint64) (ptrace.Traces, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	td, ok := c.blocks[seq]
	return td, ok
}

func (c *blockCache) put(seq uint64, td ptrace.Traces) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blocks == nil {
		c.blocks = make(map[uint64]ptrace.Traces)
	}
	if _, ok := c.blocks[seq]; ok {
		return
	}
	if len(c.order) == blocksCached {
		delete(c.blocks, c.order[0])
		c.order = c.order[1:]
	}
	c.blocks[seq] = td
	c.order = append(c.order, seq)
}
