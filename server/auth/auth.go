// Package auth decides who may look at the mesh, tap it and change it. It asks
// nobody for a password: a proxy in front that authenticates names the user in
// a header, and the rules of one file say what that user may.
//
// It stands between the listener and the handlers of server/api, which asks it
// before each request, and again for what stays open when the rules change. It
// never looks at what is asked for, only at who asks and for which right; which
// sidecars a tap may ask is carried out by server/tap.
package auth

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// DefaultUserHeader names the user where the file of rules does not say
// otherwise.
const DefaultUserHeader = "X-Sidelight-User"

// Right is something that a user may do.
type Right string

// The rights. None contains another.
const (
	View   Right = "view"   // look at the mesh: graph, nodes, configuration, metrics, traces
	Tap    Right = "tap"    // look at live requests
	Change Right = "change" // change configuration, hold roll-outs, make join tokens, end others' taps
)

// User is who asks. Without a name nobody vouches for them.
type User struct {
	Name   string
	Groups []string
	Local  bool // the request came from this machine
	named  bool // by the header
}

// Access holds the rules. It is safe for concurrent use; reload it with Run.
type Access struct {
	path  string // "" without a file
	log   *slog.Logger
	rules atomic.Pointer[rules]
	read  fileState

	mu      sync.Mutex
	changed chan struct{} // closed when other rules hold
}

// Open reads the rules of a file. Without a path there are none: everybody who
// reaches the server may look and change, and this machine alone may tap.
func Open(path string, log *slog.Logger) (*Access, error) {
	a := &Access{path: path, log: log, changed: make(chan struct{})}
	if path == "" {
		a.rules.Store(&rules{UserHeader: DefaultUserHeader})
		return a, nil
	}
	if _, err := a.reload(); err != nil {
		return nil, err
	}
	return a, nil
}

// User tells who asks. Without rules the name is for the audit only, so it is
// believed from anywhere; with rules only from a proxy that they trust. The
// error wraps mesh.ErrInvalid.
func (a *Access) User(r *http.Request) (User, error) {
	rules := a.rules.Load()
	from := remote(r)
	u := User{Local: from.IsLoopback()}
	if a.path == "" || rules.trusts(from) {
		name := r.Header.Get(rules.UserHeader)
		if len(name) > 128 || strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) {
			return u, fmt.Errorf("header %s must be at most 128 printable characters: %w", rules.UserHeader, mesh.ErrInvalid)
		}
		u.Name, u.named = name, name != ""
		if rules.GroupsHeader != "" {
			u.Groups = list(r.Header.Get(rules.GroupsHeader))
		}
	}
	if !u.named {
		u.Name = "unknown"
		if from.IsValid() {
			u.Name = from.String()
		}
	}
	return u, nil
}

// May says whether a user has a right. The error wraps mesh.ErrForbidden and
// says what is missing.
func (a *Access) May(u User, right Right) error {
	if a.path == "" {
		if right == Tap && !u.Local {
			return fmt.Errorf("tap from %s: without an --access file only the server's own machine may look at live requests: %w", u.Name, mesh.ErrForbidden)
		}
		return nil
	}
	rules := a.rules.Load()
	if slices.ContainsFunc(rules.Rules, func(r rule) bool { return r.holdsFor(u) && slices.Contains(r.May, right) }) {
		return nil
	}
	if !u.named {
		return fmt.Errorf("%s is not permitted for %s, whom no trusted proxy named in %s: %w", right, u.Name, rules.UserHeader, mesh.ErrForbidden)
	}
	return fmt.Errorf("%s is not permitted for %s: %w", right, u.Name, mesh.ErrForbidden)
}

// TapNamespaces gives the namespaces whose sidecars a user may tap, sorted;
// nil: all. The error is that of May.
func (a *Access) TapNamespaces(u User) ([]string, error) {
	if err := a.May(u, Tap); err != nil {
		return nil, err
	}
	var all []string
	for _, r := range a.rules.Load().Rules {
		if !r.holdsFor(u) || !slices.Contains(r.May, Tap) {
			continue
		}
		if len(r.Namespaces) == 0 {
			return nil, nil
		}
		all = append(all, r.Namespaces...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// Changed is closed once other rules hold than when it was asked for.
func (a *Access) Changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed
}

// remote is the address that a request came from, as the connection has it.
func remote(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return ip.Unmap().WithZone("")
}

func list(text string) []string {
	var all []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			all = append(all, item)
		}
	}
	return all
}
