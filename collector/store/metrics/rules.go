package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// RuleFile is one file of recording and alerting rules in Prometheus' format.
type RuleFile struct {
	Name    string // tells files apart; a path, where there is one
	Content []byte
}

// RuleOptions say how rules are evaluated. Zero fields take the default that
// stands beside them.
type RuleOptions struct {
	Interval time.Duration // of groups that name none; 15 s
	Resend   time.Duration // firing alerts are told again this often; 1 min
	// Report hears each group's rules after each of its evaluations. Calls for
	// different groups may be concurrent.
	Report func(RuleGroup)
	// Notify hears alerts that have begun to fire, still fire after Resend, or
	// are resolved. It must not block.
	Notify func([]RuleAlert)

	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// RuleGroup is one group as of its last evaluation.
type RuleGroup struct {
	File     string
	Name     string
	At       time.Time
	Interval time.Duration
	Rules    []Rule
}

// Rule is an alerting rule.
type Rule struct {
	Name        string
	Query       string
	For         time.Duration
	Labels      map[string]string
	Annotations map[string]string
	Error       string // why its last evaluation failed; "" when it did not
	Alerts      []RuleAlert
}

// RuleAlert is one alert of a rule.
type RuleAlert struct {
	Query       string
	State       string            // pending | firing | resolved
	Labels      map[string]string // with "alertname"
	Annotations map[string]string
	Value       float64
	ActiveAt    time.Time
	FiredAt     time.Time // zero while pending
	ResolvedAt  time.Time // zero while active
	ValidUntil  time.Time // a receiver that hears nothing more may call it resolved then
}

// Rules evaluates rules over a store and writes what recording rules give
// back into it. Make it with Store.Rules, Load files at any time, Run it once:
// before the store is closed.
type Rules struct {
	store   *Store
	opts    RuleOptions
	manager *rules.Manager
	stop    context.CancelFunc

	mu     sync.Mutex
	loaded map[string]*rulefmt.RuleGroups // by file, the last good form
}

// Rules makes an evaluator of rules that reads from and writes to the store; the
// store's API lists the rules of the newest.
func (s *Store) Rules(o RuleOptions) *Rules {
	if o.Interval <= 0 {
		o.Interval = 15 * time.Second
	}
	if o.Resend <= 0 {
		o.Resend = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Report == nil {
		o.Report = func(RuleGroup) {}
	}
	if o.Notify == nil {
		o.Notify = func([]RuleAlert) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Rules{store: s, opts: o, stop: cancel, loaded: map[string]*rulefmt.RuleGroups{}}
	r.manager = rules.NewManager(&rules.ManagerOptions{
		Context:    ctx,
		QueryFunc:  rules.EngineQueryFunc(s.engine, s.db),
		NotifyFunc: r.notify,
		Appendable: s.db,
		Queryable:  s.db,
		Logger:     slog.New(quiet{o.Logger.Handler()}),
		Registerer: o.Registerer,
		// Pending alerts go on where they were when the process was away for less.
		OutageTolerance: time.Hour,
		ForGracePeriod:  o.Interval,
		ResendDelay:     o.Resend,
		GroupLoader:     loader{r},
		Parser:          s.parser,
	})
	s.rules.Store(r)
	return r
}

// Load makes these files the rules. A broken file is reported, and its last
// good form, if there was one, stays in force; the others are not affected.
func (r *Rules) Load(files []RuleFile) []error {
	var problems []error
	r.mu.Lock()
	before := r.loaded
	r.loaded = make(map[string]*rulefmt.RuleGroups, len(files))
	for _, f := range files {
		groups, err := parseRules(f, r.store.parser)
		if err != nil {
			problems = append(problems, err)
			groups = before[f.Name]
		}
		if groups != nil {
			r.loaded[f.Name] = groups
		}
	}
	names := slices.Sorted(maps.Keys(r.loaded))
	r.mu.Unlock()
	if err := r.manager.Update(r.opts.Interval, names, labels.EmptyLabels(), "", r.evaluate); err != nil {
		problems = append(problems, fmt.Errorf("load rules: %w", err))
	}
	return problems
}

// load gives the groups of a file that was read already.
func (r *Rules) load(name string) (*rulefmt.RuleGroups, []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if g := r.loaded[name]; g != nil {
		return g, nil
	}
	return nil, []error{errors.New("rule file " + name + " is not loaded")}
}

// Run evaluates until ctx ends.
func (r *Rules) Run(ctx context.Context) {
	// What alerts were pending for is in the store. If it does not open, each
	// evaluation is refused.
	_ = r.store.Opened(ctx)
	var running sync.WaitGroup
	running.Go(r.manager.Run)
	<-ctx.Done()
	r.stop() // queries under way
	r.manager.Stop()
	running.Wait()
}

// evaluate is one evaluation of a group.
func (r *Rules) evaluate(ctx context.Context, g *rules.Group, at time.Time) {
	ctx, done, err := r.store.begin(ctx)
	if err != nil {
		return // the store is closed
	}
	defer done()
	rules.DefaultEvalIterationFunc(ctx, g, at)
	report := RuleGroup{File: g.File(), Name: g.Name(), At: at, Interval: g.Interval()}
	for _, rule := range g.AlertingRules() {
		report.Rules = append(report.Rules, plainRule(rule))
	}
	r.opts.Report(report)
}

func plainRule(rule *rules.AlertingRule) Rule {
	out := Rule{
		Name: rule.Name(), Query: rule.Query().String(), For: rule.HoldDuration(),
		Labels: rule.Labels().Map(), Annotations: rule.Annotations().Map(),
	}
	if err := rule.LastError(); err != nil {
		out.Error = err.Error()
	}
	rule.ForEachActiveAlert(func(a *rules.Alert) { out.Alerts = append(out.Alerts, plainAlert(out.Query, a)) })
	return out
}

func plainAlert(query string, a *rules.Alert) RuleAlert {
	state := a.State.String()
	if !a.ResolvedAt.IsZero() {
		state = "resolved"
	}
	return RuleAlert{
		Query: query, State: state, Labels: a.Labels.Map(), Annotations: a.Annotations.Map(), Value: a.Value,
		ActiveAt: a.ActiveAt, FiredAt: a.FiredAt, ResolvedAt: a.ResolvedAt, ValidUntil: a.ValidUntil,
	}
}

func (r *Rules) notify(_ context.Context, query string, alerts ...*rules.Alert) {
	out := make([]RuleAlert, 0, len(alerts))
	for _, a := range alerts {
		out = append(out, plainAlert(query, a))
	}
	r.opts.Notify(out)
}

// loader gives the manager the files that were read already.
type loader struct{ *Rules }

// Load implements rules.GroupLoader.
func (l loader) Load(name string, _ bool, _ model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	return l.load(name)
}

// Parse implements rules.GroupLoader.
func (l loader) Parse(query string) (parser.Expr, error) { return l.store.parser.ParseExpr(query) }

// CheckRules tells what is wrong with a file of rules, as mesh.ErrInvalid.
func CheckRules(f RuleFile) error {
	_, err := parseRules(f, parser.NewParser(parser.Options{}))
	return err
}

func parseRules(f RuleFile, p parser.Parser) (*rulefmt.RuleGroups, error) {
	groups, errs := rulefmt.Parse(f.Content, false, model.UTF8Validation, p, slog.New(slog.DiscardHandler))
	if len(errs) == 0 {
		return groups, nil
	}
	// What is no YAML at all is told twice.
	errs = slices.CompactFunc(errs, func(a, b error) bool { return a.Error() == b.Error() })
	return nil, fmt.Errorf("rule file %s: %w: %w", f.Name, mesh.ErrInvalid, errors.Join(errs...))
}
