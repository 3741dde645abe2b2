package traces

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/sidelight-mesh/sidelight/collector/store/traces/otlpwire"
)

// addOTLP adds the spans of an OTLP export request, which is the same message
// as TracesData. What is not well formed ends it with an error.
func (b *builder) addOTLP(message []byte) error {
	var f, g otlpwire.Field
	request := otlpwire.Read(message)
	b.attrs = b.attrs[:0] // they point into the message before
	for request.Next(&f) {
		if f.Number != 1 || f.Bytes == nil {
			continue
		}
		// The resource may stand behind its spans.
		var raw []byte
		for rs := otlpwire.Read(f.Bytes); rs.Next(&g); {
			if g.Number == 1 {
				raw = g.Bytes
			}
		}
		number, err := b.resource(raw)
		if err != nil {
			return err
		}
		rs := otlpwire.Read(f.Bytes)
		for rs.Next(&g) {
			if g.Number != 2 {
				continue
			}
			if err := b.addScope(g.Bytes, number); err != nil {
				return err
			}
		}
		if rs.Bad() {
			return errCorrupt
		}
	}
	if request.Bad() {
		return errCorrupt
	}
	return nil
}

func (b *builder) addScope(message []byte, resource uint32) error {
	var f otlpwire.Field
	scope := otlpwire.Read(message)
	for scope.Next(&f) {
		if f.Number != 2 {
			continue
		}
		if err := b.addSpan(f.Bytes, resource); err != nil {
			return err
		}
	}
	if scope.Bad() {
		return errCorrupt
	}
	return nil
}

// resource gives the number of a resource, which most senders send again and
// again in the same bytes.
func (b *builder) resource(raw []byte) (uint32, error) {
	if n, ok := b.byRaw[string(raw)]; ok {
		return n, nil
	}
	var (
		r   resource
		f   otlpwire.Field
		msg = otlpwire.Read(raw)
	)
	for msg.Next(&f) {
		if f.Number != 1 {
			continue
		}
		key, value, err := b.keyValue(f.Bytes)
		if err != nil {
			return 0, err
		}
		r.keys, r.values = append(r.keys, key), append(r.values, value)
	}
	if msg.Bad() {
		return 0, errCorrupt
	}
	n := b.addResource(r)
	b.byRaw[string(raw)] = n
	return n, nil
}

// keyValue reads an attribute.
func (b *builder) keyValue(message []byte) (key, value uint32, err error) {
	var f otlpwire.Field
	kv := otlpwire.Read(message)
	for kv.Next(&f) {
		switch f.Number {
		case 1:
			key = b.texts.number(f.Bytes)
		case 2:
			if value, err = b.anyValue(f.Bytes); err != nil {
				return 0, 0, err
			}
		}
	}
	if kv.Bad() {
		return 0, 0, errCorrupt
	}
	return key, value, nil
}

// anyValue reads a value as text, which is all that anything behind wants.
func (b *builder) anyValue(message []byte) (value uint32, err error) {
	var (
		f       otlpwire.Field
		scratch [32]byte
	)
	v := otlpwire.Read(message)
	for v.Next(&f) {
		switch f.Number {
		case 1:
			value = b.texts.number(f.Bytes)
		case 2:
			value = b.texts.number(strconv.AppendBool(scratch[:0], f.Int != 0))
		case 3:
			value = b.texts.number(strconv.AppendInt(scratch[:0], int64(f.Int), 10))
		case 4:
			value = b.texts.number(appendFloat(scratch[:0], math.Float64frombits(f.Int)))
		case 7:
			value = b.texts.number(base64.StdEncoding.AppendEncode(nil, f.Bytes))
		case 5, 6: // lists and maps, in OTLP's own way to say them as text
			text, err := compositeText(message)
			if err != nil {
				return 0, err
			}
			value = b.texts.number([]byte(text))
		}
	}
	if v.Bad() {
		return 0, errCorrupt
	}
	return value, nil
}

// appendFloat writes a number as JSON does.
func appendFloat(b []byte, v float64) []byte {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	}
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	b = strconv.AppendFloat(b, v, format, -1, 64)
	if n := len(b); format == 'e' && n >= 4 && b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' {
		b[n-2] = b[n-1] // e-09 is e-9
		b = b[:n-1]
	}
	return b
}

// compositeText has pdata decode the value, as an attribute of a span.
func compositeText(value []byte) (string, error) {
	message := value
	for _, field := range []byte{2, 9, 2, 2, 1} { // KeyValue.value, Span.attributes, and so on up to the request
		message = append(binary.AppendUvarint([]byte{field<<3 | 2}, uint64(len(message))), message...)
	}
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(message)
	if err != nil {
		return "", errCorrupt
	}
	v, _ := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Attributes().Get("")
	return v.AsString(), nil
}

// addSpan takes a span apart.
func (b *builder) addSpan(message []byte, resource uint32) error {
	r := &b.row
	*r = row{resource: resource, rest: r.rest[:0], keys: r.keys[:0], values: r.values[:0]}
	var (
		f        otlpwire.Field
		end      int64
		place    int
		span     = otlpwire.Read(message)
		sorted   = true
		previous = uint32(0)
	)
	for {
		before := span.Rest()
		if !span.Next(&f) {
			break
		}
		switch f.Number {
		case 1:
			copy(r.trace[:], f.Bytes)
		case 2:
			copy(r.span[:], f.Bytes)
		case 4:
			copy(r.parent[:], f.Bytes)
		case 5:
			r.name = b.texts.number(f.Bytes)
		case 6:
			r.code |= uint32(min(f.Int, codeKind))
		case 7:
			r.start = int64(f.Int)
		case 8:
			end = int64(f.Int)
		case 9:
			key, value, err := b.attributeAt(place, f.Bytes)
			if err != nil {
				return err
			}
			place++
			sorted = sorted && key >= previous
			previous = key
			r.keys, r.values = append(r.keys, key), append(r.values, value)
		case 15:
			if err := b.status(f.Bytes, r); err != nil {
				return err
			}
		default:
			r.rest = append(r.rest, before[:len(before)-len(span.Rest())]...)
		}
	}
	if span.Bad() {
		return errCorrupt
	}
	r.took = max(0, end-r.start)
	if !sorted {
		sortByKey(r.keys, r.values)
	}
	b.add(r)
	return nil
}

func (b *builder) status(message []byte, r *row) error {
	var f otlpwire.Field
	status := otlpwire.Read(message)
	for status.Next(&f) {
		switch f.Number {
		case 2:
			r.message = b.texts.number(f.Bytes)
		case 3:
			r.code |= uint32(min(f.Int, codeStatus)) << codeStatusShift
		}
	}
	if status.Bad() {
		return errCorrupt
	}
	return nil
}

// attributeAt reads a span's attribute at a place. What the span before had in
// the same place is the best guess, and mostly right.
func (b *builder) attributeAt(place int, raw []byte) (key, value uint32, err error) {
	if place < len(b.attrs) {
		if seen := &b.attrs[place]; bytes.Equal(seen.raw, raw) {
			return seen.key, seen.value, nil
		}
	} else {
		b.attrs = append(b.attrs, seenAttribute{})
	}
	if key, value, err = b.keyValue(raw); err == nil {
		b.attrs[place] = seenAttribute{raw, key, value}
	}
	return key, value, err
}
