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
			e.ring.each(s.id, from, to, func(second int64, entries []entry, requests int) {
				at := (second - from) / step
				for _, en := range entries[:requests] {
					t.RPS[at] += float64(en.n)
					if e.outcomes.list[en.key].failed {
						t.ErrorsPerS[at] += float64(en.n)
					}
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
