package ca

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// The bounds of tokens.
const (
	defaultTTL  = time.Hour
	maxTTL      = 30 * 24 * time.Hour
	defaultUses = 1
	maxUses     = 10_000
	maxTokens   = 10_000
	tokenPrefix = "sl1"
)

// TokenRequest says what a new join token is for.
type TokenRequest struct {
	Identity
	TTL  time.Duration // 0 = 1 h
	Uses int           // 0 = 1
}

// Token is what is known of a join token. Its secret is not: only who it was
// handed to has that.
type Token struct {
	ID             string    `json:"id"`
	Namespace      string    `json:"namespace"`
	ServiceAccount string    `json:"service_account"`
	CreatedAt      time.Time `json:"created_at"`
	ExpiresAt      time.Time `json:"expires_at"`
	Uses           int       `json:"uses"`
	MaxUses        int       `json:"max_uses"`
}

// kept is a token as it is stored.
type kept struct {
	Token
	Hash string `json:"sha256"` // of the secret, which is random, so no salt is needed
}

// tokens are those that may still be used.
type tokens struct {
	path string // "" = memory only

	mu   sync.Mutex
	list map[string]*kept
}

func openTokens(dir string) (*tokens, error) {
	t := &tokens{list: map[string]*kept{}}
	if dir == "" {
		return t, nil
	}
	t.path = filepath.Join(dir, tokenFile)
	text, err := os.ReadFile(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		// With a root that was brought, the folder may not be there yet.
		return t, os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("read join tokens: %w", err)
	}
	var list []*kept
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("read join tokens %s: %w: remove the file to begin without tokens", t.path, err)
	}
	for _, k := range list {
		t.list[k.ID] = k
	}
	return t, nil
}

// accountForm is a Kubernetes name: what a SPIFFE path of the mesh is made of.
var accountForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)

// CreateToken makes a join token. The text is told this once: sl1.ID.SECRET.PIN,
// PIN being the fingerprint of the root.
func (a *Authority) CreateToken(r TokenRequest) (text string, _ Token, err error) {
	if r.TTL == 0 {
		r.TTL = defaultTTL
	}
	if r.Uses == 0 {
		r.Uses = defaultUses
	}
	switch {
	case !accountForm.MatchString(r.Namespace):
		return "", Token{}, fmt.Errorf("namespace %q is not a name: %w", r.Namespace, mesh.ErrInvalid)
	case !accountForm.MatchString(r.ServiceAccount):
		return "", Token{}, fmt.Errorf("service account %q is not a name: %w", r.ServiceAccount, mesh.ErrInvalid)
	case r.Namespace == Server.Namespace && r.Identity != Collector:
		return "", Token{}, fmt.Errorf("namespace %s is for Sidelight's own processes: choose another, or %s for a collector: %w", r.Namespace, Collector, mesh.ErrInvalid)
	case r.TTL < time.Second || r.TTL > maxTTL:
		return "", Token{}, fmt.Errorf("a token lives 1s to %s, not %s: %w", maxTTL, r.TTL, mesh.ErrInvalid)
	case r.Uses < 1 || r.Uses > maxUses:
		return "", Token{}, fmt.Errorf("a token has 1 to %d uses, not %d: %w", maxUses, r.Uses, mesh.ErrInvalid)
	}
	var id [8]byte
	var secret [32]byte
	rand.Read(id[:])     // never fails, see crypto/rand
	rand.Read(secret[:]) // the same
	now := a.opts.Now()
	k := &kept{Token: Token{
		ID: hex.EncodeToString(id[:]), Namespace: r.Namespace, ServiceAccount: r.ServiceAccount,
		CreatedAt: now, ExpiresAt: now.Add(r.TTL), MaxUses: r.Uses,
	}}
	word := base64.RawURLEncoding.EncodeToString(secret[:])
	k.Hash = hashSecret(word)
	if err := a.tokens.add(k, now); err != nil {
		return "", Token{}, err
	}
	return strings.Join([]string{tokenPrefix, k.ID, word, a.Pin()}, "."), k.Token, nil
}

// Tokens lists those that may still be used, the newest first.
func (a *Authority) Tokens() []Token {
	t := a.tokens
	t.mu.Lock()
	defer t.mu.Unlock()
	now := a.opts.Now()
	out := []Token{}
	for _, k := range t.list {
		if k.open(now) {
			out = append(out, k.Token)
		}
	}
	slices.SortFunc(out, func(x, y Token) int {
		if c := y.CreatedAt.Compare(x.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	})
	return out
}

// RevokeToken ends a token; the certificates that it brought live on until they
// end.
func (a *Authority) RevokeToken(id string) error {
	t := a.tokens
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.list[id]
	if k == nil {
		return fmt.Errorf("join token %q: %w", id, mesh.ErrNotFound)
	}
	delete(t.list, id)
	if err := t.save(); err != nil {
		t.list[id] = k
		return err
	}
	return nil
}

func hashSecret(word string) string {
	sum := sha256.Sum256([]byte(word))
	return hex.EncodeToString(sum[:])
}

func (k *kept) open(now time.Time) bool { return now.Before(k.ExpiresAt) && k.Uses < k.MaxUses }

func (t *tokens) add(k *kept, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, old := range t.list {
		if !old.open(now) {
			delete(t.list, id)
		}
	}
	if len(t.list) >= maxTokens {
		return fmt.Errorf("there are %d join tokens that may still be used: revoke some: %w", maxTokens, mesh.ErrUnavailable)
	}
	t.list[k.ID] = k
	if err := t.save(); err != nil {
		delete(t.list, k.ID)
		return err
	}
	return nil
}

// use spends one use of a token. What is wrong with a token that is not known
// is not told: it would help to guess.
func (t *tokens) use(text string, now time.Time) (Identity, error) {
	parts := strings.Split(strings.TrimSpace(text), ".")
	if len(parts) != 4 || parts[0] != tokenPrefix {
		return Identity{}, fmt.Errorf("join token: %w: it is not one", ErrDenied)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.list[parts[1]]
	if k == nil || subtle.ConstantTimeCompare([]byte(k.Hash), []byte(hashSecret(parts[2]))) != 1 {
		return Identity{}, fmt.Errorf("join token: %w: it is not known here, or was revoked", ErrDenied)
	}
	switch {
	case !now.Before(k.ExpiresAt):
		return Identity{}, fmt.Errorf("join token %s: %w: it ended at %s; create another", k.ID, ErrDenied, k.ExpiresAt.Format(time.RFC3339))
	case k.Uses >= k.MaxUses:
		return Identity{}, fmt.Errorf("join token %s: %w: it was used %d times of %d; create another", k.ID, ErrDenied, k.Uses, k.MaxUses)
	}
	k.Uses++
	if err := t.save(); err != nil {
		k.Uses--
		return Identity{}, err
	}
	return Identity{k.Namespace, k.ServiceAccount}, nil
}

// save writes the list; the caller holds the lock.
func (t *tokens) save() error {
	if t.path == "" {
		return nil
	}
	list := make([]*kept, 0, len(t.list))
	for _, k := range t.list {
		list = append(list, k)
	}
	slices.SortFunc(list, func(x, y *kept) int { return strings.Compare(x.ID, y.ID) })
	text, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		return fmt.Errorf("write join tokens: %w", err)
	}
	return writeFile(t.path, append(text, '\n'))
}
