package traces

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Options say where and how long spans are kept.
type Options struct {
	Dir       string
	Retention time.Duration    // default 24 h; whole hours go
	MaxBytes  uint64           // on disk; default 4 GiB; the oldest hours go first
	Now       func() time.Time // default time.Now
	Logger    *slog.Logger
}

func (o *Options) setDefaults() {
	if o.Retention == 0 {
		o.Retention = 24 * time.Hour
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 4 << 30
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Bounds of what waits to be written.
const (
	flushEvery  = 100 * time.Millisecond // at most this much is lost by kill -9
	flushSpans  = 2000
	pendingMax  = 50_000 // spans
	namesMax    = 20_000 // service and operation names an hour
	tracesKnown = 200_000
)

// Store is the embedded span store. It implements Querier and Writer.
type Store struct {
	opts  Options
	db    *pebble.DB
	codec *codec
	cache blockCache

	mu      sync.Mutex
	pending ptrace.Traces
	spans   int
	written *flight // of what is pending

	flushNow chan struct{}
	stop     chan struct{}
	stopped  chan struct{}
	closing  sync.Once
	reading  sync.RWMutex // held while the database is read; Close takes it
	closed   bool

	seq       uint64 // of the newest block; the writer's alone
	nameHour  hour
	names     map[string]struct{} // written for nameHour
	known     *traceSet
	spansIn   atomic.Uint64
	tracesIn  atomic.Uint64
	refused   atomic.Uint64
	corrupt   atomic.Uint64
	diskBytes atomic.Uint64
}

// flight lets everyone whose spans are in one batch wait for it.
type flight struct {
	done chan struct{}
	err  error
}

var (
	_ Querier = (*Store)(nil)
	_ Writer  = (*Store)(nil)
)

// Open opens or makes the store in opts.Dir. It fails when another process
// holds it.
func Open(opts Options) (*Store, error) {
	opts.setDefaults()
	codec, err := newCodec()
	if err != nil {
		return nil, err
	}
	db, err := pebble.Open(opts.Dir, &pebble.Options{
		Merger:                      mergeRecords,
		MemTableSize:                8 << 20,
		MemTableStopWritesThreshold: 4,
		CacheSize:                   8 << 20,
		BytesPerSync:                1 << 20,
		WALBytesPerSync:             1 << 20,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      pebbleLogger{opts.Logger},
	})
	if err != nil {
		codec.close()
		return nil, fmt.Errorf("open trace store %s: %w", opts.Dir, err)
	}
	s := &Store{
		opts: opts, db: db, codec: codec, pending: ptrace.NewTraces(), written: newFlight(),
		flushNow: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
		names: make(map[string]struct{}), known: newTraceSet(tracesKnown),
	}
	if s.seq, err = s.lastSequence(); err != nil {
		codec.close()
		return nil, errors.Join(err, db.Close())
	}
	s.expire()
	go s.writeLoop()
	return s, nil
}

func newFlight() *flight { return &flight{done: make(chan struct{})} }

// Close writes what waits and closes the store. Spans that come later are
// refused. It is safe to call more than once.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.stop)
		<-s.stopped
		s.reading.Lock()
		defer s.reading.Unlock()
		s.closed = true
		err = s.db.Close()
		s.codec.close()
	})
	return err
}

// WriteSpans implements Writer. Batches of many callers are written together.
func (s *Store) WriteSpans(ctx context.Context, td ptrace.Traces) error {
	n := td.SpanCount()
	if n == 0 {
		return nil
	}
	flight, err := s.enqueue(td, n)
	if err != nil {
		s.refused.Add(uint64(n))
		return err
	}
	select {
	case <-flight.done:
		return flight.err
	case <-ctx.Done():
		// The spans are in the batch and will be written; only the answer is late.
		return ctx.Err()
	}
}

func (s *Store) enqueue(td ptrace.Traces, n int) (*flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.stop:
		return nil, fmt.Errorf("write spans: %w: the trace store is closed", mesh.ErrUnavailable)
	default:
	}
	if s.spans+n > pendingMax {
		return nil, fmt.Errorf("write spans: %w: %d spans wait to be written", mesh.ErrExhausted, s.spans)
	}
	td.ResourceSpans().MoveAndAppendTo(s.pending.ResourceSpans())
	if s.spans += n; s.spans >= flushSpans {
		select {
		case s.flushNow <- struct{}{}:
		default:
		}
	}
	return s.written, nil
}

