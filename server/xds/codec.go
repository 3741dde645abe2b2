package xds

import (
	"errors"
	"sync"
	"unicode/utf8"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers what codec stands before
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// codec reads what nodes ask. The first questions of a node name all that it holds,
// with versions, and that is what every other node holds: thousands of strings that
// are here already. Made anew for each node they would be garbage at once, between
// what stays, and so leave the memory in holes. Everything else is read and written
// by gRPC's own codec.
type codec struct {
	encoding.CodecV2
	words *words
}

func newCodec() codec { return codec{encoding.GetCodecV2("proto"), &words{}} }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	req, ok := v.(*discoveryv3.DeltaDiscoveryRequest)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	message := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer message.Free()
	return c.words.readDelta(message.ReadOnlyData(), req)
}

// The fields of DeltaDiscoveryRequest that name resources, and those of an entry
// of the last one.
const (
	subscribeField   protowire.Number = 3
	unsubscribeField protowire.Number = 4
	initialField     protowire.Number = 5

	keyField   protowire.Number = 1
	valueField protowire.Number = 2
)

// readDelta reads the names of a request, and has the rest of it read.
func (w *words) readDelta(message []byte, req *discoveryv3.DeltaDiscoveryRequest) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	held := 0
	rest, err := eachField(message, func(field protowire.Number, _ []byte) (bool, error) {
		if field == initialField {
			held++
		}
		return field >= subscribeField && field <= initialField, nil
	})
	if err != nil {
		return err
	}
	if err := proto.Unmarshal(rest, req); err != nil || len(rest) == len(message) {
		return err
	}
	if held > 0 {
		req.InitialResourceVersions = make(map[string]string, held)
	}
	_, err = eachField(message, func(field protowire.Number, value []byte) (bool, error) {
		switch field {
		case subscribeField:
			return true, w.append(&req.ResourceNamesSubscribe, value)
		case unsubscribeField:
			return true, w.append(&req.ResourceNamesUnsubscribe, value)
		case initialField:
			return true, w.set(req.InitialResourceVersions, value)
		}
		return true, nil
	})
	return err
}

func (w *words) append(to *[]string, value []byte) error {
	word, err := w.word(value)
	*to = append(*to, word)
	return err
}

// set reads an entry of a map.
func (w *words) set(to map[string]string, entry []byte) error {
	var key, value string
	_, err := eachField(entry, func(field protowire.Number, text []byte) (_ bool, err error) {
		switch field {
		case keyField:
			key, err = w.word(text)
		case valueField:
			value, err = w.word(text)
		}
		return true, err
	})
	to[key] = value
	return err
}

// eachField gives the fields of a message that have a length, and gathers what is
// not taken.
func eachField(message []byte, take func(field protowire.Number, value []byte) (bool, error)) (rest []byte, err error) {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeField(message)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		taken := false
		if kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(message)
			value, _ := protowire.ConsumeBytes(message[tag:n])
			if taken, err = take(field, value); err != nil {
				return nil, err
			}
		}
		if !taken {
			rest = append(rest, message[:n]...)
		}
		message = message[n:]
	}
	return rest, nil
}

// words are strings that nodes said lately, each kept once: what nobody said since
// maxWords others is forgotten.
type words struct {
	mu         sync.Mutex
	young, old map[string]string
}

const (
	maxWords = 50_000
	maxWord  = 256 // bytes; longer ones are not kept
)

var errNoUTF8 = errors.New("a name is not UTF-8")

func (w *words) word(text []byte) (string, error) {
	if word, ok := w.young[string(text)]; ok {
		return word, nil
	}
	word, ok := w.old[string(text)]
	if !ok {
		if !utf8.Valid(text) {
			return "", errNoUTF8
		}
		word = string(text)
	}
	if len(text) > maxWord {
		return word, nil
	}
	if w.young == nil || len(w.young) >= maxWords {
		w.young, w.old = map[string]string{}, w.young
	}
	w.young[word] = word
	return word, nil
}
