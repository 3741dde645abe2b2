package alert

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
)

const (
	maxPast   = 500
	pastFor   = 7 * 24 * time.Hour
	maxActive = 5000
)

// book is the memory of alerts.
type book struct {
	mu     sync.Mutex
	groups map[string]group // by file and name
	past   []Alert          // oldest first
	seen   map[string]bool  // resolved alerts that are in past already: ID and time
	lost   uint64           // active alerts beyond the bound
	dirty  bool             // past changed since it was saved
}

type group struct {
	rules  []Rule
	active []Alert
}

func newBook() *book { return &book{groups: map[string]group{}, seen: map[string]bool{}} }

// evaluated takes a group's state after an evaluation.
func (b *book) evaluated(g metrics.RuleGroup) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out group
	for _, r := range g.Rules {
		rule := Rule{
			Name: r.Name, Group: g.Name, File: g.File, Query: r.Query, ForS: r.For.Seconds(), Severity: r.Labels["severity"],
			State: "inactive", Error: r.Error, EvaluatedAt: g.At,
		}
		for _, a := range r.Alerts {
			alert := alertOf(r.Name, g.Name, a)
			switch {
			case a.State == Resolved:
				b.resolve(alert)
				continue
			case a.State == Firing || rule.State != Firing:
				rule.State = a.State
			}
			if len(out.active) < maxActive {
				out.active = append(out.active, alert)
			} else {
				b.lost++
			}
		}
		out.rules = append(out.rules, rule)
	}
	b.groups[g.File+"\xff"+g.Name] = out
	b.trim(g.At)
}

func alertOf(rule, group string, a metrics.RuleAlert) Alert {
	return Alert{
		ID: identity(a.Labels), Rule: rule, Group: group, State: a.State, Severity: a.Labels["severity"],
		Summary: cmp.Or(a.Annotations["summary"], a.Annotations["message"], rule), Description: a.Annotations["description"],
		Runbook: cmp.Or(a.Annotations["runbook"], a.Annotations["runbook_url"]), About: about(a.Labels),
		Labels: a.Labels, Annotations: a.Annotations, Value: a.Value,
		ActiveAt: a.ActiveAt, FiredAt: a.FiredAt, ResolvedAt: a.ResolvedAt,
	}
}

// resolve notes that an alert is over. The engine keeps telling of it for a
// while.
func (b *book) resolve(a Alert) {
	key := a.ID + a.ResolvedAt.UTC().Format(time.RFC3339Nano)
	if b.seen[key] {
		return
	}
	b.seen[key] = true
	b.past = append(b.past, a)
	b.dirty = true
}

func (b *book) trim(at time.Time) {
	drop := max(len(b.past)-maxPast, 0)
	for drop < len(b.past) && at.Sub(b.past[drop].ResolvedAt) > pastFor {
		drop++
	}
	b.past = slices.Delete(b.past, 0, drop)
	if len(b.seen) > 4*maxPast {
		clear(b.seen)
		for _, a := range b.past {
			b.seen[a.ID+a.ResolvedAt.UTC().Format(time.RFC3339Nano)] = true
		}
	}
}

// keep forgets the groups of files that are not loaded any more.
func (b *book) keep(files map[string]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key := range b.groups {
		file, _, _ := strings.Cut(key, "\xff")
		if !files[file] {
			delete(b.groups, key)
		}
	}
}

// restore takes over what an earlier process knew to be over.
func (b *book) restore(past []Alert) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range past {
		b.resolve(a)
	}
	b.dirty = false
}

// changedPast gives what is over when it changed since the last call.
func (b *book) changedPast() ([]Alert, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.dirty {
		return nil, false
	}
	b.dirty = false
	return slices.Clone(b.past), true
}

// view gives alerts and rules, without receivers.
func (b *book) view(at time.Time) View {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := View{At: at, Alerts: []Alert{}, Past: slices.Clone(b.past), Rules: []Rule{}, Receivers: []Receiver{}, Problems: []string{}}
	slices.Reverse(v.Past)
	if v.Past == nil {
		v.Past = []Alert{}
	}
	for _, g := range b.groups {
		v.Alerts = append(v.Alerts, g.active...)
		v.Rules = append(v.Rules, g.rules...)
	}
	for _, a := range v.Alerts {
		switch {
		case a.State != Firing:
			v.Counts.Pending++
			continue
		case severityRank(a.Severity) == 0:
			v.Counts.Critical++
		}
		v.Counts.Firing++
	}
	slices.SortFunc(v.Alerts, func(x, y Alert) int {
		return cmp.Or(strings.Compare(x.State, y.State), // firing, pending
			cmp.Compare(severityRank(x.Severity), severityRank(y.Severity)),
			x.ActiveAt.Compare(y.ActiveAt), strings.Compare(x.ID, y.ID))
	})
	slices.SortFunc(v.Rules, func(x, y Rule) int {
		return cmp.Or(strings.Compare(x.File, y.File), strings.Compare(x.Group, y.Group), strings.Compare(x.Name, y.Name))
	})
	return v
}
