package scenarios

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestTraffic plays what docs/traffic.md shows, from the object that a user
// writes to what is then seen.
func TestTraffic(t *testing.T) {
	w := newWorld(t)
	w.sidecar(t, "edge", "v1", 0, "--placement", "gateway", "--label", "istio=ingressgateway")
	w.more = 1
	w.synced(t, 5, 0)
	for _, f := range []struct {
		name string
		play func(*testing.T, *world)
	}{
		{"fault", playFault},
		{"cors", playCORS},
		{"rate-limit", playRateLimit},
		{"egress", playEgress},
		{"registry-only", playRegistryOnly},
		{"wildcard", playWildcard},
		{"gateway-api", playGatewayAPI},
		{"traffic-split", playTrafficSplit},
		{"gateway", playGateway},
		{"gateway-tls", playGatewayTLS},
		{"egress-gateway", playEgressGateway},
	} {
		begin := time.Now()
		passed := t.Run(f.name, func(t *testing.T) { f.play(t, w) })
		word := "passed"
		if !passed {
			word = "FAILED"
		}
		fmt.Printf("%-22s %s  %.1f s\n", f.name, word, time.Since(begin).Seconds())
	}
}

// routes is a VirtualService for the retry-service with these routes.
func routes(http string) string {
	return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: traffic}
spec:
  hosts: [retry-service]
  http:
` + http
}

const toService = "route: [{destination: {host: retry-service}}]"

// The caller's sidecar answers in the service's place, which sees nothing; a
// delay is the caller's alone, too.
func playFault(t *testing.T, w *world) {
	w.applyText(t, routes(`
  - name: broken
    match: [{uri: {prefix: /broken}}]
    fault: {abort: {httpStatus: 503, percentage: {value: 100}}}
    `+toService+`
  - name: slow
    fault: {delay: {fixedDelay: 0.3s, percentage: {value: 100}}}
    `+toService+"\n"))
	var broken, slow answer
	events := w.tap(t, 2, func() {
		broken = w.call(t, "retry-service", "/broken")
		slow = w.call(t, "retry-service", "/?failRate=0")
	})
	if broken.status != 503 || broken.body != "fault filter abort" || slow.status != 200 || slow.took < 300*time.Millisecond {
		t.Errorf("the caller got %d %q, then %d after %s", broken.status, broken.body, slow.status, slow.took)
	}
	if n := total(w.retry); n != 1 {
		t.Errorf("%d requests reached the service, want the slow one", n)
	}
	for trace, want := range map[string]struct{ flags, by string }{broken.trace: {"FI", "proxy"}, slow.trace: {"DI", "upstream"}} {
		if e := of(events, trace); e.Flags != want.flags || e.AnsweredBy != want.by {
			t.Errorf("tap: flags %s, answered by %s, want %v", e.Flags, e.AnsweredBy, want)
		}
	}
	eventually(t, "the fault with its object in the metrics", 15*time.Second, func() (bool, string) {
		n := w.metric(t, `sidelight_responses_total{response_flags="FI",response_source="proxy",response_code_details="fault_filter_abort",`+
			`config_object="VirtualService default/traffic",destination_service="retry-service.default.svc.cluster.local"}`)
		return n == 1, fmt.Sprint(n)
	})
	eventually(t, "the fault on the edge", 15*time.Second, func() (bool, string) {
		e, _ := w.edge(t, "caller", "retry-service")
		return e.Flags["DI"] > 0, fmt.Sprintf("%+v", e)
	})
	w.wantTag(t, broken.trace, "sidelight.flags", "FI")
}

// of finds the event of a trace: they come in no order.
func of(events []tapped, trace string) tapped {
	for _, e := range events {
		if e.TraceID == trace {
			return e
		}
	}
	return tapped{}
}

// wantTag waits for a trace with a span that has the attribute.
func (w *world) wantTag(t *testing.T, trace, key, value string) {
	t.Helper()
	eventually(t, key+" in the trace", 15*time.Second, func() (bool, string) {
		status, body := w.ask(t, "/api/v1/traces/"+trace)
		return status == 200 && strings.Contains(body, fmt.Sprintf("%q", value)) && strings.Contains(body, key), body
	})
}

func playCORS(t *testing.T, w *world) {
	w.applyText(t, routes(`
  - name: pages
    corsPolicy:
      allowOrigins: [{exact: https://shop.example}]
      allowMethods: [GET, POST]
      maxAge: 10m
    `+toService+"\n"))
	const origin = "https://shop.example"
	a := w.send(t, "OPTIONS", "retry-service", "/", "Origin", origin, "Access-Control-Request-Method", "POST")
	if a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != origin ||
		a.header.Get("Access-Control-Allow-Methods") != "GET,POST" || a.header.Get("Access-Control-Max-Age") != "600" {
		t.Errorf("preflight: %d %v", a.status, a.header)
	}
	if n := total(w.retry); n != 0 {
		t.Errorf("%d preflights reached the service", n)
	}
	if a := w.call(t, "retry-service", "/?failRate=0", "Origin", origin); a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != origin {
		t.Errorf("the request after it: %d %v", a.status, a.header)
	}
	if a := w.call(t, "retry-service", "/?failRate=0", "Origin", "https://evil.example"); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another origin is allowed: %v", a.header)
	}
}

// The caller's limit is on its routes, the service's at each instance; both say
// whose object it was.
func playRateLimit(t *testing.T, w *world) {
	w.applyText(t, strings.Replace(routes(`
  - name: buy
    match: [{uri: {prefix: /buy}}]
    `+toService+`
  - `+toService+"\n"), "{name: traffic}", `{name: traffic, annotations: {sidelight.io/local-rate-limit: "buy=2/h headers, 3/h"}}`, 1))
	statuses := func(path string) string {
		var list []string
		for range 4 {
			a := w.call(t, "retry-service", path)
			list = append(list, fmt.Sprint(a.status))
			if a.status == 429 && (a.body != "local_rate_limited" || !strings.Contains(a.header.Get("Proxy-Status"), "local_rate_limited; RL")) {
				t.Errorf("limited: %q, %v", a.body, a.header)
			}
		}
		return strings.Join(list, " ")
	}
	if got := statuses("/buy?failRate=0"); got != "200 200 429 429" {
		t.Errorf("two an hour for buy: %s", got)
	}
	if got := statuses("/?failRate=0"); got != "200 200 200 429" {
		t.Errorf("three an hour for the rest: %s", got)
	}
	if n := total(w.retry); n != 5 {
		t.Errorf("%d requests reached the service, want 5", n)
	}
	eventually(t, "the limit in the metrics", 15*time.Second, func() (bool, string) {
		n := w.metric(t, `sidelight_responses_total{response_flags="RL",response_source="proxy",response_code="429",config_object="VirtualService default/traffic"}`)
		return n == 3, fmt.Sprint(n)
	})
}

// Traffic follows an HTTPRoute, by the order of the Gateway API and not that of
// the file; a GRPCRoute of the same service goes before it.
func playGatewayAPI(t *testing.T, w *world) {
	w.applyText(t, `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: traffic}
spec:
  parentRefs: [{group: "", kind: Service, name: retry-service}]
  rules:
  - backendRefs: [{name: retry-service, port: 80}]
  - matches: [{path: {value: /web}}]
    filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-route, value: web}]}}]
    backendRefs: [{name: myweb-service, port: 80}, {name: retry-service, port: 80, weight: 0}]
  - matches: [{path: {type: Exact, value: /web/moved}}]
    filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /web}}}]
