package config

import (
	"fmt"
	"maps"
	"slices"

	"istio.io/api/networking/v1alpha3"
	securityv1beta1 "istio.io/api/security/v1beta1"
)

// What follows warns of settings that are carried out to the letter and that let
// in, or trust, more than their author may have thought.

func (c *checker) insecure(path, hint, format string, args ...any) {
	c.warnf(CodeInsecure, path, hint, format, args...)
}

// trustsAll warns of TLS that verifies nobody.
func (c *checker) trustsAll(path string) {
	c.insecure(path+".insecureSkipVerify", "name the authority in caCertificates",
		"%s: whoever answers at the address is trusted, whatever certificate it shows", path)
}

// anyOrigin warns of an origin that every page on the web has, when the user's
// cookies go along.
func (c *checker) anyOrigin(path string, o *v1alpha3.StringMatch) {
	all := false
	switch m := o.GetMatchType().(type) {
	case *v1alpha3.StringMatch_Exact:
		all = m.Exact == "*"
	case *v1alpha3.StringMatch_Prefix:
		all = slices.Contains([]string{"", "*", "http://", "https://"}, m.Prefix)
	case *v1alpha3.StringMatch_Regex:
		all = slices.Contains([]string{".*", ".+", "^.*$", "^.+$", "https?://.*", "https://.*", "https?://.+", "https://.+"}, m.Regex)
	}
	if all {
		c.insecure(path, "name the pages that may, or leave allowCredentials out",
			"%s: every page on the web may send requests in the name of its visitors, because allowCredentials is true", path)
	}
}

// plainText warns of ports that take no mutual TLS.
func (c *checker) plainText(p *securityv1beta1.PeerAuthentication) {
	warn := func(path string) {
		c.insecure(path, "use PERMISSIVE while callers without a sidecar remain, then STRICT",
			"%s: connections are in plain text, and no policy can tell who calls", path)
	}
	if p.GetMtls().GetMode() == securityv1beta1.PeerAuthentication_MutualTLS_DISABLE {
		warn("spec.mtls.mode")
	}
	for _, port := range slices.Sorted(maps.Keys(p.PortLevelMtls)) {
		if p.PortLevelMtls[port].GetMode() == securityv1beta1.PeerAuthentication_MutualTLS_DISABLE {
			warn(fmt.Sprintf("spec.portLevelMtls[%d].mode", port))
		}
	}
}

// letsIn warns of rules of an ALLOW policy that allow more than they seem to.
func (c *checker) letsIn(p *securityv1beta1.AuthorizationPolicy) {
	if p.Action != securityv1beta1.AuthorizationPolicy_ALLOW {
		return
	}
	for i, r := range p.Rules {
		path := fmt.Sprintf("spec.rules[%d]", i)
		if len(p.Rules) > 1 && len(r.GetFrom())+len(r.GetTo())+len(r.GetWhen()) == 0 {
			c.insecure(path, "remove it, or the others", "%s allows every request, so the other rules restrict nothing", path)
		}
		for j, from := range r.GetFrom() {
			s := from.GetSource()
			named := len(s.GetPrincipals()) + len(s.GetNamespaces()) + len(s.GetServiceAccounts()) + len(s.GetIpBlocks())
			barred := len(s.GetNotPrincipals()) + len(s.GetNotNamespaces()) + len(s.GetNotServiceAccounts())
			if named == 0 && barred > 0 {
				at := fmt.Sprintf("%s.from[%d].source", path, j)
				c.insecure(at, "add principals: ['*'], which only those with a certificate have",
					"%s says only who may not: a caller without a certificate is none of them, and is let in", at)
			}
		}
	}
}

// DeniesByIdentity gives the path of the first rule of a DENY policy that judges
// by who the caller is, "" when there is none.
func DeniesByIdentity(p *securityv1beta1.AuthorizationPolicy) string {
	if p.GetAction() != securityv1beta1.AuthorizationPolicy_DENY {
		return ""
	}
	for i, r := range p.Rules {
		for j, from := range r.GetFrom() {
			s := from.GetSource()
			if len(s.GetPrincipals())+len(s.GetNamespaces())+len(s.GetServiceAccounts()) > 0 {
				return fmt.Sprintf("spec.rules[%d].from[%d].source", i, j)
			}
		}
		for j, w := range r.GetWhen() {
			if len(w.GetValues()) > 0 && slices.Contains([]string{WhenNamespace, WhenPrincipal, WhenServiceAccount}, w.GetKey()) {
				return fmt.Sprintf("spec.rules[%d].when[%d]", i, j)
			}
		}
	}
	return ""
}
