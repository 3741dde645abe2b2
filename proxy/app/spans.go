package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/credentials"
)

// spansOver splits the address of --collector: https:// asks for TLS.
func spansOver(collector string) (address string, secure bool) {
	if address, ok := strings.CutPrefix(collector, "https://"); ok {
		return address, true
	}
	return strings.TrimPrefix(collector, "http://"), false
}

// spanExporter sends spans to --collector.
func (a *App) spanExporter() (sdktrace.SpanExporter, error) {
	address, secure := spansOver(a.opts.Collector)
	options := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(address), otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{})}
	if secure {
		config, err := a.collectorTLS()
		if err != nil {
			return nil, err
		}
		options = append(options, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(config)))
	} else {
		options = append(options, otlptracegrpc.WithInsecure())
	}
	exporter, err := otlptracegrpc.New(context.Background(), options...)
	if err != nil {
		return nil, fmt.Errorf("--collector: %w", err)
	}
	return exporter, nil
}

// collectorTLS says how the collector is believed: by its host name where roots
// are given for that or the sidecar is nobody itself, else by its identity.
func (a *App) collectorTLS() (*tls.Config, error) {
	file := a.opts.CollectorRoots
	if file == "" && a.identity != nil {
		return a.identity.CollectorOfMeshTLS("h2"), nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--collector-roots-file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--collector-roots-file %s: no PEM certificate in it", file)
		}
	}
	if a.identity != nil {
		config.GetClientCertificate = a.identity.ClientTLS("", nil, nil).GetClientCertificate
	}
	return config, nil
}
