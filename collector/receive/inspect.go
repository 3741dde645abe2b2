package receive

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sidelight-mesh/sidelight/collector/store/traces/otlpwire"
)

// inspector reads an export request of OTLP without decoding it: is it more
// than a request may be, and is anything in it for clean to do? Nearly always
// there is not, and the message goes to the store as it came.
type inspector struct {
	spans, parts int
	dirty        bool
	field        otlpwire.Field
	seen         [][]byte // attributes of the span before, by place
}

func (i *inspector) part() error {
	if i.parts++; i.parts > maxParts {
		return errTooMany
	}
	return nil
}

// each calls visit for each field of a message; visit may not call it again
// before it has taken from the field what it needs.
func each(message []byte, f *otlpwire.Field, visit func() error) error {
	m := otlpwire.Read(message)
	for m.Next(f) {
		if err := visit(); err != nil {
			return err
		}
	}
	if m.Bad() {
		return errWire
	}
	return nil
}

func (i *inspector) request(message []byte) error {
	var f otlpwire.Field
	return each(message, &f, func() error {
		if f.Number != 1 || f.Type != protowire.BytesType {
			i.dirty = true
			return nil
		}
		if err := i.part(); err != nil {
			return err
		}
		return i.resourceSpans(f.Bytes)
	})
}

func (i *inspector) resourceSpans(message []byte) error {
	var f otlpwire.Field
	resources := 0
	return each(message, &f, func() error {
		switch {
		case f.Type != protowire.BytesType:
			i.dirty = true
			return nil
		case f.Number == 1:
			resources++
			i.dirty = i.dirty || resources > 1
			if err := i.part(); err != nil {
				return err
			}
			return i.attributes(f.Bytes, 1)
		case f.Number == 2:
			if err := i.part(); err != nil {
				return err
			}
			return i.scopeSpans(f.Bytes)
		}
		return nil // a schema's URL
	})
}

func (i *inspector) scopeSpans(message []byte) error {
	var f otlpwire.Field
	return each(message, &f, func() error {
		switch {
		case f.Type != protowire.BytesType:
			i.dirty = true
			return nil
		case f.Number == 1:
			if err := i.part(); err != nil {
				return err
			}
			return i.attributes(f.Bytes, 3)
		case f.Number == 2:
			if i.spans++; i.spans > maxSpans {
				return errTooMany
			}
			if err := i.part(); err != nil {
				return err
			}
			return i.span(f.Bytes)
		}
		return nil
	})
}

// attributes looks at the attributes of a message that has them in a field;
// what else it has is not kept.
func (i *inspector) attributes(message []byte, number int) error {
	var f otlpwire.Field
	n := 0
	return each(message, &f, func() error {
		if f.Number != number {
			return nil
		}
		if f.Type != protowire.BytesType {
			i.dirty = true
			return nil
		}
		n++
		i.dirty = i.dirty || n > maxAttributes
		return i.keyValue(f.Bytes)
	})
}

func (i *inspector) span(message []byte) error {
	var (
		f                         otlpwire.Field
		trace, id                 bool
		start, end                uint64
		attributes, events, links int
	)
	span := otlpwire.Read(message)
	for span.Next(&f) {
		want := protowire.BytesType
		var err error
		switch f.Number {
		case 1:
			trace = len(f.Bytes) == 16 && !allZero(f.Bytes)
		case 2:
			id = len(f.Bytes) == 8 && !allZero(f.Bytes)
		case 3, 5:
			i.text(f.Bytes, maxName)
		case 4:
			i.dirty = i.dirty || len(f.Bytes) != 8 && len(f.Bytes) != 0
		case 6, 10, 12, 14:
			want = protowire.VarintType
		case 7:
			want, start = protowire.Fixed64Type, f.Int
		case 8:
			want, end = protowire.Fixed64Type, f.Int
		case 9:
			err = i.attributeAt(attributes, f.Bytes)
			attributes++
		case 11:
			events++
			err = i.event(f.Bytes)
		case 13:
			links++
			err = i.link(f.Bytes)
		case 15:
			err = i.status(f.Bytes)
		case 16:
			want = protowire.Fixed32Type
		default:
			i.dirty = true
			continue
		}
		if err != nil {
			return err
		}
		i.dirty = i.dirty || f.Type != want
	}
	if span.Bad() {
		return errWire
	}
	i.dirty = i.dirty || !trace || !id || bad(pcommon.Timestamp(start)) || bad(pcommon.Timestamp(end)) ||
		attributes > maxAttributes || events > maxEvents || links > maxLinks
	return nil
}

