package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
)

// Cookie holds the token of a browser that has signed in.
const Cookie = "sidelight_session"

// token is a user, or a program, that shows a secret. The file has its hash
// only: a secret of 32 random bytes needs no slow one.
type token struct {
	Name   string   `yaml:"name"`
	SHA256 string   `yaml:"sha256"` // of the token, in hex
	Groups []string `yaml:"groups"`

	hash [sha256.Size]byte
}

// NewToken makes a token, and the hash that the file of rules has of it.
func NewToken() (secret, sha256 string) {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	secret = "slt_" + hex.EncodeToString(random)
	hash := hashOf(secret)
	return secret, hex.EncodeToString(hash[:])
}

func hashOf(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

// byHash checks the tokens of a file. The error names the token by its place.
func byHash(tokens []token) (map[[sha256.Size]byte]*token, error) {
	all := make(map[[sha256.Size]byte]*token, len(tokens))
	for i := range tokens {
		t := &tokens[i]
		raw, err := hex.DecodeString(t.SHA256)
		switch {
		case !printable(t.Name) || t.Name == "" || t.Name == anonymous || t.Name == everybody:
			return nil, fmt.Errorf("token %d: %q is no name of a user", i+1, t.Name)
		case err != nil || len(raw) != sha256.Size:
			return nil, fmt.Errorf("token %d (%s): sha256 is not a SHA-256 in hex; sidelight access token makes one", i+1, t.Name)
		}
		t.hash = [sha256.Size]byte(raw)
		if other, twice := all[t.hash]; twice {
			return nil, fmt.Errorf("token %d (%s): it is the token of %s already", i+1, t.Name, other.Name)
		}
		all[t.hash] = t
	}
	return all, nil
}

// shownToken is what a request brings: a program in the Authorization header, a
// browser in its cookie.
func shownToken(r *http.Request) string {
	if scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(secret)
	}
	if c, err := r.Cookie(Cookie); err == nil {
		return c.Value
	}
	return ""
}
