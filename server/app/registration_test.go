package app

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
)

const late = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: late, namespace: cinema}
spec:
  hosts: [late.cinema.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: web, protocol: HTTP}]
  workloadSelector: {labels: {app: late}}
`

// registering opens a stream of a sidecar that wants its workload to be found.
func registering(t *testing.T, a *App, inbound string) (discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient, context.CancelFunc) {
	t.Helper()
	metadata, err := structpb.NewStruct(map[string]any{
		"NAMESPACE": "cinema", "WORKLOAD_NAME": "late-v1", "SERVICE_ACCOUNT": "late", "LABELS": map[string]any{"app": "late", "version": "v1"},
		"SIDELIGHT_IDENTITY": true, "SIDELIGHT_REGISTER": true,
		"SIDELIGHT_INBOUND": []any{map[string]any{"address": inbound, "app": "127.0.0.1:9000", "protocol": "http", "service_port": 80}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(dial(t, a.Addrs().XDS)).DeltaAggregatedResources(ctx)
	if err == nil {
		err = stream.Send(&discoveryv3.DeltaDiscoveryRequest{
			Node: &corev3.Node{Id: "late-1", Locality: &corev3.Locality{Region: "eu", Zone: "eu-1"}, Metadata: metadata}, TypeUrl: mesh.TypeURL(mesh.TypeCluster),
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return stream, cancel
}

// A connected sidecar makes its workload an endpoint by itself, for as long as it
// is connected and a little longer.
func TestRegistration(t *testing.T) {
	a := start(t, func(o *Options) {
		if err := os.WriteFile(filepath.Join(o.ConfigDir, "late.yaml"), []byte(late), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	_, leave := registering(t, a, "10.9.0.7:8080")
	entry := config.Key{Kind: config.KindWorkloadEntry, Namespace: "cinema", Name: "late-v1-10.9.0.7-8080"}
	var o *config.Object
	eventually(t, "the instance is an object", func() (ok bool) {
		var err error
		o, err = a.store.Object(entry)
		return err == nil && o.WorkloadEntry().Ports["web"] == 8080
	})
	we := o.WorkloadEntry()
	if o.Source != "sidecars:cinema/late-v1-10.9.0.7-8080" || we.Address != "10.9.0.7" || we.ServiceAccount != "late" || we.Locality != "eu/eu-1" || we.Labels["version"] != "v1" || we.Labels[tlsModeLabel] != "istio" {
		t.Errorf("%s: %v", o.Source, we)
	}
	eventually(t, "the service has the instance", func() bool { // the registry hears of it after the store has it
		s, ok := a.registry.Load().Lookup("late", "cinema")
		return ok && len(s.Endpoints) == 1 && s.Endpoints[0].Workload.Name == "late-v1"
	})

	// Gone for less than the grace it stays; then it goes.
	leave()
	quick := registrations{a, 300 * time.Millisecond}
	given := make(chan []string, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- quick.Watch(ctx, func(g config.Given) { given <- slices.Sorted(maps.Keys(g.Documents)) })
	}()
	if first := <-given; len(first) != 1 {
		t.Errorf("at first %q are given, want the one that was there", first)
	}
	if then := <-given; len(then) != 0 {
		t.Errorf("then %q are given, want none", then)
	}
	cancel()
	<-done

	// An address that nobody can dial is refused with what to do.
	stream, cancel := registering(t, a, "0.0.0.0:8080")
	defer cancel()
	if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "--inbound") {
		t.Errorf("registered at all addresses: %v", err)
	}
}
