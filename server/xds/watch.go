package xds

import (
	"cmp"
	"slices"

	"github.com/sidelight-mesh/sidelight/server/skew"
)

// Versions that are no hashes, so that no resource ever has them, among what a
// client holds otherwise.
const (
	toldAbsent = "-" // it was told that there is none
	holdsSome  = "?" // it holds some version
	holdsNone  = ""  // it holds none, though others do
)

// everything is the name by which a client asks for all there is.
const everything = "*"

// watch is one resource type of one stream: what its client asks for and holds.
// Both are nearly always what other clients ask for and hold, and kept as that
// with what is otherwise.
type watch struct {
	heard   bool // a request came
	open    bool // the client waits: the last response, if any, was answered
	spoken  bool // a response was given
	waiting int  // responses given and not answered

	all   bool     // asks for everything there is
	named bool     // has asked for something by name; until then it means everything
	asked *nameSet // by name

	// has is what the client holds, as far as it asks for it; otherwise says by
	// name where it holds another version than that.
	has       pair
	otherwise map[string]string

	// refused are versions that the node said no to: they are not offered
	// again, which would be a loop, until the content changes.
	refused map[string]string
	// held are resources that came with a refused one and were not refused
	// themselves. The node took the response whole or not at all, so they are
	// offered once more.
	held map[string]bool
}

// ask takes a subscription. A client that has never named anything means
// everything; naming something does not end that, unsubscribing from "*" does.
func (w *watch) ask(sets *nameSets, subscribe, unsubscribe []string) {
	if !w.named {
		if !w.heard {
			w.all = len(subscribe) == 0
		}
		if len(subscribe) == 0 {
			return
		}
		w.named = true
	}
	var added, removed []string
	fresh := make(map[string]bool, len(subscribe))
	for _, name := range subscribe {
		switch {
		case name == everything:
			w.askForAll()
		case !w.asked.has(name) && !fresh[name]:
			fresh[name] = true
			added = append(added, name)
			if _, holds := w.holds(name); !holds && w.has != (pair{}) {
				w.differ(name, holdsNone) // looked at with the next offer
			}
		}
	}
	gone := map[string]bool{}
	for _, name := range unsubscribe {
		asked := w.asked.has(name) || fresh[name]
		switch {
		case name == everything:
			w.all = false
			continue
		case w.all && asked:
			// The client wants to hear of it: that it is there, or that it is not.
			w.differ(name, holdsSome)
		case w.all:
			w.differ(name, holdsNone)
		default: // asked for again, it is answered anew
			delete(w.otherwise, name)
			delete(w.refused, name)
			delete(w.held, name)
		}
		if asked && !gone[name] {
			gone[name] = true
			removed = append(removed, name)
		}
	}
	w.asked = sets.changed(w.asked, added, removed)
}

// askForAll turns to everything there is. What is held of it was asked for by
// name until now.
func (w *watch) askForAll() {
	if w.all {
		return
	}
	if w.has != (pair{}) {
		for name := range w.asked.each {
			if version, holds := w.holds(name); holds {
				w.differ(name, version)
			}
		}
		w.has = pair{}
	}
	w.all = true
}

// begin notes what a client says it holds at the begin of a stream.
func (w *watch) begin(v *view, t int, initial map[string]string) {
	if len(initial) == 0 {
		return
	}
	w.has = v.pair(t)
	if !w.holdsAll(initial) {
		for name, version := range initial {
			if told, holds := w.holds(name); !holds || told != version {
				w.differ(name, version)
			}
		}
	}
	lacks := func(name string) {
		if _, told := initial[name]; !told {
			w.differ(name, holdsNone)
		}
	}
	if w.all {
		v.each(t, func(r *Resource) bool {
			lacks(r.Name)
			return true
		})
	}
	for name := range w.asked.each {
		lacks(name)
	}
}

// holdsAll reports whether the client says of nothing another version than has,
// as most do. To go through has takes less than to find each name in it.
func (w *watch) holdsAll(initial map[string]string) bool {
	same := 0
	for i, set := range w.has {
		for r := range set.each {
			version, told := initial[r.Name]
			if told && version == r.Version && w.wants(r.Name) && (i == 1 || w.has[1].get(r.Name) == nil) {
				same++
			}
		}
	}
	return same == len(initial)
}

// wants reports whether the client asks for a name.
func (w *watch) wants(name string) bool { return w.all || w.asked.has(name) }

// holds gives the version that the client holds of a resource, or toldAbsent.
func (w *watch) holds(name string) (version string, holds bool) {
	if version, ok := w.otherwise[name]; ok {
		return version, version != holdsNone
	}
	if r := w.has.get(name); r != nil && w.wants(name) {
		return r.Version, true
	}
	return holdsNone, false
}

// differ notes what the client holds of a name otherwise than has says.
func (w *watch) differ(name, version string) {
	if w.otherwise == nil {
		w.otherwise = map[string]string{}
	}
	w.otherwise[name] = version
}

