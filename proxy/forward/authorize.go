package forward

import (
	"net"
	"net/http"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/policy"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// RBACDetails are the details of a denial, in Envoy's words: no response flag
// tells of one.
func RBACDetails(v policy.Verdict) string {
	rule := v.Rule
	if rule == "" {
		rule = policy.None
	}
	return detailsRBAC + "[" + rule + "]"
}

const detailsRBAC = "rbac_access_denied_matched_policy"

// forbidden asks the listener's policy, and answers when it denies. It comes
// before anything that a route says, but the denied request still shows which
// service it was for.
func (s *stream) forbidden(st *state, req *route.Request, d *route.Decision) bool {
	if s.cfg.Policy == nil {
		return false
	}
	v := s.cfg.Policy.Check(&policy.Request{
		Principal: s.info.Principal, Source: s.info.Remote.Addr(), Destination: s.info.Local, SNI: s.info.SNI,
		HTTP: true, Method: req.Method, Host: req.Host, Path: req.Path, Header: req.Header,
	})
	s.x.DryRun = v.DryRun
	if !v.Denied {
		return false
	}
	if d.Route != nil && d.Route.Forward != nil && len(d.Route.Forward.Clusters) == 1 {
		s.x.Cluster = d.Route.Forward.Clusters[0].Cluster
		if u := st.clusters[s.x.Cluster]; u != nil {
			s.x.Service = u.service
		}
		if s.x.Service.Host == "" && s.cfg.Direction == listen.Inbound {
			s.x.Service = s.e.authorities.service(s.r.Host)
		}
	}
	s.reply(localReply{status: http.StatusForbidden, body: "RBAC: access denied", details: RBACDetails(v), object: v.Objects})
	return true
}

// ProvenSelf is this sidecar's own workload with its identity, for exchanges
// under mutual TLS.
func (e *Engine) ProvenSelf() *Peer {
	c := e.opts.Identity.Current()
	if c == nil {
		return e.self
	}
	return e.peers.Proven(e.self, c.Principal())
}

// Rejected records a connection that was closed before it brought a request: the
// listener's TLS mode does not let it in.
func (e *Engine) Rejected(cfg *listen.Config, client net.Addr, why string) {
	x := Exchange{
		Begin: time.Now(), Listener: cfg.Name, Direction: cfg.Direction, Protocol: mesh.HTTP,
		Source: e.peers.unknown, Destination: e.self, Service: e.servedBy(cfg),
		Details: why, Object: cfg.TLSObject, ClientAddr: client.String(), TLS: plainText,
	}
	if why == listen.RejectedPlainText {
		x.Flags = FlagNR
	}
	e.Observe(&x)
}

// servedBy tells which service a listener's connections are for, where all of
// its routes lead to one cluster.
func (e *Engine) servedBy(cfg *listen.Config) mesh.Service {
	name := cfg.Cluster
	if cfg.Routes != nil {
		name = cfg.Routes.OnlyCluster()
	}
	if u := e.state.Load().clusters[name]; u != nil {
		return u.service
	}
	return mesh.Service{}
}
