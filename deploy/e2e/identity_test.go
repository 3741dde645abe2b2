package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// securedView is what the graph tells of security.
type securedView struct {
	Edges []struct {
		Source  string  `json:"source"`
		Target  string  `json:"target"`
		RPS     float64 `json:"rps"`
		MTLS    float64 `json:"mtls_ratio"`
		Answers []struct {
			AnsweredBy string `json:"by"`
			Code       int    `json:"code"`
			Details    string `json:"details"`
			Object     string `json:"object"`
		} `json:"answers"`
	} `json:"edges"`
}

// TestDenied: the demo speaks mutual TLS, and then catalog is closed to all but
// web; who is turned away is told by what.
func TestDenied(t *testing.T) {
	t.Parallel()
	m := startDemo(t, "--scenario", "denied")
	eventually(t, 40*time.Second, "recommendations and report-cron are turned away, web is not", func() error {
		var v securedView
		if err := m.try("/api/v1/graph?window=10s", &v); err != nil {
			return err
		}
		var denied, cut, web bool
		var seen strings.Builder
		for _, e := range v.Edges {
			if !strings.Contains(e.Target, "catalog/catalog-v") {
				continue
			}
			fmt.Fprintf(&seen, "%s → %s mtls %.2f %v\n", e.Source, e.Target, e.MTLS, e.Answers)
			web = web || strings.Contains(e.Source, "front/web") && e.MTLS > 0.99
			for _, a := range e.Answers {
				denied = denied || strings.Contains(e.Source, "recommendations") && a.Code == 403 && a.AnsweredBy == "proxy" &&
					a.Details == "rbac_access_denied_matched_policy[none]" && a.Object == "AuthorizationPolicy catalog/films-for-web"
				cut = cut || a.Details == "filter_chain_not_found" && a.Object == "PeerAuthentication catalog/catalog-strict"
			}
		}
		if !denied || !cut || !web {
			return fmt.Errorf("denied %v, cut %v, web %v:\n%s", denied, cut, web, seen.String())
		}
		return nil
	})
	var node struct {
		Identity *struct {
			Principal string    `json:"principal"`
			NotAfter  time.Time `json:"not_after"`
		} `json:"identity"`
	}
	m.get(t, "/api/v1/nodes/web-1.front", &node)
	if node.Identity == nil || node.Identity.Principal != "spiffe://cluster.local/ns/front/sa/web" || time.Until(node.Identity.NotAfter) < 20*time.Hour {
		t.Errorf("web's certificate: %+v", node.Identity)
	}
	wantAll(t, "nodes web-1.front", m.cli(t, "nodes", "web-1.front").must(t), "spiffe://cluster.local/ns/front/sa/web, ends in")
	// What becomes of a request where it arrives, and by which line.
	allowed := m.cli(t, "config", "explain", "GET", "http://catalog.catalog/v1/films", "--from", "front/web").must(t)
	wantAll(t, "explain from web", allowed, "under mutual TLS, from spiffe://cluster.local/ns/front/sa/web", "rule 1 of AuthorizationPolicy catalog/films-for-web allows it", "PeerAuthentication catalog/catalog-strict")
	denied := m.cli(t, "config", "explain", "GET", "http://catalog.catalog/v1/films", "--from", "catalog/recommendations").must(t)
	wantAll(t, "explain from recommendations", denied, "is refused there", "answers 403: no rule allows it", "not rule 1 of AuthorizationPolicy catalog/films-for-web", "it asks for")
	apply(t, m, `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: front, annotations: {istio.io/dry-run: "true"}}
spec: {selector: {matchLabels: {app: web}}, action: DENY, rules: [{}]}
`)
	checkEvent(t, m, "Proxy: Denied on trial A", "Proxy: Connections kept out by the TLS mode A", "Proxy: Certificates end in A", "Service: Who answers errors, and why A")
}

// door passes connections on to a server until it is closed; those that are
// open then stay so.
type door struct {
	address, to string
	listener    net.Listener
}

func (d *door) open(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", d.address)
	if err != nil {
		t.Fatal(err)
	}
	d.listener = listener
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", d.to)
				if err != nil {
					return
				}
				defer out.Close()
				go func() {
					_, _ = io.Copy(out, in)
					_ = out.Close()
				}()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
}

func (d *door) shut() { _ = d.listener.Close() }

