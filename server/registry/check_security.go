package registry

import (
	"istio.io/api/security/v1beta1"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// denied finds DENY policies that a caller passes by who shows no certificate:
// they judge by identity, and nothing requires one.
func (c *check) denied(objects []*config.Object) {
	for _, o := range objects {
		path := config.DeniesByIdentity(o.AuthorizationPolicy())
		if path == "" || c.strict(objects, o) {
			continue
		}
		where := "of namespace " + o.Namespace
		if o.Namespace == c.root {
			where = "of the mesh, in namespace " + c.root
		}
		c.warnf(o, config.CodeInsecure, path, "require certificates: a PeerAuthentication "+where+" with mtls: {mode: STRICT}",
			"%s denies by who calls, and a caller without a sidecar is nobody, so it is let through", path)
	}
}

// strict reports whether all that a policy is for take mutual TLS only.
func (c *check) strict(objects []*config.Object, policy *config.Object) bool {
	chosen := policy.AuthorizationPolicy().GetSelector().GetMatchLabels()
	unset, by := v1beta1.PeerAuthentication_MutualTLS_UNSET, [3]v1beta1.PeerAuthentication_MutualTLS_Mode{}
	weaker := false
	for _, o := range objects {
		p := o.PeerAuthentication()
		if p == nil {
			continue
		}
		mode, labels := p.GetMtls().GetMode(), p.GetSelector().GetMatchLabels()
		here := o.Namespace == policy.Namespace || policy.Namespace == c.root
		switch {
		case here && len(labels) > 0 && within(labels, chosen):
			by[0] = mode
		case here && len(labels) > 0: // some of what the policy is for, perhaps
			weaker = weaker || mode != v1beta1.PeerAuthentication_MutualTLS_STRICT && mode != unset
		case o.Namespace == policy.Namespace:
			by[1] = mode
		case policy.Namespace == c.root:
			weaker = weaker || mode != v1beta1.PeerAuthentication_MutualTLS_STRICT && mode != unset
		case o.Namespace == c.root:
			by[2] = mode
		}
	}
	for _, mode := range by {
		if mode != unset {
			return mode == v1beta1.PeerAuthentication_MutualTLS_STRICT && (!weaker || by[0] != unset)
		}
	}
	return false
}

// within reports whether all of some labels are among others.
func within(some, all map[string]string) bool {
	for k, v := range some {
		if all[k] != v {
			return false
		}
	}
	return true
}
