package skew

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// oracle knows one node's whole story and judges it from scratch, the slow
// and plain way.
type oracle struct {
	wanted   map[string][]want // by resource, every version ever desired
	applied  map[string]string
	acked    map[string]string
	refused  map[string]string    // version that was said no to
	disputed map[string]time.Time // account heard after the ACK disagrees since
	okUntil  map[string]time.Time
	ran      map[string]bool

	everConnected bool
	conn          string
	connectedAt   time.Time
	checked       uint64
}

func (o *oracle) now(name string) string {
	list := o.wanted[name]
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1].version
}

// missing lists what was desired after what the node runs.
func (o *oracle) missing(name string) []want {
	list := o.wanted[name]
	for i, l := range slices.Backward(list) {
		if l.version == o.applied[name] {
			return list[i+1:]
		}
	}
	if o.ran[name] {
		return list[len(list)-1:]
	}
	return list
}

func (o *oracle) state(at time.Time) State {
	switch {
	case !o.everConnected:
		return NeverConnected
	case o.conn == "":
		return Disconnected
	}
	worst := Synced
	for name := range o.wanted {
		if s := o.resource(name, at); s.Severity() > worst.Severity() {
			worst = s
		}
	}
	return worst
}

func (o *oracle) resource(name string, at time.Time) State {
	m := o.missing(name)
	if len(m) == 0 {
		return Synced
	}
	want := o.now(name)
	if v, said := o.refused[name]; said && v == want {
		return Rejected
	}
	if d, ok := o.disputed[name]; ok && at.Sub(d) > 2*time.Second {
		return Drifted
	}
	first := m[0]
	for i, w := range m[:len(m)-1] {
		if v, said := o.refused[name]; said && v == w.version {
			first = m[i+1] // it has had its say on what came before
		}
	}
	start := latest(first.at, o.okUntil[name], o.connectedAt)
	switch age := at.Sub(start); {
	case age > 10*time.Second:
		return Stale
	case age >= 2*time.Second:
		return Slow
	}
	return InFlight
}

func (o *oracle) behind() (int, time.Time) {
	revisions := map[uint64]bool{}
	var since time.Time
	for name := range o.wanted {
		m := o.missing(name)
		for _, w := range m {
			revisions[w.revision] = true
		}
		if len(m) > 0 {
			if at := latest(m[0].at, o.okUntil[name]); since.IsZero() || at.Before(since) {
				since = at
			}
		}
	}
	return len(revisions), since
}

// world drives a tracker and the oracles with the same random events.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	tr      *Tracker
	now     time.Time
	nodes   []string
	oracles map[string]*oracle
	desired map[string]Resource // of all nodes
	waiting map[string][]waiting
	told    map[string]map[string]string // by node, what its account said last
	rev     uint64
	serial  int
}

type waiting struct {
	conn, nonce string
	refs        []ResourceRef
}

var worldResources = []string{"outbound", "catalog", "reviews"}

func (w *world) accept() {
	w.rev++
	w.tr.Accepted(mesh.Revision{Number: w.rev, At: w.now})
	for _, name := range worldResources {
		if w.rng.IntN(2) == 0 {
			version := fmt.Sprint("v", w.rng.IntN(6)) // old content comes back at times
			if w.desired[name].Version != version {
				w.desired[name] = Resource{Type: "cluster", Name: name, Version: version, Revision: w.rev}
			}
		}
	}
	for _, id := range w.nodes {
		w.prepare(id)
	}
}

func (w *world) prepare(id string) {
	var res []Resource
	o := w.oracles[id]
	for _, name := range worldResources {
		r, ok := w.desired[name]
		if !ok {
			continue
		}
		res = append(res, r)
		if len(o.wanted[name]) == 0 || o.now(name) != r.Version {
			if list := o.wanted[name]; o.applied[name] == o.now(name) && len(list) > remembered {
				o.wanted[name] = list[len(list)-remembered:] // older ones have no name
			}
			o.wanted[name] = append(o.wanted[name], want{r.Version, r.Revision, w.now})
			o.ran[name] = o.ran[name] || o.applied[name] == r.Version
		}
	}
	o.checked = w.rev
	w.tr.Desired(id, w.rev, parts(res), w.now)
}

