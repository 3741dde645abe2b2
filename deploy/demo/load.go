package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"time"
)

// LoadCounts is one line of the load generator's own account, against which
// the tests hold the graph.
type LoadCounts struct {
	At       time.Time `json:"at"`
	Requests uint64    `json:"requests"` // answered, by whatever status
	Errors   uint64    `json:"errors"`   // 500 and more, or no answer
}

// maxInFlight bounds what a stuck mesh can pile up at the generator.
const maxInFlight = 200

// generateLoad sends a steady stream of visitors through the ingress gateway:
// an open loop, so that a slow mesh is not asked less.
func (a *application) generateLoad(ctx context.Context) error {
	var (
		mu     sync.Mutex
		counts LoadCounts
		wg     sync.WaitGroup
		slots  = make(chan struct{}, maxInFlight)
	)
	defer wg.Wait()
	if a.Stats != "" {
		wg.Go(func() {
			_ = every(ctx, time.Second, func() {
				mu.Lock()
				line := counts
				mu.Unlock()
				line.At = time.Now()
				if err := appendJSON(a.Stats, line); err != nil {
					a.log.Warn("counts not written", "err", err)
				}
			})
		})
	}
	pace := time.Duration(float64(time.Second) / a.Rate)
	return every(ctx, pace, func() {
		select {
		case slots <- struct{}{}:
		default:
			return
		}
		wg.Go(func() {
			defer func() { <-slots }()
			method, path := visit()
			_, err := a.call(ctx, nil, method, hostWeb, path)
			if ctx.Err() != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			counts.Requests++
			if err != nil {
				counts.Errors++
			}
		})
	})
}

// visit is what one visitor does: three in four look, one in four buys, and of
// those one in five with a card that is no good.
func visit() (method, path string) {
	if rand.IntN(4) != 0 {
		return http.MethodGet, "/"
	}
	card := "good"
	if rand.IntN(5) == 0 {
		card = badCard
	}
	return http.MethodPost, "/tickets?card=" + card
}

func appendJSON(path string, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("append to %s: %w", path, err)
	}
	_, err = f.Write(append(line, '\n'))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
