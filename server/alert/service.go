package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/statefile"
)

// Options say which rules are evaluated and who is told. Zero fields take the
// default that stands beside them.
type Options struct {
	// Engine makes the evaluator; required.
	Engine  func(metrics.RuleOptions) *metrics.Rules
	Builtin map[string][]byte // rule files that come with the product, by name
	Files   []string          // the user's, may hold *
	Every   time.Duration     // evaluation of groups that name no interval; 15 s
	Resend  time.Duration     // firing alerts are told to Alertmanagers again this often; 1 min
	Reread  time.Duration     // how often the user's files are looked at; 5 s

	Alertmanagers []string // base URLs
	Webhooks      []string // URLs
	ExternalURL   string   // of the UI, for links in notifications

	// Explain says in one sentence what is known now of what an alert speaks
	// of, "" for nothing; nil: never anything.
	Explain func(*About) string
	State   statefile.File // what is over, across a restart

	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Service evaluates rules and tells receivers. Make it with New, Run it once.
type Service struct {
	opts   Options
	engine *metrics.Rules
	book   *book
	sender *sender

	mu       sync.Mutex
	loaded   []metrics.RuleFile
	problems []string
}

// New checks the options. A user's rule file that cannot be read or parsed at
// the start is an error; later ones are problems of the View.
func New(o Options) (*Service, error) {
	if o.Every <= 0 {
		o.Every = 15 * time.Second
	}
	if o.Reread <= 0 {
		o.Reread = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Explain == nil {
		o.Explain = func(*About) string { return "" }
	}
	s := &Service{opts: o, book: newBook()}
	var err error
	if s.sender, err = newSender(o); err != nil {
		return nil, err
	}
	for _, pattern := range o.Files {
		if _, err := filepath.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("rule files %q: %w: %w", pattern, mesh.ErrInvalid, err)
		}
	}
	files, problems := s.read()
	for _, f := range files {
		if err := metrics.CheckRules(f); err != nil {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	var past []Alert
	if _, err := o.State.Load(&past); err != nil {
		o.Logger.Warn("past alerts are not known", "error", err)
	}
	s.book.restore(past)
	return s, nil
}

// Run evaluates until ctx ends, and then waits for what is under way.
func (s *Service) Run(ctx context.Context) {
	s.engine = s.opts.Engine(metrics.RuleOptions{
		Interval: s.opts.Every, Resend: s.opts.Resend, Report: s.book.evaluated, Notify: s.notify,
		Logger: s.opts.Logger, Registerer: s.opts.Registerer,
	})
	s.load()
	var running sync.WaitGroup
	running.Go(func() { s.engine.Run(ctx) })
	running.Go(func() { s.sender.run(ctx) })
	tick := time.NewTicker(s.opts.Reread)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.load()
			s.save()
		case <-ctx.Done():
			running.Wait()
			s.save()
			return
		}
	}
}

func (s *Service) save() {
	past, changed := s.book.changedPast()
	if !changed {
		return
	}
	if err := s.opts.State.Save(past); err != nil {
		s.opts.Logger.Warn("past alerts are not kept", "error", err)
	}
}

// load reads the files again and, when one changed, makes them the rules.
func (s *Service) load() {
	files, errs := s.read()
	s.mu.Lock()
	defer s.mu.Unlock()
	same := slices.EqualFunc(files, s.loaded, func(a, b metrics.RuleFile) bool {
		return a.Name == b.Name && bytes.Equal(a.Content, b.Content)
	})
	if same && len(errs) == 0 && s.loaded != nil {
		return
	}
	s.loaded = files
	errs = append(errs, s.engine.Load(files)...)
	s.problems = s.problems[:0:0]
	for _, err := range errs {
		s.problems = append(s.problems, err.Error())
		s.opts.Logger.Warn("rules have a problem", "error", err)
	}
	names := map[string]bool{}
	for _, f := range files {
		names[f.Name] = true
	}
	s.book.keep(names)
}

// read gives the built-in files, then the user's.
func (s *Service) read() (files []metrics.RuleFile, problems []error) {
	for _, name := range slices.Sorted(maps.Keys(s.opts.Builtin)) {
		files = append(files, metrics.RuleFile{Name: "builtin:" + name, Content: s.opts.Builtin[name]})
	}
	for _, pattern := range s.opts.Files {
		names, _ := filepath.Glob(pattern) // New checked it
		if len(names) == 0 {
			problems = append(problems, fmt.Errorf("rule files %q: %w", pattern, mesh.ErrNotFound))
		}
		for _, name := range names {
			content, err := os.ReadFile(name)
			if err != nil {
				problems = append(problems, fmt.Errorf("read rules: %w", err))
				continue
			}
			files = append(files, metrics.RuleFile{Name: name, Content: content})
		}
	}
	return files, problems
}

func (s *Service) notify(alerts []metrics.RuleAlert) {
	out := make([]notification, 0, len(alerts))
	for _, a := range alerts {
		out = append(out, notification{RuleAlert: a, link: s.link(a)})
	}
	s.sender.send(out)
}

// link leads from a notification to the alert in the UI.
func (s *Service) link(a metrics.RuleAlert) string {
	if s.opts.ExternalURL == "" {
		return ""
	}
	base, err := url.Parse(s.opts.ExternalURL)
	if err != nil {
		return ""
	}
	return base.JoinPath("alerts").String() + "?id=" + identity(a.Labels)
}

// View gives all alerts, rules and receivers.
func (s *Service) View(at time.Time) View {
	v := s.book.view(at)
	for i := range v.Alerts {
		if v.Alerts[i].About != nil {
			v.Alerts[i].Detail = s.opts.Explain(v.Alerts[i].About)
		}
	}
	v.Receivers = s.sender.status()
	s.mu.Lock()
	v.Problems = append(v.Problems, s.problems...)
	s.mu.Unlock()
	return v
}
