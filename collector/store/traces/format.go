package traces

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// layoutVersion changes with the keys or the blocks. 1 had a record a trace,
// merged by Pebble, and blocks of OTLP.
const layoutVersion = 2

// checkFolder refuses a folder that an earlier layout wrote before Pebble
// refuses it in words of its own.
func checkFolder(dir string) error {
	options, err := filepath.Glob(filepath.Join(dir, "OPTIONS-*"))
	if err != nil {
		return err
	}
	for _, name := range options {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if strings.Contains(string(text), "sidelight.trace-record.v1") {
			return layoutError(dir, 1)
		}
	}
	return nil
}

func layoutError(dir string, version uint64) error {
	return fmt.Errorf("%s holds traces in layout %d and this version reads %d: move the folder away or delete it, and start again", dir, version, layoutVersion)
}

// checkVersion reads the layout of an open database, and writes it into a new one.
func (s *Store) checkVersion() error {
	value, closer, err := s.db.Get(versionKey())
	if errors.Is(err, pebble.ErrNotFound) {
		return s.db.Set(versionKey(), binary.AppendUvarint(nil, layoutVersion), pebble.Sync)
	}
	if err != nil {
		return err
	}
	version, n := binary.Uvarint(value)
	if err := closer.Close(); err != nil {
		return err
	}
	if n <= 0 || version != layoutVersion {
		return layoutError(s.opts.Dir, version)
	}
	return nil
}

// hourState says of an hour that was sealed which generation counts and what
// was sampled out of it.
type hourState struct {
	gen                         byte
	spansSampled, tracesSampled uint64
	spansKept, tracesKept       uint64
}

func (h hourState) encode() []byte {
	b := []byte{h.gen}
	for _, v := range []uint64{h.spansSampled, h.tracesSampled, h.spansKept, h.tracesKept} {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func decodeState(b []byte) (hourState, error) {
	d := decoder{rest: b}
	h := hourState{gen: d.byte(), spansSampled: d.uvarint(), tracesSampled: d.uvarint(), spansKept: d.uvarint(), tracesKept: d.uvarint()}
	if d.bad || h.gen == 0 {
		return hourState{}, errCorrupt
	}
	return h, nil
}
