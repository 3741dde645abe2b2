package forward_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/policy"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

func rule(t testing.TB, name, prefix string) policy.Rule {
	t.Helper()
	text, err := policy.NewText(policy.Prefix, prefix, false)
	if err != nil {
		t.Fatal(err)
	}
	return policy.Rule{Name: "ns[cinema]-policy[" + name + "]-rule[0]", Permission: policy.Path(text), Principal: policy.Any}
}

func (s *sidecar) guard(p *policy.Policy) {
	s.t.Helper()
	err := s.sockets.Apply([]listen.Config{{
		Name: "test", Address: s.address, Direction: s.direction, RouteName: "routes", Policy: p, NormalizePath: true,
	}})
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestDenied(t *testing.T) {
	var reached atomic.Int64
	end := backend(t, func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		io.WriteString(w, r.URL.Path+r.Header.Get("X-Forwarded-Client-Cert"))
	})
	s := newSidecar(t, payments, listen.Inbound)
	s.simple(route.Forward{}, end)
	deny := policy.Filter{Action: policy.Deny, Rules: []policy.Rule{rule(t, "no-admin", "/admin")}}
	allow := policy.Filter{Action: policy.Allow, Rules: []policy.Rule{rule(t, "films", "/films"), rule(t, "admin", "/admin")}}
	trial := policy.Filter{Action: policy.Deny, DryRun: true, Rules: []policy.Rule{rule(t, "trial", "/films")}}
	s.guard(&policy.Policy{Filters: []policy.Filter{deny, trial, allow}})

	if a := s.get("/films/1", "X-Forwarded-Client-Cert", "URI=spiffe://cluster.local/ns/a/sa/admin"); a.body != "/films/1" {
		t.Errorf("allowed: %d %q", a.StatusCode, a.body)
	}
	if x := s.seen.next(t); x.DryRun != "ns[cinema]-policy[trial]-rule[0]" || x.Details != forward.DetailsViaUpstream {
		t.Errorf("dry run %q, details %q", x.DryRun, x.Details)
	}
	before := reached.Load()
	for path, want := range map[string]struct{ rule, object string }{
		"/admin/x":            {"ns[cinema]-policy[no-admin]-rule[0]", "AuthorizationPolicy cinema/no-admin"},
		"/films/../admin":     {"ns[cinema]-policy[no-admin]-rule[0]", "AuthorizationPolicy cinema/no-admin"},
		"/films/%2e%2e/admin": {"ns[cinema]-policy[no-admin]-rule[0]", "AuthorizationPolicy cinema/no-admin"},
		"/%61dmin":            {"ns[cinema]-policy[no-admin]-rule[0]", "AuthorizationPolicy cinema/no-admin"},
		"/other":              {"none", "AuthorizationPolicy cinema/films, AuthorizationPolicy cinema/admin"},
	} {
		a := s.get(path)
		if a.StatusCode != 403 || a.body != "RBAC: access denied" {
			t.Errorf("%s: %d %q", path, a.StatusCode, a.body)
		}
		details := "rbac_access_denied_matched_policy[" + want.rule + "]"
		if ps := a.Header.Get("Proxy-Status"); !strings.Contains(ps, "error=http_request_denied") || !strings.Contains(ps, details) {
			t.Errorf("%s: Proxy-Status %s", path, ps)
		}
		x := s.seen.next(t)
		if x.Details != details || x.Object != want.object || x.Flags != 0 || x.AnsweredBy() != "proxy" || x.Service != service {
			t.Errorf("%s: %s by %q, flags %s, service %v", path, x.Details, x.Object, x.Flags, x.Service)
		}
	}
	if reached.Load() != before {
		t.Error("a denied request reached the app")
	}
	grpc := s.do(s.request("POST", "/admin/x", strings.NewReader(""), "Content-Type", "application/grpc"))
	if grpc.StatusCode != 200 || grpc.Header.Get("Grpc-Status") != "7" {
		t.Errorf("gRPC: %d %v", grpc.StatusCode, grpc.Header)
	}
}

// A policy is swapped for others that deny the same: at no moment may what all
// deny get through, on connections old and new.
func TestADenialIsNeverLostToAReload(t *testing.T) {
	var leaked atomic.Int64
	end := backend(t, func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/secret") {
			leaked.Add(1)
		}
	})
	s := newSidecar(t, payments, listen.Inbound)
	s.simple(route.Forward{}, end)
	version := func(i int) *policy.Policy {
		deny := policy.Filter{Action: policy.Deny, Rules: []policy.Rule{rule(t, fmt.Sprint("v", i), "/secret")}}
		allow := policy.Filter{Action: policy.Allow, Rules: []policy.Rule{rule(t, "all", "/")}}
		if i%2 == 0 {
			return &policy.Policy{Filters: []policy.Filter{deny, allow}}
		}
		return &policy.Policy{Filters: []policy.Filter{{Action: policy.Allow, Rules: []policy.Rule{rule(t, "open", "/open")}}}}
	}
	s.guard(version(0))
	stop := make(chan struct{})
	var load sync.WaitGroup
	var asked, refused atomic.Int64
	for i := range 4 {
		load.Go(func() {
			transport := &http.Transport{DisableKeepAlives: i == 0}
			defer transport.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				res, err := (&http.Client{Transport: transport}).Do(s.request("GET", "/open/../secret", nil))
				if err != nil {
					t.Error(err)
					return
				}
				res.Body.Close()
				asked.Add(1)
				if res.StatusCode == 403 {
					refused.Add(1)
				}
				<-s.seen.more
			}
		})
	}
	// At least 200 changes, and as many as it takes for requests to meet some.
	for i := 0; (i < 200 || asked.Load() < 200) && !t.Failed(); i++ {
		s.guard(version(i))
		// The engine's own swap of routes and clusters beside it.
		s.simpleKeeping(end, version(i))
	}
	close(stop)
	load.Wait()
	if leaked.Load() != 0 || asked.Load() != refused.Load() || asked.Load() == 0 {
		t.Errorf("%d of %d requests refused, %d reached the app", refused.Load(), asked.Load(), leaked.Load())
	}
}

// simpleKeeping applies routes and clusters anew, with the listener's policy.
func (s *sidecar) simpleKeeping(end cluster.Endpoint, p *policy.Policy) {
	s.t.Helper()
	table, err := route.New(route.Config{Name: "routes", VirtualHosts: []route.VirtualHost{{
		Name: "payments", Domains: []string{"*"},
		Routes: []route.Route{{Name: "r", Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "payments"}}}}},
	}}})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.engine.Apply(forward.Snapshot{Routes: []*route.Table{table}, Clusters: []cluster.Config{paymentsCluster(end)}}); err != nil {
		s.t.Fatal(err)
	}
	s.guard(p)
}
