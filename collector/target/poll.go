package target

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// poll is a Source that asks somebody again and again. While there is no
// answer, the targets of the last one stay, and Problems says why.
type poll struct {
	of     string // whom it asks, as people may see it
	every  time.Duration
	ask    func(context.Context) ([]Target, error)
	logger *slog.Logger

	mu      sync.Mutex
	problem *Problem
}

// Run implements Source.
func (p *poll) Run(ctx context.Context, update func([]Target)) error {
	ticker := time.NewTicker(p.every)
	defer ticker.Stop()
	var last []Target
	known := false
	for {
		targets, err := p.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			p.failed(err)
		default:
			p.answered()
			if !known || !slices.EqualFunc(last, targets, equal) {
				update(targets)
			}
			last, known = targets, true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Problems implements Reporter.
func (p *poll) Problems() []Problem {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.problem == nil {
		return nil
	}
	return []Problem{*p.problem}
}

func (p *poll) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.problem == nil {
		p.problem = &Problem{Source: p.of, Since: time.Now()}
		p.logger.Warn("target discovery fails, its last targets stay", "source", p.of, "err", err)
	}
	p.problem.Message = err.Error()
}

func (p *poll) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.problem != nil {
		p.logger.Info("target discovery answers again", "source", p.of)
	}
	p.problem = nil
}
