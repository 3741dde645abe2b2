package e2e

import (
	"fmt"
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
	checkEvent(t, m, "Proxy: Connections kept out by the TLS mode A", "Proxy: Certificates end in A", "Service: Who answers errors, and why A")
}