func (s *Store) writeLoop() {
	defer close(s.stopped)
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	expire := time.NewTicker(time.Minute)
	defer expire.Stop()
	for {
		select {
		case <-flush.C:
			s.flush()
		case <-s.flushNow:
			s.flush()
		case <-expire.C:
			s.expire()
		case <-s.stop:
			s.flush()
			return
		}
	}
}

func (s *Store) flush() {
	s.mu.Lock()
	td, n, flight := s.pending, s.spans, s.written
	s.pending, s.spans, s.written = ptrace.NewTraces(), 0, newFlight()
	s.mu.Unlock()
	if n > 0 {
		if flight.err = s.write(td); flight.err != nil {
			s.refused.Add(uint64(n))
			s.opts.Logger.Error("spans not written", "spans", n, "err", flight.err)
		} else {
			s.spansIn.Add(uint64(n))
		}
	}
	close(flight.done)
}

// lastSequence finds the newest block, so that block numbers go on.
func (s *Store) lastSequence() (uint64, error) {
	hours, err := s.hours()
	if err != nil {
		return 0, err
	}
	var last uint64
	for _, h := range hours {
		p := prefix(h, kindBlock)
		iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: p, UpperBound: after(p)})
		if err != nil {
			return 0, fmt.Errorf("read trace store: %w", err)
		}
		if iter.Last() {
			last = max(last, binary.BigEndian.Uint64(iter.Key()[len(p):]))
		}
		if err := iter.Close(); err != nil {
			return 0, fmt.Errorf("read trace store: %w", err)
		}
	}
	return last, nil
}

// begin lets a query in until it calls done.
func (s *Store) begin() (done func(), err error) {
	s.reading.RLock()
	if s.closed {
		s.reading.RUnlock()
		return nil, fmt.Errorf("read traces: %w: the trace store is closed", mesh.ErrUnavailable)
	}
	return s.reading.RUnlock, nil
}

// hours lists the hours that hold anything, newest first.
func (s *Store) hours() ([]hour, error) {
	iter, err := s.db.NewIter(nil)
	if err != nil {
		return nil, fmt.Errorf("read trace store: %w", err)
	}
	var hours []hour
	for ok := iter.First(); ok; {
		h := hour(binary.BigEndian.Uint32(iter.Key()))
		hours = append(hours, h)
		ok = iter.SeekGE(binary.BigEndian.AppendUint32(nil, uint32(h)+1))
	}
	if err := iter.Close(); err != nil {
		return nil, fmt.Errorf("read trace store: %w", err)
	}
	slices.Reverse(hours)
	return hours, nil
}

// expire drops the hours that are too old, and the oldest while the store is
// too large.
func (s *Store) expire() {
	hours, err := s.hours()
	if err != nil {
		s.opts.Logger.Error("old traces not dropped", "err", err)
		return
	}
	oldest := hourOf(s.opts.Now().Add(-s.opts.Retention))
	size := s.db.Metrics().DiskSpaceUsage()
	s.diskBytes.Store(size)
	for len(hours) > 1 {
		h := hours[len(hours)-1]
		if h >= oldest && size <= s.opts.MaxBytes {
			return
		}
		begin := binary.BigEndian.AppendUint32(nil, uint32(h))
		end := binary.BigEndian.AppendUint32(nil, uint32(h)+1)
		held, err := s.db.EstimateDiskUsage(begin, end)
		if err == nil {
			err = s.db.DeleteRange(begin, end, pebble.NoSync)
		}
		if err != nil {
			s.opts.Logger.Error("old traces not dropped", "hour", h.begin(), "err", err)
			return
		}
		s.opts.Logger.Info("old traces dropped", "hour", h.begin(), "bytes", held)
		size -= min(size, held)
		hours = hours[:len(hours)-1]
	}
}

// Stats implements Querier.
func (s *Store) Stats() Stats {
	stats := Stats{
		Spans: s.spansIn.Load(), Traces: s.tracesIn.Load(), Refused: s.refused.Load(),
		Corrupt: s.corrupt.Load(), Bytes: s.diskBytes.Load(),
	}
	done, err := s.begin()
	if err != nil {
		return stats
	}
	defer done()
	if hours, err := s.hours(); err == nil && len(hours) > 0 {
		stats.OldestAt = hours[len(hours)-1].begin()
	}
	return stats
}

// pebbleLogger hands Pebble's log lines on; its chatter is of no use to users.
type pebbleLogger struct{ log *slog.Logger }

// Infof implements pebble.Logger.
func (l pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug("pebble", "message", fmt.Sprintf(format, args...))
}

// Errorf implements pebble.Logger.
func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("pebble", "message", fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger. Pebble calls it where it cannot go on.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	panic("trace store cannot go on: " + fmt.Sprintf(format, args...))
}
