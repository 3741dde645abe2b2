// Package metrics stores time series and answers PromQL. It owns the embedded
// Prometheus TSDB, the query engine over it, and the Prometheus HTTP API that
// Grafana and other tools read through. Package scrape writes into it.
//
// The live graph never asks this package anything: it is fed beside the store.
// What needs history, older than the graph keeps, comes from here. Only
// AppenderV2 speaks Prometheus' types; every other method gives plain ones, so
// that no other part of Sidelight depends on them.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Options say where the series live and what a query may cost. Zero fields
// take the default that stands beside them.
type Options struct {
	Dir       string
	Retention time.Duration // 24 h
	MaxBytes  int64         // of blocks on disk; 2 GiB; negative: no limit

	QueryTimeout time.Duration // 30 s
	MaxSamples   int           // that one query may hold in memory: 5 million, 80 MB
	MaxQueries   int           // at the same time: 8; the others wait
	Lookback     time.Duration // how old an instant value may be: 5 min
	Patience     time.Duration // how long Open waits for the store to be read back: 500 ms

	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: the store's own metrics are not kept
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	db     *database
	engine *promql.Engine
	parser parser.Parser
	slots  slots
	opts   Options

	metadata atomic.Pointer[func() []Metadata]
	rules    atomic.Pointer[Rules] // those that the API lists

	// closing ends queries that run when the store closes; open counts them.
	closing context.Context
	cancel  context.CancelFunc
	mu      sync.Mutex
	closed  bool
	open    sync.WaitGroup
}

// Metadata is what a target said about one of its metrics.
type Metadata struct {
	Metric string `json:"-"`
	Type   string `json:"type"`
	Help   string `json:"help"`
	Unit   string `json:"unit"`
}

// Open opens the database in o.Dir, making it if need be, and locks it against
// other processes: mesh.ErrConflict when one has it open already. What an
// earlier process wrote before it was killed is read back; where that takes
// longer than a moment, the store is of use meanwhile, see database, and Opened
// tells the end.
func Open(o Options) (*Store, error) {
	if o.Dir == "" {
		return nil, fmt.Errorf("open metric store: %w: no directory", mesh.ErrInvalid)
	}
	o.setDefaults()
	return openWith(o, func() (*tsdb.DB, error) { return openTSDB(o) })
}

func openWith(o Options, open func() (*tsdb.DB, error)) (*Store, error) {
	db := openDatabase(open, o.Patience)
	if _, err := db.get(); err != nil && db.wait(0) {
		return nil, err
	}
	p := parser.NewParser(parser.Options{})
	s := &Store{db: db, parser: p, slots: newSlots(o.MaxQueries), opts: o}
	s.closing, s.cancel = context.WithCancel(context.Background())
	s.engine = promql.NewEngine(promql.EngineOpts{
		Logger:                   o.Logger,
		Reg:                      o.Registerer,
		MaxSamples:               o.MaxSamples,
		Timeout:                  o.QueryTimeout,
		ActiveQueryTracker:       s.slots,
		LookbackDelta:            o.Lookback,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		Parser:                   p,
	})
	return s, nil
}

func openTSDB(o Options) (*tsdb.DB, error) {
	db, err := tsdb.Open(o.Dir, slog.New(quiet{o.Logger.Handler()}), o.Registerer, tsdbOptions(o), nil)
	if err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("open metric store %s: %w: another process has it open", o.Dir, mesh.ErrConflict)
		}
		return nil, fmt.Errorf("open metric store %s: %w", o.Dir, err)
	}
	return db, nil
}

