package graph

import (
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Timeline gives the whole mesh's requests and errors until a time, each
// request once. The caller passes the markers in.
func (e *Engine) Timeline(window time.Duration, until time.Time, markers []Marker) Timeline {
	e.mu.Lock()
	defer e.mu.Unlock()
	if markers == nil {
		markers = []Marker{}
	}
	c := e.clockAt(until)
	window = min(max(window, time.Second), e.opt.History)
	step := int64(coarseSeconds)
	end := c.end
	from := floor10(end - int64(window/time.Second))
	if from >= e.ring.base && window <= time.Minute {
		step, from = 1, end-int64(window/time.Second)
	}
	steps := int((end - from) / step)
	t := Timeline{
		From: time.Unix(from, 0).UTC(), StepS: int(step), Markers: markers,
		RPS: make([]float64, steps), ErrorsPerS: make([]float64, steps),
	}
	to := from + int64(steps)*step
	for _, p := range e.edges.ordered {
		if p.protocol == mesh.TCP || p.last < from {
			continue
		}
		side := p.client
		if len(side) == 0 {
			side = p.server
		}
		for _, s := range side {
			e.ring.each(s.id, from, to, func(at span, entries []entry, requests int) {
				var all, failed float64
				for _, en := range entries[:requests] {
					all += float64(en.n)
					if e.outcomes.list[en.key].failed {
						failed += float64(en.n)
					}
				}
				for i := max(0, (int64(at.from)-from)/step); i < int64(steps) && float64(from+i*step) < at.to; i++ {
					part := at.within(from+i*step, from+(i+1)*step)
					t.RPS[i] += all * part
					t.ErrorsPerS[i] += failed * part
				}
			})
		}
	}
	for i := range t.RPS {
		t.RPS[i] = round(t.RPS[i] / float64(step))
		t.ErrorsPerS[i] = round(t.ErrorsPerS[i] / float64(step))
	}
	return t
}
