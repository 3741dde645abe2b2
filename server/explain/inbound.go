package explain

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
)

// maxCallees bounds the workloads of which an account tells what becomes of the
// request at one of their nodes.
const maxCallees = 3

// callees tells what becomes of the request where it arrives: at one node of each
// workload among the endpoints. It gives what is to be added to the outcome when
// some of them refuse it.
func (e *explaining) callees(c *clusterv3.Cluster, load *endpointv3.ClusterLoadAssignment) (outcome string, err error) {
	if e.world.Callee == nil {
		return "", nil
	}
	told := map[string]bool{}
	var refusals []string
	for _, locality := range load.GetEndpoints() {
		for _, lb := range locality.GetLbEndpoints() {
			a := lb.GetEndpoint().GetAddress().GetSocketAddress()
			workload := workloadOf(lb)
			if told[workload] || len(told) == maxCallees {
				continue
			}
			callee := e.world.Callee(fmt.Sprintf("%s:%d", a.GetAddress(), a.GetPortValue()), workload)
			if callee == nil {
				continue
			}
			told[workload] = true
			r, err := e.arrive(callee, a, speaks(c, lb))
			if err != nil {
				return "", fmt.Errorf("at %s: %w", callee.Node, err)
			}
			if r != "" {
				refusals = append(refusals, callee.Node+" "+r)
			}
		}
	}
	switch {
	case len(refusals) == 0:
		return "", nil
	case len(refusals) == len(told):
		return ", and is refused there: " + strings.Join(refusals, "; "), nil
	}
	return ", and is refused by some: " + strings.Join(refusals, "; "), nil
}

func workloadOf(lb *endpointv3.LbEndpoint) string {
	// name;namespace;app;version;cluster
	words := strings.Split(lb.GetMetadata().GetFilterMetadata()["istio"].GetFields()["workload"].GetStringValue(), ";")
	if len(words) < 2 {
		return ""
	}
	return words[1] + "/" + words[0]
}

// transport is how a caller's sidecar connects.
type transport int

const (
	plainText transport = iota
	someTLS             // without a certificate of the caller's
	mutualTLS
)

// speaks tells how an endpoint of a cluster is connected to.
func speaks(c *clusterv3.Cluster, lb *endpointv3.LbEndpoint) transport {
	socket := c.GetTransportSocket()
	has := lb.GetMetadata().GetFilterMetadata()["envoy.transport_socket_match"].GetFields()
	for _, m := range c.GetTransportSocketMatches() {
		fits := true
		for k, v := range m.GetMatch().GetFields() {
			fits = fits && has[k].GetStringValue() == v.GetStringValue()
		}
		if fits {
			socket = m.GetTransportSocket()
			break
		}
	}
	tls := &tlsv3.UpstreamTlsContext{}
	if t := socket.GetTypedConfig(); t == nil || !t.MessageIs(tls) || t.UnmarshalTo(tls) != nil {
		return plainText
	}
	common := tls.GetCommonTlsContext()
	if len(common.GetTlsCertificateSdsSecretConfigs()) > 0 || len(common.GetTlsCertificates()) > 0 {
		return mutualTLS
	}
	return someTLS
}

// arrive walks the listener at which a node takes the request. It gives why the
// node refuses it, as part of a sentence; "" when it goes to the app.
func (e *explaining) arrive(callee *Callee, at *corev3.SocketAddress, by transport) (refusal string, err error) {
	there := &explaining{world: callee.World, request: e.request}
	l, from, err := there.inboundListener(at)
	if err != nil {
		return "", err
	}
	step := Step{Kind: KindInbound, Node: callee.Node, Resource: mesh.TypeListener + " " + from.Name, Revision: from.Revision}
	if l == nil {
		step.Resource = ""
		step.Title = fmt.Sprintf("%s is there and takes nothing on %s:%d: its app gets it as it comes", callee.Node, at.GetAddress(), at.GetPortValue())
		e.step(step)
		return "", nil
	}
	chain, mode := chainFor(l, by)
	manager, port, err := there.inboundFilters(chain)
	if err != nil {
		return "", err
	}
	there.peer(&step, mode, port, from.Objects)
	facts := &factList{explaining: there}
	if manager != nil {
		for _, f := range filterFacts(manager) {
			if f.Name != "filter rbac" { // a step of its own
				facts.list = append(facts.list, f)
			}
		}
		for _, host := range manager.GetRouteConfig().GetVirtualHosts() {
			if len(host.GetRoutes()) > 0 {
				facts.object, _ = origin(host.GetRoutes()[0].GetMetadata())
			}
			facts.filters(host.GetTypedPerFilterConfig())
		}
	}
	step.Facts = append(step.Facts, facts.list...)
	encrypted := chain.GetTransportSocket() != nil
	switch {
	case encrypted && by == plainText:
		refusal = "takes mutual TLS only, and it comes in plain text: the caller gets 503"
	case encrypted && by == someTLS:
		refusal = "takes mutual TLS only, and the caller shows no certificate: the caller gets 503"
	case encrypted && e.request.Principal == "":
		refusal = "takes mutual TLS, and the caller's sidecar has no certificate to show: the caller gets 503"
	case !encrypted && by == mutualTLS:
		refusal = "takes no TLS on this port, and the caller speaks it: the caller gets 503"
	}
	switch who := e.request.Principal; {
	case refusal != "":
		step.Title = callee.Node + " " + refusal
	case encrypted:
		step.Title = fmt.Sprintf("%s takes it under mutual TLS, from %s", callee.Node, who)
	default:
		step.Title = callee.Node + " takes it in plain text: nobody knows who calls"
	}
	e.step(step)
	if refusal != "" {
		return refusal, nil
	}
	c := &Call{Request: e.request, HTTP: manager != nil, Destination: addrPort(at)}
	if encrypted {
		c.Principal = e.request.Principal
	}
	return e.authorize(there, callee, chain, manager, from, c)
}

