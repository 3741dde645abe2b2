package identity_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// authority is a server's side of joining, with the lifetime that a test wants.
type authority struct {
	meshv1.UnimplementedAuthorityServer
	ca       *identitytest.Authority
	account  string
	lifetime time.Duration
	address  string

	mu      sync.Mutex
	tokens  []string // presented
	renewed int
	refuse  codes.Code
}

func serveAuthority(t *testing.T, account string, lifetime time.Duration) *authority {
	t.Helper()
	a := &authority{ca: identitytest.New(t, "cluster.local"), account: account, lifetime: lifetime}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a.address = ln.Addr().String()
	svid := a.ca.SVID(mesh.SystemNamespace, mesh.ServerAccount, time.Hour)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		NextProtos: []string{"h2"}, ClientAuth: tls.RequestClientCert,
		Certificates: []tls.Certificate{{Certificate: [][]byte{svid.Certificates[0].Raw, a.ca.Root.Raw}, PrivateKey: svid.PrivateKey}},
	})))
	meshv1.RegisterAuthorityServer(server, a)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return a
}

func (a *authority) Issue(ctx context.Context, r *meshv1.IssueRequest) (*meshv1.IssueResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, _ := peer.FromContext(ctx)
	shown := p.AuthInfo.(credentials.TLSInfo).State.PeerCertificates
	switch {
	case a.refuse != codes.OK:
		return nil, status.Error(a.refuse, "not now")
	case r.GetToken() != "":
		a.tokens = append(a.tokens, r.GetToken())
	case len(shown) > 0:
		a.renewed++
	default:
		return nil, status.Error(codes.PermissionDenied, "who are you?")
	}
	request, err := x509.ParseCertificateRequest(r.GetCsr())
	if err != nil {
		return nil, err
	}
	leaf := a.ca.Sign("cinema", a.account, a.lifetime, request.PublicKey)
	return &meshv1.IssueResponse{Certificates: [][]byte{leaf.Raw}, Roots: [][]byte{a.ca.Root.Raw}}, nil
}

func (a *authority) counts() (tokens, renewed int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.tokens), a.renewed
}

func (a *authority) token() string {
	sum := sha256.Sum256(a.ca.Root.Raw)
	return "sl1.id.secret." + hex.EncodeToString(sum[:])
}

// run runs a provider until the test ends, and gives the certificates that it
// brings.
func run(t *testing.T, p identity.Provider) (*identity.Source, <-chan *identity.Certificate, func()) {
	t.Helper()
	source := &identity.Source{}
	changes := make(chan *identity.Certificate, 100)
	source.OnChange(func(c *identity.Certificate) { changes <- c })
	return source, changes, runInto(t, p, source)
}

// runInto runs a provider until the test ends, or until it is told to stop.
func runInto(t *testing.T, p identity.Provider, source *identity.Source) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx, source)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func next(t *testing.T, changes <-chan *identity.Certificate) *identity.Certificate {
	t.Helper()
	select {
	case c := <-changes:
		return c
	case <-time.After(20 * time.Second):
		t.Fatal("no certificate came")
		return nil
	}
}

func join(a *authority, dir string) *identity.Join {
	return &identity.Join{
		Servers: []string{a.address}, Token: a.token(), StateDir: dir, Namespace: "cinema", ServiceAccount: "web",
		Logger: slog.New(slog.DiscardHandler),
	}
}

func TestJoinAndRenew(t *testing.T) {
	a := serveAuthority(t, "web", 2*time.Second)
	dir := t.TempDir()
	_, changes, stop := run(t, join(a, dir))
	first, second := next(t, changes), next(t, changes)
	if first.Principal() != a.ca.ID("cinema", "web") || first.Serial() == second.Serial() {
		t.Errorf("certificates %s %s, %s", first.Principal(), first.Serial(), second.Serial())
	}
	stop()
	if tokens, renewed := a.counts(); tokens != 1 || renewed == 0 {
		t.Errorf("%d times by token, %d times by certificate", tokens, renewed)
	}
	if info, err := os.Stat(filepath.Join(dir, "identity.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("state file: %v, %v", info, err)
	}
}

func TestARestartNeedsNoToken(t *testing.T) {
	a := serveAuthority(t, "web", time.Hour)
	dir := t.TempDir()
	_, changes, stop := run(t, join(a, dir))
	kept := next(t, changes)
	stop()
	a.refuse = codes.Unavailable // the server is away
	again := join(a, dir)
	again.Token = ""
	_, changes, stop = run(t, again)
	if c := next(t, changes); c.Serial() != kept.Serial() {
		t.Errorf("certificate %s, want the kept one, %s", c.Serial(), kept.Serial())
	}
	stop()

	other := join(a, dir)
	other.ServiceAccount = "bank"
	source, _, stop := run(t, other)
	stop()
	if c := source.Current(); c != nil {
		t.Errorf("the kept certificate of %s is used for another account", c.Principal())
	}
}

func TestJoinRefuses(t *testing.T) {
	a, other := serveAuthority(t, "bank", time.Hour), serveAuthority(t, "web", time.Hour)
	sum := sha256.Sum256(other.ca.Root.Raw)
	tests := map[string]struct {
		token, want string
	}{
		"a certificate for another account":          {a.token(), "is not who this sidecar says it is"},
		"a server that the token does not vouch for": {"sl1.id.secret." + hex.EncodeToString(sum[:]), "not of the mesh that the join token is for"},
		"a token without a root":                     {"sl1.id.secret.", "not of the mesh"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var log safeBuffer
			j := join(a, "")
			j.Token, j.Logger = tt.token, slog.New(slog.NewTextHandler(&log, nil))
			source, _, stop := run(t, j)
			for range 500 {
				if strings.Contains(log.String(), tt.want) {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			stop()
			if source.Current() != nil || !strings.Contains(log.String(), tt.want) {
				t.Errorf("certificate %v, log %s", source.Current(), log.String())
			}
			if strings.Contains(log.String(), "secret") {
				t.Error("the log has the token's secret")
			}
		})
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestFiles(t *testing.T) {
	ca := identitytest.New(t, "cluster.local")
	dir := t.TempDir()
	write := func(name, kind string, der ...[]byte) {
		t.Helper()
		var b bytes.Buffer
		for _, d := range der {
			_ = pem.Encode(&b, &pem.Block{Type: kind, Bytes: d})
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair := func() {
		t.Helper()
		svid := ca.SVID("cinema", "web", time.Hour)
		key, err := x509.MarshalPKCS8PrivateKey(svid.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		write("tls.key", "PRIVATE KEY", key)
		write("tls.crt", "CERTIFICATE", svid.Certificates[0].Raw)
	}
	write("ca.crt", "CERTIFICATE", ca.Root.Raw)
	pair()
	source, changes, _ := run(t, &identity.Files{
		CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key"), RootsFile: filepath.Join(dir, "ca.crt"),
		Logger: slog.New(slog.DiscardHandler),
	})
	first := next(t, changes)
	write("tls.crt", "CERTIFICATE", []byte("garbage"))
	if source.Current() != first {
		t.Error("garbage took the certificate away")
	}
	pair()
	if second := next(t, changes); second.Serial() == first.Serial() || second.Principal() != ca.ID("cinema", "web") {
		t.Errorf("after %s came %s, %s", first.Serial(), second.Serial(), second.Principal())
	}
}
