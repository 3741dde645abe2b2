package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/sidelight-mesh/sidelight/mesh"
)

const (
	maxFile     = 1 << 20
	reloadEvery = 2 * time.Second
)

// rules are the file as it is written.
type rules struct {
	UserHeader     string   `yaml:"user_header"`
	GroupsHeader   string   `yaml:"groups_header"`
	TrustedProxies []string `yaml:"trusted_proxies"` // addresses or networks; loopback when missing
	Tokens         []token  `yaml:"tokens"`
	Rules          []rule   `yaml:"rules"`

	proxies []netip.Prefix
	tokens  map[[sha256.Size]byte]*token
}

// rule gives rights to users. All rules that hold for a user add up.
type rule struct {
	Users      []string `yaml:"users"` // "*": everybody with a name; "anonymous": who has none
	Groups     []string `yaml:"groups"`
	May        []Right  `yaml:"may"`
	Namespaces []string `yaml:"namespaces"` // of a tap; all when missing
}

const (
	everybody = "*"
	anonymous = "anonymous"
)

func (r rule) holdsFor(u User) bool {
	if !u.named {
		return slices.Contains(r.Users, anonymous)
	}
	return u.Name != anonymous && slices.Contains(r.Users, u.Name) || slices.Contains(r.Users, everybody) ||
		slices.ContainsFunc(u.Groups, func(g string) bool { return slices.Contains(r.Groups, g) })
}

func (r *rules) trusts(from netip.Addr) bool {
	return slices.ContainsFunc(r.proxies, func(p netip.Prefix) bool { return p.Contains(from) })
}

// parse reads a file of rules. The error wraps mesh.ErrInvalid and names the
// line, or the rule by its place.
func parse(text []byte) (*rules, error) {
	var r rules
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	err := dec.Decode(&r)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", err, mesh.ErrInvalid)
	}
	if r.UserHeader == "" {
		r.UserHeader = DefaultUserHeader
	}
	if r.TrustedProxies == nil {
		r.TrustedProxies = []string{"127.0.0.0/8", "::1"}
	}
	for _, text := range r.TrustedProxies {
		p, err := network(text)
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies: %q is neither an address nor a network like 10.0.0.0/8: %w", text, mesh.ErrInvalid)
		}
		r.proxies = append(r.proxies, p)
	}
	if r.tokens, err = byHash(r.Tokens); err != nil {
		return nil, fmt.Errorf("%w: %w", err, mesh.ErrInvalid)
	}
	if len(r.Rules) == 0 {
		return nil, fmt.Errorf("rules: there is none, so nobody may do anything; begin with {users: [\"*\"], may: [view]}: %w", mesh.ErrInvalid)
	}
	for i, rule := range r.Rules {
		if err := rule.check(r.GroupsHeader != "" || len(r.Tokens) > 0); err != nil {
			return nil, fmt.Errorf("rule %d: %w: %w", i+1, err, mesh.ErrInvalid)
		}
	}
	return &r, nil
}

func (r rule) check(groups bool) error {
	switch {
	case len(r.Users)+len(r.Groups) == 0:
		return errors.New("names nobody; give users or groups")
	case len(r.Groups) > 0 && !groups:
		return errors.New("names groups, but groups_header does not say where they stand, and no token is in any")
	case len(r.May) == 0:
		return errors.New("gives nothing; say may: [view, tap, change] or some of it")
	case r.Namespaces != nil && len(r.Namespaces) == 0:
		return errors.New("namespaces is empty; name some, or leave it out for all")
	}
	for _, right := range r.May {
		if right != View && right != Tap && right != Change {
			return fmt.Errorf("%q is no right; there are view, tap and change", right)
		}
		if right != Tap && len(r.Namespaces) > 0 {
			return fmt.Errorf("namespaces narrow a tap only, %s holds for the whole mesh: give it in a rule of its own", right)
		}
	}
	for _, ns := range r.Namespaces {
		if !isLabel(ns) {
			return fmt.Errorf("%q is no namespace", ns)
		}
	}
	return nil
}

func isLabel(name string) bool {
	if name == "" || len(name) > 63 {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func network(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), nil
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(ip, ip.BitLen()), nil
}

// fileState tells whether a file has changed since it was read.
type fileState struct {
	at   time.Time
	size int64
}

// Run reads the file again whenever it has changed, until ctx ends. A file
// that cannot be read changes nothing but the log.
func (a *Access) Run(ctx context.Context) {
	if a.path == "" {
		return
	}
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-tick.C:
			switch changed, err := a.reload(); {
			case err != nil && err.Error() != told:
				told = err.Error()
				a.log.Error("access rules not read, the earlier ones hold", "error", err)
			case changed:
				told = ""
				a.log.Info("access rules read", "file", a.path, "rules", len(a.rules.Load().Rules))
			}
		case <-ctx.Done():
			return
		}
	}
}

func (a *Access) reload() (changed bool, err error) {
	info, err := os.Stat(a.path)
	if err != nil {
		return false, fmt.Errorf("--access: %w", err)
	}
	now := fileState{info.ModTime(), info.Size()}
	if now == a.read {
		return false, nil
	}
	if info.Size() > maxFile {
		return false, fmt.Errorf("--access %s: the file has more than %d bytes: %w", a.path, maxFile, mesh.ErrInvalid)
	}
	text, err := os.ReadFile(a.path)
	if err != nil {
		return false, fmt.Errorf("--access: %w", err)
	}
	a.read = now // a broken file is told once
	next, err := parse(text)
	if err != nil {
		return false, fmt.Errorf("--access %s: %w", a.path, err)
	}
	a.rules.Store(next)
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.changed)
	a.changed = make(chan struct{})
	return true, nil
}
