package receive

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/mesh"
)

const (
	typeProtobuf = "application/x-protobuf"
	typeJSON     = "application/json"
)

// httpHandler serves OTLP/HTTP, POST /v1/traces, and Zipkin v2, POST
// /api/v2/spans; each in protobuf or JSON, plain, gzip or zstd.
func (r *Receiver) httpHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", r.exportHTTP)
	mux.HandleFunc("POST /api/v2/spans", r.exportZipkin)
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		http.Error(w, fmt.Sprintf("%s %s: this port takes spans only, by POST /v1/traces (OTLP) or POST /api/v2/spans (Zipkin)", req.Method, req.URL.Path), http.StatusNotFound)
	})
	return mux
}

func (r *Receiver) exportHTTP(w http.ResponseWriter, req *http.Request) {
	kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil || (kind != typeProtobuf && kind != typeJSON) {
		r.refuse(w, typeJSON, http.StatusUnsupportedMediaType, codes.InvalidArgument,
			fmt.Errorf("content type %q: want %s or %s", req.Header.Get("Content-Type"), typeProtobuf, typeJSON))
		return
	}
	body, err := readBody(req)
	if err != nil {
		r.refuse(w, kind, statusOfBody(err), codes.InvalidArgument, err)
		return
	}
	var lost losses
	if kind == typeJSON {
		lost, err = r.takeOTLPJSON(req.Context(), body)
	} else {
		lost, err = r.takeOTLP(req.Context(), "otlp_http", body)
	}
	if errors.As(err, new(badMessage)) {
		r.refuse(w, kind, statusOfBody(err), codes.InvalidArgument, err)
		return
	}
	if err != nil {
		if errors.Is(err, mesh.ErrExhausted) {
			w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
			r.refuse(w, kind, http.StatusTooManyRequests, codes.ResourceExhausted, err)
			return
		}
		r.refuse(w, kind, http.StatusServiceUnavailable, codes.Unavailable, err)
		return
	}
	answer := lost.answer()
	out, err := answer.MarshalProto()
	if kind == typeJSON {
		out, err = answer.MarshalJSON()
	}
	if err != nil {
		r.refuse(w, kind, http.StatusInternalServerError, codes.Internal, err)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(out)
}

func (r *Receiver) takeOTLPJSON(ctx context.Context, body []byte) (losses, error) {
	export := ptraceotlp.NewExportRequest()
	err := countJSON(body)
	if err == nil {
		err = export.UnmarshalJSON(body)
	}
	if err != nil {
		return losses{}, asBadMessage(err)
	}
	return r.take(ctx, "otlp_http", export.Traces())
}

// statusOfBody tells a request that is too much from one that is wrong.
func statusOfBody(err error) int {
	if errors.Is(err, errTooLarge) || errors.Is(err, errTooMany) {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// readBody reads and unpacks a body. The limit holds for the unpacked size, so
// that a small bomb stays small.
func readBody(req *http.Request) ([]byte, error) {
	var unpacked io.Reader = req.Body
	switch encoding := req.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		zr, err := gzip.NewReader(req.Body)
		if err != nil {
			return nil, fmt.Errorf("unpack gzip: %w", err)
		}
		defer zr.Close()
		unpacked = zr
	case "zstd":
		zr, err := zstd.NewReader(req.Body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxMessage))
		if err != nil {
			return nil, fmt.Errorf("unpack zstd: %w", err)
		}
		defer zr.Close()
		unpacked = zr
	default:
		return nil, fmt.Errorf("content encoding %q: want gzip or zstd", encoding)
	}
	if unpacked == io.Reader(req.Body) && req.ContentLength > 0 && req.ContentLength <= maxMessage {
		body := make([]byte, req.ContentLength)
		if _, err := io.ReadFull(unpacked, body); err != nil {
			return nil, fmt.Errorf("read spans: %w", err)
		}
		return body, nil
	}
	body, err := io.ReadAll(io.LimitReader(unpacked, maxMessage+1))
	if err != nil {
		return nil, fmt.Errorf("read spans: %w", err)
	}
	if len(body) > maxMessage {
		return nil, errTooLarge
	}
	return body, nil
}

// refuse answers with a google.rpc.Status in the request's own encoding, as
// OTLP/HTTP asks for.
func (r *Receiver) refuse(w http.ResponseWriter, kind string, code int, grpcCode codes.Code, err error) {
	r.metrics.refusals.WithLabelValues(strconv.Itoa(code)).Inc()
	r.log.Debug("spans refused", "status", code, "err", err)
	st := &status.Status{Code: int32(grpcCode), Message: err.Error()}
	var (
		body []byte
		fail error
	)
	if kind == typeProtobuf {
		body, fail = proto.Marshal(st)
	} else {
		body, fail = json.Marshal(map[string]any{"code": st.Code, "message": st.Message})
	}
	if fail != nil {
		http.Error(w, err.Error(), code)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(code)
	_, _ = w.Write(body)
}
