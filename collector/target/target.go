// Package target says what the collector scrapes. A Source is where targets
// come from: files and HTTP endpoints in Prometheus' service discovery
// formats, names in DNS, a fixed list, or another part of the process. Package scrape runs
// the sources and merges what they tell.
//
// The package knows nothing of scraping itself, nor of Prometheus' code: only
// the two formats are Prometheus'.
package target

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Target is one endpoint to scrape.
type Target struct {
	Address  string            // "host:port"
	Path     string            // "" is /metrics
	Scheme   string            // "" is http
	Labels   map[string]string // put on every series; names starting with "__param_" are URL parameters
	Meta     map[string]string // what discovery says besides, under "__" names, for relabeling
	Node     string            // node ID when known; also the label "node"
	Workload mesh.Workload     // when known; also the labels "workload" and "namespace"
}

// Source tells targets. Run calls update with the whole set, at first and
// after each change, until ctx ends; then it gives nil. An error means that
// the source cannot go on. The source never changes a slice it gave to update,
// and update does not block for long.
type Source interface {
	Run(ctx context.Context, update func([]Target)) error
}

// Problem is something that keeps a source from telling its targets as they
// are now. The targets that it told last stay in force.
type Problem struct {
	Source  string    `json:"source"` // file or URL
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
}

// Reporter is a Source that can say what is wrong with it now.
type Reporter interface {
	Problems() []Problem
}

// Health is how the last scrape of a target went.
type Health struct {
	Address    string            `json:"address"`
	Node       string            `json:"node,omitempty"`
	Workload   mesh.Workload     `json:"workload"`
	Labels     map[string]string `json:"labels,omitempty"`
	Up         bool              `json:"up"`
	Error      string            `json:"error,omitempty"` // "" when up, and before the first scrape
	LastScrape time.Time         `json:"last_scrape,omitzero"`
	Duration   time.Duration     `json:"duration_ns,omitempty"`
}

// URL is the target's address for people and for telling targets apart.
func (t Target) URL() string {
	scheme, path := t.Scheme, t.Path
	if scheme == "" {
		scheme = "http"
	}
	if path == "" {
		path = "/metrics"
	}
	return scheme + "://" + t.Address + path
}

// Name tells the target from others: its address, and its path where that is
// not the usual one.
func (t Target) Name() string {
	if t.Path == "" || t.Path == "/metrics" {
		return t.Address
	}
	return t.Address + t.Path
}

// AllLabels gives all that is known of the target as labels, in Prometheus'
// names. FromLabels is the way back.
func (t Target) AllLabels() map[string]string {
	all := make(map[string]string, len(t.Labels)+len(t.Meta)+8)
	maps.Copy(all, t.Meta)
	maps.Copy(all, t.Labels)
	for name, v := range map[string]string{
		"__address__": t.Address, "__scheme__": t.Scheme, "__metrics_path__": t.Path, "node": t.Node,
		"cluster": t.Workload.Cluster, "namespace": t.Workload.Namespace, "workload": t.Workload.Name,
		"app": t.Workload.App, "version": t.Workload.Version,
	} {
		if v != "" {
			all[name] = v
		}
	}
	return all
}

// Clone gives an independent copy.
func (t Target) Clone() Target {
	t.Labels, t.Meta = maps.Clone(t.Labels), maps.Clone(t.Meta)
	return t
}

// Validate says what makes the target unfit to scrape, as mesh.ErrInvalid.
func (t Target) Validate() error {
	host, port, err := net.SplitHostPort(t.Address)
	if err != nil || host == "" || port == "" || strings.ContainsAny(t.Address, "/?#@ ") {
		return fmt.Errorf("target %q: %w: want host:port", t.Address, mesh.ErrInvalid)
	}
	if t.Scheme != "" && t.Scheme != "http" && t.Scheme != "https" {
		return fmt.Errorf("target %q: %w: scheme %q is neither http nor https", t.Address, mesh.ErrInvalid, t.Scheme)
	}
	if t.Path != "" && !strings.HasPrefix(t.Path, "/") {
		return fmt.Errorf("target %q: %w: path %q does not start with /", t.Address, mesh.ErrInvalid, t.Path)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Labels)) {
		if !validLabelName(name) {
			return fmt.Errorf("target %q: %w: label name %q", t.Address, mesh.ErrInvalid, name)
		}
		if !utf8.ValidString(t.Labels[name]) {
			return fmt.Errorf("target %q: %w: label %s is not UTF-8", t.Address, mesh.ErrInvalid, name)
		}
	}
	return nil
}

// validLabelName holds names to the set that every Prometheus tool takes.
func validLabelName(name string) bool {
	for i, r := range name {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}
