package skew

import (
	"fmt"
	"time"
)

// verdict is how a node or a resource stands at one time.
type verdict struct {
	state  State
	since  time.Time
	reason string
	brief  string // for the history: without ages, so that it stays true
	quiet  bool   // too short-lived and too common for the history
	waits  string // on whom what is missing waits
}

// On whom a node's change waits. Which one is slow is the first question when a
// change is late.
const (
	OnControlPlane = "control-plane" // it has not been compiled for the node, or not been sent
	OnNode         = "node"          // it was sent, and not acknowledged or not applied
)

// judge decides a node's state. The order is the order in which an operator
// would ask: is it there, was its configuration made, did it get it.
func (t *Tracker) judge(n *node, at time.Time) verdict {
	var v verdict
	switch {
	case n.connectedAt.IsZero():
		v = verdict{
			state: NeverConnected, since: n.known, brief: "has never connected",
			reason: fmt.Sprintf("expected for %s, but it has never connected to this server", age(n.known, at)),
		}
		if !n.lastSeen.IsZero() {
			v.reason = fmt.Sprintf("its agent reports, but in %s it has never asked this server for configuration", age(n.known, at))
		}
	case !n.connected():
		v = n.judgeDisconnected(at)
	case !n.prepared:
		v = t.byAge(n, n.connectedAt, at)
		v.reason = fmt.Sprintf("connected for %s; its configuration is not prepared yet", age(n.connectedAt, at))
		v.brief, v.waits = "configuration not prepared", OnControlPlane
	case n.lagging():
		v = t.judgePending(n, at)
	case t.newest != nil && n.checked < t.newest.Number:
		v = t.judgeUnprepared(n, at)
	default:
		v = verdict{state: Synced, since: at}
		v.reason = fmt.Sprintf("runs all that it needs of revision %d", n.upTo(n.checked))
		if n.held > 0 && n.held < n.checked {
			v.reason += fmt.Sprintf("; the roll-out holds revision %d back from it", n.checked)
		}
	}
	if twins := n.twins(); twins != "" {
		v.reason += "; " + twins
	}
	return v
}

func (n *node) judgeDisconnected(at time.Time) verdict {
	why := ""
	if len(n.connections) > 0 {
		why = n.connections[len(n.connections)-1].Reason
	}
	brief := "disconnected"
	if why != "" {
		brief = "disconnected: " + words(why)
		why = " (" + words(why) + ")"
	}
	last := "nothing known of what it runs"
	if rev := n.runsRevision(); rev > 0 {
		last = fmt.Sprintf("last known to run revision %d", rev)
	}
	return verdict{
		state: Disconnected, since: n.disconnectedAt, brief: brief,
		reason: fmt.Sprintf("disconnected for %s%s; %s", age(n.disconnectedAt, at), why, last),
	}
}

// judgeUnprepared is for the moment between a revision's acceptance and its
// compilation for the node. Such a node is not synced: a caller that waits for
// the revision must not be told so.
func (t *Tracker) judgeUnprepared(n *node, at time.Time) verdict {
	since := t.acceptedAt(n.checked+1, t.newest.At)
	v := t.byAge(n, latest(since, n.connectedAt), at)
	v.quiet = v.state == InFlight
	v.reason = fmt.Sprintf("revision %d is not prepared for this node yet (%s); it runs all of revision %d",
		t.newest.Number, age(since, at), n.checked)
	v.brief, v.waits = fmt.Sprintf("revision %d not prepared", t.newest.Number), OnControlPlane
	return v
}

// judgePending lets the worst resource speak for the node.
func (t *Tracker) judgePending(n *node, at time.Time) verdict {
	var worst *resource
	var v verdict
	same := 0
	for r := range n.pending {
		rv := t.judgeResource(n, r, at)
		switch c := rv.state.Severity() - v.state.Severity(); {
		case worst == nil || c > 0:
			worst, v, same = r, rv, 1
		case c == 0:
			same++
			if speaksBefore(r, rv, worst, v) {
				worst, v = r, rv
			}
		}
	}
	if n.lacking > 0 {
		r, rv, many := t.judgeLacked(n, at)
		switch c := rv.state.Severity() - v.state.Severity(); {
		case worst == nil || c > 0:
			worst, v, same = &r, rv, many
		case c == 0:
			same += many
			if speaksBefore(&r, rv, worst, v) {
				worst, v = &r, rv
			}
		}
	}
	v.reason, v.brief = t.explain(n, worst, v, at)
	v.waits = worst.waitsOn(n)
	if same > 1 && v.state != InFlight {
		v.reason += fmt.Sprintf(" (and %d more resources)", same-1)
	}
	return v
}

// speaksBefore chooses among resources in the same state: one that was itself
// refused before one held back with it, then the oldest, then by name.
func speaksBefore(a *resource, av verdict, b *resource, bv verdict) bool {
	if a.refused.held != b.refused.held {
		return b.refused.held
	}
	if !av.since.Equal(bv.since) {
		return av.since.Before(bv.since)
	}
	if a.typ != b.typ {
		return a.typ < b.typ
	}
	return a.name < b.name
}

// judgeResource decides the state of a resource of a connected node, without
// words.
func (t *Tracker) judgeResource(n *node, r *resource, at time.Time) verdict {
	if r.synced() {
		return verdict{state: Synced, since: r.appliedAt}
	}
	if r.refusedNow() {
		state := Rejected
		if r.refused.unsupported {
			state = Unsupported
		}
		return verdict{state: state, since: r.refused.at}
	}
	if !r.disputed.IsZero() && at.Sub(r.disputed) > t.opt.Drift {
		return verdict{state: Drifted, since: r.disputed.Add(t.opt.Drift)}
	}
	return t.byAge(n, latest(r.waitingSince(), n.connectedAt), at)
}

