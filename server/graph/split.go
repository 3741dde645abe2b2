package graph

import "slices"

// splits works out how requests really spread over the shares of the routes
// that divide them. A share of several workloads counts as one: its edges all
// show the share's figures.
type splits struct {
	byHost map[string]*splitCount
}

type splitCount struct {
	Split
	total  float64 // of the weights
	actual map[string][]float64
}

// newSplits prepares the splits of the facts, where the grouping keeps their
// destinations apart.
func newSplits(f Facts, group int) splits {
	s := splits{}
	if group != groupWorkload && group != groupVersioned || len(f.Splits) == 0 {
		return s
	}
	s.byHost = make(map[string]*splitCount, len(f.Splits))
	for _, split := range f.Splits {
		c := &splitCount{Split: split, actual: make(map[string][]float64)}
		for _, share := range split.Shares {
			c.total += max(share.Weight, 0)
		}
		if c.total > 0 && s.byHost[split.Host] == nil {
			s.byHost[split.Host] = c
		}
	}
	return s
}

// share finds the split of a pair and which of its shares the pair is of.
func (s *splits) share(p *pair) (*splitCount, int) {
	if s.byHost == nil {
		return nil, -1
	}
	c := s.byHost[p.service.Host]
	if c == nil || len(c.Sources) > 0 && !slices.Contains(c.Sources, p.source.id) {
		return nil, -1
	}
	return c, slices.IndexFunc(c.Shares, func(sh Share) bool { return slices.Contains(sh.Workloads, p.target.id) })
}

// count adds a pair's requests to its share.
func (s *splits) count(p *pair, rate float64) {
	c, i := s.share(p)
	if i < 0 {
		return
	}
	if c.actual[p.source.id] == nil {
		c.actual[p.source.id] = make([]float64, len(c.Shares))
	}
	c.actual[p.source.id][i] += rate
}

// weight gives an edge's share, nil when it is of no split.
func (s *splits) weight(g *gathered) *Weight {
	for _, at := range g.split {
		p := g.pairs[at]
		c, i := s.share(p)
		if i < 0 {
			continue
		}
		w := &Weight{Configured: round(max(c.Shares[i].Weight, 0) / c.total)}
		sum := 0.0
		for _, rate := range c.actual[p.source.id] {
			sum += rate
		}
		if sum > 0 {
			w.Actual = round(c.actual[p.source.id][i] / sum)
		}
		return w
	}
	return nil
}

// mirrored reports whether a pair's requests are copies.
func (e *Engine) mirrored(p *pair) bool {
	for i := range e.facts.Mirrors {
		m := &e.facts.Mirrors[i]
		if m.Host == p.service.Host && slices.Contains(m.Workloads, p.target.id) {
			return true
		}
	}
	return false
}
