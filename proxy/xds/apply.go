package xds

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	// saveEvery bounds how often the state file is written.
	saveEvery = time.Second
	// applyRetry is the first pause after the runtime refused a snapshot.
	applyRetry = 2 * time.Second
)

// applier brings accepted configuration into the runtime. It belongs to one
// goroutine.
type applier struct {
	*Client
	gate    *gate
	streams uint64     // that the gate has seen
	active  *candidate // what the runtime runs; nil before the first

	failures int
	retryAt  time.Time

	unsaved bool
	savedAt time.Time
}

func (c *Client) runApplier(ctx context.Context) {
	a := &applier{Client: c, gate: newGate(c.opts.WarmLimit)}
	for {
		wait := earliest(a.step(time.Now()), a.save(time.Now()))
		var timer <-chan time.Time
		if wait > 0 {
			timer = time.After(wait)
		}
		select {
		case <-ctx.Done():
			a.savedAt = time.Time{} // the last chance: do not wait for the interval
			a.save(time.Now())
			return
		case <-c.store.changed:
		case <-timer:
		}
	}
}

// step applies what was accepted, if it is time; it gives how long to wait
// before the next look, 0 when only news are worth one.
func (a *applier) step(now time.Time) time.Duration {
	next := a.store.candidate()
	a.opts.Fault.keep(next, a.active)
	needs := next.needs()
	a.account.waitsFor(needs)
	if a.upToDate(next) {
		a.account.notify() // what was refused may have changed
		a.maybeStall(next)
		return 0
	}
	if next.heard {
		if wait := a.hold(needs, now); wait != 0 {
			return max(wait, 0)
		}
	} else if next.empty() {
		return 0 // nothing from disk, and no control plane yet
	}
	if now.Before(a.retryAt) {
		return a.retryAt.Sub(now)
	}
	return a.apply(next, needs, now)
}

func (a *applier) upToDate(next *candidate) bool {
	return a.active != nil && next.same(a.active) &&
		next.revision() == a.active.revision() && next.heard == a.active.heard
}

// hold tells how long the gate keeps the candidate back: 0 not at all, negative
// until something happens.
func (a *applier) hold(needs []need, now time.Time) time.Duration {
	if streams := a.Client.streams.Load(); streams != a.streams {
		a.streams = streams
		a.gate.restart()
	}
	wait := a.gate.wait(needs, now)
	if len(needs) > 0 && a.active != nil && !a.connected.Load() {
		// Half a change, and nobody there to send the rest: the old
		// configuration is whole.
		return -1
	}
	return max(wait, 0)
}

func (a *applier) apply(next *candidate, needs []need, now time.Time) time.Duration {
	snapshot := next.snapshot()
	if err := a.opts.Runtime.Apply(snapshot); err != nil {
		a.metrics.update("all", "apply_error")
		a.failures++
		pause := min(applyRetry<<min(a.failures-1, 4), maxBackoff)
		a.retryAt = now.Add(pause)
		a.account.applyFailed(next, a.active, err)
		a.log.Error("configuration does not apply, the old one runs on", "revision", snapshot.Revision, "error", err, "retry_in", pause)
		return pause
	}
	a.failures, a.retryAt = 0, time.Time{}
	a.metrics.update("all", "applied")
	a.metrics.revision.Set(float64(snapshot.Revision))
	a.account.applied(next, time.Now())
	a.log.Info("configuration applied", "revision", snapshot.Revision, "from_disk", !next.heard,
		"listeners", len(snapshot.Listeners), "routes", len(snapshot.Routes), "clusters", len(snapshot.Clusters))
	if len(needs) > 0 {
		a.log.Warn("applied without what did not come", "missing", fmt.Sprint(needs))
	}
	a.unsaved = a.unsaved || (next.heard && !next.same(a.active))
	a.active = next
	a.maybeStall(next)
	return 0
}

// maybeStall arms the fault once the first set from a server runs.
func (a *applier) maybeStall(next *candidate) {
	if !a.opts.Fault.StallAfterFirst || a.stalled.Load() {
		return
	}
	if next.complete() {
		a.stalled.Store(true)
		a.log.Warn("fault: reads no more configuration")
	}
}

// save writes the active configuration to disk when it is due; it gives when it
// will be, 0 when there is nothing to save.
func (a *applier) save(now time.Time) time.Duration {
	if !a.unsaved || !a.disk.enabled() {
		return 0
	}
	if due := a.savedAt.Add(saveEvery); now.Before(due) {
		return due.Sub(now)
	}
	a.unsaved, a.savedAt = false, now
	if err := a.disk.save(a.active, now); err != nil {
		a.metrics.saves.WithLabelValues("error").Inc()
		a.log.Error("configuration is not kept on disk", "error", err)
		return 0
	}
	a.metrics.saves.WithLabelValues("ok").Inc()
	return 0
}

// earliest gives the shortest of the waits that are not 0.
func earliest(waits ...time.Duration) time.Duration {
	waits = slices.DeleteFunc(waits, func(d time.Duration) bool { return d == 0 })
	if len(waits) == 0 {
		return 0
	}
	return slices.Min(waits)
}
