package receive

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// zipkinSpan is a span of Zipkin's API v2 (zipkin2-api.yaml, zipkin.proto).
type zipkinSpan struct {
	TraceID     string             `json:"traceId"`
	ID          string             `json:"id"`
	ParentID    string             `json:"parentId"`
	Kind        string             `json:"kind"`
	Name        string             `json:"name"`
	Timestamp   uint64             `json:"timestamp"` // µs since 1970
	Duration    uint64             `json:"duration"`  // µs
	Local       zipkinEndpoint     `json:"localEndpoint"`
	Remote      zipkinEndpoint     `json:"remoteEndpoint"`
	Annotations []zipkinAnnotation `json:"annotations"`
	Tags        map[string]string  `json:"tags"`
	Shared      bool               `json:"shared"`
}

type zipkinEndpoint struct {
	ServiceName string `json:"serviceName"`
	IPv4        string `json:"ipv4"`
	IPv6        string `json:"ipv6"`
	Port        uint16 `json:"port"`
}

type zipkinAnnotation struct {
	Timestamp uint64 `json:"timestamp"`
	Value     string `json:"value"`
}

// exportZipkin takes POST /api/v2/spans, JSON or protobuf. Zipkin has no way to
// tell a part that was refused, so a batch with a broken span is taken without
// it and the loss is counted here.
func (r *Receiver) exportZipkin(w http.ResponseWriter, req *http.Request) {
	kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil || (kind != typeProtobuf && kind != typeJSON) {
		r.refuseZipkin(w, http.StatusUnsupportedMediaType, fmt.Errorf("content type %q: want %s or %s", req.Header.Get("Content-Type"), typeJSON, typeProtobuf))
		return
	}
	body, err := readBody(req)
	if err != nil {
		r.refuseZipkin(w, statusOfBody(err), err)
		return
	}
	var spans []zipkinSpan
	if kind == typeJSON {
		if err = countJSON(body); err == nil {
			err = json.Unmarshal(body, &spans)
		}
	} else if err = zipkinShape.count(body); err == nil {
		spans, err = decodeZipkin(body)
	}
	if len(spans) > maxSpans {
		err = errTooMany
	}
	if err != nil {
		r.refuseZipkin(w, statusOfBody(err), fmt.Errorf("decode spans: %w", err))
		return
	}
	if _, err := r.take(req.Context(), "zipkin", tracesOfZipkin(spans)); err != nil {
		status := http.StatusServiceUnavailable
		if errors.Is(err, mesh.ErrExhausted) {
			w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
			status = http.StatusTooManyRequests
		}
		r.refuseZipkin(w, status, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (r *Receiver) refuseZipkin(w http.ResponseWriter, status int, err error) {
	r.metrics.refusals.WithLabelValues(strconv.Itoa(status)).Inc()
	r.log.Debug("spans refused", "status", status, "err", err)
	http.Error(w, err.Error(), status)
}

// tracesOfZipkin gives spans in OTLP's form, one resource a service.
func tracesOfZipkin(spans []zipkinSpan) ptrace.Traces {
	td := ptrace.NewTraces()
	byService := map[string]ptrace.SpanSlice{}
	for i := range spans {
		s := &spans[i]
		to, ok := byService[s.Local.ServiceName]
		if !ok {
			rs := td.ResourceSpans().AppendEmpty()
			if s.Local.ServiceName != "" {
				rs.Resource().Attributes().PutStr("service.name", s.Local.ServiceName)
			}
			to = rs.ScopeSpans().AppendEmpty().Spans()
			byService[s.Local.ServiceName] = to
		}
		s.write(to.AppendEmpty())
	}
	return td
}

func (s *zipkinSpan) write(to ptrace.Span) {
	var trace pcommon.TraceID
	if id := hexOf(s.TraceID, 16); id != nil {
		trace = pcommon.TraceID(id)
	}
	span, parent := zipkinID(s.ID), zipkinID(s.ParentID)
	if s.Shared && strings.EqualFold(s.Kind, "server") {
		// B3 lets a server report under its client's ID. Here it is the client
		// span's child, with an ID of its own that is always the same.
		parent = span
		span[0] ^= 0x80
	}
	to.SetTraceID(trace)
	to.SetSpanID(span)
	to.SetParentSpanID(parent)
	to.SetName(s.Name)
	to.SetKind(zipkinKinds[strings.ToUpper(s.Kind)])
	to.SetStartTimestamp(micros(s.Timestamp))
	if s.Timestamp != 0 {
		to.SetEndTimestamp(micros(s.Timestamp + min(s.Duration, 1<<62/1000)))
	}
	for k, v := range s.Tags {
		to.Attributes().PutStr(k, v)
	}
	if v, ok := s.Tags["error"]; ok {
		to.Status().SetCode(ptrace.StatusCodeError)
		if v != "true" {
			to.Status().SetMessage(v)
		}
	}
	if s.Remote.ServiceName != "" {
		to.Attributes().PutStr("peer.service", s.Remote.ServiceName)
	}
	if ip := s.Remote.IPv4 + s.Remote.IPv6; ip != "" {
		to.Attributes().PutStr("network.peer.address", ip)
	}
	for _, a := range s.Annotations {
		e := to.Events().AppendEmpty()
		e.SetName(a.Value)
		e.SetTimestamp(micros(a.Timestamp))
	}
}

var zipkinKinds = map[string]ptrace.SpanKind{
	"":         ptrace.SpanKindInternal,
	"CLIENT":   ptrace.SpanKindClient,
	"SERVER":   ptrace.SpanKindServer,
	"PRODUCER": ptrace.SpanKindProducer,
	"CONSUMER": ptrace.SpanKindConsumer,
}

// micros gives a time of microseconds; what is past the range of nanoseconds
// is none.
func micros(us uint64) pcommon.Timestamp {
	if us > 1<<63/1000 {
		return 0
	}
	return pcommon.Timestamp(us) * pcommon.Timestamp(time.Microsecond)
}

// hexOf reads up to 2n hex digits; missing leading ones are zeros. nil when it
// is not hex.
func hexOf(text string, n int) []byte {
	if len(text) == 0 || len(text) > 2*n {
		return nil
	}
	id, err := hex.DecodeString(strings.Repeat("0", 2*n-len(text)) + text)
	if err != nil {
		return nil
	}
	return id
}

func zipkinID(text string) pcommon.SpanID {
	if id := hexOf(text, 8); id != nil {
		return pcommon.SpanID(id)
	}
	return pcommon.SpanID{}
}

// decodeZipkin reads zipkin.proto3.ListOfSpans. The format has been still for
// years and is small, so it is read by hand.
func decodeZipkin(list []byte) ([]zipkinSpan, error) {
	var spans []zipkinSpan
	err := eachField(list, func(number protowire.Number, value []byte, _ uint64) error {
		if number != 1 {
			return nil
		}
		s := zipkinSpan{Tags: map[string]string{}}
		spans = append(spans, s)
		return spans[len(spans)-1].decode(value)
	})
	return spans, err
}

func (s *zipkinSpan) decode(message []byte) error {
	return eachField(message, func(number protowire.Number, value []byte, n uint64) error {
		switch number {
		case 1:
			s.TraceID = hex.EncodeToString(value)
		case 2:
			s.ParentID = hex.EncodeToString(value)
		case 3:
			s.ID = hex.EncodeToString(value)
		case 4:
			s.Kind = [...]string{"", "CLIENT", "SERVER", "PRODUCER", "CONSUMER"}[min(n, 4)]
		case 5:
			s.Name = string(value)
		case 6:
			s.Timestamp = n
		case 7:
			s.Duration = n
		case 8:
			return s.Local.decode(value)
		case 9:
			return s.Remote.decode(value)
		case 10:
			var a zipkinAnnotation
			err := eachField(value, func(number protowire.Number, value []byte, n uint64) error {
				switch number {
				case 1:
					a.Timestamp = n
				case 2:
					a.Value = string(value)
				}
				return nil
			})
			s.Annotations = append(s.Annotations, a)
			return err
		case 11:
			var key, text string
			err := eachField(value, func(number protowire.Number, value []byte, _ uint64) error {
				switch number {
				case 1:
					key = string(value)
				case 2:
					text = string(value)
				}
				return nil
			})
			s.Tags[key] = text
			return err
		case 13:
			s.Shared = n != 0
		}
		return nil
	})
}

func (e *zipkinEndpoint) decode(message []byte) error {
	return eachField(message, func(number protowire.Number, value []byte, n uint64) error {
		switch {
		case number == 1:
			e.ServiceName = string(value)
		case number == 2 && len(value) == 4:
			e.IPv4 = fmt.Sprintf("%d.%d.%d.%d", value[0], value[1], value[2], value[3])
		case number == 4:
			e.Port = uint16(n)
		}
		return nil
	})
}

// eachField visits the fields of a message: bytes of length-delimited ones,
// the number of all others.
func eachField(message []byte, visit func(protowire.Number, []byte, uint64) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errWire
		}
		message = message[n:]
		size := protowire.ConsumeFieldValue(number, kind, message)
		if size < 0 {
			return errWire
		}
		var value []byte
		var scalar uint64
		switch kind {
		case protowire.BytesType:
			value, _ = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			scalar, _ = protowire.ConsumeVarint(message)
		case protowire.Fixed64Type:
			scalar = binary.LittleEndian.Uint64(message)
		}
		if err := visit(number, value, scalar); err != nil {
			return err
		}
		message = message[size:]
	}
	return nil
}
