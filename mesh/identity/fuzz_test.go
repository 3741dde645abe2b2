package identity_test

import (
	"os"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
)

// FuzzFiles reads what certificate files may hold. What is taken can be kept on
// disk and read back as the same.
func FuzzFiles(f *testing.F) {
	kept, err := identity.EncodePEM(identitytest.New(f, "cluster.local").Issue("cinema", "web", time.Hour))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(kept, kept, kept)
	f.Add(kept, kept, []byte(nil))
	host := identitytest.NewFiles(f, "web.example") // a certificate without an identity
	key, err1 := os.ReadFile(host.Key)
	chain, err2 := os.ReadFile(host.Certificate)
	if err1 != nil || err2 != nil {
		f.Fatal(err1, err2)
	}
	f.Add(key, chain, chain)
	f.Add(key, kept, chain)
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"), chain, chain)
	now := time.Now()
	f.Fuzz(func(t *testing.T, key, chain, roots []byte) {
		c, err := identity.DecodePEM(key, chain, roots, now)
		if err != nil {
			return
		}
		text, err := identity.EncodePEM(c)
		if err != nil {
			t.Fatalf("what was read cannot be kept: %v", err)
		}
		again, err := identity.DecodePEM(text, text, text, now)
		if err != nil || again.Principal() != c.Principal() {
			t.Errorf("read back: %v, %v", again, err)
		}
	})
}
