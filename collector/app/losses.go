package app

import (
	"github.com/sidelight-mesh/sidelight/collector/publish"
	"github.com/sidelight-mesh/sidelight/collector/target"
)

// Loss is something that was lost or given up, counted since the start.
type Loss struct {
	Where string `json:"where"`
	What  string `json:"what"`
	Count uint64 `json:"count"`
	Hint  string `json:"hint"`
}

// remote is a publisher that can say what became of the batches.
type remote interface {
	Stats() publish.RemoteStats
}

// Losses lists what was lost so far; what never happened is left out.
func (a *App) Losses() []Loss {
	l := a.scraper.Losses()
	all := []Loss{
		{"collector/scrape", "scrapes that history lacks", l.ScrapesUnsaved, "the metric store could not write: see the log; is the disk full?"},
		{"collector/scrape", "targets refused", l.TargetsRefused, "not a valid target, or more than the limit"},
		{"collector/scrape", "series refused", l.SeriesRefused, "a target has more edges than the limit"},
		{"collector/scrape", "outcomes folded", l.OutcomesFolded, "an edge has more outcomes than the limit; their counts are kept under coarser ones"},
		{"collector/scrape", "values refused", l.ValuesRefused, "a counter was negative or not a number"},
	}
	all = append(all, Loss{"collector/app", "clients of the stores' API refused", a.apiRefused.Load(), "their certificate is missing or not taken: the log says whose; docs/identity.md#stores"})
	spans := a.traces.Stats()
	all = append(all,
		Loss{"collector/store/traces", "spans refused", spans.Refused, "the span store is slower than the senders, or cannot write: see the log"},
		Loss{"collector/store/traces", "ordinary traces sampled out", spans.SampledTraces, "hours that are over keep errors, slow and rare traces, and of the others a share: --traces-sample, or less where 4 GiB would not hold --traces-retention"},
		Loss{"collector/store/traces", "blocks unreadable", spans.Corrupt, "part of the span store is damaged; those traces are incomplete"})
	if r, ok := a.opts.Publish.(remote); ok {
		s := r.Stats()
		all = append(all,
			Loss{"collector/publish", "edge batches dropped", s.Dropped, "the server was away for longer than --server-buffer-bytes lasts"},
			Loss{"collector/publish", "edge batches refused", s.Refused, "larger than a message may be, or with labels that are no text"})
	}
	if f := a.opts.Forward; f != nil {
		s := f.Stats()
		all = append(all,
			Loss{"collector/store/metrics", "samples not copied", s.Dropped, "the store of --remote-write was away for longer than --remote-write-buffer-bytes lasts"},
			Loss{"collector/store/metrics", "samples refused by the other store", s.Refused, "the store of --remote-write does not take them: see the log"})
	}
	if f := a.opts.ForwardTraces; f != nil {
		s := f.Stats()
		all = append(all,
			Loss{"collector/store/traces", "spans not copied", s.Dropped, "the store of --traces-forward was away for longer than 64 MiB of spans last"},
			Loss{"collector/store/traces", "spans refused by the other store", s.Refused, "the store of --traces-forward does not take them: see the log"})
	}
	out := []Loss{}
	for _, loss := range all {
		if loss.Count > 0 {
			out = append(out, loss)
		}
	}
	return out
}

// Problems lists what keeps target sources from telling their targets now.
func (a *App) Problems() []target.Problem {
	out := []target.Problem{}
	for _, source := range a.opts.Targets {
		if r, ok := source.(target.Reporter); ok {
			out = append(out, r.Problems()...)
		}
	}
	return out
}
