package scrape

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/scrape"

	"github.com/sidelight-mesh/sidelight/collector/target"
)

// counts is what was lost or given up, since the start.
type counts struct {
	targetsRefused atomic.Uint64
	seriesRefused  atomic.Uint64
	outcomesFolded atomic.Uint64
	valuesRefused  atomic.Uint64
	samplesRefused atomic.Uint64
	scrapesUnsaved atomic.Uint64
	unsaved        atomic.Bool // the last scrape was
}

// Losses is what was lost or given up, since the start.
type Losses struct {
	TargetsRefused uint64 // not valid, or more than allowed
	SeriesRefused  uint64 // on edges past a target's limit
	OutcomesFolded uint64 // past an edge's limit; their counts are kept under a coarser outcome
	ValuesRefused  uint64 // no counter can have them: negative, not a number
	ScrapesUnsaved uint64 // reached the graph but not the store
}

// Losses counts what was lost.
func (s *Scraper) Losses() Losses {
	return Losses{
		TargetsRefused: s.counts.targetsRefused.Load(),
		SeriesRefused:  s.counts.seriesRefused.Load(),
		OutcomesFolded: s.counts.outcomesFolded.Load(),
		ValuesRefused:  s.counts.valuesRefused.Load(),
		ScrapesUnsaved: s.counts.scrapesUnsaved.Load(),
	}
}

// stored takes note of whether the store took a scrape. It logs the change,
// not each scrape: a full disk would fill what is left of it.
func (s *Scraper) stored(err error) {
	if err == nil {
		if s.counts.unsaved.Swap(false) {
			s.opts.Logger.Info("metric store writes again")
		}
		return
	}
	s.counts.scrapesUnsaved.Add(1)
	if !s.counts.unsaved.Swap(true) {
		s.opts.Logger.Error("metric store cannot write: the graph goes on, history has a gap", "err", err)
	}
}

// Health gives how the last scrape of each target went, by address.
func (s *Scraper) Health() []target.Health {
	out := []target.Health{}
	for _, t := range s.manager.TargetsActive()[jobName] {
		h := target.Health{
			Address:    t.URL().Host,
			Up:         t.Health() == scrape.HealthGood,
			LastScrape: t.LastScrape(),
			Duration:   t.LastScrapeDuration(),
			Labels:     make(map[string]string),
		}
		if err := t.LastError(); err != nil {
			h.Error = scrapeError(err)
		}
		t.LabelsRange(func(l labels.Label) { h.Labels[l.Name] = l.Value })
		if w, ok := s.watches.get(t.GetValue(identityLabel)); ok {
			h.Node, h.Workload = w.target.Node, w.target.Workload
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b target.Health) int { return cmp.Compare(a.Address, b.Address) })
	return out
}

// Metadata is what a target says about one of its metrics.
type Metadata struct{ Metric, Type, Help, Unit string }

// Metadata lists what the targets say about their metrics, each statement
// once, by metric.
func (s *Scraper) Metadata() []Metadata {
	seen := make(map[Metadata]struct{})
	var out []Metadata
	for _, t := range s.manager.TargetsActive()[jobName] {
		for _, m := range t.ListMetadata() {
			d := Metadata{Metric: m.MetricFamily, Type: string(m.Type), Help: m.Help, Unit: m.Unit}
			if _, ok := seen[d]; !ok {
				seen[d] = struct{}{}
				out = append(out, d)
			}
		}
	}
	slices.SortFunc(out, func(a, b Metadata) int {
		return cmp.Or(cmp.Compare(a.Metric, b.Metric), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Help, b.Help))
	})
	return out
}