func (w *world) connect(id string) {
	o := w.oracles[id]
	if o.conn != "" {
		return
	}
	w.serial++
	o.conn, o.connectedAt, o.everConnected = fmt.Sprint("c", w.serial), w.now, true
	o.acked, o.disputed = map[string]string{}, map[string]time.Time{}
	w.waiting[id] = nil
	w.tr.Connected(mesh.Node{ID: id, Build: "1"}, o.conn, "", w.now)
}

func (w *world) disconnect(id string) {
	o := w.oracles[id]
	if o.conn == "" {
		return
	}
	w.tr.Disconnected(id, o.conn, "EOF", w.now)
	o.conn = ""
}

func (w *world) send(id string) {
	o := w.oracles[id]
	if o.conn == "" {
		return
	}
	w.serial++
	m := waiting{conn: o.conn, nonce: fmt.Sprint(w.serial)}
	for name, list := range o.wanted {
		if len(list) > 0 && w.rng.IntN(2) == 0 {
			m.refs = append(m.refs, ResourceRef{"cluster", name, o.now(name)})
		}
	}
	w.waiting[id] = append(w.waiting[id], m)
	w.tr.Sent(id, m.conn, m.nonce, m.refs, w.now)
}

func (w *world) answer(id string, yes bool) {
	o := w.oracles[id]
	if len(w.waiting[id]) == 0 || o.conn == "" {
		return
	}
	m := w.waiting[id][0]
	w.waiting[id] = w.waiting[id][1:]
	for _, ref := range m.refs {
		if yes {
			o.acked[ref.Name] = ref.Version
			if o.applied[ref.Name] == ref.Version {
				delete(o.disputed, ref.Name)
			}
			if o.refused[ref.Name] == ref.Version {
				delete(o.refused, ref.Name)
			}
		} else {
			o.refused[ref.Name] = ref.Version
		}
	}
	if yes {
		w.tr.Acked(id, m.conn, m.nonce, w.now)
	} else {
		w.tr.Nacked(id, m.conn, m.nonce, "no", w.now)
	}
}

// account lets a node say what it runs: what it acknowledged, what it had, or
// something else.
func (w *world) account(id string) {
	o := w.oracles[id]
	var res []AppliedResource
	for _, name := range worldResources {
		if len(o.wanted[name]) == 0 {
			continue
		}
		version := o.applied[name]
		switch w.rng.IntN(12) {
		case 0:
			version = "v9" // never desired
		case 1, 2:
		default:
			if a, ok := o.acked[name]; ok {
				version = a
			}
		}
		w.runs(o, name, version)
		if version != "" {
			res = append(res, AppliedResource{Type: "cluster", Name: name, Version: version})
		}
	}
	if told := w.told[id]; told != nil && w.rng.IntN(2) == 0 {
		var changed []AppliedResource
		for _, a := range res {
			if told[a.Name] != a.Version {
				changed = append(changed, a)
			}
			delete(told, a.Name)
		}
		for name := range told {
			changed = append(changed, AppliedResource{Type: "cluster", Name: name})
		}
		w.tr.AppliedSince(id, changed, w.rev, w.now)
	} else {
		w.tr.Applied(id, res, w.rev, w.now)
	}
	w.told[id] = map[string]string{}
	for _, a := range res {
		w.told[id][a.Name] = a.Version
	}
}

// heartbeat lets a node say that what it told last still holds.
func (w *world) heartbeat(id string) {
	if w.told[id] != nil {
		o := w.oracles[id]
		for name := range o.wanted {
			w.runs(o, name, o.applied[name])
		}
	}
	w.tr.Seen(id, w.now)
}

func (w *world) runs(o *oracle, name, version string) {
	if version != o.applied[name] {
		if o.applied[name] == o.now(name) {
			o.okUntil[name] = w.now
		}
		o.applied[name] = version
		delete(o.disputed, name) // a node that moves begins anew
		if version == o.now(name) {
			o.ran[name] = true
			delete(o.refused, name)
		}
	}
	acked, said := o.acked[name]
	if !said || version == acked || version == o.now(name) {
		delete(o.disputed, name)
	} else if _, ok := o.disputed[name]; !ok && acked == o.now(name) {
		o.disputed[name] = w.now
	}
}