// refuse takes a no to a response.
func (w *watch) refuse(refs []skew.ResourceRef, message string) {
	all := !slices.ContainsFunc(refs, func(r skew.ResourceRef) bool { return named(message, r.Type, r.Name) })
	for _, r := range refs {
		if all || named(message, r.Type, r.Name) {
			if w.refused == nil {
				w.refused = map[string]string{}
			}
			w.refused[r.Name] = r.Version
			delete(w.held, r.Name)
			continue
		}
		if w.held == nil {
			w.held = map[string]bool{}
		}
		w.held[r.Name] = true
	}
}

// difference is what a client lacks of a type.
type difference struct {
	send    []*Resource
	removed []string // it holds them, and they are gone
	absent  []string // it asked for them, and there are none

	looked []string // all names that were looked at
}

func (d *difference) empty() bool { return len(d.send)+len(d.removed)+len(d.absent) == 0 }

// putOff leaves out what may not be taken away yet. A name of which the client
// was never told anything stays: it waits for an answer to its question.
func (d *difference) putOff(w *watch) {
	d.removed = nil
	d.absent = slices.DeleteFunc(d.absent, func(name string) bool {
		_, holds := w.holds(name)
		return holds
	})
}

// pair is the resources of one type of a view: shared and own.
type pair [2]*resources

func (v *view) pair(t int) pair { return pair{v.shared[t], v.own[t]} }

func (p pair) get(name string) *Resource {
	for _, r := range [2]*resources{p[1], p[0]} { // its own goes before what it shares
		if r != nil {
			if found := r.get(name); found != nil {
				return found
			}
		}
	}
	return nil
}

// compare tells what the client lacks of a view. What it holds as others do is
// looked at only where that changed, which is found once for all of them.
func (w *watch) compare(s *Server, v *view, t int) difference {
	now := v.pair(t)
	if w.has == now && len(w.otherwise)+len(w.held) == 0 {
		return difference{}
	}
	c := comparison{w: w, v: v, t: t}
	switch w.has {
	case pair{}:
		if w.all {
			v.each(t, func(r *Resource) bool {
				c.look(r.Name)
				return true
			})
		}
		for name := range w.asked.each {
			c.look(name)
		}
	default:
		for i := range now {
			for _, name := range s.changed(w.has[i], now[i]) {
				c.look(name)
			}
		}
	}
	for name := range w.otherwise {
		c.look(name)
	}
	for name := range w.held {
		c.look(name)
	}
	d := c.lacks
	if d.empty() {
		w.given(now, &d)
		return d
	}
	byName := func(a, b *Resource) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(d.send, byName)
	slices.Sort(d.removed)
	slices.Sort(d.absent)
	// A name that is shared before and own after is looked at twice.
	d.send, d.removed, d.absent = slices.Compact(d.send), slices.Compact(d.removed), slices.Compact(d.absent)
	return d
}

// comparison is one comparison under way.
type comparison struct {
	w     *watch
	v     *view
	t     int
	lacks difference
}

func (c *comparison) look(name string) {
	r, asked := c.v.get(c.t, name), c.w.asked.has(name)
	version, holds := c.w.holds(name)
	c.lacks.looked = append(c.lacks.looked, name)
	switch {
	case r != nil:
		lacks := version != r.Version || c.w.held[name]
		if (c.w.all || asked) && lacks && c.w.refused[name] != r.Version {
			c.lacks.send = append(c.lacks.send, r)
		}
	case asked && version != toldAbsent:
		c.lacks.absent = append(c.lacks.absent, name)
	case !asked && holds && version != toldAbsent:
		c.lacks.removed = append(c.lacks.removed, name)
	}
}

// given notes what the client holds once it has taken a response: all of now but
// what it was not given, of which it holds what it held.
func (w *watch) given(now pair, d *difference) {
	given := make(map[string]string, len(d.send)+len(d.removed)+len(d.absent))
	for _, r := range d.send {
		given[r.Name] = r.Version
		delete(w.held, r.Name)
	}
	for _, name := range d.removed {
		given[name] = holdsNone
	}
	for _, name := range d.absent {
		given[name] = toldAbsent
	}
	for name := range given {
		delete(w.refused, name)
	}
	has := make(map[string]string, len(d.looked))
	for _, name := range d.looked {
		version, ok := given[name]
		if !ok {
			version, _ = w.holds(name)
		}
		has[name] = version
	}
	w.has, w.otherwise = now, nil
	for name, version := range has {
		if told, _ := w.holds(name); told != version {
			w.differ(name, version)
		}
	}
}

// changed lists the names that differ between two sets of a type: once for all
// streams that go from one to the other.
func (s *Server) changed(before, now *resources) []string {
	if before == now {
		return nil
	}
	at := pair{before, now}
	if names, ok := s.changes[at]; ok {
		return names
	}
	names := now.differences(before)
	s.changes[at] = names
	return names
}
