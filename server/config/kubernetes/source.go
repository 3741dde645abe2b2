package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// What changes within quiet of each other is one change; one that never comes to
// rest is not waited for longer than patience. It is how the directory is read.
const (
	quiet    = 100 * time.Millisecond
	patience = 2 * time.Second
)

// lateAfter is how long, at first, the rest waits for a kind that the API server
// has trouble with.
const lateAfter = 30 * time.Second

// Source is a cluster as a config.Source.
type Source struct {
	opts     Options
	client   *client
	every    time.Duration // discoverEvery
	changed  chan struct{} // something is otherwise than it was given
	pods     chan struct{} // pods are otherwise than they were told
	given    chan struct{} // closed once everything was given
	services translator

	// Of Services and what belongs to them.
	serviceList *follower[*service]
	sliceList   *follower[*slice]
	podList     *follower[*pod]
	nodeList    *follower[node]
	objects     map[string]*objectKind // by kind

	mu    sync.Mutex
	away  error // why the API server cannot be reached; nil when it can
	since time.Time
}

// objectKind is one kind of configuration objects.
type objectKind struct {
	*follower[config.Document]
	// found is the resource that is followed; nil while the kind is not installed.
	// Only the goroutine that discovers uses it.
	found  *schema.GroupVersionResource
	ending chan struct{} // closed when following it has ended
}

// New reads how the cluster is reached. It does not reach for it yet.
func New(opts Options) (*Source, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := connect(opts)
	if err != nil {
		return nil, err
	}
	s := &Source{opts: opts, client: c, every: discoverEvery, changed: make(chan struct{}, 1), pods: make(chan struct{}, 1), given: make(chan struct{}), objects: map[string]*objectKind{}}
	s.serviceList = newFollower("Service", readService, same, s.touch)
	s.sliceList = newFollower("EndpointSlice", readSlice, same, s.touch)
	s.podList = newFollower("Pod", readPod, same, func() {
		s.touch()
		poke(s.pods)
	})
	s.nodeList = newFollower("Node", readNode, same, s.touch)
	for _, kind := range config.Kinds() {
		sameText := func(a, b config.Document) bool { return a.Text == b.Text }
		s.objects[kind] = &objectKind{follower: newFollower(kind, document, sameText, s.touch)}
	}
	return s, nil
}

// Name is config.Source's.
func (s *Source) Name() string { return "kubernetes" }

// Address is the API server's.
func (s *Source) Address() string { return s.client.host.String() }

// Given is closed once everything was given for the first time.
func (s *Source) Given() <-chan struct{} { return s.given }

func (s *Source) touch() { poke(s.changed) }

func poke(waiting chan<- struct{}) {
	select {
	case waiting <- struct{}{}:
	default: // one that waits tells of this change, too
	}
}

// Watch is config.Source's. It ends with ctx only: what breaks off in between is
// told as a problem, and what was known stays.
func (s *Source) Watch(ctx context.Context, changed func(config.Given)) error {
	var parts sync.WaitGroup
	defer parts.Wait()
	core := func(group, plural string) schema.GroupVersionResource { return resource(group, "v1", plural) }
	parts.Go(func() { always(ctx, s.serviceList, s.client.whole(core("", "services"))) })
	parts.Go(func() { always(ctx, s.sliceList, s.client.whole(core("discovery.k8s.io", "endpointslices"))) })
	parts.Go(func() { always(ctx, s.podList, s.client.whole(core("", "pods"))) })
	parts.Go(func() { always(ctx, s.nodeList, s.client.named(core("", "nodes"))) })
	parts.Go(func() { s.discover(ctx, &parts) })
	return s.give(ctx, changed)
}

