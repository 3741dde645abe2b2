// Package otlpwire reads protobuf messages field by field without decoding
// them into structs. The receiver checks spans with it and the trace store
// takes them apart; neither knows more of protobuf than this.
package otlpwire

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field is one field of a message. Bytes is set for strings, bytes and
// messages, Int for all others.
type Field struct {
	Number int
	Type   protowire.Type
	Bytes  []byte
	Int    uint64
}

// Message reads a message from its begin to its end.
type Message struct {
	rest []byte
	bad  bool
}

// Read begins to read a message.
func Read(message []byte) Message { return Message{rest: message} }

// Bad tells that reading ended because this is no protobuf message.
func (m *Message) Bad() bool { return m.bad }

// Rest is what was not read yet.
func (m *Message) Rest() []byte { return m.rest }

// Next reads the next field; false at the end, and where the message is Bad.
func (m *Message) Next(f *Field) bool {
	if len(m.rest) == 0 {
		return false
	}
	tag, ok := m.varint()
	number := tag >> 3
	if !ok || number == 0 || number > uint64(protowire.MaxValidNumber) {
		return m.fail()
	}
	f.Number, f.Type, f.Bytes, f.Int = int(number), protowire.Type(tag&7), nil, 0
	switch f.Type {
	case protowire.VarintType:
		if f.Int, ok = m.varint(); !ok {
			return m.fail()
		}
	case protowire.BytesType:
		n, ok := m.varint()
		if !ok || n > uint64(len(m.rest)) {
			return m.fail()
		}
		f.Bytes, m.rest = m.rest[:n:n], m.rest[n:]
	case protowire.Fixed64Type:
		if len(m.rest) < 8 {
			return m.fail()
		}
		f.Int, m.rest = binary.LittleEndian.Uint64(m.rest), m.rest[8:]
	case protowire.Fixed32Type:
		if len(m.rest) < 4 {
			return m.fail()
		}
		f.Int, m.rest = uint64(binary.LittleEndian.Uint32(m.rest)), m.rest[4:]
	default: // groups, which OTLP does not have
		n := protowire.ConsumeFieldValue(protowire.Number(number), f.Type, m.rest)
		if n < 0 {
			return m.fail()
		}
		m.rest = m.rest[n:]
	}
	return true
}

func (m *Message) fail() bool {
	m.rest, m.bad = nil, true
	return false
}

func (m *Message) varint() (uint64, bool) {
	if len(m.rest) > 0 && m.rest[0] < 0x80 {
		v := uint64(m.rest[0])
		m.rest = m.rest[1:]
		return v, true
	}
	v, n := protowire.ConsumeVarint(m.rest)
	if n < 0 {
		return 0, false
	}
	m.rest = m.rest[n:]
	return v, true
}
