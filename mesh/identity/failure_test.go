package identity_test

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
)

// failureOf waits for a failure that is not the one before.
func failureOf(t *testing.T, s *identity.Source, changed <-chan struct{}) *identity.Failure {
	t.Helper()
	for f := s.Failure(); ; f = s.Failure() {
		if f != nil {
			return f
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Second):
			t.Fatal("no failure is told")
		}
	}
}

func watchFailures(s *identity.Source) <-chan struct{} {
	changed := make(chan struct{}, 100)
	s.OnFailure(func() { changed <- struct{}{} })
	return changed
}

func TestWhyThereIsNoCertificate(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	good := serveAuthority(t, "web", time.Hour)
	denying := serveAuthority(t, "web", time.Hour)
	denying.refuse = codes.PermissionDenied
	away := serveAuthority(t, "web", time.Hour)
	away.refuse = codes.Unavailable
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	dir := t.TempDir()
	join := func(server, token, tokenFile, account string) *identity.Join {
		return &identity.Join{Servers: []string{server}, Token: token, TokenFile: tokenFile, Namespace: "cinema", ServiceAccount: account, Logger: quiet}
	}
	file := identitytest.NewFiles(t, "web.example")

	for _, tt := range []struct {
		name     string
		provider identity.Provider
		reason   identity.Reason
		remedy   string
	}{
		{"token used up", join(denying.address, denying.token(), "", "web"), identity.Refused, "token create --namespace cinema --service-account web`) and start again with it"},
		{"server away", join(away.address, away.token(), "", "web"), identity.Unreachable, "--grpc-tls"},
		{"nobody there", join(nobody.Addr().String(), good.token(), "", "web"), identity.Unreachable, nobody.Addr().String()},
		{"no token", join(good.address, "", filepath.Join(dir, "token"), "web"), identity.NoToken, "write it to " + dir},
		{"token of another account", join(good.address, good.token(), "", "catalog"), identity.OtherName, "--service-account catalog"},
		{"server of another mesh", join(good.address, away.token(), "", "web"), identity.Distrusted, "is the server of this mesh"},
		{"no files", &identity.Files{CertFile: dir + "/none", KeyFile: dir + "/none", RootsFile: dir + "/none", Logger: quiet}, identity.BadFiles, "whoever writes these files"},
		{"files of no SPIFFE identity", &identity.Files{CertFile: file.Certificate, KeyFile: file.Key, RootsFile: file.Certificate, Logger: quiet}, identity.BadFiles, "whoever writes these files"},
		{"no agent", &identity.WorkloadAPI{Address: "unix://" + dir + "/none.sock", Logger: quiet}, identity.NoAgent, "registered with it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			source := &identity.Source{}
			changed := watchFailures(source)
			runInto(t, tt.provider, source)
			f := failureOf(t, source, changed)
			if f.Reason != tt.reason || !strings.Contains(f.Remedy, tt.remedy) || time.Since(f.Since) > time.Minute {
				t.Errorf("%s since %s, %v: %s\nwant %s, %q", f.Reason, f.Since, f.Err, f.Remedy, tt.reason, tt.remedy)
			}
		})
	}
}

// A failure begins at its first try, keeps that time, and is over with the next
// certificate.
func TestFailureEnds(t *testing.T) {
	a := serveAuthority(t, "web", time.Hour)
	tokenFile := filepath.Join(t.TempDir(), "token")
	source := &identity.Source{}
	changed := watchFailures(source)
	runInto(t, &identity.Join{Servers: []string{a.address}, TokenFile: tokenFile, Namespace: "cinema", ServiceAccount: "web", Logger: slog.New(slog.DiscardHandler)}, source)
	first := failureOf(t, source, changed)
	for source.Failure() == first {
		time.Sleep(time.Millisecond) // until the next try, which fails alike and is not told again
	}
	if f := source.Failure(); f == nil || !f.Since.Equal(first.Since) {
		t.Errorf("the second try fails since %v, the first since %v", f, first.Since)
	}
	for len(changed) > 0 {
		<-changed
	}
	if err := os.WriteFile(tokenFile, []byte(a.token()), 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	case <-time.After(20 * time.Second):
		t.Fatal("the end is not told")
	}
	if source.Failure() != nil || source.Current() == nil {
		t.Errorf("after a token came: %v, %v", source.Failure(), source.Current())
	}
}
