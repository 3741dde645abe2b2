package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// A namespace is as well as the worst that is in it, however much traffic the
// others have. So what a node that stands for many is asked for is counted by
// member, and each is judged by the rules that hold for it.

// member is a workload within a node that stands for many, or a service of
// which no workload was reached.
type member struct {
	of      *workload // nil for a service
	service mesh.Service
	several bool  // it is called by several names
	leading tally // as the main figures of its edges have it
	own     tally // as itself counts, where it does
}

func (m *member) name(v *viewing) string {
	if m.of != nil {
		return m.of.Name
	}
	return v.service(m.service).Name
}

// host is what its thresholds go by.
func (m *member) host() string {
	if m.several {
		return ""
	}
	return m.service.Host
}

// membersOf counts what an edge's pairs ask for. A bundle has it in its strands.
func (v *viewing) membersOf(g *gathered) []member {
	if g.strands != nil {
		return nil
	}
	out := make([]member, 0, len(g.pairs))
	for i, p := range g.pairs {
		if r := g.reads[i]; (r.client || r.server) && !g.namesake(p) {
			out = append(out, v.member(p, r))
		}
	}
	return out
}

// eachMember calls f with what each pair of an edge asks for.
func (g *gathered) eachMember(f func(m *member)) {
	for i := range g.members {
		f(&g.members[i])
	}
	for i := range g.strands {
		if s := &g.strands[i]; !s.part.namesake && (s.of.client || s.of.server) {
			f(&s.member)
		}
	}
}

// member counts what a pair asks for.
func (v *viewing) member(p *pair, r reading) member {
	m := member{service: p.service}
	if p.target.id != "" {
		m.of = p.target
	}
	v.engine.tally(&m.leading, p.leading(r), r, p.protocol)
	m.own = m.leading
	if r.server && r.client {
		m.own = tally{}
		v.engine.tally(&m.own, p.server, r, p.protocol)
	}
	return m
}

// tally counts the answers of some series, a second.
func (e *Engine) tally(into *tally, side []*series, r reading, protocol mesh.Protocol) {
	count := func(entries []entry, requests int, scale float64) {
		k := &e.ring.keys
		for _, en := range entries[:requests] {
			into.count(&e.outcomes.list[en.key], float64(en.n)*scale, protocol)
		}
		if protocol != mesh.TCP {
			return
		}
		for _, en := range entries[requests:] {
			switch {
			case en.key == k.plain+sumOpened:
				into.opened += float64(en.n) * scale
			case requests == 0 && en.key >= k.responses && en.key < k.buckets:
				into.count(&e.outcomes.list[en.key-k.responses], float64(en.n)*scale, protocol)
			}
		}
	}
	for _, s := range side {
		from := r.from
		if from < e.ring.base {
			e.ring.eachCoarse(s.id, floor10(from), min(r.to, e.ring.base), func(_ int64, entries []entry, n int) { count(entries, n, r.scale) })
			from = e.ring.base
		}
		if int(s.id) >= len(e.ring.fine) {
			continue
		}
		f := &e.ring.fine[s.id]
		for i := range f.records {
			rec := &f.records[i]
			scale := rec.within(from, r.to) * r.scale
			switch {
			case scale == 0:
			case rec.odd || protocol == mesh.TCP:
				count(f.entries[rec.off:rec.off+uint32(rec.n)], int(rec.requests), scale)
			default: // all went well, over HTTP
				into.total += float64(rec.total) * scale
				into.http += float64(rec.total) * scale
			}
		}
	}
}

// together merges what edges know of the same members, into a list that is
// used again.
func (v *viewing) together(into []member, edges []*gathered) []member {
	e := v.engine
	e.merges++
	out := into[:0]
	services := map[string]int{}
	merge := func(m *member) {
		at, known := len(out), false
		if m.of == nil {
			at, known = services[m.service.Host]
		} else if m.of.merge == e.merges {
			at, known = m.of.merged, true
		}
		if known {
			o := &out[at]
			o.leading.add(&m.leading)
			o.own.add(&m.own)
			o.several = o.several || o.service.Host != m.service.Host
			return
		}
		if m.of == nil {
			services[m.service.Host] = len(out)
		} else {
			m.of.merge, m.of.merged = e.merges, len(out)
		}
		out = append(out, *m)
	}
	for _, g := range edges {
		g.eachMember(merge)
	}
	return out
}

// failing counts the workloads among members that fail by their own answers.
func (v *viewing) failing(members []member) int {
	n := 0
	for i := range members {
		m := &members[i]
		if m.of == nil {
			continue
		}
		if list := m.own.judge(v.engine.facts.rulesFor(m.host())); len(list) > 0 && list[0].state == Fail {
			n++
		}
	}
	return n
}

// worst is who breaks a rule most.
type worst struct {
	judged
	name string
	more int // that break it, too
}

// judgeMembers tells for each rule the worst member that breaks it, and how
// many others do.
func (v *viewing) judgeMembers(members []member, of func(*member) *tally, edges []*gathered, whose func(*gathered) *figures, h *Health) {
	var found []worst
	for i := range members {
		m := &members[i]
		for _, j := range of(m).judge(v.engine.facts.rulesFor(m.host())) {
			w := worst{j, m.name(v), 0}
			at := slices.IndexFunc(found, func(o worst) bool { return o.rule.code == j.rule.code })
			if at < 0 {
				found = append(found, w)
				continue
			}
			w.more = found[at].more + 1
			if found[at].compare(w) <= 0 {
				w.judged, w.name = found[at].judged, found[at].name
			}
			found[at] = w
		}
	}
	slices.SortFunc(found, func(a, b worst) int {
		return cmp.Or(cmp.Compare(b.state.Severity(), a.state.Severity()), cmp.Compare(a.rule.class.place(), b.rule.class.place()))
	})
	for _, w := range found {
		text := fmt.Sprintf("%s: %s of %s to it %s", w.name, percent(w.ratio), w.rule.of(), w.rule.what)
		if w.more > 0 {
			text += fmt.Sprintf("; so do %d more", w.more)
		}
		h.add(w.state, Reason{w.rule.code, text, v.onset(w.rule.class, edges, whose)})
	}
}

// compare orders the worse one first.
func (w *worst) compare(o worst) int {
	return cmp.Or(cmp.Compare(o.state.Severity(), w.state.Severity()), cmp.Compare(o.ratio, w.ratio), strings.Compare(w.name, o.name))
}

// place is the order of rules.
func (c class) place() int {
	return slices.IndexFunc(rules, func(r rule) bool { return r.class == c })
}
