package forward

import "time"

// warmEvery is how often the shares of endpoints that warm up are brought up to
// date.
const warmEvery = 200 * time.Millisecond

// warm gives endpoints that came their growing shares, as long as there are any.
func (g *gauges) warm() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.warmer != nil {
		g.warmer.Stop()
		g.warmer = nil
	}
	if g.retired.Load() || !g.hosts.Load().Warm(g.current.SlowStart, time.Now()) {
		return
	}
	g.warmer = time.AfterFunc(warmEvery, g.warm)
}
