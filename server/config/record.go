package config

import (
	"fmt"
	"sync"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// record is one object of one revision as the history keeps it: its text and
// where it stood. What an earlier process wrote is decoded when it is asked
// for. Revisions share the records of what did not change between them.
type record struct {
	Key
	Source   string `json:"source"`
	Line     int    `json:"line"`
	Revision uint64 `json:"revision"`
	Hash     string `json:"hash"`
	YAML     string `json:"yaml"`

	decode sync.Once
	made   *Object
	err    error
}

func newRecord(o *Object) *record {
	r := &record{Key: o.Key(), Source: o.Source, Line: o.Line, Revision: o.Revision, Hash: o.Hash, YAML: o.YAML, made: o}
	r.decode.Do(func() {})
	return r
}

func (r *record) same(o *record) bool {
	return r.Hash == o.Hash && r.Source == o.Source && r.Line == o.Line && r.Revision == o.Revision && r.YAML == o.YAML
}

// object decodes the record. What was accepted once may be refused by now, by a
// version that is stricter.
func (r *record) object() (*Object, error) {
	r.decode.Do(func() {
		doc := document{line: 1, text: r.YAML}
		decodeDocument(r.Source, &doc)
		if doc.object == nil || doc.key != r.Key {
			r.err = fmt.Errorf("%s of %s:%d is not accepted any more: %w", r.Key, r.Source, r.Line, mesh.ErrConflict)
			if HasErrors(doc.problems) {
				r.err = fmt.Errorf("%w: %s", r.err, firstError(doc.problems).Message)
			}
			return
		}
		o := doc.object
		shift := r.Line - o.Line
		for path, at := range o.positions {
			at.line += shift
			o.positions[path] = at
		}
		o.Line, o.Revision = r.Line, r.Revision
		r.made = o
	})
	return r.made, r.err
}

// records gives the content that objects are, with the records of before where
// nothing differs, and how the two differ.
func records(before []*record, objects []*Object) (content, set []*record, gone []Key) {
	content = make([]*record, 0, len(objects))
	i := 0
	for _, o := range objects {
		r := newRecord(o)
		for i < len(before) && before[i].Compare(r.Key) < 0 {
			i++
		}
		if i < len(before) && before[i].Key == r.Key && before[i].same(r) {
			r = before[i]
		}
		content = append(content, r)
	}
	set, gone = changes(before, content)
	return content, set, gone
}

// changes tells how two contents differ. Both are by key, and share the records
// that are the same in both.
func changes(before, after []*record) (set []*record, gone []Key) {
	i := 0
	for _, r := range after {
		for i < len(before) && before[i].Compare(r.Key) < 0 {
			gone = append(gone, before[i].Key)
			i++
		}
		if i < len(before) && before[i].Key == r.Key {
			if before[i] != r {
				set = append(set, r)
			}
			i++
			continue
		}
		set = append(set, r)
	}
	for ; i < len(before); i++ {
		gone = append(gone, before[i].Key)
	}
	return set, gone
}
