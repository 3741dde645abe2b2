package skew

import "time"

// A node that has just come lacks all that it should run, until it was heard of.
// It has no records of that either: the proof of such a resource says that it is
// lacked, and how far it got. What becomes of it other than to be sent,
// acknowledged and run as desired gives it a record, as with any other.

// lacks notes without a record that a resource is desired of which nothing was
// heard. It reports whether a list can say that: it remembers what is wanted of a
// resource as for all nodes.
func (n *node) lacks(p *part, i int, w want) bool {
	known := n.lacked(p, i)
	if w.version == "" || known.version != w.version || known.revision != w.revision || !known.at.Equal(w.at) {
		return false
	}
	at := n.proven(proof{lacked: true})
	if at < 0 {
		return false
	}
	p.proof[i] = uint16(at + 1)
	n.lacking++
	return true
}

// lacked gives what is wanted of a resource of which the node never ran anything.
func (n *node) lacked(p *part, i int) want {
	past := p.past[i]
	w := past[len(past)-1]
	if w.at.Before(n.known) {
		w.at = n.known
	}
	return w
}

// lagging reports whether the node does not run all that it should.
func (n *node) lagging() bool { return n.lacking > 0 || len(n.pending) > 0 }

// eachLacked gives what the node lacks without a record, of each list by type and
// name.
func (n *node) eachLacked(yield func(*part, int) bool) {
	left := n.lacking
	for i := range n.parts {
		p := &n.parts[i]
		for j := range p.proof {
			if left == 0 {
				return
			}
			at := p.nth(j)
			if !n.lacksAt(p, at) {
				continue
			}
			left--
			if !yield(p, at) {
				return
			}
		}
	}
}

// hears notes something of a resource that the node lacks without a record. It
// reports false, having noted nothing, of others and where it is not about what
// is desired.
func (n *node) hears(ref ResourceRef, note func(*proof)) bool {
	if n.lacking == 0 {
		return false
	}
	p, i := n.next(key{ref.Type, ref.Name})
	if p == nil || !n.lacksAt(p, i) || p.given[i].Version != ref.Version {
		return false
	}
	seen := n.proofs[p.proof[i]-1]
	note(&seen)
	return n.moves(p, i, seen)
}

// place is where a resource is in a node's parts.
type place struct{ part, index int }

// next finds a resource that the node may lack. Messages tell of resources by
// name, so that one most often follows the one before.
func (n *node) next(k key) (*part, int) {
	if n.heard.part < len(n.parts) {
		p, at := &n.parts[n.heard.part], n.heard.index+1
		if at < len(p.given) && p.given[at].key() == k && n.lacksAt(p, at) {
			n.heard.index = at
			return p, at
		}
	}
	for i := range n.parts {
		if at, ok := n.parts[i].find(k); ok {
			n.heard = place{i, at}
			return &n.parts[i], at
		}
	}
	return nil, 0
}

// lacksAt reports whether the node lacks a resource without a record.
func (n *node) lacksAt(p *part, i int) bool {
	return p.proof[i] != 0 && n.proofs[p.proof[i]-1].lacked
}

// acks notes an acknowledgement, which is all there is to hear of a node that
// does not report.
func (n *node) acks(seen *proof, at time.Time) {
	seen.acked = stamp(at)
	if !n.reports() {
		seen.applied, seen.lacked = seen.acked, false
	}
}

// moves gives a resource that the node lacks without a record another proof. It
// reports whether there was a place for it.
func (n *node) moves(p *part, i int, seen proof) bool {
	at := n.proven(seen)
	if at < 0 {
		return false
	}
	p.proof[i] = uint16(at + 1)
	if !seen.lacked {
		if n.lacking--; n.lacking == 0 {
			n.tidy() // the stages that it went through
		}
	}
	return true
}

// disputeLacked makes records of what the node acknowledged, and has just said
// that it does not run.
func (n *node) disputeLacked() {
	for p, i := range n.eachLacked {
		if n.proofs[p.proof[i]-1].acked != 0 {
			n.unshare(p, i)
		}
	}
}

// judgeLacked judges what the node lacks without a record: the worst of it, how
// that stands, and how many stand so.
func (t *Tracker) judgeLacked(n *node, at time.Time) (worst resource, v verdict, same int) {
	var of *part
	var place int
	var last time.Time
	var rv verdict
	for p, i := range n.eachLacked {
		start := n.lacked(p, i).at
		if start.Before(n.connectedAt) {
			start = n.connectedAt
		}
		if of == nil || !start.Equal(last) {
			last, rv = start, t.byAge(n, start, at)
		}
		switch c := rv.state.Severity() - v.state.Severity(); {
		case of == nil || c > 0:
			of, place, v, same = p, i, rv, 1
		case c == 0:
			same++
			if rv.since.Before(v.since) || p != of && rv.since.Equal(v.since) && p.given[i].key().compare(of.given[place].key()) < 0 {
				of, place, v = p, i, rv
			}
		}
	}
	return n.peek(of, place), v, same
}
