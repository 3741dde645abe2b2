package app

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/server/api"
	"github.com/sidelight-mesh/sidelight/server/ca"
)

// join gets a certificate for who, as a process of its own would.
func join(t *testing.T, a *App, who ca.Identity) *identity.Source {
	t.Helper()
	token, _, err := a.authority.CreateToken(ca.TokenRequest{Identity: who})
	if err != nil {
		t.Fatal(err)
	}
	source, came := &identity.Source{}, make(chan struct{}, 100)
	source.OnChange(func(*identity.Certificate) { came <- struct{}{} })
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		(&identity.Join{
			Servers: []string{a.Addrs().Secure}, Token: token,
			Namespace: who.Namespace, ServiceAccount: who.ServiceAccount, Logger: slog.New(slog.DiscardHandler),
		}).Run(ctx, source)
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	select {
	case <-came:
	case <-time.After(20 * time.Second):
		t.Fatalf("no certificate: %+v", source.Failure())
	}
	return source
}

// publishOne sends one batch over the TLS port and gives what came of it.
func publishOne(t *testing.T, a *App, by *identity.Source) error {
	t.Helper()
	conn, err := grpc.NewClient(a.Addrs().Secure, grpc.WithTransportCredentials(credentials.NewTLS(by.ServerOfMeshTLS())))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	stream, err := meshv1.NewEdgesClient(conn).Publish(t.Context())
	if err != nil {
		return err
	}
	_ = stream.Send(&meshv1.EdgeBatches{Batches: []*meshv1.EdgeBatch{meshv1.FromEdgeBatch(batch(time.Now(), 100))}}) // Recv has the reason
	_, err = stream.Recv()
	return err
}

// Who tells of edges tells of the whole mesh: no workload's certificate may.
func TestOnlyCollectorsPublish(t *testing.T) {
	a := start(t, nil)
	collector, workload := join(t, a, ca.Collector), join(t, a, ca.Identity{Namespace: "cinema", ServiceAccount: "web"})

	err := publishOne(t, a, workload)
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "of cinema/web: give the collector a token of its own, by `sidelight token create --namespace sidelight-system --service-account collector`") {
		t.Errorf("a workload publishes: %v", err)
	}
	var st api.Status
	get(t, a.Addrs().API, "/api/v1/status", &st)
	if len(st.Losses) != 1 || st.Losses[0].Where != "server/edges" || st.Losses[0].Count != 1 || st.Counts.Edges != 0 {
		t.Errorf("after a refusal: %+v, %d edges", st.Losses, st.Counts.Edges)
	}
	if err := publishOne(t, a, &identity.Source{}); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("nobody publishes: %v", err)
	}
	if err := publishOne(t, a, collector); err != nil {
		t.Errorf("a collector publishes: %v", err)
	}
	get(t, a.Addrs().API, "/api/v1/status", &st)
	if st.Counts.Edges != 1 {
		t.Errorf("the collector's batch made %d edges", st.Counts.Edges)
	}
}

// A collector learns its targets at the port that it publishes to.
func TestOnlyCollectorsAskForTargets(t *testing.T) {
	a := start(t, nil)
	ask := func(by *identity.Source) (int, string) {
		config := by.ServerOfMeshTLS()
		config.NextProtos = nil
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
		defer client.CloseIdleConnections()
		resp, err := client.Get("https://" + a.Addrs().Secure + "/api/v1/sd")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if code, body := ask(join(t, a, ca.Collector)); code != http.StatusOK || strings.TrimSpace(body) != "[]" {
		t.Errorf("a collector: %d %s", code, body)
	}
	if code, body := ask(join(t, a, ca.Identity{Namespace: "cinema", ServiceAccount: "web"})); code != http.StatusForbidden || !strings.Contains(body, "of cinema/web") {
		t.Errorf("a workload: %d %s", code, body)
	}
}

// Nobody gets the server's own identity by a token.
func TestTokensOfTheSystemNamespace(t *testing.T) {
	a := start(t, nil)
	for account, want := range map[string]bool{"collector": true, "sidelight": false, "web": false} {
		_, _, err := a.authority.CreateToken(ca.TokenRequest{Identity: ca.Identity{Namespace: ca.Server.Namespace, ServiceAccount: account}})
		if (err == nil) != want {
			t.Errorf("a token for %s: %v", account, err)
		}
	}
}
