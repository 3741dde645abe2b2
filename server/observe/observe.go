// Package observe reads what other control planes and proxies say about
// configuration: istiod's /debug/syncz, Envoy's /config_dump, and any server
// of client status (CSDS). It stands beside server/skew, in whose states it
// speaks, and never tells a node anything.
//
// Such sources forget: a proxy that left istiod is gone from its list. Here it
// stays, as disconnected. And they have no times: that something was sent and
// not acknowledged is nothing for two seconds, and stale after ten.
package observe

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

const (
	inFlight = 2 * time.Second
	stale    = 10 * time.Second
	keep     = time.Hour // how long one that is gone is told
	maxNodes = 20_000    // of all sources
	maxBody  = 256 << 20
	timeout  = 10 * time.Second
)

// Node is one proxy or client as a source tells it.
type Node struct {
	Source string     `json:"source"` // the URL, without a password
	ID     string     `json:"id"`
	State  skew.State `json:"state"`
	Since  time.Time  `json:"since"`
	Reason string     `json:"reason"`
	// Version is what it acknowledged, as far as the source says: istiod's push
	// version, Envoy's version_info.
	Version string    `json:"version,omitempty"`
	SeenAt  time.Time `json:"seen_at"`
}

// Source is how the reading of one source goes.
type Source struct {
	URL    string    `json:"url"`
	Error  string    `json:"error,omitempty"` // of the last reading
	ReadAt time.Time `json:"read_at,omitzero"`
	Nodes  int       `json:"nodes"`
}

// reading is what one reading says of one node.
type reading struct {
	id, version string
	refused     string // the node's own words; "" when it refused nothing
	behind      string // what it was sent and did not acknowledge; "" nothing
}

// reader reads one source.
type reader func(ctx context.Context) ([]reading, error)

// Observer polls sources. Make it with New, Run it once.
type Observer struct {
	every time.Duration
	log   *slog.Logger
	list  []*source

	mu    sync.Mutex
	nodes map[[2]string]*node // by source and ID
}

type source struct {
	name string
	read reader
	done func()

	state Source
}

type node struct {
	Node
	behindSince time.Time
}

// New checks the sources: "http://istiod:15014/debug/syncz" for each replica,
// "http://envoy:15000/config_dump", "csds://host:port".
func New(sources []string, every time.Duration, log *slog.Logger) (*Observer, error) {
	o := &Observer{every: cmp.Or(every, 5*time.Second), log: log, nodes: map[[2]string]*node{}}
	client := &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute}}
	for _, text := range sources {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("source %q: %w: want http://ISTIOD:15014/debug/syncz, http://ENVOY:15000/config_dump or csds://HOST:PORT", text, mesh.ErrInvalid)
		}
		s := &source{name: u.Redacted(), done: client.CloseIdleConnections}
		switch {
		case u.Scheme == "csds":
			s.read, s.done, err = readCSDS(u.Host)
			if err != nil {
				return nil, fmt.Errorf("source %q: %w", s.name, err)
			}
		case strings.HasSuffix(u.Path, "/debug/syncz") && (u.Scheme == "http" || u.Scheme == "https"):
			s.read = readHTTP(client, u.String(), parseSyncz)
		case strings.HasSuffix(u.Path, "/config_dump") && (u.Scheme == "http" || u.Scheme == "https"):
			s.read = readHTTP(client, u.String(), func(body []byte) ([]reading, error) { return parseDump(body, u.Host) })
		default:
			return nil, fmt.Errorf("source %q: %w: its path is neither /debug/syncz nor /config_dump", s.name, mesh.ErrInvalid)
		}
		s.state.URL = s.name
		o.list = append(o.list, s)
	}
	return o, nil
}

// Run polls every source at its own pace until ctx ends.
func (o *Observer) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, s := range o.list {
		running.Go(func() {
			defer s.done()
			tick := time.NewTicker(o.every)
			defer tick.Stop()
			for {
				o.poll(ctx, s)
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	running.Wait()
}

func (o *Observer) poll(ctx context.Context, s *source) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	list, err := s.read(ctx)
	if ctx.Err() != nil && err == nil {
		return
	}
	o.take(s, list, err, time.Now())
}

// take merges a reading into what is known.
func (o *Observer) take(s *source, list []reading, err error, at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		if s.state.Error == "" {
			o.log.Warn("a source of observed nodes cannot be read", "source", s.name, "error", err)
		}
		s.state.Error = err.Error()
		return
	}
	s.state.Error, s.state.ReadAt, s.state.Nodes = "", at, len(list)
	here := map[string]bool{}
	for _, r := range list {
		here[r.id] = true
		key := [2]string{s.name, r.id}
		n := o.nodes[key]
		if n == nil {
			if len(o.nodes) >= maxNodes {
				s.state.Error = fmt.Sprintf("more than %d observed nodes: the rest is left out", maxNodes)
				continue
			}
			n = &node{Node: Node{Source: s.name, ID: r.id}}
			o.nodes[key] = n
		}
		n.judge(r, at)
	}
	for key, n := range o.nodes {
		if key[0] != s.name || here[key[1]] {
			continue
		}
		n.become(skew.Disconnected, at, "the source does not list it any more")
		if at.Sub(n.SeenAt) > keep {
			delete(o.nodes, key)
		}
	}
}

func (n *node) judge(r reading, at time.Time) {
	n.SeenAt, n.Version = at, r.version
	if r.behind == "" {
		n.behindSince = time.Time{}
	} else if n.behindSince.IsZero() {
		n.behindSince = at
	}
	switch age := at.Sub(n.behindSince); {
	case r.refused != "":
		n.become(skew.Rejected, at, "refused: "+r.refused)
	case r.behind == "":
		n.become(skew.Synced, at, "acknowledged all that it was sent")
	case age > stale:
		n.become(skew.Stale, at, r.behind)
	case age >= inFlight:
		n.become(skew.Slow, at, r.behind)
	default:
		n.become(skew.InFlight, at, r.behind)
	}
}

func (n *node) become(s skew.State, at time.Time, reason string) {
	if n.State != s {
		n.State, n.Since = s, at
	}
	n.Reason = reason
}

// View gives the observed nodes, worst first, and the sources.
func (o *Observer) View() ([]Node, []Source) {
	o.mu.Lock()
	defer o.mu.Unlock()
	nodes, sources := make([]Node, 0, len(o.nodes)), make([]Source, 0, len(o.list))
	for _, n := range o.nodes {
		nodes = append(nodes, n.Node)
	}
	slices.SortFunc(nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(b.State.Severity(), a.State.Severity()), strings.Compare(a.Source, b.Source), strings.Compare(a.ID, b.ID))
	})
	for _, s := range o.list {
		sources = append(sources, s.state)
	}
	return nodes, sources
}
