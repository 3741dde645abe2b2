package skew

import (
	"slices"
	"time"
)

// key names a resource within a node.
type key struct{ typ, name string }

// want is one desired version of a resource. Version "" wants it gone.
type want struct {
	version  string
	revision uint64
	at       time.Time // when the node should have begun to get it
}

// refusal is a node's no to one version.
type refusal struct {
	set         bool
	version     string
	text        string
	at          time.Time
	held        bool // not refused itself, but part of a response that was
	unsupported bool
}

// resource is one resource of one node: what is wanted, and how far it got.
type resource struct {
	key
	objects []string

	// wants holds desired versions, oldest first; the last one counts now. The
	// others are kept while the node may still run them, so that an old version
	// can be named by its revision.
	wants []want

	sent, acked, applied       string
	sentAt, ackedAt, appliedAt time.Time

	refused  refusal
	disputed time.Time // since when its account says otherwise than its ACK
	okUntil  time.Time // when it last stopped running what was desired
	ran      bool      // ever ran a desired version
}

// maxWants bounds the versions remembered of one resource: a node that takes
// nothing while its endpoints change must not grow.
const maxWants = 64

// remembered is how many versions are kept of a resource that is synced, so
// that one which a node falls back to has a name.
const remembered = 8

func (r *resource) desired() want {
	if len(r.wants) == 0 {
		return want{}
	}
	return r.wants[len(r.wants)-1]
}

// running gives the index in wants of what the node runs, or -1.
func (r *resource) running() int {
	for i, v := range slices.Backward(r.wants) {
		if v.version == r.applied {
			return i
		}
	}
	return -1
}

// missing gives the wants that came after what the node runs.
func (r *resource) missing() []want {
	i := r.running()
	if i < 0 && r.ran {
		// It runs something that was never desired, after it had been right:
		// only the newest is known to be missing.
		i = len(r.wants) - 2
	}
	return r.wants[i+1:]
}

func (r *resource) synced() bool {
	return len(r.wants) == 0 || r.applied == r.desired().version
}

// gone reports whether the resource is neither wanted nor run any more.
func (r *resource) gone() bool { return r.applied == "" && r.desired().version == "" }

func (r *resource) want(w want) {
	if over := len(r.wants) - remembered; over > 0 && r.synced() {
		r.wants = slices.Delete(r.wants, 0, over) // what it ran before is history
	}
	r.wants = append(r.wants, w)
	r.ran = r.ran || r.applied != "" && r.synced() // what it ran already became what is desired
	if len(r.wants) > maxWants {
		// Keep the version it runs and the first that it lacks: they date the lag.
		r.wants = slices.Delete(r.wants, 2, 3)
	}
}

// refusedNow reports whether the node said no to what is desired now.
func (r *resource) refusedNow() bool {
	return r.refused.set && r.refused.version == r.desired().version && !r.synced()
}

// refuse notes a no. Hearing the same again does not make it younger.
func (r *resource) refuse(no refusal) {
	if r.refused.set && r.refused.version == no.version && !r.refused.held {
		return
	}
	no.set = true
	no.unsupported = saysUnsupported(no.text)
	r.refused = no
}

// runs notes what the node runs now and since when.
func (r *resource) runs(version string, since, now time.Time) {
	if r.applied == version {
		return
	}
	if r.synced() && len(r.wants) > 0 {
		r.okUntil = now
	}
	r.applied, r.appliedAt, r.disputed = version, since, time.Time{} // it moves: a dispute begins anew
	if r.synced() {
		r.ran = true
		r.refused = refusal{}
	}
}

// dispute compares the node's account, heard now, with what it acknowledged.
// What it disputes it goes on disputing while newer versions come: otherwise
// each push would make a node that drifted look merely late.
func (r *resource) dispute(now time.Time) {
	switch {
	case r.ackedAt.IsZero(), r.synced(), r.applied == r.acked:
		r.disputed = time.Time{}
	case r.disputed.IsZero() && r.acked == r.desired().version:
		r.disputed = now
	}
}

// ackedRevision is the revision of what the node acknowledged last.
func (r *resource) ackedRevision() uint64 {
	for _, w := range slices.Backward(r.wants) {
		if w.version == r.acked {
			return w.revision
		}
	}
	return r.desired().revision
}

// missingSince dates the first want that the node lacks.
func (r *resource) missingSince() time.Time {
	m := r.missing()
	if len(m) == 0 {
		return time.Time{}
	}
	if m[0].at.Before(r.okUntil) {
		return r.okUntil
	}
	return m[0].at
}

// waitingSince dates what the node has had the chance to take: versions that
// came after the one it refused.
func (r *resource) waitingSince() time.Time {
	m := r.missing()
	for i := len(m) - 1; i >= 0 && r.refused.set; i-- {
		if m[i].version == r.refused.version && i+1 < len(m) {
			return latest(m[i+1].at, r.okUntil)
		}
	}
	return r.missingSince()
}

// newStream forgets what was sent and acknowledged on the stream before.
func (r *resource) newStream() {
	r.sent, r.acked = "", ""
	r.sentAt, r.ackedAt, r.disputed = time.Time{}, time.Time{}, time.Time{}
}