// Opened waits until all that was stored is read back, or cannot be.
func (s *Store) Opened(ctx context.Context) error {
	select {
	case <-s.db.ready:
		return s.db.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxExemplars is how many are kept, the newest: they lead from a panel to a
// trace, and traces outlive their metrics' detail.
const maxExemplars = 5000

func (o *Options) setDefaults() {
	if o.Retention <= 0 {
		o.Retention = 24 * time.Hour
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 2 << 30
	}
	if o.QueryTimeout <= 0 {
		o.QueryTimeout = 30 * time.Second
	}
	if o.MaxSamples <= 0 {
		o.MaxSamples = 5_000_000
	}
	if o.MaxQueries <= 0 {
		o.MaxQueries = 8
	}
	if o.Lookback <= 0 {
		o.Lookback = 5 * time.Minute
	}
	if o.Patience <= 0 {
		o.Patience = 500 * time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// tsdbOptions keeps the database small: it serves one mesh beside other work,
// not a fleet on a machine of its own.
func tsdbOptions(o Options) *tsdb.Options {
	t := tsdb.DefaultOptions()
	t.RetentionDuration = o.Retention.Milliseconds()
	t.MaxBytes = max(o.MaxBytes, 0)
	t.StripeSize = 1024
	t.WALSegmentSize = 16 << 20
	t.WALCompression = compression.Snappy
	t.HeadChunksWriteBufferSize = 128 << 10
	t.EnableMemorySnapshotOnShutdown = true // a tenth of the time to read back
	t.EnableExemplarStorage, t.MaxExemplars = true, maxExemplars
	return t
}

// AppenderV2 gives a transaction to write one scrape with. Package scrape
// alone calls it.
func (s *Store) AppenderV2(ctx context.Context) storage.AppenderV2 { return s.db.AppenderV2(ctx) }

// SetMetadata says where the metrics' types and help texts are to be had from.
func (s *Store) SetMetadata(list func() []Metadata) { s.metadata.Store(&list) }

// Stats is what the store holds.
type Stats struct {
	Series uint64 // in memory
	Blocks int    // on disk
	Bytes  int64  // on disk, blocks and log
}

// Stats counts what the store holds. It walks the directory: not for each
// request.
func (s *Store) Stats() Stats {
	var stats Stats
	if db, err := s.db.get(); err == nil {
		stats.Series, stats.Blocks = db.Head().NumSeries(), len(db.Blocks())
	}
	// A file that a compaction removes meanwhile is no error.
	_ = filepath.WalkDir(s.opts.Dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				stats.Bytes += info.Size()
			}
		}
		return nil
	})
	return stats
}

// Close ends the queries that run, waits for them and closes the database. It
// is idempotent. Writers must have stopped before.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.open.Wait()
	if err := s.engine.Close(); err != nil {
		return fmt.Errorf("close query engine: %w", err)
	}
	// Reading back cannot be broken off; a process that ends leaves nothing to
	// close, because nothing was written.
	if !s.db.wait(closePatience) || s.db.err != nil {
		return nil
	}
	if err := s.db.db.Close(); err != nil {
		return fmt.Errorf("close metric store %s: %w", s.opts.Dir, err)
	}
	return nil
}

// closePatience is how long Close waits for a store that is being read back.
const closePatience = 2 * time.Second

// begin holds the store open for one reader and gives the context that the
// reader works under. done must be called.
func (s *Store) begin(ctx context.Context) (_ context.Context, done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, fmt.Errorf("metric store: %w: closed", mesh.ErrUnavailable)
	}
	if _, err := s.db.get(); err != nil {
		return nil, nil, err
	}
	s.open.Add(1)
	ctx, cancel := context.WithTimeout(ctx, s.opts.QueryTimeout)
	stop := context.AfterFunc(s.closing, cancel)
	return ctx, func() { stop(); cancel(); s.open.Done() }, nil
}

// quiet makes debug messages of the database's informative ones: it tells at
// each start, in a dozen lines, that all is well.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return q.Handler.Enabled(ctx, quieter(l))
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = quieter(r.Level)
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }

func quieter(l slog.Level) slog.Level {
	if l == slog.LevelInfo {
		return slog.LevelDebug
	}
	return l
}

// slots bounds how many queries run at once; the engine asks it before each.
type slots chan struct{}

func newSlots(n int) slots { return make(slots, n) }

func (s slots) GetMaxConcurrent() int { return cap(s) }

func (s slots) Insert(ctx context.Context, _ string) (int, error) {
	select {
	case s <- struct{}{}:
		return 0, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (s slots) Delete(int) { <-s }

func (slots) Close() error { return nil }