func addrPort(a *corev3.SocketAddress) netip.AddrPort {
	address, err := netip.ParseAddr(a.GetAddress())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(address, uint16(a.GetPortValue()))
}

// inboundListener finds the listener at an address; nil when there is none.
func (e *explaining) inboundListener(at *corev3.SocketAddress) (*listenerv3.Listener, Resource, error) {
	for _, res := range e.world.Listeners {
		l := &listenerv3.Listener{}
		if err := res.Any.UnmarshalTo(l); err != nil {
			return nil, Resource{}, fmt.Errorf("listener %s: %w", res.Name, err)
		}
		a := l.GetAddress().GetSocketAddress()
		if l.GetTrafficDirection() != corev3.TrafficDirection_INBOUND || a.GetPortValue() != at.GetPortValue() {
			continue
		}
		if a.GetAddress() == at.GetAddress() || a.GetAddress() == "0.0.0.0" || a.GetAddress() == "::" {
			return l, res, nil
		}
	}
	return nil, Resource{}, nil
}

// chainFor finds the filters that take a connection, and which of TLS and plain
// text a listener takes at all.
func chainFor(l *listenerv3.Listener, by transport) (chain *listenerv3.FilterChain, mode string) {
	plain, secured := false, false
	for _, c := range l.GetFilterChains() {
		if c.GetTransportSocket() == nil {
			plain = true
		} else {
			secured = true
		}
		only := c.GetFilterChainMatch().GetTransportProtocol()
		if chain == nil && only == "" || only == "tls" && by != plainText {
			chain = c
		}
	}
	switch {
	case plain && secured:
		mode = "taken, and plain text too"
	case secured:
		mode = "required"
	default:
		mode = "not taken"
	}
	return cmp.Or(chain, &listenerv3.FilterChain{}), mode
}

// inboundFilters gives what looks into HTTP, nil where bytes are passed on, and
// the service's port.
func (e *explaining) inboundFilters(chain *listenerv3.FilterChain) (manager *hcmv3.HttpConnectionManager, port string, err error) {
	for _, f := range chain.GetFilters() {
		hcm := &hcmv3.HttpConnectionManager{}
		if f.GetTypedConfig().MessageIs(hcm) {
			if err := f.GetTypedConfig().UnmarshalTo(hcm); err != nil {
				return nil, "", err
			}
			manager = hcm
		}
	}
	// inbound|PORT||
	if parts := strings.Split(manager.GetRouteConfig().GetName(), "|"); len(parts) == 4 {
		port = parts[1]
	}
	return manager, port, nil
}

// peer tells by which PeerAuthentication a port takes TLS or does not.
func (e *explaining) peer(s *Step, mode, port string, objects []string) {
	fact := Fact{Name: "mutual TLS", Value: mode, Default: true}
	for _, o := range objects {
		if !strings.HasPrefix(o, config.KindPeerAuthentication+" ") {
			continue
		}
		path := "spec.mtls.mode"
		if own := "spec.portLevelMtls[" + port + "]"; port != "" && e.written(o, own) {
			path = own
		}
		fact.Default, fact.Place = false, e.place(o, path)
		s.Place = fact.Place
	}
	s.Facts = append(s.Facts, fact)
}

