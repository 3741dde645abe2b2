package app

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/server/rollout"
	"github.com/sidelight-mesh/sidelight/server/skew"
	"github.com/sidelight-mesh/sidelight/server/statefile"
)

// trafficWindow is what "now" means for errors and latency by revision.
const trafficWindow = time.Minute

// openRollout goes on with the roll-out that an earlier process was in.
func (a *App) openRollout() error {
	file := statefile.At(subdir(a.opts.StateDir, "config"), "rollout.json")
	var state rollout.State
	if _, err := file.Load(&state); err != nil {
		return fmt.Errorf("open roll-out: %w", err) // not to be guessed: it says who must not get what
	}
	a.rollout = rollout.New(a.opts.Rollout, a.traffic, state, func(s rollout.State) error { return file.Save(s) })
	return nil
}

// stepRollout lets the roll-out see how its canary is.
func (a *App) stepRollout(nodes []skew.NodeStatus, now time.Time) {
	changed, err := a.rollout.Step(nodes, now)
	if err != nil {
		a.opts.Logger.Error("the roll-out's state is not on disk", "error", err)
	}
	if changed {
		a.opts.Logger.Info("roll-out", "phase", a.rollout.State().Phase, "reason", a.rollout.State().Reason)
		a.xds.Restage()
	}
}

// rollouts is the roll-out for the API.
type rollouts struct{ *App }

// State gives how it stands.
func (r rollouts) State() rollout.State { return r.rollout.State() }

// Hold stops it.
func (r rollouts) Hold(by, why string) (rollout.State, error) {
	return r.rollout.Hold(by, why, time.Now())
}

// Resume lets everybody have the newest revision.
func (r rollouts) Resume(by string) (rollout.State, error) {
	s, err := r.rollout.Resume(by, time.Now())
	r.xds.Restage()
	return s, err
}

// nodes is the configuration state of the nodes joined with what they handle.
type nodes struct {
	*skew.Tracker
	traffic *skew.Traffic
}

// View adds traffic by revision to the tracker's view.
func (n nodes) View(at time.Time) skew.NodesView {
	v := n.Tracker.View(at)
	v.Traffic = n.traffic.ByRevision(v.Nodes, trafficWindow, at)
	return v
}

// rolloutMetrics tell how the roll-out of the newest revision stands.
type rolloutMetrics struct{ app *App }

var (
	rolloutPhase  = prometheus.NewDesc("sidelight_rollout_phase", "1 for the phase that the roll-out of the newest revision is in.", []string{"phase"}, nil)
	rolloutSince  = prometheus.NewDesc("sidelight_rollout_phase_start_timestamp_seconds", "Since when the roll-out is in its phase.", nil, nil)
	rolloutPaused = prometheus.NewDesc("sidelight_rollout_paused", "1 while a person holds the roll-out, and those to come.", nil, nil)
	rolloutNodes  = prometheus.NewDesc("sidelight_rollout_nodes", "Connected nodes that have the newest revision first (canary), and that it is kept from (held).", []string{"part"}, nil)
)

// Describe implements prometheus.Collector.
func (rolloutMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{rolloutPhase, rolloutSince, rolloutPaused, rolloutNodes} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m rolloutMetrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := m.app.rollout.State()
	for _, phase := range []string{rollout.Done, rollout.Canary, rollout.Held} {
		gauge(rolloutPhase, float64(btoi(s.Phase == phase)), phase)
	}
	if !s.Since.IsZero() {
		gauge(rolloutSince, float64(s.Since.UnixMilli())/1000)
	}
	gauge(rolloutPaused, float64(btoi(s.Paused)))
	canary, held := 0, 0
	if s.Phase == rollout.Canary || s.Phase == rollout.Held {
		for _, n := range m.app.tracker.View(time.Now()).Nodes {
			switch {
			case !n.Connected:
			case slices.Contains(s.Canary, n.ID):
				canary++
			default:
				held++
			}
		}
	}
	gauge(rolloutNodes, float64(canary), "canary")
	gauge(rolloutNodes, float64(held), "held")
}
