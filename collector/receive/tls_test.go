package receive_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/credentials"

	"github.com/sidelight-mesh/sidelight/collector/receive"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
)

// startTLS runs a receiver over TLS.
func startTLS(t *testing.T, l *identity.Listener) (grpcAddr, httpAddr string, registry *prometheus.Registry, stored func() int) {
	t.Helper()
	store, registry := openStore(t), prometheus.NewRegistry()
	r, err := receive.New(receive.Options{GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", TLS: l, Store: store, Registerer: registry, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	grpcAddr, httpAddr = r.Addrs()
	return grpcAddr, httpAddr, registry, func() int { return int(store.Stats().Spans) }
}

// sendGRPC sends one span as the OpenTelemetry SDK does, without trying again.
func sendGRPC(t *testing.T, address string, config *tls.Config) error {
	t.Helper()
	exporter, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpoint(address),
		otlptracegrpc.WithTLSCredentials(credentials.NewTLS(config)), otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = exporter.Shutdown(context.Background()) }()
	provider := sdktrace.NewTracerProvider()
	_, span := provider.Tracer("test").Start(t.Context(), "an operation")
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return exporter.ExportSpans(ctx, []sdktrace.ReadOnlySpan{span.(sdktrace.ReadOnlySpan)})
}

func sendHTTP(t *testing.T, address string, config *tls.Config) error {
	t.Helper()
	body, err := ptraceotlp.NewExportRequestFromTraces(batch()).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	resp, err := client.Post("https://"+address+"/v1/traces", "application/x-protobuf", bytes.NewReader(body))
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Both ports take spans from the mesh, and who is not let in is counted.
func TestSpansOverMutualTLS(t *testing.T) {
	here := identitytest.New(t, "cluster.local")
	web := here.Source("cinema", "web")
	grpcAddr, httpAddr, registry, stored := startTLS(t, &identity.Listener{Identity: here.Source(mesh.SystemNamespace, mesh.CollectorAccount), Mutual: true})
	if err := sendGRPC(t, grpcAddr, web.CollectorOfMeshTLS("h2")); err != nil {
		t.Errorf("a sidecar over gRPC: %v", err)
	}
	if err := sendHTTP(t, httpAddr, web.CollectorOfMeshTLS()); err != nil {
		t.Errorf("a sidecar over HTTP: %v", err)
	}
	if n := stored(); n != 2 {
		t.Errorf("%d spans are stored, want 2", n)
	}
	nobody := &tls.Config{InsecureSkipVerify: true}
	if err := sendGRPC(t, grpcAddr, nobody); err == nil {
		t.Error("without a certificate, over gRPC: taken")
	}
	if err := sendHTTP(t, httpAddr, nobody); err == nil {
		t.Error("without a certificate, over HTTP: taken")
	}
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if resp, err := plain.Post("http://"+httpAddr+"/v1/traces", "application/x-protobuf", http.NoBody); err == nil {
		if _ = resp.Body.Close(); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("in plain text: %s", resp.Status)
		}
	}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP sidelight_collector_span_connections_refused_total Connections of senders whose certificate was missing or not taken.
# TYPE sidelight_collector_span_connections_refused_total counter
sidelight_collector_span_connections_refused_total 2
`), "sidelight_collector_span_connections_refused_total"); err != nil {
		t.Error(err)
	}
}

// Senders that are not of the mesh believe the collector by its host name.
func TestSpansFromOutsideOfTheMesh(t *testing.T) {
	here, hosts := identitytest.New(t, "cluster.local"), identitytest.NewFiles(t, "spans.example")
	files, err := identity.OpenHostFiles(hosts.Certificate, hosts.Key, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for name, own := range map[string]*identity.Source{
		"beside the mesh":        here.Source(mesh.SystemNamespace, mesh.CollectorAccount),
		"of a collector of none": nil,
	} {
		grpcAddr, httpAddr, _, stored := startTLS(t, &identity.Listener{Identity: own, Hosts: files})
		if err := sendGRPC(t, grpcAddr, &tls.Config{RootCAs: hosts.Roots, ServerName: "spans.example"}); err != nil {
			t.Errorf("%s: over gRPC: %v", name, err)
		}
		if err := sendHTTP(t, httpAddr, &tls.Config{RootCAs: hosts.Roots, ServerName: "spans.example"}); err != nil {
			t.Errorf("%s: over HTTP: %v", name, err)
		}
		if n := stored(); n != 2 {
			t.Errorf("%s: %d spans are stored, want 2", name, n)
		}
	}
}