// byAge gives in-flight, slow or stale for something missing since start, with
// the exact time at which that state began. A node that asks gets a change with
// its next question, what names that with the one after, and acknowledges both
// with another: that is no delay.
func (t *Tracker) byAge(n *node, start, at time.Time) verdict {
	stale, inFlight := t.opt.Stale+4*n.pull(), t.opt.InFlight+2*n.pull()
	switch d := at.Sub(start); {
	case d > stale:
		return verdict{state: Stale, since: start.Add(stale)}
	case d >= inFlight:
		return verdict{state: Slow, since: start.Add(inFlight)}
	default:
		return verdict{state: InFlight, since: start}
	}
}

// explain puts a resource's state into one sentence, and into a shorter one
// for the history.
func (t *Tracker) explain(n *node, r *resource, v verdict, at time.Time) (reason, brief string) {
	w := r.desired()
	switch {
	case v.state == Rejected || v.state == Unsupported:
		verb := "refused"
		if v.state == Unsupported {
			verb = "cannot run"
		}
		brief = fmt.Sprintf("%s %s %s: %s", verb, r.typ, r.name, r.refused.text)
		return brief + "; " + runsOn(n), brief
	case v.state == Drifted:
		brief = fmt.Sprintf("acknowledged revision %d but %s", r.ackedRevision(), r.stillRuns())
		return fmt.Sprintf("%s (%s)", brief, age(r.ackedAt, at)), brief
	case !r.ackedAt.IsZero() && r.acked == w.version && n.account:
		brief = fmt.Sprintf("acknowledged revision %d but %s", w.revision, r.stillRuns())
		return fmt.Sprintf("%s (%s)", brief, age(r.ackedAt, at)), brief
	case !r.ackedAt.IsZero() && r.acked == w.version:
		brief = fmt.Sprintf("acknowledged revision %d but has not said what it runs", w.revision)
		return fmt.Sprintf("%s (%s)", brief, age(r.ackedAt, at)), brief
	case !r.sentAt.IsZero() && r.sent == w.version:
		if v.state == InFlight {
			return fmt.Sprintf("revision %d was sent %s ago", w.revision, age(r.sentAt, at)), ""
		}
		brief = fmt.Sprintf("no acknowledgement for revision %d", w.revision)
		return fmt.Sprintf("%s for %s; %s", brief, age(r.sentAt, at), n.isThere()), brief
	case n.pull() > 0:
		brief = fmt.Sprintf("has not asked for revision %d", w.revision)
		return fmt.Sprintf("%s, which waits for %s; %s", brief, age(latest(r.waitingSince(), n.connectedAt), at), n.isThere()), brief
	case v.state == InFlight:
		return fmt.Sprintf("revision %d is about to be sent", w.revision), ""
	case r.unanswered():
		// The server sends no more of a type before the node has answered.
		brief = fmt.Sprintf("has not answered an earlier push of %s %s, so revision %d waits", r.typ, r.name, w.revision)
		return fmt.Sprintf("no answer for %s to a push of %s %s, so revision %d waits; the stream is up",
			age(r.sentAt, at), r.typ, r.name, w.revision), brief
	}
	brief = fmt.Sprintf("revision %d has not been sent", w.revision)
	return fmt.Sprintf("%s for %s: it waits in the control plane", brief, age(latest(r.waitingSince(), n.connectedAt), at)), brief
}

// waitsOn tells on whom a resource waits that is not synced: what was never
// sent, on the control plane, unless the node owes an answer to what came
// before. A refusal waits on somebody who changes the object.
func (r *resource) waitsOn(n *node) string {
	switch {
	case r.refusedNow():
		return ""
	case n.pull() > 0: // what is prepared waits for its question
		return OnNode
	case !r.sentAt.IsZero() && r.sent == r.desired().version, r.unanswered():
		return OnNode
	}
	return OnControlPlane
}

// unanswered reports whether the newest version that was sent was neither
// acknowledged nor refused.
func (r *resource) unanswered() bool {
	return !r.sentAt.IsZero() && r.sent != r.acked && !r.ackedAt.After(r.sentAt) && r.refused.version != r.sent
}

// stillRuns says what the node has of a resource instead of what is desired.
func (r *resource) stillRuns() string {
	what := fmt.Sprintf("%s %s", r.typ, r.name)
	if r.applied == "" {
		return "does not run " + what
	}
	if i := r.running(); i >= 0 && r.wants[i].revision > 0 && r.wants[i].version != "" {
		return fmt.Sprintf("still runs revision %d of %s", r.wants[i].revision, what)
	}
	return "runs another version of " + what
}

// isThere says how it is known that a node is there.
func (n *node) isThere() string {
	if n.pull() > 0 {
		return fmt.Sprintf("it asks every %s", n.pull())
	}
	return "the stream is up"
}

func runsOn(n *node) string {
	if rev := n.runsRevision(); rev > 0 {
		return fmt.Sprintf("revision %d runs on", rev)
	}
	return "what it had before runs on"
}

// age says how long ago something was, as people say it.
func age(since, at time.Time) string {
	d := max(at.Sub(since), 0)
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