`)
	web := w.call(t, "retry-service", "/web/a?failRate=0")
	if web.status != 200 || !strings.HasPrefix(web.body, "Version ") || web.header.Get("X-Route") != "web" {
		t.Errorf("below /web: %d %q %v", web.status, web.body, web.header)
	}
	if a := w.call(t, "retry-service", "/webs?failRate=0"); a.status != 200 || a.body != "done" {
		t.Errorf("/webs is not below /web: %d %q", a.status, a.body)
	}
	if said := w.cli(t, "config", "explain", "GET", "http://retry-service/web/a", "--from", "default/caller"); !strings.Contains(said, "HTTPRoute default/traffic") ||
		!strings.Contains(said, "myweb-service.default:80") {
		t.Errorf("explain does not name the route: %s", said)
	}
	eventually(t, "the redirect", 15*time.Second, func() (bool, string) {
		out := w.cli(t, "config", "explain", "GET", "http://retry-service/web/moved", "--from", "default/caller")
		return strings.Contains(out, "redirect"), out
	})

	w.applyText(t, `apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: traffic}
spec:
  parentRefs: [{group: "", kind: Service, name: retry-service, port: 80}]
  rules:
  - matches: [{method: {service: cinema.Catalog}}]
    backendRefs: [{name: myweb-service, port: 80}]
`)
	if a := w.send(t, "POST", "retry-service", "/cinema.Catalog/List", "Content-Type", "application/grpc"); a.status != 200 || !strings.HasPrefix(a.body, "Version ") {
		t.Errorf("a method of the service: %d %q", a.status, a.body)
	}
	for _, path := range []string{"/web/a", "/cinema.CatalogOfMore/List"} {
		if a := w.send(t, "POST", "retry-service", path); a.status != 404 {
			t.Errorf("%s, which the GRPCRoute does not have: %d %q", path, a.status, a.body)
		}
	}
}

// Traffic follows a TrafficSplit by its weights, until a VirtualService of the
// same service goes before it.
func playTrafficSplit(t *testing.T, w *world) {
	w.applyText(t, `apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: rollout}
spec:
  service: retry-service
  backends: [{service: retry-service, weight: 3}, {service: myweb-service, weight: 1}]
`)
	const calls = 200
	next := func() (n int) {
		for range calls {
			switch a := w.call(t, "retry-service", "/?failRate=0"); {
			case a.status == 200 && strings.HasPrefix(a.body, "Version "):
				n++
			case a.status != 200 || a.body != "done":
				t.Fatalf("%d %q", a.status, a.body)
			}
		}
		return n
	}
	// A quarter, and five times what chance makes of it.
	if n := next(); n < 20 || n > 80 {
		t.Errorf("of %d calls %d went where a quarter should", calls, n)
	}
	said := w.cli(t, "config", "explain", "GET", "http://retry-service/", "--from", "default/caller")
	for _, want := range []string{"TrafficSplit default/rollout", "75 %", "25 %"} {
		if !strings.Contains(said, want) {
			t.Errorf("explain does not say %q: %s", want, said)
		}
	}
	w.applyText(t, routes("  - "+toService+"\n"))
	if n := next(); n != 0 {
		t.Errorf("%d calls went by the TrafficSplit, before which the VirtualService goes", n)
	}
}
