package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// Probe is a probe of the app's that the sidecar answers. A kubelet has no
// certificate, so under STRICT mutual TLS it cannot ask the app itself; and the
// app alone does not know whether its sidecar has configuration.
type Probe struct {
	Container string // "": the only one
	Kind      string // readyz, livez or startupz
	Target    string // "http://127.0.0.1:8080/ready", https, "tcp://HOST:PORT" or "grpc://HOST:PORT/SERVICE"
}

const probeReady = "readyz"

// probeKinds are Istio's words for the kubelet's three probes.
var probeKinds = []string{probeReady, "livez", "startupz"}

// parseProbe reads [CONTAINER/]KIND=URL.
func parseProbe(text string) (Probe, error) {
	name, target, ok := strings.Cut(text, "=")
	if !ok {
		return Probe{}, fmt.Errorf("%q is not [CONTAINER/]KIND=URL", text)
	}
	p := Probe{Kind: name, Target: target}
	if container, kind, ok := strings.Cut(name, "/"); ok {
		p.Container, p.Kind = container, kind
	}
	return p, p.validate()
}

func (p Probe) validate() error {
	if !slices.Contains(probeKinds, p.Kind) || strings.Contains(p.Container, "/") {
		return fmt.Errorf("%q: %q is none of %s", p.Kind+"="+p.Target, p.Kind, strings.Join(probeKinds, ", "))
	}
	u, err := url.Parse(p.Target)
	if err != nil || u.Port() == "" || u.Hostname() == "" {
		return fmt.Errorf("%q is not a URL with host and port, such as http://127.0.0.1:8080/ready", p.Target)
	}
	if !slices.Contains([]string{"http", "https", "tcp", "grpc"}, u.Scheme) {
		return fmt.Errorf("%q: %q is none of http, https, tcp, grpc", p.Target, u.Scheme)
	}
	return nil
}

// path is where the kubelet asks: Istio's.
func (p Probe) path() string {
	if p.Container == "" {
		return "/app-health/" + p.Kind
	}
	return "/app-health/" + p.Container + "/" + p.Kind
}

// probeTime bounds a probe whose asker is more patient than that.
const probeTime = 10 * time.Second

// probeClient asks the app as a kubelet does: without looking at certificates,
// without following redirects, over a connection of its own.
func probeClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true, DisableCompression: true,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // #nosec G402 -- the app beside us
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// serveProbe answers with what the app says. Readiness is the sidecar's, too:
// without configuration, or while draining, the app must get no traffic. Whether
// the app lives has nothing to do with the sidecar.
func (h *health) serveProbe(p Probe) http.HandlerFunc {
	client := probeClient()
	return func(w http.ResponseWriter, r *http.Request) {
		if p.Kind == probeReady {
			if reason := h.notServing(); reason != "" {
				http.Error(w, "sidecar: "+reason, http.StatusServiceUnavailable)
				return
			}
		}
		ctx, cancel := context.WithTimeout(r.Context(), probeTime)
		defer cancel()
		u, err := url.Parse(p.Target)
		if err == nil {
			switch u.Scheme {
			case "tcp":
				err = dialProbe(ctx, u.Host)
			case "grpc":
				err = grpcProbe(ctx, u.Host, strings.TrimPrefix(u.Path, "/"))
			default:
				err = httpProbe(ctx, client, p.Target, w, r)
				if err == nil {
					return
				}
			}
		}
		if err != nil {
			http.Error(w, "app: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	}
}

// httpProbe passes on what the app answers.
func httpProbe(ctx context.Context, client *http.Client, target string, w http.ResponseWriter, r *http.Request) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	req.Header["User-Agent"] = r.Header["User-Agent"]
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
	w.WriteHeader(res.StatusCode)
	const most = 10 << 10 // the kubelet's own limit
	_, _ = io.CopyN(w, res.Body, most)
	return nil
}

func dialProbe(ctx context.Context, address string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

func grpcProbe(ctx context.Context, address, service string) error {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	res, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{Service: service})
	if err != nil {
		return err
	}
	if s := res.GetStatus(); s != healthv1.HealthCheckResponse_SERVING {
		return fmt.Errorf("gRPC health of %q is %s", service, s)
	}
	return nil
}
