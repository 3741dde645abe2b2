package registry

import (
	"testing"

	"github.com/sidelight-mesh/sidelight/server/config"
)

func security(kind, namespace, name, spec string) string {
	return "---\napiVersion: security.istio.io/v1\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: " + spec + "\n"
}

// Who shows no certificate is nobody, and passes a policy that denies somebody.
func TestDenyByIdentityNeedsCertificates(t *testing.T) {
	const dev = "{selector: {matchLabels: {app: a, version: v1}}, action: DENY, rules: [{from: [{source: {namespaces: [dev]}}]}]}"
	deny := security("AuthorizationPolicy", "shop", "deny", dev)
	peer := func(namespace, name, spec string) string {
		return security("PeerAuthentication", namespace, name, spec)
	}
	const strict, permissive = "mtls: {mode: STRICT}", "mtls: {mode: PERMISSIVE}"
	for _, tc := range []struct {
		name, objects string
		root          string
		want          int
	}{
		{"nothing requires any", deny, "", 1},
		{"the mesh does", deny + peer("istio-system", "all", "{"+strict+"}"), "", 0},
		{"a mesh with another root", deny + peer("mesh", "all", "{"+strict+"}"), "mesh", 0},
		{"the root of another mesh", deny + peer("istio-system", "all", "{"+strict+"}"), "mesh", 1},
		{"the namespace", deny + peer("shop", "all", "{"+strict+"}"), "", 0},
		{"the namespace is weaker than the mesh", deny + peer("istio-system", "all", "{"+strict+"}") + peer("shop", "all", "{"+permissive+"}"), "", 1},
		{"the workload", deny + peer("shop", "a", "{selector: {matchLabels: {app: a}}, "+strict+"}"), "", 0},
		{"another workload", deny + peer("shop", "b", "{selector: {matchLabels: {app: b}}, "+strict+"}"), "", 1},
		{"the workload does not, the namespace does", deny + peer("shop", "all", "{"+strict+"}") + peer("shop", "a", "{selector: {matchLabels: {app: a}}, "+permissive+"}"), "", 1},
		{"another namespace", deny + peer("dev", "all", "{"+strict+"}"), "", 1},
		{"of the whole mesh", security("AuthorizationPolicy", "istio-system", "deny", dev) + peer("istio-system", "all", "{"+strict+"}"), "", 0},
		{"of the whole mesh, and one namespace is weaker", security("AuthorizationPolicy", "istio-system", "deny", dev) + peer("istio-system", "all", "{"+strict+"}") + peer("dev", "all", "{"+permissive+"}"), "", 1},
		{"by path", security("AuthorizationPolicy", "shop", "deny", "{action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}"), "", 0},
		{"by a condition", security("AuthorizationPolicy", "shop", "deny", "{action: DENY, rules: [{when: [{key: source.principal, values: [a]}]}]}"), "", 1},
		{"all but some", security("AuthorizationPolicy", "shop", "deny", "{action: DENY, rules: [{from: [{source: {notNamespaces: [shop]}}]}]}"), "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := 0
			for _, p := range CheckIn(tc.root, objects(t, tc.objects)) {
				if p.Code == config.CodeInsecure {
					n++
					if p.Severity != config.SeverityWarning || p.Hint == "" {
						t.Errorf("%+v", p)
					}
				}
			}
			if n != tc.want {
				t.Errorf("%d warnings, want %d", n, tc.want)
			}
		})
	}
}
