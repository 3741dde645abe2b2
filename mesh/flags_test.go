package mesh_test

import (
	"testing"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestWhyAnswered(t *testing.T) {
	for _, tc := range []struct{ flags, details, object, want string }{
		{"UH", "no_healthy_upstream", "", "no healthy endpoint"},
		{"URX,UF", "", "", "retries used up"},
		{"NR", "route_not_found", "", "no route matched"},
		{"NR", "filter_chain_not_found", "PeerAuthentication cinema/strict", "mutual TLS is required"},
		{"NR", "filter_chain_not_found", "", "nothing takes this connection"},
		{"-", "rbac_access_denied_matched_policy[ns[cinema]-policy[deny]-rule[0]]", "AuthorizationPolicy cinema/deny", ""},
		{"XYZ", "", "", ""},
	} {
		if got := mesh.WhyAnswered(tc.flags, tc.details, tc.object); got != tc.want {
			t.Errorf("%s %s %s: %q, want %q", tc.flags, tc.details, tc.object, got, tc.want)
		}
	}
}
