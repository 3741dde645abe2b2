package identity

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

// issueTimeout bounds one request for a certificate.
const issueTimeout = 10 * time.Second

// Join gets certificates from Sidelight's own authority: the first by a join
// token, each later one by the one before.
type Join struct {
	Servers []string // "host:port" of the server's TLS listener, tried in turn
	// Token is a join token, TokenFile a file with one, which is read when it
	// is needed and may come later.
	Token, TokenFile string
	StateDir         string // keeps key and certificate over a restart; "" = nowhere
	// Namespace and ServiceAccount are who the workload says it is; a kept
	// certificate of somebody else is not used.
	Namespace, ServiceAccount string
	Logger                    *slog.Logger
}

// stateFile holds key, chain and roots, in PEM.
const stateFile = "identity.pem"

// Run implements Provider.
func (j *Join) Run(ctx context.Context, into *Source) {
	if c, err := j.load(time.Now()); err == nil {
		into.Set(c)
		j.Logger.Info("certificate kept from before", "principal", c.Principal(), "valid_until", c.NotAfter())
	} else if !errors.Is(err, mesh.ErrNotFound) {
		j.Logger.Warn("the certificate kept from before is not used", "error", err)
	}
	next := 0
	keepFresh(ctx, into, j.Logger, func(ctx context.Context) (*Certificate, error) {
		server := j.Servers[next%len(j.Servers)]
		var met distrust
		c, err := j.issue(ctx, into, server, &met)
		if err != nil {
			next++
			err = fmt.Errorf("certificate from %s: %w", server, err)
			if ctx.Err() == nil {
				j.failed(into, server, met.seen.Load(), err)
			}
			return nil, err
		}
		return c, nil
	})
}

// issue asks one server, by the certificate that holds, else by the token.
func (j *Join) issue(ctx context.Context, from *Source, server string, met *distrust) (*Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, issueTimeout)
	defer cancel()
	key, csr, err := newKey()
	if err != nil {
		return nil, err
	}
	request := &meshv1.IssueRequest{Csr: csr}
	config := from.ServerOfMeshTLS()
	if c := from.Current(); c == nil || time.Now().After(c.NotAfter()) {
		token, err := j.token()
		if err != nil {
			return nil, err
		}
		request.Token = token
		config = pinned(token)
	}
	conn, err := grpc.NewClient("passthrough:///"+server, grpc.WithTransportCredentials(credentials.NewTLS(met.watch(config))), grpc.WithDisableServiceConfig())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	answer, err := meshv1.NewAuthorityClient(conn).Issue(ctx, request)
	if err != nil {
		return nil, err
	}
	c, err := assemble(answer.GetCertificates(), answer.GetRoots(), key, time.Now())
	if err != nil {
		return nil, err
	}
	if err := j.mine(c); err != nil {
		return nil, err
	}
	if err := j.save(c); err != nil {
		j.Logger.Error("the certificate is not kept for a restart", "error", err)
	}
	return c, nil
}

// mine refuses a certificate that is not for this workload: policies would
// take it for somebody else.
func (j *Join) mine(c *Certificate) error {
	if want := "/ns/" + j.Namespace + "/sa/" + j.ServiceAccount; !strings.HasSuffix(c.Principal(), want) {
		return fmt.Errorf("%s is not who this sidecar says it is (--namespace %s --service-account %s): %w",
			c.Principal(), j.Namespace, j.ServiceAccount, mesh.ErrInvalid)
	}
	return nil
}

func (j *Join) token() (string, error) {
	if j.Token != "" {
		return j.Token, nil
	}
	text, err := os.ReadFile(j.TokenFile)
	if err != nil {
		return "", fmt.Errorf("read join token: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// pinned takes a server that the token's root vouches for: before it joins, a
// sidecar knows nothing else of the mesh.
func pinned(token string) *tls.Config {
	parts := strings.Split(token, ".")
	pin := parts[len(parts)-1]
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"},
		InsecureSkipVerify: true, // by the pin instead
		VerifyConnection: func(state tls.ConnectionState) error {
			for _, c := range state.PeerCertificates {
				sum := sha256.Sum256(c.Raw)
				if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(pin)) == 1 {
					return verifyServer(state, c)
				}
			}
			return &PeerError{Peer: Principal(state), Err: errors.New("it is not of the mesh that the join token is for")}
		},
	}
}

func verifyServer(state tls.ConnectionState, root *x509.Certificate) error {
	id, err := x509svid.IDFromCert(state.PeerCertificates[0])
	if err != nil {
		return &PeerError{Err: err}
	}
	bundle := x509bundle.FromX509Authorities(id.TrustDomain(), []*x509.Certificate{root})
	if _, _, err := x509svid.Verify(state.PeerCertificates, bundle); err != nil {
		return &PeerError{Peer: id.String(), Err: err}
	}
	return is(state, mesh.ServerAccount)
}

func (j *Join) path() string { return filepath.Join(j.StateDir, stateFile) }

// load gives the certificate of the last run, as long as it holds.
func (j *Join) load(now time.Time) (*Certificate, error) {
	if j.StateDir == "" {
		return nil, mesh.ErrNotFound
	}
	text, err := os.ReadFile(j.path())
	if errors.Is(err, os.ErrNotExist) {
		return nil, mesh.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	c, err := decodePEM(text, text, text, now)
	if err != nil {
		return nil, fmt.Errorf("read certificate %s: %w", j.path(), err)
	}
	return c, j.mine(c)
}

func (j *Join) save(c *Certificate) error {
	if j.StateDir == "" {
		return nil
	}
	text, err := encodePEM(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(j.StateDir, 0o700); err != nil {
		return fmt.Errorf("keep certificate: %w", err)
	}
	f, err := os.CreateTemp(j.StateDir, "."+stateFile+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("keep certificate: %w", err)
	}
	_, err = f.Write(text)
	if err = cmp.Or(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), j.path())
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("keep certificate: %w", err)
	}
	return nil
}
