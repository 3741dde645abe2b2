package live

import (
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// frame is one state frame of a topic, encoded once for all its subscribers; or
// what one client gets of a stream.
type frame struct {
	kind  string // snapshot | delta | event
	epoch string // of a snapshot
	seq   uint64
	at    time.Time // that it speaks of
	made  time.Time
	data  []byte

	mu    sync.Mutex
	ready map[string]*websocket.PreparedMessage // by subscription ID
}

// preparedMax bounds how many subscription IDs share one compressed form.
// Clients of one kind use the same IDs; odd ones pay for themselves.
const preparedMax = 4

// send writes the frame under a subscription's ID. What compression costs is
// paid once for all clients that use the same ID.
func (f *frame) send(out *wire, id string) error {
	f.mu.Lock()
	p := f.ready[id]
	if p == nil && len(f.ready) < preparedMax {
		var err error
		if p, err = websocket.NewPreparedMessage(websocket.TextMessage, f.encode(id)); err != nil {
			f.mu.Unlock()
			return err
		}
		if f.ready == nil {
			f.ready = map[string]*websocket.PreparedMessage{}
		}
		f.ready[id] = p
	}
	f.mu.Unlock()
	if p == nil {
		return out.text(f.encode(id))
	}
	return out.prepared(p)
}

func (f *frame) encode(id string) []byte {
	o := object{buf: make([]byte, 0, len(f.data)+len(id)+256)}
	quoted, _ := json.Marshal(id)
	o.value("id", quoted)
	o.value("type", strconv.AppendQuote(nil, f.kind))
	if f.epoch != "" {
		o.value("epoch", strconv.AppendQuote(nil, f.epoch))
	}
	o.value("seq", strconv.AppendUint(nil, f.seq, 10))
	o.value("at", appendTime(nil, f.at))
	o.value("data", f.data)
	return o.done()
}

// The frames that are made for one client.
type (
	gapFrame struct {
		ID   string `json:"id"`
		Type string `json:"type"` // gap
		Lost uint64 `json:"lost"`
	}
	endFrame struct {
		ID     string `json:"id"`
		Type   string `json:"type"` // end
		Reason string `json:"reason"`
	}
	errorFrame struct {
		ID    string `json:"id"`
		Type  string `json:"type"` // error
		Error any    `json:"error"`
	}
)

// request is what a client sends.
type request struct {
	Op      string          `json:"op"`
	ID      string          `json:"id"`
	Channel string          `json:"channel"`
	Params  json.RawMessage `json:"params"`
	Resume  *resumePoint    `json:"resume"`
}

type resumePoint struct {
	Epoch string `json:"epoch"`
	Seq   uint64 `json:"seq"`
}
