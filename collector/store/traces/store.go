package traces

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Options say where and how long spans are kept.
type Options struct {
	Dir       string
	Retention time.Duration // default 24 h; whole hours go
	MaxBytes  uint64        // on disk; default 4 GiB; the oldest hours go first
	// IndexAttributes are attributes of spans or their resources by which a
	// search need not read spans. It holds from the next hour on.
	IndexAttributes []string
	// Sample is the share of ordinary traces that are kept when their hour is
	// sealed, 0 to 1; default 1. Those with an error, slow and rare ones stay.
	Sample float64
	Now    func() time.Time // default time.Now
	Logger *slog.Logger
}

func (o *Options) setDefaults() {
	if o.Retention == 0 {
		o.Retention = 24 * time.Hour
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 4 << 30
	}
	if o.Sample == 0 {
		o.Sample = 1
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
	flushEvery   = 75 * time.Millisecond // with the write, at most 100 ms are lost by kill -9
	flushSpans   = 10_000
	pendingMax   = 50_000   // spans
	pendingBytes = 64 << 20 // of OTLP
	namesMax     = 20_000   // service and operation names an hour
	tracesKnown  = 200_000
)

// Store is the embedded span store. It implements Querier and Writer.
type Store struct {
	opts    Options
	db      *pebble.DB
	disk    *disk
	builder *builder // the writer's alone
	decoder *zstd.Decoder
	cache   blockCache

	mu      sync.Mutex
	pending [][]byte // OTLP
	bytes   int
	spans   int
	written *flight // of what is pending

	flushNow chan struct{}
	stop     chan struct{}
	stopped  chan struct{}
	sealed   chan struct{} // the loop has ended
	unseal   context.CancelFunc
	sealing  sync.Mutex
	// notBefore follows the newest hour that is sealed.
	notBefore atomicHour
	closing   sync.Once
	reading   sync.RWMutex // held while the database is read; Close takes it
	closed    bool

	writing   hour                // the writer's alone, as is what follows
	seq       uint32              // of the newest block in it
	names     map[string]struct{} // written in it
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
	if err := checkFolder(opts.Dir); err != nil {
		return nil, fmt.Errorf("open trace store: %w", err)
	}
	builder, err := newBuilder(opts.IndexAttributes)
	if err != nil {
		return nil, err
	}
	decoder, err := newDecoder()
	if err != nil {
		return nil, err
	}
	disk := newDisk(opts.Dir, opts.Logger)
	db, err := pebble.Open(opts.Dir, &pebble.Options{
		FS:                          disk.fs,
		MemTableSize:                8 << 20,
		MemTableStopWritesThreshold: 4,
		CacheSize:                   8 << 20,
		BytesPerSync:                1 << 20,
		WALBytesPerSync:             1 << 20,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      pebbleLogger{opts.Logger},
	})
	if err != nil {
		decoder.Close()
		return nil, fmt.Errorf("open trace store %s: %w", opts.Dir, err)
	}
	s := &Store{
		opts: opts, db: db, disk: disk, builder: builder, decoder: decoder, written: newFlight(),
		flushNow: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}), sealed: make(chan struct{}),
		names: make(map[string]struct{}), known: newTraceSet(),
	}
	if err := s.checkVersion(); err != nil {
		decoder.Close()
		return nil, errors.Join(fmt.Errorf("open trace store: %w", err), db.Close())
	}
	hours, err := s.hours()
	if err != nil {
		decoder.Close()
		return nil, errors.Join(err, db.Close())
	}
	for _, g := range hours {
		if g.gen > 1 {
			s.notBefore.raise(g.hour + 1)
		}
	}
	s.expire()
	ctx, cancel := context.WithCancel(context.Background())
	s.unseal = cancel
	go s.writeLoop()
	go s.sealLoop(ctx)
	return s, nil
}

func newFlight() *flight { return &flight{done: make(chan struct{})} }

// Close writes what waits and closes the store. Spans that come later are
// refused. It is safe to call more than once. On a full disk it leaves the store
// as a process that was killed would.
func (s *Store) Close() error {
	var err error
	s.closing.Do(func() {
		closed := make(chan error, 1)
		go func() { closed <- s.close() }()
		look := time.NewTicker(diskEvery)
		defer look.Stop()
		for {
			select {
			case err = <-closed:
				return
			case <-look.C:
				if err = s.disk.err(); err != nil {
					err = fmt.Errorf("close trace store: spans of the last moments may be lost: %w", err)
					return
				}
			}
		}
	})
	return err
}

func (s *Store) close() error {
	close(s.stop)
	s.unseal()
	<-s.sealed
	<-s.stopped
	s.reading.Lock()
	defer s.reading.Unlock()
	s.closed = true
	defer s.decoder.Close()
	return s.db.Close()
}

// WriteSpans implements Writer.
func (s *Store) WriteSpans(ctx context.Context, td ptrace.Traces) error {
	n := td.SpanCount()
	if n == 0 {
		return nil
	}
	message, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
	if err != nil {
		return fmt.Errorf("write spans: %w", err)
	}
	return s.WriteOTLP(ctx, message, n)
}

// WriteOTLP implements Writer. Batches of many callers are written together.
func (s *Store) WriteOTLP(ctx context.Context, message []byte, spans int) error {
	if spans == 0 {
		return nil
	}
	flight, err := s.enqueue(message, spans)
	if err != nil {
		s.refused.Add(uint64(spans))
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

func (s *Store) enqueue(message []byte, n int) (*flight, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.stop:
		return nil, fmt.Errorf("write spans: %w: the trace store is closed", mesh.ErrUnavailable)
	default:
	}
	if err := s.disk.err(); err != nil {
		return nil, fmt.Errorf("write spans: %w", err)
	}
	if s.spans+n > pendingMax || s.bytes+len(message) > pendingBytes {
		return nil, fmt.Errorf("write spans: %w: %d spans of %d bytes wait to be written", mesh.ErrExhausted, s.spans, s.bytes)
	}
	s.pending = append(s.pending, message)
	s.bytes += len(message)
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
	messages, n, flight := s.pending, s.spans, s.written
	s.pending, s.bytes, s.spans, s.written = nil, 0, 0, newFlight()
	s.mu.Unlock()
	if n > 0 {
		var stored int
		if stored, flight.err = s.write(messages); flight.err != nil {
			s.opts.Logger.Error("spans not written", "spans", n-stored, "err", flight.err)
		}
		s.spansIn.Add(uint64(stored))
		s.refused.Add(uint64(max(0, n-stored)))
	}
	close(flight.done)
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
func (s *Store) hours() ([]storedHour, error) {
	iter, err := s.db.NewIter(nil)
	if err != nil {
		return nil, fmt.Errorf("read trace store: %w", err)
	}
	hours, err := hoursOf(iter)
	return hours, errors.Join(err, iter.Close())
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
		h := hours[len(hours)-1].hour
		if h >= oldest && size <= s.opts.MaxBytes {
			return
		}
		begin, end := hourKey(h), hourKey(h+1)
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
		stats.OldestAt = hours[len(hours)-1].hour.begin()
		for _, g := range hours {
			stats.SampledTraces += g.state.tracesSampled
			stats.SampledSpans += g.state.spansSampled
		}
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
