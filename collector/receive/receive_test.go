package receive_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/collector/receive"
	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/collector/store/traces/storetest"
	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestMain(m *testing.M) {
	encoding.RegisterCompressor(zstdCompressor{})
	goleak.VerifyTestMain(m)
}

// zstdCompressor is what senders use who compress by zstd over gRPC.
type zstdCompressor struct{}

func (zstdCompressor) Name() string { return "zstd" }

func (zstdCompressor) Compress(w io.Writer) (io.WriteCloser, error) {
	return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
}

func (zstdCompressor) Decompress(r io.Reader) (io.Reader, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
}

// start runs a receiver over store and gives its addresses.
func start(t *testing.T, store traces.Writer) (grpcAddr, httpAddr string) {
	t.Helper()
	r, err := receive.New(receive.Options{GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", Store: store})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return r.Addrs()
}

func openStore(t *testing.T) *traces.Store {
	t.Helper()
	s, err := traces.Open(traces.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// refusing is a store that cannot take spans.
type refusing struct{ err error }

func (r refusing) WriteSpans(context.Context, ptrace.Traces) error { return r.err }

func (r refusing) WriteOTLP(context.Context, []byte, int) error { return r.err }

func batch() ptrace.Traces {
	return storetest.Batch(storetest.Span{Trace: 1, ID: 1, Service: "web", Name: "GET /", At: time.Now(), Took: time.Millisecond})
}

// The OpenTelemetry SDK's own exporter is the sender that matters most.
func TestSDKOverGRPC(t *testing.T) {
	store := openStore(t)
	addr, _ := start(t, store)
	exporter, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpoint(addr), otlptracegrpc.WithInsecure(), otlptracegrpc.WithCompressor("gzip"))
	if err != nil {
		t.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(resource.Default()))
	_, span := provider.Tracer("test").Start(t.Context(), "an operation")
	span.End()
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	trace, err := store.Get(t.Context(), span.SpanContext().TraceID().String())
	if err != nil || len(trace.Spans) != 1 || trace.Spans[0].Operation != "an operation" {
		t.Errorf("Get = %+v, %v", trace, err)
	}
}

func TestZstdOverGRPC(t *testing.T) {
	store := openStore(t)
	addr, _ := start(t, store)
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.UseCompressor("zstd")))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := ptraceotlp.NewGRPCClient(conn)
	td := batch()
	if _, err := client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(td)); err != nil {
		t.Fatal(err)
	}
	if found, err := store.Search(t.Context(), traces.Query{Service: "web"}); err != nil || len(found.Traces) != 1 {
		t.Errorf("search: %+v, %v", found, err)
	}
	// A small message that is large once unpacked.
	td.ResourceSpans().At(0).Resource().Attributes().PutStr("x", strings.Repeat("x", 17<<20))
	_, err = client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(td))
	if err == nil || !strings.Contains(err.Error(), "zstd") {
		t.Errorf("17 MiB: %v", err)
	}
}

func TestHTTP(t *testing.T) {
	pack := func(t *testing.T, w io.WriteCloser, out *bytes.Buffer, raw []byte) []byte {
		t.Helper()
		if _, err := w.Write(raw); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	encode := func(t *testing.T, kind, encoding string) []byte {
		t.Helper()
		req := ptraceotlp.NewExportRequestFromTraces(batch())
		raw, err := req.MarshalProto()
		if kind == "application/json" {
			raw, err = req.MarshalJSON()
		}
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		switch encoding {
		case "gzip":
			return pack(t, gzip.NewWriter(&out), &out, raw)
		case "zstd":
			w, err := zstd.NewWriter(&out)
			if err != nil {
				t.Fatal(err)
			}
			return pack(t, w, &out, raw)
		}
		return raw
	}
	for _, kind := range []string{"application/x-protobuf", "application/json", "application/json; charset=utf-8"} {
		for _, encoding := range []string{"", "gzip", "zstd"} {
			t.Run(kind+encoding, func(t *testing.T) {
				store := openStore(t)
				_, addr := start(t, store)
				media, _, _ := strings.Cut(kind, ";")
				code, body := post(t, addr, kind, encoding, encode(t, media, encoding))
				if code != http.StatusOK {
					t.Fatalf("status %d: %s", code, body)
				}
				if _, err := store.Get(t.Context(), storetest.ID(1)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestHTTPRefusals(t *testing.T) {
	store := openStore(t)
	_, addr := start(t, store)
	var bomb bytes.Buffer
	zw := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(zw, zeros{}, 64<<20); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, kind, encoding string
		body                 []byte
		want                 int
		says                 string
	}{
		{"no spans", "text/plain", "", []byte("hello"), 415, "application/x-protobuf"},
		{"garbage", "application/x-protobuf", "", []byte("\xff\xff\xff garbage"), 400, ""},
		{"broken JSON", "application/json", "", []byte("{"), 400, "decode spans"},
		{"not gzip", "application/json", "gzip", []byte("{}"), 400, "gzip"},
		{"unknown encoding", "application/json", "br", []byte("{}"), 400, "want gzip or zstd"},
		{"bomb", "application/json", "gzip", bomb.Bytes(), 413, "smaller batches"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, body := post(t, addr, tt.kind, tt.encoding, tt.body)
			if code != tt.want || !strings.Contains(body, tt.says) {
				t.Errorf("%d %q, want %d and %q", code, body, tt.want, tt.says)
			}
		})
	}
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("GET /: %s", resp.Status)
	}
}

// A store that is full makes senders wait; it never makes them drop.
func TestBackPressure(t *testing.T) {
	full := refusing{fmt.Errorf("full: %w", mesh.ErrExhausted)}
	grpcAddr, httpAddr := start(t, full)
	raw, err := ptraceotlp.NewExportRequestFromTraces(batch()).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	if code, _ := post(t, httpAddr, "application/x-protobuf", "", raw); code != http.StatusTooManyRequests {
		t.Errorf("HTTP status %d, want 429", code)
	}
	conn, err := grpc.NewClient(grpcAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = ptraceotlp.NewGRPCClient(conn).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(batch()))
	st := status.Convert(err)
	if st.Code() != codes.ResourceExhausted || len(st.Details()) != 1 {
		t.Errorf("gRPC %v with %d details, want ResourceExhausted with a RetryInfo", err, len(st.Details()))
	}
}

// Garbage on the ports harms nobody who comes later.
func TestGarbage(t *testing.T) {
	store := openStore(t)
	grpcAddr, httpAddr := start(t, store)
	for _, addr := range []string{grpcAddr, httpAddr} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(bytes.Repeat([]byte{0xff, 0, '\n'}, 10_000))
		_ = conn.Close()
	}
	conn, err := grpc.NewClient(grpcAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := ptraceotlp.NewGRPCClient(conn).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(batch())); err != nil {
		t.Errorf("after garbage: %v", err)
	}
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = receive.New(receive.Options{GRPC: "127.0.0.1:0", HTTP: taken.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "--otlp-http") {
		t.Errorf("New = %v, want an error that names --otlp-http", err)
	}
}

func post(t *testing.T, addr, kind, encoding string, body []byte) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/v1/traces", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
