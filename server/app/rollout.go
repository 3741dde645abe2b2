package app

import (
	"fmt"
	"time"

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