// TestCertificateNotRenewed: a sidecar holds its connection to the server, but
// cannot make the one it needs for its next certificate. It is told before the
// certificate ends, and after, until the sidecar has a new one.
func TestCertificateNotRenewed(t *testing.T) {
	t.Parallel()
	h := &halves{dir: t.TempDir()}
	grpcTLS, d := "", &door{}
	for _, address := range []*string{&h.server, &h.admin, &h.grpc, &grpcTLS, &h.otlpGRPC, &h.otlpHTTP, &h.inbound, &h.inboundMetrics, &d.address} {
		*address = net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	}
	h.url, d.to = "http://"+h.server, grpcTLS
	// The last quarter is longer than the 15 s from one look of the rules to the next.
	h.start(t, "run", "sidelight", "run", "--config-dir", "config", "--data-dir", "data", "--api", h.server, "--admin", h.admin,
		"--grpc", h.grpc, "--grpc-tls", grpcTLS, "--otlp-grpc", h.otlpGRPC, "--otlp-http", h.otlpHTTP, "--scrape-interval", "1s", "--cert-lifetime", "80s")
	eventually(t, 20*time.Second, "the server answers", func() error { return h.try("/api/v1/status", new(struct{})) })
	join := func() { // with a token for one certificate
		token := h.cli(t, "token", "create", "-n", "shop", "--service-account", "posters").must(t)
		if err := os.WriteFile(filepath.Join(h.dir, "posters.token"), []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	join()
	d.open(t)
	const node = "posters-1.shop"
	h.start(t, "sidecar", "sidelight-proxy", "--node-id", node, "--workload", "posters", "--namespace", "shop", "--service-account", "posters",
		"--server", "tls://"+d.address, "--join-token-file", "posters.token", "--collector", "off", "--admin", "off", "--health", "off",
		"--outbound", "off", "--inbound", h.inbound+"=127.0.0.1:1/http", "--metrics", h.inboundMetrics, "--state-dir", "state")
	eventually(t, 30*time.Second, "the sidecar is connected", func() error {
		if got := h.cli(t, "nodes", "--check"); got.code != 0 || !strings.Contains(got.stdout, node) {
			return fmt.Errorf("exit code %d:\n%s%s", got.code, got.stdout, got.stderr)
		}
		return nil
	})
	wantAll(t, "alerts of a certificate that holds", h.cli(t, "alerts", "--check").must(t), "0 firing")
	d.shut()

	for _, want := range []struct{ rule, severity, says, do string }{
		{"SidelightCertificateExpires", "warning", "The certificate of " + node + " ends in", "The last try failed: server_unreachable."},
		{"SidelightCertificateExpired", "critical", "The certificate of " + node + " ended", "it cannot reconnect to the server over TLS. The last try failed: server_unreachable."},
	} {
		awaitAlert(t, h.api, want.rule, node, "firing")
		alerts, err := alertsOf(h.api, want.rule)
		if err != nil || len(alerts) != 1 {
			t.Fatalf("%s: %+v, %v", want.rule, alerts, err)
		}
		a := alerts[0]
		if a.Severity != want.severity || !strings.Contains(a.Summary, want.says) || !strings.Contains(a.Description, want.do) ||
			a.Runbook != "docs/identity.md#when-a-certificate-does-not-come" {
			t.Errorf("%s: %+v", want.rule, a)
		}
		got := h.cli(t, "alerts", "--check")
		if got.code != 1 {
			t.Errorf("alerts --check ends with %d", got.code)
		}
		wantAll(t, "alerts", got.stdout, want.says, "node "+node, want.do, a.Runbook)
	}
	log, err := os.ReadFile(filepath.Join(h.dir, "sidecar.log"))
	if err != nil {
		t.Fatal(err)
	}
	wantAll(t, "the log that alerts lead to", string(log), "no new certificate", d.address)

	d.open(t)
	defer d.shut()
	join()
	eventually(t, 60*time.Second, "the alerts are over", func() error {
		got := h.cli(t, "alerts", "--check", "--past")
		if got.code != 0 || !slices.ContainsFunc(strings.Split(got.stdout, "\n"), func(line string) bool {
			return strings.HasPrefix(line, "resolved") && strings.Contains(line, "The certificate of "+node+" ended")
		}) {
			return fmt.Errorf("exit code %d:\n%s%s", got.code, got.stdout, got.stderr)
		}
		return nil
	})
}
