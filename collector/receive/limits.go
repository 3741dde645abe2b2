package receive

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Limits on one request once it is decoded. A span of two bytes on the wire
// takes hundreds in memory, so the parts are counted before they are decoded.
const (
	maxSpans = 50_000  // in one request
	maxParts = 500_000 // spans, attributes, events, links and the fields of these
)

var (
	errTooLarge = fmt.Errorf("the request is larger than %d MiB; send smaller batches", maxMessage>>20)
	errTooMany  = fmt.Errorf("the request has more than %d spans or %d parts; send smaller batches", maxSpans, maxParts)
	errWire     = errors.New("not a protobuf message")
)

// shape says which fields of a message are messages that count, by number.
type shape struct {
	isSpan bool
	fields map[protowire.Number]*shape
}

var (
	keyValue  = &shape{}
	withAttrs = func(n protowire.Number) *shape {
		return &shape{fields: map[protowire.Number]*shape{n: keyValue}}
	}

	// jaegerShape is jaeger.api_v2.PostSpansRequest.
	jaegerShape = &shape{fields: map[protowire.Number]*shape{
		1: {fields: map[protowire.Number]*shape{ // Batch
			1: {isSpan: true, fields: map[protowire.Number]*shape{4: {}, 8: keyValue, 9: withAttrs(2), 10: withAttrs(2), 12: {}}},
			2: withAttrs(2), // Process
		}},
	}}

	// zipkinShape is zipkin.proto3.ListOfSpans.
	zipkinShape = &shape{fields: map[protowire.Number]*shape{
		1: {isSpan: true, fields: map[protowire.Number]*shape{10: {}, 11: {}}},
	}}
)

// count walks a message without decoding it, and fails when it has more parts
// than a request may.
func (s *shape) count(message []byte) error {
	spans, parts := 0, 0
	return s.walk(message, &spans, &parts)
}

func (s *shape) walk(message []byte, spans, parts *int) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errWire
		}
		message = message[n:]
		inner := s.fields[number]
		if inner == nil || kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
				return errWire
			}
			message = message[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(message)
		if n < 0 {
			return errWire
		}
		message = message[n:]
		if inner.isSpan {
			*spans++
		}
		if *parts++; *spans > maxSpans || *parts > maxParts {
			return errTooMany
		}
		if len(inner.fields) > 0 {
			if err := inner.walk(value, spans, parts); err != nil {
				return err
			}
		}
	}
	return nil
}

// countJSON bounds the parts of a JSON document by its objects, each of which
// begins with a brace.
func countJSON(document []byte) error {
	parts := 0
	for _, b := range document {
		if b == '{' {
			if parts++; parts > maxParts {
				return errTooMany
			}
		}
	}
	return nil
}
