package scrape

import (
	"log/slog"
	"sync"

	"github.com/sidelight-mesh/sidelight/collector/target"
)

// merger holds what each source told last and makes one list of it.
type merger struct {
	changed chan struct{} // holds at most one signal

	mu     sync.Mutex
	sets   [][]target.Target
	limit  int
	rules  Relabeling
	counts *counts
	logger *slog.Logger
}

func newMerger(sources, limit int, rules Relabeling, c *counts, logger *slog.Logger) *merger {
	return &merger{
		changed: make(chan struct{}, 1),
		sets:    make([][]target.Target, sources),
		limit:   limit,
		rules:   rules,
		counts:  c,
		logger:  logger,
	}
}

// set replaces what one source told.
func (m *merger) set(source int, targets []target.Target) {
	valid := make([]target.Target, 0, len(targets))
	for _, t := range targets {
		t, keep := m.rules.apply(t)
		if !keep {
			continue // as it was asked for
		}
		if err := t.Validate(); err != nil {
			m.counts.targetsRefused.Add(1)
			m.logger.Warn("target refused", "err", err)
			continue
		}
		valid = append(valid, t)
	}
	m.mu.Lock()
	m.sets[source] = valid
	m.mu.Unlock()
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// targets gives each endpoint once. Two sources may know the same one, a file
// and the sidecar's own report: scraped twice, its edges would count double.
// The one that names the node wins, then the earlier source.
func (m *merger) targets() []target.Target {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []target.Target
	at := make(map[string]int)
	for _, set := range m.sets {
		for _, t := range set {
			url := t.URL()
			if i, ok := at[url]; ok {
				if out[i].Node == "" && t.Node != "" {
					out[i] = t
				}
				continue
			}
			if len(out) == m.limit {
				m.counts.targetsRefused.Add(1)
				continue
			}
			at[url] = len(out)
			out = append(out, t)
		}
	}
	return out
}
