package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sidelight-mesh/sidelight/mesh"
)

const sample = `
user_header: X-Forwarded-User
groups_header: X-Forwarded-Groups
trusted_proxies: [10.0.0.0/8, "fd00::1"]
rules:
  - {users: ["*"], may: [view]}
  - {users: [ann], may: [tap], namespaces: [shop, bank]}
  - {groups: [sre], may: [tap, change]}
  - {groups: [pay], may: [tap], namespaces: [bank, ledger]}
  - {users: [anonymous], may: []}
`

func open(t *testing.T, text string) *Access {
	t.Helper()
	path := filepath.Join(t.TempDir(), "access.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func from(address string, header ...string) *http.Request {
	r, _ := http.NewRequest(http.MethodGet, "http://sidelight/", nil)
	r.RemoteAddr = address
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func TestRules(t *testing.T) {
	a := open(t, strings.Replace(sample, "  - {users: [anonymous], may: []}\n", "", 1))
	const user, groups = "X-Forwarded-User", "X-Forwarded-Groups"
	for _, tc := range []struct {
		name               string
		r                  *http.Request
		who                string
		view, change, taps bool
		namespaces         []string
	}{
		{"a user", from("10.1.2.3:4", user, "bob"), "bob", true, false, false, nil},
		{"one with namespaces", from("10.1.2.3:4", user, "ann"), "ann", true, false, true, []string{"bank", "shop"}},
		{"namespaces of two rules", from("10.1.2.3:4", user, "ann", groups, "dev, pay"), "ann", true, false, true, []string{"bank", "ledger", "shop"}},
		{"all namespaces by a group", from("[fd00::1]:4", user, "ann", groups, "sre"), "ann", true, true, true, nil},
		{"a proxy that is not trusted", from("192.0.2.1:4", user, "ann", groups, "sre"), "192.0.2.1", false, false, false, nil},
		{"this machine, which is not trusted here", from("127.0.0.1:4", user, "ann"), "127.0.0.1", false, false, false, nil},
		{"another header", from("10.1.2.3:4", "X-Sidelight-User", "ann"), "10.1.2.3", false, false, false, nil},
		{"who says to be nobody", from("10.1.2.3:4", user, "anonymous"), "anonymous", true, false, false, nil},
		{"groups without a name", from("10.1.2.3:4", groups, "sre"), "10.1.2.3", false, false, false, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u, err := a.User(tc.r)
			if err != nil || u.Name != tc.who {
				t.Fatalf("user %+v, %v, want %s", u, err, tc.who)
			}
			for right, want := range map[Right]bool{View: tc.view, Change: tc.change, Tap: tc.taps} {
				err := a.May(u, right)
				if (err == nil) != want || err != nil && !errors.Is(err, mesh.ErrForbidden) {
					t.Errorf("%s: %v, want permitted = %v", right, err, want)
				}
			}
			got, err := a.TapNamespaces(u)
			if (err == nil) != tc.taps {
				t.Errorf("tap: %v", err)
			}
			if diff := cmp.Diff(tc.namespaces, got); diff != "" {
				t.Errorf("namespaces (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := a.User(from("10.1.2.3:4", user, "a\x01b")); !errors.Is(err, mesh.ErrInvalid) {
		t.Errorf("a name that cannot be printed: %v", err)
	}
}

// Without a file all rights are the machine's own.
func TestNoRules(t *testing.T) {
	a, err := Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	for address, may := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true, "192.0.2.1:1": false, "@": false} {
		u, err := a.User(from(address, "X-Sidelight-User", "ann", "Authorization", "Bearer slt_1"))
		if err != nil || u.Name != "ann" {
			t.Errorf("%s: %+v, %v", address, u, err)
		}
		for _, right := range []Right{View, Tap, Change} {
			if err := a.May(u, right); (err == nil) != may || err != nil && (!errors.Is(err, mesh.ErrForbidden) || !strings.Contains(err.Error(), "--access")) {
				t.Errorf("%s: %s: %v, want permitted = %v", address, right, err, may)
			}
		}
		if ns, err := a.TapNamespaces(u); (err == nil) != may || ns != nil {
			t.Errorf("%s: tap %v, %v, want permitted = %v", address, ns, err, may)
		}
		if got := len(a.Rights(u)); got != map[bool]int{true: 3}[may] {
			t.Errorf("%s: %d rights", address, got)
		}
	}
	if _, err := a.SignIn("slt_1"); !errors.Is(err, mesh.ErrInvalid) {
		t.Errorf("signed in without a file: %v", err)
	}
}

// A token names its user from wherever it is shown; a name that a trusted
// proxy gives stands beside a token of somebody else's.
func TestTokens(t *testing.T) {
	ann, annHash := NewToken()
	ci, ciHash := NewToken()
	rules := fmt.Sprintf(`
user_header: X-Forwarded-User
tokens:
- {name: ann, sha256: %s, groups: [sre]}
- {name: ci, sha256: %s}
rules:
- {users: ["*"], may: [view]}
- {groups: [sre], may: [tap, change]}
`, annHash, ciHash)
	a := open(t, rules)
	for _, tc := range []struct {
		name   string
		r      *http.Request
		who    string // "": nobody knows
		rights []Right
	}{
		{"in the header", from("192.0.2.1:4", "Authorization", "Bearer "+ann), "ann", []Right{View, Tap, Change}},
		{"of one without groups", from("192.0.2.1:4", "Authorization", "bearer  "+ci), "ci", []Right{View}},
		{"in the cookie", from("192.0.2.1:4", "Cookie", "a=b; "+Cookie+"="+ann), "ann", []Right{View, Tap, Change}},
		{"unknown", from("192.0.2.1:4", "Authorization", "Bearer slt_00"), "", nil},
		{"its hash instead", from("192.0.2.1:4", "Authorization", "Bearer "+annHash), "", nil},
		{"somebody else's, beside a proxy's word", from("127.0.0.1:4", "Authorization", "Bearer ey.jwt", "X-Forwarded-User", "bob"), "bob", []Right{View}},
		{"somebody else's, beside a stranger's word", from("192.0.2.1:4", "Authorization", "Bearer ey.jwt", "X-Forwarded-User", "bob"), "", nil},
		{"another scheme", from("192.0.2.1:4", "Authorization", "Basic "+ann), "192.0.2.1", nil},
		{"none", from("127.0.0.1:4"), "127.0.0.1", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u, err := a.User(tc.r)
			if tc.who == "" {
				if !errors.Is(err, mesh.ErrUnauthenticated) {
					t.Errorf("%+v, %v", u, err)
				}
				return
			}
			if err != nil || u.Name != tc.who {
				t.Fatalf("%+v, %v, want %s", u, err, tc.who)
			}
			if diff := cmp.Diff(tc.rights, a.Rights(u), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("rights (-want +got):\n%s", diff)
			}
			if err := a.May(u, View); tc.rights == nil && !errors.Is(err, mesh.ErrUnauthenticated) {
				t.Errorf("who has no token is told %v", err)
			}
		})
	}

	u, err := a.SignIn(ann)
	if err != nil || u.Name != "ann" || !u.ByToken() {
		t.Fatalf("sign in: %+v, %v", u, err)
	}
	if _, err := a.SignIn("slt_00"); !errors.Is(err, mesh.ErrUnauthenticated) {
		t.Errorf("sign in by another: %v", err)
	}
	// A token that is taken away ends what was opened by it, also where its
	// name still has rights.
	write(t, a, strings.Replace(rules, annHash, strings.Repeat("0", 64), 1))
	if err := a.May(u, View); !errors.Is(err, mesh.ErrUnauthenticated) {
		t.Errorf("a token that is gone: %v", err)
	}
}

func write(t *testing.T, a *Access, text string) {
	t.Helper()
	if err := os.WriteFile(a.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a.read = fileState{}
	if changed, err := a.reload(); err != nil || !changed {
		t.Fatalf("reload: %v, %v", changed, err)
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "there is none, so nobody may do anything",
		"rules: []":              "there is none",
		"ruels: []":              "field ruels not found",
		"rules: [{may: [view]}]": "rule 1: names nobody",
		"rules: [{users: [a], may: [view]}, {users: [a]}]":                                                                   "rule 2: gives nothing",
		"rules: [{groups: [a], may: [view]}]":                                                                                "groups_header does not say",
		"rules: [{users: [a], may: [veiw]}]":                                                                                 `"veiw" is no right; there are view, tap and change`,
		"rules: [{users: [a], may: [view, tap], namespaces: [b]}]":                                                           "view holds for the whole mesh",
		"rules: [{users: [a], may: [tap], namespaces: []}]":                                                                  "namespaces is empty",
		"rules: [{users: [a], may: [tap], namespaces: ['b\" or error']}]":                                                    "is no namespace",
		"trusted_proxies: [proxy]\nrules: [{users: [a], may: [tap]}]":                                                        `trusted_proxies: "proxy" is neither`,
		"rules: [{users: [a], may: [view], namespace: [b]}]":                                                                 "field namespace not found",
		"tokens: [{sha256: aa}]\nrules: [{users: [a], may: [view]}]":                                                         `token 1: "" is no name`,
		"tokens: [{name: anonymous}]\nrules: [{users: [a], may: [view]}]":                                                    `"anonymous" is no name`,
		"tokens: [{name: a, sha256: slt_1}]":                                                                                 "token 1 (a): sha256 is not a SHA-256 in hex",
		"tokens: [{name: a, sha256: " + strings.Repeat("ab", 32) + "}, {name: b, sha256: " + strings.Repeat("AB", 32) + "}]": "token 2 (b): it is the token of a already",
	} {
		if _, err := parse([]byte(text)); !errors.Is(err, mesh.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// A file that changes holds from then on; a broken one leaves the earlier.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		a := open(t, "rules: [{users: [ann], may: [view]}]")
		a.log = slog.New(slog.NewTextHandler(&log, nil))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { a.Run(ctx) })
		ann, _ := a.User(from("127.0.0.1:1", "X-Sidelight-User", "ann"))
		step := func(text string) (changed bool) {
			t.Helper()
			next := a.Changed()
			if err := os.WriteFile(a.path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * reloadEvery)
			synctest.Wait()
			select {
			case <-next:
				return true
			default:
				return false
			}
		}
		if !step("rules: [{users: [ann], may: [view, tap]}]") {
			t.Error("nobody is told of the change")
		}
		if err := a.May(ann, Tap); err != nil {
			t.Errorf("after the change: %v", err)
		}
		if step("rules: [{users: [ann], may: [vew]}]") {
			t.Error("a change is told that is none")
		}
		if err := a.May(ann, Tap); err != nil || !strings.Contains(log.String(), "the earlier ones hold") {
			t.Errorf("after a broken file: %v; log:\n%s", err, log.String())
		}
		step("rules: [{users: [ann], may: [change]}]")
		if err := a.May(ann, View); !errors.Is(err, mesh.ErrForbidden) {
			t.Errorf("a right that was taken away: %v", err)
		}
		cancel()
		running.Wait()
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("tokens: [{name: a, sha256: " + strings.Repeat("ab", 32) + ", groups: [b]}]\nrules: [{groups: [b], may: [view]}]"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		if r, err := parse(text); err == nil {
			_ = r.trusts(remote(from("10.0.0.1:1")))
		}
	})
}
