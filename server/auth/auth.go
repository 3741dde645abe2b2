// Package auth decides who may look at the mesh, tap it and change it. One
// file says what a user may, and who is who: by tokens, of which it has the
// hashes, or by the header in which a proxy in front that authenticates names
// the user. Without a file all rights are the own machine's.
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
	named  bool // by a token or the header
	token  *token
}

// ByToken reports whether a token says who it is.
func (u User) ByToken() bool { return u.token != nil }

// Access holds the rules. It is safe for concurrent use; reload it with Run.
type Access struct {
	path  string // "" without a file
	log   *slog.Logger
	rules atomic.Pointer[rules]
	read  fileState

	mu      sync.Mutex
	changed chan struct{} // closed when other rules hold
}

// Open reads the rules of a file. Without a path there are none: this machine
// may everything, and others nothing.
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

// User tells who asks: by a token, or by the header. Without rules a name is
// for the audit only, so the header is believed from anywhere; with rules only
// from a proxy that they trust. The error wraps mesh.ErrInvalid, or
// mesh.ErrUnauthenticated where a token is all that says who asks, and is not
// known.
func (a *Access) User(r *http.Request) (User, error) {
	rules := a.rules.Load()
	from := remote(r)
	u := User{Local: from.IsLoopback()}
	shown := shownToken(r)
	if t, known := rules.tokens[hashOf(shown)]; known && shown != "" {
		u.Name, u.Groups, u.token, u.named = t.Name, t.Groups, t, true
		return u, nil
	}
	if a.path == "" || rules.trusts(from) {
		name := r.Header.Get(rules.UserHeader)
		if !printable(name) {
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
		if shown != "" && len(rules.tokens) > 0 {
			return u, fmt.Errorf("the token of %s is not known: %w", u.Name, mesh.ErrUnauthenticated)
		}
	}
	return u, nil
}

// SignIn tells whose a token is. The error wraps mesh.ErrUnauthenticated, or
// mesh.ErrInvalid where there are no tokens.
func (a *Access) SignIn(token string) (User, error) {
	rules := a.rules.Load()
	if len(rules.tokens) == 0 {
		return User{}, fmt.Errorf("this server has no tokens to sign in by: %w", mesh.ErrInvalid)
	}
	t, known := rules.tokens[hashOf(token)]
	if !known {
		return User{}, fmt.Errorf("this token is not known: %w", mesh.ErrUnauthenticated)
	}
	return User{Name: t.Name, Groups: t.Groups, token: t, named: true}, nil
}

// May says whether a user has a right. The error wraps mesh.ErrForbidden and
// says what is missing.
func (a *Access) May(u User, right Right) error {
	if a.path == "" {
		if !u.Local {
			return fmt.Errorf("%s from %s: without an --access file all rights are the server's own machine's: %w", right, u.Name, mesh.ErrForbidden)
		}
		return nil
	}
	rules := a.rules.Load()
	if u.token != nil && rules.tokens[u.token.hash] == nil { // gone since
		return fmt.Errorf("the token of %s is not known any more: %w", u.Name, mesh.ErrUnauthenticated)
	}
	if slices.ContainsFunc(rules.Rules, func(r rule) bool { return r.holdsFor(u) && slices.Contains(r.May, right) }) {
		return nil
	}
	if !u.named && len(rules.tokens) > 0 {
		return fmt.Errorf("%s is not permitted for %s without a token: %w", right, u.Name, mesh.ErrUnauthenticated)
	}
	if !u.named {
		return fmt.Errorf("%s is not permitted for %s, whom no trusted proxy named in %s: %w", right, u.Name, rules.UserHeader, mesh.ErrForbidden)
	}
	return fmt.Errorf("%s is not permitted for %s: %w", right, u.Name, mesh.ErrForbidden)
}

// Rights gives what a user may, in the order above.
func (a *Access) Rights(u User) []Right {
	all := []Right{View, Tap, Change}
	return slices.DeleteFunc(all, func(r Right) bool { return a.May(u, r) != nil })
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

func printable(name string) bool {
	return len(name) <= 128 && !strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) })
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
