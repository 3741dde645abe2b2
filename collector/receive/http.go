package receive

import (
	"compress/gzip"
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

// httpHandler serves OTLP/HTTP: POST /v1/traces in protobuf or JSON, plain,
// gzip or zstd.
func (r *Receiver) httpHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", r.exportHTTP)
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		http.Error(w, fmt.Sprintf("%s %s: this port takes spans only, by POST /v1/traces", req.Method, req.URL.Path), http.StatusNotFound)
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
		code := http.StatusBadRequest
		if errors.Is(err, errTooLarge) {
			code = http.StatusRequestEntityTooLarge
		}
		r.refuse(w, kind, code, codes.InvalidArgument, err)
		return
	}
	export := ptraceotlp.NewExportRequest()
	if kind == typeJSON {
		err = export.UnmarshalJSON(body)
	} else {
		err = export.UnmarshalProto(body)
	}
	if err != nil {
		r.refuse(w, kind, http.StatusBadRequest, codes.InvalidArgument, fmt.Errorf("decode spans: %w", err))
		return
	}
	if err := r.take(req.Context(), "otlp_http", export.Traces()); err != nil {
		if errors.Is(err, mesh.ErrExhausted) {
			w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
			r.refuse(w, kind, http.StatusTooManyRequests, codes.ResourceExhausted, err)
			return
		}
		r.refuse(w, kind, http.StatusServiceUnavailable, codes.Unavailable, err)
		return
	}
	answer := ptraceotlp.NewExportResponse()
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

var errTooLarge = fmt.Errorf("the request is larger than %d MiB; send smaller batches", maxMessage>>20)

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
