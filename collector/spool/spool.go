// Package spool is a bounded queue of messages to somebody who may be away.
// What waits is in memory first, then on disk, oldest first; what is on disk
// outlives the process. Putting never waits for the receiver: when there is no
// room, what has waited longest goes, and is counted.
//
// Messages are joined to chunks that are sent at once. A chunk stays in the
// queue until the receiver has it, so that a process that is killed meanwhile
// sends it again rather than losing it. The package knows nothing of what the
// messages say.
package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Options bound a queue. Zero fields take the default that stands beside them.
type Options struct {
	Dir      string // required: its own; made if need be
	MaxBytes int64  // on disk: 512 MiB
	Memory   int64  // bytes that wait in memory before they go to disk: 8 MiB
	Chunk    int    // bytes that are sent at once, about: 1 MiB
}

// Chunk is messages that are sent together.
type Chunk struct {
	Data []byte // one after the other; not to be changed
	N    int    // how much is in them, in the units of Put

	number uint64
}

// Queue is safe for concurrent use.
type Queue struct {
	opts  Options
	ready chan struct{} // holds at most one signal: there may be something

	mu       sync.Mutex
	list     []*waiting // oldest first; those on disk before those in memory
	taken    *waiting   // that the receiver is being sent
	onDisk   int64
	inMemory int64
	number   uint64
	dropped  uint64
}

// waiting is a chunk in the queue.
type waiting struct {
	number uint64
	n      int
	bytes  int64
	data   []byte // nil when it is on disk only
	file   string // "" when it is not on disk
}

// Open makes the queue, with what an earlier process left in it.
func Open(o Options) (*Queue, error) {
	for v, d := range map[*int64]int64{&o.MaxBytes: 512 << 20, &o.Memory: 8 << 20} {
		if *v <= 0 {
			*v = d
		}
	}
	if o.Chunk <= 0 {
		o.Chunk = 1 << 20
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make buffer: %w", err)
	}
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("read buffer: %w", err)
	}
	q := &Queue{opts: o, ready: make(chan struct{}, 1)}
	for _, e := range entries { // by name, so by number
		number, n, ok := readName(e.Name())
		info, err := e.Info()
		if !ok || err != nil {
			continue // not ours, or gone
		}
		q.list = append(q.list, &waiting{number: number, n: n, bytes: info.Size(), file: e.Name()})
		q.onDisk += info.Size()
		q.number = max(q.number, number)
	}
	q.wake()
	return q, nil
}

const suffix = ".chunk"

func (w *waiting) name() string { return fmt.Sprintf("%020d-%d%s", w.number, w.n, suffix) }

// readName reads "00000000000000000007-1200.chunk".
func readName(name string) (number uint64, n int, ok bool) {
	stem, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return 0, 0, false
	}
	first, second, _ := strings.Cut(stem, "-")
	number, err := strconv.ParseUint(first, 10, 64)
	n, err2 := strconv.Atoi(second)
	return number, n, err == nil && err2 == nil && n >= 0
}

// Put adds a message with n things in it. The queue copies it.
func (q *Queue) Put(message []byte, n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if last := q.last(); last != nil && len(last.data)+len(message) <= q.opts.Chunk {
		last.data = append(last.data, message...)
		last.bytes += int64(len(message))
		last.n += n
	} else {
		q.number++
		q.list = append(q.list, &waiting{number: q.number, n: n, bytes: int64(len(message)), data: slices.Clone(message)})
	}
	q.inMemory += int64(len(message))
	if q.inMemory > q.opts.Memory && q.store() != nil { // the disk is full
		q.drop(func() bool { return q.inMemory > q.opts.Memory })
	}
	q.wake()
}

// last is the chunk that more fits into, nil for none.
func (q *Queue) last() *waiting {
	if len(q.list) == 0 {
		return nil
	}
	w := q.list[len(q.list)-1]
	if w.file != "" || w == q.taken {
		return nil
	}
	return w
}

func (q *Queue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// store writes all that is in memory to disk, and makes room there.
func (q *Queue) store() error {
	for _, w := range q.list {
		if w.file != "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(q.opts.Dir, w.name()), w.data, 0o600); err != nil {
			_ = os.Remove(filepath.Join(q.opts.Dir, w.name())) // half of it is worth nothing
			return fmt.Errorf("write buffer: %w", err)
		}
		w.file, w.data = w.name(), nil
		q.inMemory -= w.bytes
		q.onDisk += w.bytes
	}
	q.drop(func() bool { return q.onDisk > q.opts.MaxBytes })
	return nil
}

// drop gives up what has waited longest, but what is being sent, while there
// is too much.
func (q *Queue) drop(tooMuch func() bool) {
	for i := 0; i < len(q.list) && tooMuch(); {
		if q.list[i] == q.taken {
			i++
			continue
		}
		q.dropped += uint64(q.list[i].n)
		q.remove(i)
	}
}

func (q *Queue) remove(i int) {
	w := q.list[i]
	q.list = slices.Delete(q.list, i, i+1)
	if w.file == "" {
		q.inMemory -= w.bytes
		return
	}
	q.onDisk -= w.bytes
	_ = os.Remove(filepath.Join(q.opts.Dir, w.file)) // one that stays is sent again after a restart
}

// Next gives the oldest chunk, waiting for one; false when ctx ended. It stays
// the oldest until Done.
func (q *Queue) Next(ctx context.Context) (Chunk, bool) {
	for ctx.Err() == nil {
		if c, ok := q.Take(); ok {
			return c, true
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
		}
	}
	return Chunk{}, false
}

// Take is Next without waiting.
func (q *Queue) Take() (Chunk, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.list) > 0 {
		w := q.list[0]
		data := w.data
		if w.file != "" {
			var err error
			if data, err = os.ReadFile(filepath.Join(q.opts.Dir, w.file)); err != nil {
				if !errors.Is(err, fs.ErrNotExist) {
					q.dropped += uint64(w.n)
				}
				q.remove(0)
				continue
			}
		}
		q.taken = w
		return Chunk{Data: data, N: w.n, number: w.number}, true
	}
	return Chunk{}, false
}

// Done takes a chunk that the receiver has, or refuses for good, out of the
// queue.
func (q *Queue) Done(c Chunk) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.IndexFunc(q.list, func(w *waiting) bool { return w.number == c.number }); i >= 0 {
		q.remove(i)
	}
	q.taken = nil
}

// Flush puts what waits in memory to disk.
func (q *Queue) Flush() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.store()
}

// Figures tells how much was dropped, in the units of Put, and how many things
// and bytes wait.
func (q *Queue) Figures() (dropped uint64, things int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range q.list {
		things += w.n
	}
	return q.dropped, things, q.onDisk + q.inMemory
}