// authorize judges the request by the rules of a listener, one filter after the
// other, as the node does.
func (e *explaining) authorize(there *explaining, callee *Callee, chain *listenerv3.FilterChain, manager *hcmv3.HttpConnectionManager, from Resource, c *Call) (refusal string, err error) {
	filters, err := rulesOf(chain, manager)
	if err != nil {
		return "", err
	}
	step := Step{Kind: KindAuthorization, Node: callee.Node, Resource: mesh.TypeListener + " " + from.Name, Revision: from.Revision}
	if len(filters) == 0 {
		step.Title = "no policy is for it: everybody may"
		e.step(step)
		return "", nil
	}
	step.Title = "no policy denies it"
	for _, f := range filters {
		if f.shadow != nil {
			v, err := Judge(f.shadow, c)
			if err != nil {
				return "", err
			}
			fact := Fact{Name: "dry run", Value: "would let it pass", Place: there.rulePlace(v.Rule)}
			if v.Denied {
				fact.Value = "would deny it: " + cmp.Or(ruleText(v.Rule), "none of its rules allows it")
			}
			step.Facts = append(step.Facts, fact)
		}
		if f.rules == nil {
			continue
		}
		v, err := Judge(f.rules, c)
		if err != nil {
			return "", err
		}
		for _, n := range v.Not {
			step.Skipped = append(step.Skipped, Skipped{Name: ruleText(n.Rule), Why: n.Why, Place: there.rulePlace(n.Rule)})
		}
		if v.Rule != "" {
			step.Place = there.rulePlace(v.Rule)
		}
		switch {
		case v.Denied && v.Rule != "":
			step.Title, refusal = ruleText(v.Rule)+" denies it", "answers "+denial(manager)+": "+ruleText(v.Rule)+" denies it"
		case v.Denied:
			step.Title, refusal = "no rule allows it", "answers "+denial(manager)+": no rule allows it"
		case v.Rule != "":
			step.Title = ruleText(v.Rule) + " allows it"
		}
		if refusal != "" {
			break
		}
	}
	if len(step.Skipped) > maxListed {
		step.Skipped = append(step.Skipped[:maxListed:maxListed], Skipped{Name: "…", Why: fmt.Sprintf("and %d more", len(step.Skipped)-maxListed)})
	}
	e.step(step)
	return refusal, nil
}

// denial is what a caller gets of a node that refuses it.
func denial(manager *hcmv3.HttpConnectionManager) string {
	if manager == nil {
		return "by closing the connection"
	}
	return "403"
}

// filter is one filter of rules.
type filter struct{ rules, shadow *rbac }

// rulesOf lists the filters of rules that a connection, or a request on it,
// passes.
func rulesOf(chain *listenerv3.FilterChain, manager *hcmv3.HttpConnectionManager) ([]filter, error) {
	var out []filter
	if manager != nil {
		for _, f := range manager.GetHttpFilters() {
			m := &httprbacv3.RBAC{}
			if f.GetTypedConfig().MessageIs(m) {
				if err := f.GetTypedConfig().UnmarshalTo(m); err != nil {
					return nil, err
				}
				out = append(out, filter{m.GetRules(), m.GetShadowRules()})
			}
		}
		return out, nil
	}
	for _, f := range chain.GetFilters() {
		m := &tcprbac{}
		if f.GetTypedConfig().MessageIs(m) {
			if err := f.GetTypedConfig().UnmarshalTo(m); err != nil {
				return nil, err
			}
			out = append(out, filter{m.GetRules(), m.GetShadowRules()})
		}
	}
	return out, nil
}

// ruleOrigin reads which object a rule is of, by its name:
// "ns[cinema]-policy[web-only]-rule[0]", or "-target[" for one of SMI's.
func ruleOrigin(name string) (object string, index int, ok bool) {
	rest, found := strings.CutPrefix(name, "ns[")
	for mark, kind := range map[string]string{"]-policy[": config.KindAuthorizationPolicy, "]-target[": config.KindTrafficTarget} {
		namespace, of, cut := strings.Cut(rest, mark)
		called, number, last := strings.Cut(of, "]-rule[")
		if n, err := strconv.Atoi(strings.TrimSuffix(number, "]")); found && cut && last && err == nil {
			return kind + " " + namespace + "/" + called, n, true
		}
	}
	return "", 0, false
}

func ruleText(name string) string {
	if object, index, ok := ruleOrigin(name); ok {
		return fmt.Sprintf("rule %d of %s", index+1, object)
	}
	return name
}

func (e *explaining) rulePlace(name string) Place {
	object, index, ok := ruleOrigin(name)
	if !ok {
		return Place{}
	}
	return e.place(object, fmt.Sprintf("spec.rules[%d]", index))
}