func (w *world) check() {
	w.t.Helper()
	v := w.tr.View(w.now)
	for _, n := range v.Nodes {
		o := w.oracles[n.ID]
		if want := o.state(w.now); n.State != want {
			w.t.Fatalf("%s at revision %d: got %s (%s), want %s", n.ID, w.rev, n.State, n.Reason, want)
		}
		behind, since := o.behind()
		if n.Behind != behind {
			w.t.Fatalf("%s at revision %d: %d behind, want %d", n.ID, w.rev, n.Behind, behind)
		}
		lag := 0.0
		if !since.IsZero() {
			lag = w.now.Sub(since).Seconds()
		}
		if d := n.LagS - lag; d > 0.051 || d < -0.051 {
			w.t.Fatalf("%s at revision %d: lag %v, want %v", n.ID, w.rev, n.LagS, lag)
		}
		if n.State == Synced && n.Revision != w.rev {
			w.t.Fatalf("%s: synced at %d, newest is %d", n.ID, n.Revision, w.rev)
		}
		if behind > 0 && n.Revision >= w.rev {
			w.t.Fatalf("%s: lacks %d revisions and claims to run %d", n.ID, behind, n.Revision)
		}
	}
	if v.Summary.Nodes != len(w.nodes) {
		w.t.Fatalf("%d nodes, want %d", v.Summary.Nodes, len(w.nodes))
	}
}

// Five hundred nodes, random events in random order: every view agrees with
// the oracle.
func TestTrackerAgainstOracle(t *testing.T) {
	for seed := range uint64(1) { // any number of seeds holds; one is quick
		w := &world{
			t: t, rng: rand.New(rand.NewPCG(seed, 1)), tr: New(Options{}), now: time.Date(2026, 11, 3, 3, 0, 0, 0, time.UTC),
			oracles: map[string]*oracle{}, desired: map[string]Resource{}, waiting: map[string][]waiting{}, told: map[string]map[string]string{},
		}
		for i := range 500 {
			id := fmt.Sprintf("n%03d", i)
			w.nodes = append(w.nodes, id)
			w.oracles[id] = &oracle{
				wanted: map[string][]want{}, applied: map[string]string{}, acked: map[string]string{},
				refused: map[string]string{}, disputed: map[string]time.Time{}, okUntil: map[string]time.Time{}, ran: map[string]bool{},
			}
			w.tr.Expected(mesh.Node{ID: id}, w.now)
		}
		w.accept()
		for range 6000 {
			id := w.nodes[w.rng.IntN(len(w.nodes))]
			switch n := w.rng.IntN(200); {
			case n == 0:
				w.accept()
			case n < 40:
				w.connect(id)
			case n < 45:
				w.disconnect(id)
			case n < 90:
				w.send(id)
			case n < 135:
				w.answer(id, true)
			case n < 145:
				w.answer(id, false)
			case n < 185:
				w.account(id)
			case n < 195:
				w.heartbeat(id)
			default:
				w.now = w.now.Add(time.Duration(w.rng.IntN(1200)) * time.Millisecond)
				w.check()
			}
		}
	}
}

