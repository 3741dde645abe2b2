package peers

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
)

// agent serves the SPIFFE Workload API on a socket, as SPIRE's agent does, for
// one workload.
type agent struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	authority *identitytest.Authority
	account   string
	socket    string

	mu      sync.Mutex
	answer  *workload.X509SVIDResponse
	serial  string
	rotated chan struct{} // closed by the next rotation
	server  *grpc.Server
}

func startAgent(t *testing.T, a *identitytest.Authority, account string) *agent {
	t.Helper()
	g := &agent{authority: a, account: account, socket: filepath.Join(t.TempDir(), "agent.sock"), rotated: make(chan struct{})}
	g.rotate(t)
	g.start(t)
	t.Cleanup(g.stop)
	return g
}

func (g *agent) start(t *testing.T) {
	t.Helper()
	_ = os.Remove(g.socket)
	ln, err := net.Listen("unix", g.socket)
	if err != nil {
		t.Fatal(err)
	}
	g.server = grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(g.server, g)
	go g.server.Serve(ln)
}

func (g *agent) stop() { g.server.Stop() }

// rotate issues a new certificate and tells all who watch.
func (g *agent) rotate(t *testing.T) {
	t.Helper()
	svid := g.authority.SVID("shop", g.account, time.Hour)
	key, err := x509.MarshalPKCS8PrivateKey(svid.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.serial = svid.Certificates[0].SerialNumber.Text(16)
	g.answer = &workload.X509SVIDResponse{Svids: []*workload.X509SVID{{
		SpiffeId: g.authority.ID("shop", g.account), X509Svid: svid.Certificates[0].Raw, X509SvidKey: key, Bundle: g.authority.Root.Raw,
	}}}
	close(g.rotated)
	g.rotated = make(chan struct{})
}

// FetchX509SVID sends the certificate, and each one after it.
func (g *agent) FetchX509SVID(_ *workload.X509SVIDRequest, stream grpc.ServerStreamingServer[workload.X509SVIDResponse]) error {
	if md, _ := metadata.FromIncomingContext(stream.Context()); len(md.Get("workload.spiffe.io")) == 0 {
		return status.Error(codes.InvalidArgument, "security header missing from request")
	}
	for {
		g.mu.Lock()
		answer, rotated := g.answer, g.rotated
		g.mu.Unlock()
		if err := stream.Send(answer); err != nil {
			return err
		}
		select {
		case <-rotated:
		case <-stream.Context().Done():
			return nil
		}
	}
}

// uses waits until a sidecar has the agent's newest certificate.
func (g *agent) uses(t *testing.T, s *sidecar) {
	t.Helper()
	eventually(t, "the newest certificate in use", func() error {
		text, err := fetch("http://" + s.admin + "/certs")
		g.mu.Lock()
		defer g.mu.Unlock()
		if err == nil && !strings.Contains(strings.ToLower(text), g.serial) {
			err = fmt.Errorf("%s is not in %s", g.serial, text)
		}
		return err
	})
}

// Two sidecars have their certificates from a Workload API. They are renewed
// under load, the API goes and comes, and no request is lost.
func TestWorkloadAPI(t *testing.T) {
	authority := identitytest.New(t, "cluster.local")
	clientAgent, serverAgent := startAgent(t, authority, "client"), startAgent(t, authority, "server")
	app := serveHTTP(t, http.HandlerFunc(echo))
	// Few requests a connection: there are handshakes all the time.
	few := `common_http_protocol_options: {max_requests_per_connection: 5}`
	server := startHop(t, "server", hop{inbound: true, mutual: true, to: []string{app}}, "--workload-api", "unix://"+serverAgent.socket)
	client := startHop(t, "client", hop{mutual: true, to: []string{server.address}, options: few}, "--workload-api", "unix://"+clientAgent.socket)
	serverAgent.uses(t, server)
	clientAgent.uses(t, client)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var answered atomic.Int64
	var load sync.WaitGroup
	for range 6 {
		load.Go(func() {
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+client.address, io.MultiReader(strings.NewReader("four")))
				if err != nil {
					t.Error(err)
					return
				}
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK || string(body) != "four" {
					t.Errorf("%s %q %v", res.Status, body, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	for i := range 10 {
		n := answered.Load()
		clientAgent.rotate(t)
		serverAgent.rotate(t)
		if i == 4 { // the API goes; what was issued while it was away comes when it is back
			clientAgent.stop()
			clientAgent.rotate(t)
			clientAgent.start(t)
		}
		clientAgent.uses(t, client)
		serverAgent.uses(t, server)
		eventually(t, "requests after the rotation", func() error {
			if now := answered.Load(); now < n+20 && !t.Failed() {
				return fmt.Errorf("%d", now-n)
			}
			return nil
		})
	}
	cancel()
	load.Wait()
	want := float64(answered.Load())
	for _, s := range []*sidecar{client, server} {
		eventually(t, "all requests counted", func() error {
			n := s.total(t, mesh.MetricRequests, mesh.LabelCode, "200",
				mesh.LabelSourcePrincipal, authority.ID("shop", "client"), mesh.LabelDestPrincipal, authority.ID("shop", "server"))
			if n != want {
				return fmt.Errorf("%v are counted between these identities, clients sent %v", n, want)
			}
			return nil
		})
	}
	if n := server.total(t, mesh.MetricRequests, mesh.LabelSecurity, "mutual_tls"); n != want {
		t.Errorf("%v requests came under mutual TLS, of %v", n, want)
	}
	t.Logf("%v requests over 10 rotations, %v handshakes", want, client.total(t, mesh.MetricUpstreamConnections))
	if _, err := fetch("http://" + server.address); err == nil {
		t.Error("the server's sidecar takes a client without certificate")
	}
}
