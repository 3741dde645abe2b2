package route

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Table is a compiled Config, safe for concurrent use.
type Table struct {
	config Config

	exact    map[string]*host
	suffixes []pattern // "*.example.com" as ".example.com", longest first
	prefixes []pattern // "catalog.*" as "catalog.", longest first
	all      *host
}

type pattern struct {
	text string
	host *host
}

// host is a compiled virtual host.
type host struct {
	*VirtualHost
	routes []compiled
}

// Header is a header section: values by canonical name. It is what any HTTP
// engine's own type converts to.
type Header = map[string][]string

// Request is what a table looks at.
type Request struct {
	Host   string // Host or :authority, with its port if it has one
	Path   string // without query, as sent (escaped)
	Query  string // raw
	Method string
	Scheme string
	Header Header
}

// Decision is what a table says about a request.
type Decision struct {
	Host     *VirtualHost // nil: no domain matched
	Route    *Route       // nil: no route matched
	Revision uint64       // the route's own, or the table's
}

// New compiles c. An error names the virtual host and route at fault.
func New(c Config) (*Table, error) {
	t := &Table{config: c, exact: make(map[string]*host)}
	for i := range t.config.VirtualHosts {
		if err := t.addHost(&t.config.VirtualHosts[i]); err != nil {
			return nil, fmt.Errorf("route configuration %s: %w", c.Name, err)
		}
	}
	longestFirst := func(a, b pattern) int { return len(b.text) - len(a.text) }
	slices.SortStableFunc(t.suffixes, longestFirst)
	slices.SortStableFunc(t.prefixes, longestFirst)
	return t, nil
}

// Config gives what the table was compiled from; only to be read.
func (t *Table) Config() *Config { return &t.config }

// Match finds the route of a request.
func (t *Table) Match(r *Request) Decision {
	h := t.findHost(r.Host)
	if h == nil {
		return Decision{}
	}
	var query url.Values // parsed once, and only when a route asks
	for i := range h.routes {
		if h.routes[i].matches(r, &query) {
			r := h.routes[i].Route
			return Decision{Host: h.VirtualHost, Route: r, Revision: cmp.Or(r.Revision, t.config.Revision)}
		}
	}
	return Decision{Host: h.VirtualHost}
}

// findHost follows Envoy's order: exact, longest suffix, longest prefix, "*".
// Domains are compared with the port that the client sent: "catalog" does not
// take "catalog:8080", which is why control planes list both.
func (t *Table) findHost(name string) *host {
	if hasUpper(name) {
		name = strings.ToLower(name)
	}
	if h, ok := t.exact[name]; ok {
		return h
	}
	for _, p := range t.suffixes {
		if len(name) > len(p.text) && strings.HasSuffix(name, p.text) {
			return p.host
		}
	}
	for _, p := range t.prefixes {
		if len(name) > len(p.text) && strings.HasPrefix(name, p.text) {
			return p.host
		}
	}
	return t.all
}

// Compile makes the virtual host ready. New does it where nobody did; one that is
// compiled may be in several tables, as long as it does not change.
func (vh *VirtualHost) Compile() error {
	own := *vh // so that the next table does not hold on to this one
	own.service = serviceOf(vh)
	h := &host{VirtualHost: &own, routes: make([]compiled, len(vh.Routes))}
	for i := range vh.Routes {
		r := &vh.Routes[i]
		c, err := compile(r)
		if err != nil {
			return fmt.Errorf("virtual host %s: route %d %q: %w", vh.Name, i, r.Name, err)
		}
		if f := r.Forward; f != nil {
			retry := f.Retry
			if retry == nil {
				retry = vh.Retry
			}
			f.policy = NewPolicy(retry)
		}
		h.routes[i] = c
	}
	if vh.Retry != nil {
		if _, err := ParseConditions(vh.Retry.On); err != nil {
			return fmt.Errorf("virtual host %s: %w", vh.Name, err)
		}
	}
	if len(vh.Domains) == 0 {
		return fmt.Errorf("virtual host %s: no domains", vh.Name)
	}
	vh.service, vh.ready = own.service, h
	return nil
}

func (t *Table) addHost(vh *VirtualHost) error {
	if vh.ready == nil {
		if err := vh.Compile(); err != nil {
			return err
		}
	}
	for _, d := range vh.Domains {
		if err := t.addDomain(strings.ToLower(d), vh.ready); err != nil {
			return fmt.Errorf("virtual host %s: %w", vh.Name, err)
		}
	}
	return nil
}

func (t *Table) addDomain(domain string, h *host) error {
	list := &t.suffixes
	var text string
	switch {
	case domain == "":
		return fmt.Errorf("empty domain")
	case domain == "*":
		if t.all != nil {
			return fmt.Errorf("domain * is also in virtual host %s", t.all.Name)
		}
		t.all = h
		return nil
	case domain[0] == '*':
		text = domain[1:]
	case strings.HasSuffix(domain, "*"):
		text, list = domain[:len(domain)-1], &t.prefixes
	default:
		if other, ok := t.exact[domain]; ok {
			return fmt.Errorf("domain %s is also in virtual host %s", domain, other.Name)
		}
		t.exact[domain] = h
		return nil
	}
	for _, p := range *list {
		if p.text == text {
			return fmt.Errorf("domain %s is also in virtual host %s", domain, p.host.Name)
		}
	}
	*list = append(*list, pattern{text: text, host: h})
	return nil
}

// serviceOf reads the service that a virtual host stands for from its first
// plain domain. Wildcards stand for none; Istio's two catch-all virtual hosts
// have names of their own in the standard metrics.
func serviceOf(vh *VirtualHost) mesh.Service {
	switch vh.Name {
	case "block_all":
		return mesh.Service{Name: "BlackHoleCluster"}
	case "allow_any":
		return mesh.Service{Name: "PassthroughCluster"}
	}
	for _, d := range vh.Domains {
		if d == "" || strings.ContainsRune(d, '*') {
			continue
		}
		host, _, _ := strings.Cut(d, ":")
		s := mesh.Service{Host: host, Name: host}
		if labels := strings.Split(host, "."); len(labels) > 2 && labels[2] == "svc" {
			s.Name, s.Namespace = labels[0], labels[1]
		}
		return s
	}
	return mesh.Service{}
}

func hasUpper(s string) bool {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			return true
		}
	}
	return false
}

// OnlyCluster is the cluster that every route leads to, "" when they differ.
func (t *Table) OnlyCluster() string {
	only := ""
	for i := range t.config.VirtualHosts {
		for j := range t.config.VirtualHosts[i].Routes {
			f := t.config.VirtualHosts[i].Routes[j].Forward
			if f == nil || len(f.Clusters) != 1 || only != "" && f.Clusters[0].Cluster != only {
				return ""
			}
			only = f.Clusters[0].Cluster
		}
	}
	return only
}
