package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// State is a view at one moment, taken apart so that a delta can be made of
// two of them.
type State struct {
	// At is the moment that the view speaks of; zero when that is the moment of
	// its computation.
	At time.Time
	// Whole says that deltas are not worth it: each tick sends everything.
	Whole bool
	// Fixed fields stand in snapshots only, Fields in deltas too.
	Fixed, Fields []Field
	Lists         []List

	raw json.RawMessage // all there is, of a Whole state
}

// Field is a part of a view that is sent whole.
type Field struct {
	Name string
	JSON json.RawMessage
}

// List is a part of a view that deltas are made of, item by item.
type List struct {
	Name string // of the items, in snapshots and, as upserts, in deltas
	Gone string // of the IDs that went, in deltas
	Item []Item
}

// Item is one element of a list. Keys are distinct within a list. An item that
// is the very same as before is taken to say the same: it is not looked into.
type Item interface {
	Key() string
	JSON() []byte // shared: it is not to be changed
}

// encoded is an item of a value.
type encoded struct {
	key  string
	text []byte
}

func (e *encoded) Key() string  { return e.key }
func (e *encoded) JSON() []byte { return e.text }

// Put adds a field that stands in every frame.
func (s *State) Put(name string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	s.Fields = append(s.Fields, Field{name, raw})
	return nil
}

// Fix adds a field that stands in snapshots only.
func (s *State) Fix(name string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	s.Fixed = append(s.Fixed, Field{name, raw})
	return nil
}

// AddList adds a list of values with their IDs.
func AddList[T any](s *State, name, gone string, values []T, id func(*T) string) error {
	l := List{Name: name, Gone: gone, Item: make([]Item, len(values))}
	for i := range values {
		raw, err := json.Marshal(&values[i])
		if err != nil {
			return fmt.Errorf("encode %s of %s: %w", id(&values[i]), name, err)
		}
		l.Item[i] = &encoded{id(&values[i]), raw}
	}
	s.Lists = append(s.Lists, l)
	return nil
}

// AddItems adds a list of values that are items themselves.
func AddItems[T Item](s *State, name, gone string, values []T) {
	l := List{Name: name, Gone: gone, Item: make([]Item, len(values))}
	for i, v := range values {
		l.Item[i] = v
	}
	s.Lists = append(s.Lists, l)
}

// snapshot is the view as one JSON object.
func (s *State) snapshot(epoch string, seq uint64) []byte {
	if s.Whole {
		return s.raw
	}
	var o object
	o.value("epoch", strconv.AppendQuote(nil, epoch))
	o.value("seq", strconv.AppendUint(nil, seq, 10))
	o.value("at", appendTime(nil, s.At))
	for _, f := range s.Fixed {
		o.value(f.Name, f.JSON)
	}
	for _, f := range s.Fields {
		o.value(f.Name, f.JSON)
	}
	for _, l := range s.Lists {
		o.open(l.Name)
		for _, it := range l.Item {
			o.item(it.JSON())
		}
		o.close()
	}
	return o.done()
}

// delta is what leads from old to s. room is about what it takes.
func (s *State) delta(old *State, room int) []byte {
	o := object{buf: make([]byte, 0, room)}
	for _, f := range s.Fields {
		o.value(f.Name, f.JSON)
	}
	for i, l := range s.Lists {
		var before []Item
		if i < len(old.Lists) {
			before = old.Lists[i].Item
		}
		o.changed(l, before)
	}
	return o.done()
}

// changed writes the two lists of a delta: what is new or another now, and
// what went. As long as both sides have the same items in the same order,
// which is the rule, nothing has to be looked up.
func (o *object) changed(l List, before []Item) {
	same := 0
	o.open(l.Name)
	for ; same < len(l.Item) && same < len(before); same++ {
		it, was := l.Item[same], before[same]
		if it == was {
			continue
		}
		if it.Key() != was.Key() {
			break
		}
		if !bytes.Equal(was.JSON(), it.JSON()) {
			o.item(it.JSON())
		}
	}
	was := make(map[string]Item, len(before)-same)
	for _, it := range before[same:] {
		was[it.Key()] = it
	}
	for _, it := range l.Item[same:] {
		key := it.Key()
		if prev, ok := was[key]; !ok || prev != it && !bytes.Equal(prev.JSON(), it.JSON()) {
			o.item(it.JSON())
		}
		delete(was, key)
	}
	o.close()
	o.open(l.Gone)
	for _, it := range before[same:] { // in their order, not the map's
		if _, gone := was[it.Key()]; gone {
			id, _ := json.Marshal(it.Key())
			o.item(id)
		}
	}
	o.close()
}

// object writes a JSON object from parts that are JSON already.
type object struct {
	buf   []byte
	first bool // no item in the open list yet
}

func (o *object) name(name string) {
	if len(o.buf) == 0 {
		o.buf = append(o.buf, '{')
	} else {
		o.buf = append(o.buf, ',')
	}
	o.buf = strconv.AppendQuote(o.buf, name)
	o.buf = append(o.buf, ':')
}

func (o *object) value(name string, raw []byte) {
	o.name(name)
	o.buf = append(o.buf, raw...)
}

func (o *object) open(name string) {
	o.name(name)
	o.buf = append(o.buf, '[')
	o.first = true
}

func (o *object) item(raw []byte) {
	if !o.first {
		o.buf = append(o.buf, ',')
	}
	o.first = false
	o.buf = append(o.buf, raw...)
}

func (o *object) close() { o.buf = append(o.buf, ']') }

func (o *object) done() []byte {
	if len(o.buf) == 0 {
		return []byte("{}")
	}
	return append(o.buf, '}')
}

func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
	return append(b, '"')
}

// PutIf adds a field when there is something to say.
func (s *State) PutIf(cond bool, name string, value any) error {
	if !cond {
		return nil
	}
	return s.Put(name, value)
}

// Whole makes a state of a value that is sent whole each time.
func Whole(value any) (State, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return State{}, fmt.Errorf("encode state: %w", err)
	}
	return State{Whole: true, raw: raw}, nil
}
