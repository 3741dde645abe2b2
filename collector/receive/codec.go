package receive

import (
	"fmt"
	"io"

	"github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// unpacker takes zstd of gRPC's senders; gzip is gRPC's own.
type unpacker struct{ zstd *zstd.Decoder }

func newUnpacker() (unpacker, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxMessage))
	if err != nil {
		return unpacker{}, fmt.Errorf("make zstd decoder: %w", err)
	}
	return unpacker{decoder}, nil
}

// Type implements grpc.Decompressor.
func (unpacker) Type() string { return "zstd" }

// Do implements grpc.Decompressor. The message is as long as one may be at most,
// and so is what comes out of it.
func (u unpacker) Do(r io.Reader) ([]byte, error) {
	packed, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	message, err := u.zstd.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("unpack zstd: %w", err)
	}
	return message, nil
}

// codec hands requests of OTLP on as they came, and decodes Jaeger's, which
// are of another generator, by their own methods once it has counted their
// parts. All else is gRPC's own.
type codec struct{ proto encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Name implements encoding.CodecV2.
func (codec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	var (
		out []byte
		err error
	)
	switch m := v.(type) {
	case ptraceotlp.ExportResponse:
		out, err = m.MarshalProto()
	case *api_v2.PostSpansResponse:
		out, err = m.Marshal()
	default:
		return c.proto.Marshal(v)
	}
	return mem.BufferSlice{mem.SliceBuffer(out)}, err
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case *exportRequest:
		*m = data.Materialize() // a copy: the store keeps it
		return nil
	case *api_v2.PostSpansRequest:
		buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
		defer buffer.Free()
		if err := jaegerShape.count(buffer.ReadOnlyData()); err != nil {
			return status.Error(codes.InvalidArgument, fmt.Sprintf("decode spans: %v", err))
		}
		return m.Unmarshal(buffer.ReadOnlyData())
	}
	return c.proto.Unmarshal(data, v)
}
