package metrics

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

const (
	chunkBytes = 1 << 20 // what is sent at once, about
	spoolMemo  = 8 << 20 // that wait in memory, at most
)

// chunk is encoded samples that are sent together.
type chunk struct {
	data    []byte
	samples int
	file    string // "" when it is in memory only
}

// spool is a bounded queue of chunks in the order in which they came, the
// oldest on disk. What finds no room pushes out what has waited longest.
type spool struct {
	dir   string
	most  int64 // bytes on disk
	ready chan struct{}

	mu      sync.Mutex
	files   []string // names, oldest first
	onDisk  int64
	memory  []chunk // newer than the files
	inMemo  int
	number  uint64
	dropped uint64
}

// openSpool finds what an earlier process left.
func openSpool(dir string, most int64) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make buffer: %w", err)
	}
	s := &spool{dir: dir, most: most, ready: make(chan struct{}, 1)}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read buffer: %w", err)
	}
	for _, e := range entries {
		number, _, ok := chunkName(e.Name())
		info, err := e.Info()
		if !ok || err != nil {
			continue // not ours, or gone
		}
		s.files = append(s.files, e.Name())
		s.onDisk += info.Size()
		s.number = max(s.number, number)
	}
	slices.Sort(s.files)
	s.wake()
	return s, nil
}

// chunkName reads "00000000000000000007-1200.samples".
func chunkName(name string) (number uint64, samples int, ok bool) {
	stem, ok := strings.CutSuffix(name, ".samples")
	if !ok {
		return 0, 0, false
	}
	first, second, _ := strings.Cut(stem, "-")
	number, err := strconv.ParseUint(first, 10, 64)
	samples, err2 := strconv.Atoi(second)
	return number, samples, err == nil && err2 == nil && samples >= 0
}

// put adds encoded samples. It never waits for the other store; when memory is
// full, what is in it goes to disk.
func (s *spool) put(data []byte, samples int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.memory); n > 0 && len(s.memory[n-1].data)+len(data) <= chunkBytes {
		s.memory[n-1].data = append(s.memory[n-1].data, data...)
		s.memory[n-1].samples += samples
	} else {
		s.memory = append(s.memory, chunk{data: slices.Clone(data), samples: samples})
	}
	s.inMemo += len(data)
	if s.inMemo > spoolMemo {
		if s.store() != nil { // the disk is full: what is oldest goes
			s.dropped += uint64(s.memory[0].samples)
			s.inMemo -= len(s.memory[0].data)
			s.memory = s.memory[1:]
		}
	}
	s.wake()
}

func (s *spool) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// store writes all that is in memory to disk, and makes room there.
func (s *spool) store() error {
	for len(s.memory) > 0 {
		c := s.memory[0]
		s.number++
		name := fmt.Sprintf("%020d-%d.samples", s.number, c.samples)
		if err := os.WriteFile(filepath.Join(s.dir, name), c.data, 0o600); err != nil {
			return fmt.Errorf("write buffer: %w", err)
		}
		s.files = append(s.files, name)
		s.onDisk += int64(len(c.data))
		s.inMemo -= len(c.data)
		s.memory = s.memory[1:]
	}
	for s.onDisk > s.most && len(s.files) > 0 {
		_, samples, _ := chunkName(s.files[0])
		s.dropped += uint64(samples)
		s.remove(s.files[0])
	}
	return nil
}

func (s *spool) remove(name string) {
	path := filepath.Join(s.dir, name)
	if info, err := os.Stat(path); err == nil {
		s.onDisk -= info.Size()
	}
	_ = os.Remove(path) // a file that stays is sent again, which the other store finds out
	s.files = slices.DeleteFunc(s.files, func(f string) bool { return f == name })
}

// next takes the oldest chunk, waiting for one; false when ctx ended. One that
// was not sent is to be put back; a process that is killed meanwhile loses it.
func (s *spool) next(ctx context.Context) (chunk, bool) {
	for {
		if ctx.Err() != nil {
			return chunk{}, false
		}
		if c, ok := s.take(); ok {
			return c, true
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			return chunk{}, false
		}
	}
}

func (s *spool) take() (chunk, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.files) > 0 {
		name := s.files[0]
		data, err := os.ReadFile(filepath.Join(s.dir, name))
		_, samples, _ := chunkName(name)
		s.remove(name)
		if err == nil {
			return chunk{data: data, samples: samples, file: name}, true
		}
		if !errors.Is(err, fs.ErrNotExist) {
			s.dropped += uint64(samples)
		}
	}
	if len(s.memory) == 0 {
		return chunk{}, false
	}
	c := s.memory[0]
	s.memory = s.memory[1:]
	s.inMemo -= len(c.data)
	return c, true
}

// putBack makes a chunk the oldest again.
func (s *spool) putBack(c chunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.file != "" && os.WriteFile(filepath.Join(s.dir, c.file), c.data, 0o600) == nil {
		s.files = slices.Insert(s.files, 0, c.file)
		s.onDisk += int64(len(c.data))
		return
	}
	c.file = ""
	s.memory = slices.Insert(s.memory, 0, c)
	s.inMemo += len(c.data)
}

// flush puts what waits in memory to disk.
func (s *spool) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store()
}

// figures tells what was dropped and how much waits.
func (s *spool) figures() (dropped uint64, waiting int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped, s.onDisk + int64(s.inMemo)
}