// always follows a resource that every API server has.
func always[T any](ctx context.Context, f *follower[T], from reader) {
	for ctx.Err() == nil {
		if err := f.follow(ctx, from); errors.Is(err, errGone) {
			f.failed(err)
		}
		pause(ctx, pauseMost)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// give calls changed whenever something is otherwise, until ctx ends.
func (s *Source) give(ctx context.Context, changed func(config.Given)) error {
	var last *config.Given
	for {
		select {
		case <-s.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.settle(ctx)
		if !s.settled() {
			continue
		}
		now := s.all()
		if last == nil || !maps.Equal(now.Documents, last.Documents) || !slices.Equal(now.Problems, last.Problems) {
			changed(now)
			if last == nil {
				close(s.given)
			}
			last = &now
		}
	}
}

// settle waits for the end of a burst of changes.
func (s *Source) settle(ctx context.Context) {
	deadline := time.After(patience)
	for {
		select {
		case <-s.changed:
		case <-time.After(quiet):
			return
		case <-deadline:
			return
		case <-ctx.Done():
			return
		}
	}
}

// discover looks for kinds that are installed, now and later, and whether the
// API server can be reached at all.
func (s *Source) discover(ctx context.Context, parts *sync.WaitGroup) {
	again := time.NewTicker(s.every)
	defer again.Stop()
	gone := make(chan struct{}, 1)
	for {
		s.reach(ctx)
		if s.reachable() {
			s.look(ctx, parts, gone)
		}
		select {
		case <-s.given:
		default:
			s.touch() // settled is a matter of time, too
		}
		select {
		case <-again.C:
		case <-gone:
			pause(ctx, time.Second)
		case <-ctx.Done():
			return
		}
	}
}

// reach notes whether the API server answers.
func (s *Source) reach(ctx context.Context) {
	asking, cancel := context.WithTimeout(ctx, discoverTime)
	defer cancel()
	var version struct{}
	err := s.client.get(asking, "/version", &version)
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	news := (err == nil) != (s.away == nil)
	if err != nil && s.away == nil {
		s.since = time.Now()
	}
	s.away = err
	s.mu.Unlock()
	if !news {
		return
	}
	if err != nil {
		s.opts.Logger.Warn("the cluster cannot be reached, what is known of it stays", "address", s.Address(), "error", err)
	} else {
		s.opts.Logger.Info("the cluster can be reached again", "address", s.Address())
	}
	s.touch()
}

func (s *Source) reachable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away == nil
}

// look begins to follow the kinds that are served and not followed, and lets go of
// those that are not served any more.
func (s *Source) look(ctx context.Context, parts *sync.WaitGroup, gone chan<- struct{}) {
	asking, cancel := context.WithTimeout(ctx, discoverTime)
	defer cancel()
	serves := newServed(s.client.get)
	for _, kind := range slices.Sorted(maps.Keys(s.objects)) {
		k := s.objects[kind]
		if k.found != nil {
			select {
			case <-k.ending:
				k.found = nil
			default:
				continue
			}
		}
		found, ok, err := serves.find(asking, kind)
		switch {
		case err != nil:
			k.failed(err)
		case !ok:
			if c := k.now(); !c.known || c.err != nil || len(k.snapshot()) > 0 {
				k.forget()
			}
		default:
			k.found, k.ending = &found, make(chan struct{})
			ending := k.ending
			parts.Go(func() {
				defer close(ending)
				if errors.Is(k.follow(ctx, s.client.whole(found)), errGone) {
					poke(gone)
				}
			})
		}
	}
}

// following is a follower of whatever it holds.
type following interface{ now() condition }

// each lists what is followed, with its kind.
func (s *Source) each(yield func(kind string, f following) bool) {
	for _, kind := range slices.Sorted(maps.Keys(s.objects)) {
		if !yield(kind, s.objects[kind]) {
			return
		}
	}
	for _, f := range []struct {
		kind string
		following
	}{{"Service", s.serviceList}, {"EndpointSlice", s.sliceList}, {"Pod", s.podList}, {"Node", s.nodeList}} {
		if !yield(f.kind, f.following) {
			return
		}
	}
}

// settled reports whether everything is known that can be: not that part of it
// which happened to come first, with which nodes would lose the rest.
func (s *Source) settled() bool {
	for _, f := range s.each {
		c := f.now()
		late := answered(c.err) && time.Since(c.since) > lateAfter
		if !c.known && !refused(c.err) && !late {
			return false
		}
	}
	return true
}

// all gives what the cluster holds. Of what was never read, what an earlier
// process had of it stays.
func (s *Source) all() config.Given {
	given := config.Given{Documents: map[string]config.Document{}, Problems: s.problems()}
	unread := map[string]bool{}
	for kind, f := range s.each {
		unread[kind] = !f.now().known
	}
	for kind, k := range s.objects {
		for name, doc := range k.snapshot() {
			namespace, name, _ := strings.Cut(name, "/")
			given.Documents[namespace+"/"+kind+"/"+name] = doc
		}
	}
	if unread["Service"] = unread["Service"] || unread["EndpointSlice"]; !unread["Service"] {
		c := cluster{services: s.serviceList.snapshot(), slices: s.sliceList.snapshot(), pods: s.podList.snapshot(), nodes: s.nodeList.snapshot()}
		if unread["Pod"] {
			c.pods = nil
		}
		maps.Copy(given.Documents, s.services.documents(c))
	}
	if s.opts.Earlier != nil {
		for name, doc := range s.opts.Earlier() {
			if parts := strings.Split(name, "/"); len(parts) > 1 && unread[parts[1]] {
				given.Documents[name] = doc
			}
		}
	}
	return given
}

// Trouble is something that cannot be read, and since when.
type Trouble struct {
	What   string
	Since  time.Time
	Reason string
	hint   string
}

// Troubles lists what cannot be read now: the whole cluster, or kinds.
func (s *Source) Troubles() []Trouble {
	if since, away := s.unreachable(); away != nil {
		return []Trouble{{
			"kubernetes", since, fmt.Sprintf("the cluster at %s is not reachable: %v", s.Address(), away),
			"configuration and endpoints stay as they were then; it is tried again",
		}}
	}
	var out []Trouble
	for kind, f := range s.each {
		c := f.now()
		switch {
		case c.err != nil:
			out = append(out, Trouble{"kubernetes " + kind, c.since, fmt.Sprintf("objects of kind %s cannot be read: %v", kind, c.err), hint(c.err)})
		case c.over > 0:
			out = append(out, Trouble{
				"kubernetes " + kind, c.since, fmt.Sprintf("there are more than %d objects of kind %s: %d are left out", mostObjects, kind, c.over),
				"remove what made so many",
			})
		}
	}
	return out
}

// unreachable tells why the API server cannot be reached, and since when. Who
// follows notices before who asks now and then.
func (s *Source) unreachable() (since time.Time, away error) {
	s.mu.Lock()
	since, away = s.since, s.away
	s.mu.Unlock()
	for _, f := range s.each {
		if c := f.now(); c.err != nil && !answered(c.err) && (away == nil || c.since.Before(since)) {
			since, away = c.since, c.err
		}
	}
	if asked, ok := errors.AsType[*url.Error](away); ok {
		away = asked.Err // which of its paths was asked for tells nobody anything
	}
	return since, away
}

// hint says what to do about an error of one kind.
func hint(err error) string {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if ok && apierrors.IsForbidden(err) && status.Status().Details != nil {
		d := status.Status().Details
		return fmt.Sprintf("grant it by a rule of a ClusterRole: {apiGroups: [%q], resources: [%q], verbs: [list, watch]}; what was read before stays", d.Group, d.Kind)
	}
	return "what was read before stays; it is tried again"
}

// problems are the troubles as problems of the configuration.
func (s *Source) problems() []config.Problem {
	var out []config.Problem
	for _, t := range s.Troubles() {
		out = append(out, config.Problem{
			Severity: config.SeverityWarning, Code: config.CodeSource, File: strings.ReplaceAll(t.What, " ", ":"), Line: 1, Column: 1,
			Message: t.Reason, Hint: t.hint,
		})
	}
	return out
}