// A fleet that does all right gives no alarm: ten thousand pushes with every
// delay and order that a healthy network makes, reconnects among them.
func TestNoFalseAlarm(t *testing.T) {
	const nodes, revisions = 100, 100
	l := newLab(t)
	rng := rand.New(rand.NewPCG(5, 5))
	type event struct {
		at time.Duration
		do func()
	}
	l.revise(1, map[string]string{"route outbound": "r0", "cluster c": "c0"})
	var ids []string
	conn := map[string]string{}
	for i := range nodes {
		id := fmt.Sprintf("n%03d", i)
		ids, conn[id] = append(ids, id), id+"-0"
		l.connect(id, conn[id])
		l.tr.Desired(id, 1, parts(l.all()), l.now)
		l.push(id, conn[id])
	}
	for rev := uint64(2); rev < revisions+2; rev++ {
		l.accept(rev)
		l.res["outbound"] = Resource{Type: "route", Name: "outbound", Version: fmt.Sprint("r", rev), Revision: rev}
		if rev%3 == 0 {
			l.res["c"] = Resource{Type: "cluster", Name: "c", Version: fmt.Sprint("c", rev), Revision: rev}
		}
		all := l.all()
		var events []event
		for _, id := range ids {
			ms := func(most int) time.Duration { return time.Duration(rng.IntN(most)) * time.Millisecond }
			prepared := ms(100)
			sent := prepared + ms(400)
			acked, applied := sent+ms(700), sent+ms(700) // either may be heard first
			nonce := fmt.Sprint(id, rev)
			refs := []ResourceRef{{"route", "outbound", all[1].Version}, {"cluster", "c", all[0].Version}}
			account := []AppliedResource{{Type: "route", Name: "outbound", Version: all[1].Version}, {Type: "cluster", Name: "c", Version: all[0].Version}}
			at := l.now
			events = append(events,
				event{prepared, func() { l.tr.Desired(id, rev, parts(all), at.Add(prepared)) }},
				event{sent, func() { l.tr.Sent(id, conn[id], nonce, refs, at.Add(sent)) }},
				event{acked, func() { l.tr.Acked(id, conn[id], nonce, at.Add(acked)) }},
				event{applied, func() { l.tr.Applied(id, account, rev, at.Add(applied)) }})
			if rng.IntN(50) == 0 { // reconnects, holding all, once it is done
				back := max(acked, applied) + ms(100)
				events = append(events, event{back, func() {
					l.tr.Disconnected(id, conn[id], "server restarts", at.Add(back))
					conn[id] = fmt.Sprint(id, "-", rev)
					l.tr.Connected(mesh.Node{ID: id, Build: "1.0", StartedAt: l.start}, conn[id], "", at.Add(back))
					l.tr.Holds(id, conn[id], refs, at.Add(back))
					l.tr.Applied(id, account, rev, at.Add(back))
				}})
			}
		}
		for ms := range 2000 {
			for i := range events {
				if events[i].at == time.Duration(ms)*time.Millisecond {
					events[i].do()
				}
			}
			if ms%100 == 0 {
				l.tr.Tick(l.now.Add(time.Duration(ms) * time.Millisecond))
			}
		}
		l.now = l.now.Add(2 * time.Second)
		if v := l.tr.View(l.now); v.Summary.Synced != nodes || v.Spread.Waiting != 0 {
			t.Fatalf("revision %d: %d of %d synced: %s", rev, v.Summary.Synced, nodes, v.Nodes[0].Reason)
		}
	}
	for _, id := range ids {
		h, _ := l.tr.History(id, time.Hour, l.now)
		for _, tr := range h {
			if tr.State != Synced && tr.State != InFlight && tr.State != Disconnected {
				t.Fatalf("%s had a false alarm: %+v", id, tr)
			}
		}
	}
}

func BenchmarkView(b *testing.B) {
	tr := New(Options{})
	at := time.Date(2026, 11, 3, 3, 0, 0, 0, time.UTC)
	var res []Resource
	var applied []AppliedResource
	for i := range 50 {
		res = append(res, Resource{Type: "cluster", Name: fmt.Sprint("c", i), Version: "1"})
		applied = append(applied, AppliedResource{Type: "cluster", Name: fmt.Sprint("c", i), Version: "1"})
	}
	tr.Accepted(mesh.Revision{Number: 1, At: at})
	for i := range 1000 {
		id := fmt.Sprint("n", i)
		tr.Connected(mesh.Node{ID: id, Build: "1"}, id, "", at)
		tr.Desired(id, 1, parts(res), at)
		tr.Applied(id, applied, 1, at)
	}
	b.ReportAllocs()
	for b.Loop() {
		if v := tr.View(at); v.Summary.Synced != 1000 {
			b.Fatal(v.Summary)
		}
	}
}