func allZero(id []byte) bool { return len(bytes.Trim(id, "\x00")) == 0 }

// attributeAt looks at a span's attribute, unless the span before had the same
// in the same place.
func (i *inspector) attributeAt(place int, raw []byte) error {
	if place < len(i.seen) && bytes.Equal(i.seen[place], raw) {
		return i.part()
	}
	if place == len(i.seen) && place < maxAttributes {
		i.seen = append(i.seen, nil)
	}
	if place < len(i.seen) {
		i.seen[place] = raw
	}
	return i.keyValue(raw)
}

func (i *inspector) keyValue(message []byte) error {
	if err := i.part(); err != nil {
		return err
	}
	f := &i.field
	var value []byte
	kv := otlpwire.Read(message)
	for kv.Next(f) {
		switch {
		case f.Type == protowire.BytesType && f.Number == 1:
			i.text(f.Bytes, maxName)
		case f.Type == protowire.BytesType && f.Number == 2 && value == nil:
			value = f.Bytes
		default:
			i.dirty = true
		}
	}
	if kv.Bad() {
		return errWire
	}
	v := otlpwire.Read(value)
	for v.Next(f) {
		switch {
		case f.Number == 1 && f.Type == protowire.BytesType:
			i.text(f.Bytes, maxValue)
		case f.Number == 2 && f.Type == protowire.VarintType, f.Number == 3 && f.Type == protowire.VarintType,
			f.Number == 4 && f.Type == protowire.Fixed64Type:
		default: // lists, maps and bytes become text
			i.dirty = true
		}
	}
	if v.Bad() {
		return errWire
	}
	return nil
}

func (i *inspector) text(b []byte, limit int) {
	i.dirty = i.dirty || len(b) > limit || !utf8.Valid(b)
}

func (i *inspector) event(message []byte) error {
	var f otlpwire.Field
	var at uint64
	n := 0
	err := each(message, &f, func() error {
		switch {
		case f.Number == 1 && f.Type == protowire.Fixed64Type:
			at = f.Int
		case f.Number == 2 && f.Type == protowire.BytesType:
			i.text(f.Bytes, maxName)
		case f.Number == 3 && f.Type == protowire.BytesType:
			n++
			return i.keyValue(f.Bytes)
		case f.Number == 4 && f.Type == protowire.VarintType:
		default:
			i.dirty = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	i.dirty = i.dirty || n > maxAttributes || bad(pcommon.Timestamp(at))
	return i.part()
}

func (i *inspector) link(message []byte) error {
	var f otlpwire.Field
	n := 0
	err := each(message, &f, func() error {
		switch {
		case f.Number == 4 && f.Type == protowire.BytesType:
			n++
			return i.keyValue(f.Bytes)
		case f.Number == 1 && len(f.Bytes) == 16, f.Number == 2 && len(f.Bytes) == 8:
		case f.Number == 3 && f.Type == protowire.BytesType:
			i.dirty = i.dirty || !utf8.Valid(f.Bytes)
		case f.Number == 5 && f.Type == protowire.VarintType, f.Number == 6 && f.Type == protowire.Fixed32Type:
		default:
			i.dirty = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	i.dirty = i.dirty || n > maxAttributes
	return i.part()
}

func (i *inspector) status(message []byte) error {
	f := &i.field
	m := otlpwire.Read(message)
	for m.Next(f) {
		switch {
		case f.Number == 2 && f.Type == protowire.BytesType:
			i.text(f.Bytes, maxValue)
		case f.Number == 3 && f.Type == protowire.VarintType:
		default:
			i.dirty = true
		}
	}
	if m.Bad() {
		return errWire
	}
	return nil
}

// badMessage is an error of what was sent, as opposed to one of the store.
type badMessage struct{ error }

func (b badMessage) Unwrap() error { return b.error }

func asBadMessage(err error) error { return badMessage{fmt.Errorf("decode spans: %w", err)} }
