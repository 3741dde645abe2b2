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

// crowd are the members that an edge leads to, or all edges of a node. Their
// counts follow the strands of bundles.
type crowd struct {
	members []member
	broken  [][]judged // rules, worst first, by member
	stirred []int      // members that are to be judged again
	ruled   uint64     // the facts that all were judged by

	workloads map[*workload]int // while it is made
	services  map[string]int
}

// member is a workload within a node that stands for many, or a service of
// which no workload was reached.
type member struct {
	of      *workload // nil for a service
	called  *pair     // one of those that call it
	several bool      // it is called by several names
	stirred bool
	asked   tally
}

func newCrowd() *crowd {
	return &crowd{workloads: make(map[*workload]int), services: make(map[string]int)}
}

// crowdOf gathers all that a node's edges lead to.
func (v *viewing) crowdOf(n *gatheredNode) *crowd {
	c := newCrowd()
	for _, g := range n.in {
		for i, p := range g.pairs {
			s := &g.bundle.strands[i]
			if s.namesake {
				continue
			}
			s.guest = c.place(p)
			if s.of.client || s.of.server {
				c.add(s.guest, v.engine.tallyOf(s.own(), p.protocol), 1)
			}
		}
	}
	return c
}

// place gives the member that a pair is of.
func (c *crowd) place(p *pair) int {
	at, known := c.services[p.service.Host]
	if p.target.id != "" {
		at, known = c.workloads[p.target]
	}
	if known {
		c.members[at].several = c.members[at].several || c.members[at].called.service.Host != p.service.Host
		return at
	}
	at = len(c.members)
	m := member{called: p}
	if p.target.id != "" {
		m.of = p.target
		c.workloads[p.target] = at
	} else {
		c.services[p.service.Host] = at
	}
	c.members, c.broken = append(c.members, m), append(c.broken, nil)
	return at
}

// add counts what a member is asked for so many times: once, or minus once.
func (c *crowd) add(at int, t tally, times quanta) {
	m := &c.members[at]
	m.asked.add(&t, times)
	if !m.stirred {
		m.stirred = true
		c.stirred = append(c.stirred, at)
	}
}

// tallyOf counts the answers in a list of counts.
func (e *Engine) tallyOf(list []count, protocol mesh.Protocol) tally {
	var t tally
	k := &e.ring.keys
	requests := false
	for _, c := range list {
		switch {
		case c.key < k.responses:
			requests = true
			t.count(&e.outcomes.list[c.key], c.n, protocol)
		case protocol == mesh.TCP && c.key == k.plain+sumOpened:
			t.opened = c.n
		}
	}
	if protocol != mesh.TCP || requests {
		return t
	}
	for _, c := range list {
		if c.key >= k.responses && c.key < k.buckets {
			t.count(&e.outcomes.list[c.key-k.responses], c.n, protocol)
		}
	}
	return t
}

func (m *member) name(v *viewing) string {
	if m.of != nil {
		return m.of.Name
	}
	return v.service(m.called.service).Name
}

// host is what its thresholds go by.
func (m *member) host() string {
	if m.several {
		return ""
	}
	return m.called.service.Host
}

// judge judges the members that were stirred, all when the facts are others.
func (c *crowd) judge(e *Engine) {
	judge := func(at int) {
		m := &c.members[at]
		m.stirred = false
		c.broken[at] = m.asked.judge(e.facts.rulesFor(m.host()))
	}
	if c.ruled != e.ruled {
		c.ruled = e.ruled
		for at := range c.members {
			judge(at)
		}
	}
	for _, at := range c.stirred {
		judge(at)
	}
	c.stirred = c.stirred[:0]
}

// failing counts the workloads that fail by their own answers.
func (c *crowd) failing() int {
	n := 0
	for at, list := range c.broken {
		if len(list) > 0 && list[0].state == Fail && c.members[at].of != nil {
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
func (v *viewing) judgeMembers(c *crowd, was, now *begun, edges []*gathered, whose func(*gathered) *figures, h *Health) {
	c.judge(v.engine)
	var found []worst
	for i, list := range c.broken {
		for _, j := range list {
			w := worst{j, c.members[i].name(v), 0}
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
		h.add(w.state, Reason{w.rule.code, text, v.since(w.rule.class, was, now, edges, whose)})
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
