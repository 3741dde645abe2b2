package explain

import (
	"fmt"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
)

// Resource is one resource of a node.
type Resource struct {
	Name     string
	Any      *anypb.Any
	Objects  []string // configuration objects that it came from: "VirtualService cinema/catalog"
	Revision uint64   // that last changed it
}

// World is what one node runs, or should run, and the objects that it came from.
type World struct {
	Revision uint64
	// Listeners are those of the node, by name.
	Listeners []Resource
	// Resource finds a route, cluster or endpoint resource.
	Resource func(typ, name string) (Resource, bool)
	// Object finds an object as it was then; nil when it is not known.
	Object func(name string) *config.Object
	// Callee finds the node that takes requests at an endpoint, "10.0.0.1:80" of
	// the workload "cinema/catalog"; nil when none is known to. A nil Callee knows
	// none.
	Callee func(address, workload string) *Callee
}

// Callee is a node at which requests arrive.
type Callee struct {
	Node  string
	World *World // what it runs, or should
}

// Account is what becomes of a request.
type Account struct {
	Revision uint64 `json:"revision"`
	Outcome  string `json:"outcome"` // one sentence
	Steps    []Step `json:"steps"`
}

// The kinds of steps, in the order in which they come.
const (
	KindListener    = "listener"
	KindVirtualHost = "virtual_host"
	KindRoute       = "route"
	KindSplit       = "split"
	KindCluster     = "cluster"
	KindEndpoints   = "endpoints"

	// Of the node at which the request arrives.
	KindInbound       = "inbound"
	KindAuthorization = "authorization"
)

// Place is the line behind something. Object is "" when nobody wrote it.
type Place struct {
	Object string `json:"object"` // "VirtualService cinema/catalog"
	File   string `json:"file"`
	Line   int    `json:"line"` // 0: not known
}

// Step is one decision.
type Step struct {
	Kind     string `json:"kind"`
	Node     string `json:"node,omitempty"` // that decides; absent: the caller's
	Title    string `json:"title"`
	Resource string `json:"resource"` // that decides: "route outbound"
	Revision uint64 `json:"revision"` // that last changed the resource; 0: not known
	Place
	Facts   []Fact    `json:"facts"`   // what holds from here on
	Skipped []Skipped `json:"skipped"` // earlier routes, and why not they
	Differs bool      `json:"differs"` // from the other account's step, see Compare
}

// Fact is a policy or a condition that holds.
type Fact struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Default bool   `json:"default"` // nobody asked for it
	Place
}

// Skipped is a route that came before and did not take the request.
type Skipped struct {
	Name string `json:"name"`
	Why  string `json:"why"`
	Place
}

// maxListed bounds endpoints and skipped routes in an account.
const maxListed = 50

// Explain tells what becomes of a request that a node's app sends. An error
// means that a resource cannot be read, or holds what this version does not
// know.
func (w *World) Explain(r *Request) (Account, error) {
	e := &explaining{world: w, request: r, account: Account{Revision: w.Revision, Steps: []Step{}}}
	if err := e.listener(); err != nil {
		return Account{}, err
	}
	return e.account, nil
}

type explaining struct {
	world   *World
	request *Request
	account Account
}

func (e *explaining) step(s Step) *Step {
	s.Facts, s.Skipped = notNil(s.Facts), notNil(s.Skipped)
	e.account.Steps = append(e.account.Steps, s)
	return &e.account.Steps[len(e.account.Steps)-1]
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (e *explaining) end(format string, args ...any) error {
	e.account.Outcome = fmt.Sprintf(format, args...)
	return nil
}

// listener finds the listener that takes the request: one that the app is told
// to use as a proxy, or, where the kernel brings the traffic, the one of the
// port that is asked for.
func (e *explaining) listener() error {
	var best *listenerv3.Listener
	var manager *hcmv3.HttpConnectionManager
	var from Resource
	for _, res := range e.world.Listeners {
		l := &listenerv3.Listener{}
		if err := res.Any.UnmarshalTo(l); err != nil {
			return fmt.Errorf("listener %s: %w", res.Name, err)
		}
		if l.GetTrafficDirection() != corev3.TrafficDirection_OUTBOUND {
			continue
		}
		hcm, err := managerOf(l, e.request)
		if err != nil {
			return fmt.Errorf("listener %s: %w", res.Name, err)
		}
		if hcm != nil && (socket(l) || l.GetAddress().GetSocketAddress().GetPortValue() == e.request.port()) && (best == nil || socket(l)) {
			best, manager, from = l, hcm, res
		}
	}
	if best == nil {
		e.step(Step{Kind: KindListener, Title: fmt.Sprintf("the sidecar takes no HTTP to port %d", e.request.port())})
		return e.end("The sidecar does not look into it: it takes no HTTP to port %d.", e.request.port())
	}
	a := best.GetAddress().GetSocketAddress()
	title := fmt.Sprintf("the sidecar takes it on %s:%d", a.GetAddress(), a.GetPortValue())
	if !socket(best) {
		title = fmt.Sprintf("the kernel brings it to the sidecar, which takes HTTP to port %d", a.GetPortValue())
	}
	e.step(Step{
		Kind: KindListener, Resource: mesh.TypeListener + " " + from.Name, Revision: from.Revision, Title: title, Facts: filterFacts(manager),
	})
	return e.routes(manager)
}

func socket(l *listenerv3.Listener) bool {
	return l.GetBindToPort() == nil || l.GetBindToPort().GetValue()
}

// takes reports whether a chain is for a client that asks for the request's URL.
func takes(m *listenerv3.FilterChainMatch, r *Request) bool {
	name, _, _ := strings.Cut(strings.ToLower(r.Host), ":")
	if r.Scheme != "https" {
		return m.GetTransportProtocol() != "tls"
	}
	return len(m.GetServerNames()) == 0 || slices.ContainsFunc(m.GetServerNames(), func(n string) bool {
		suffix, wild := strings.CutPrefix(n, "*")
		return n == name || wild && strings.HasSuffix(name, suffix)
	})
}

// managerOf gives what looks into a listener's HTTP for a request, nil when
// nothing does.
func managerOf(l *listenerv3.Listener, r *Request) (*hcmv3.HttpConnectionManager, error) {
	for _, chain := range l.GetFilterChains() {
		if !takes(chain.GetFilterChainMatch(), r) {
			continue
		}
		for _, f := range chain.GetFilters() {
			hcm := &hcmv3.HttpConnectionManager{}
			if f.GetTypedConfig().MessageIs(hcm) {
				return hcm, f.GetTypedConfig().UnmarshalTo(hcm)
			}
		}
	}
	return nil, nil
}

// filterFacts lists what acts on requests before they are routed. What has no
// settings here acts by those of the route.
func filterFacts(hcm *hcmv3.HttpConnectionManager) []Fact {
	var facts []Fact
	for _, f := range hcm.GetHttpFilters() {
		limit := &ratelimitv3.LocalRateLimit{}
		idle := len(f.GetTypedConfig().GetValue()) == 0 || strings.HasSuffix(f.GetName(), ".router") ||
			f.GetTypedConfig().MessageIs(limit) && f.GetTypedConfig().UnmarshalTo(limit) == nil && limit.GetTokenBucket() == nil
		if !idle {
			facts = append(facts, Fact{Name: "filter " + strings.TrimPrefix(f.GetName(), "envoy.filters.http."), Value: compact(f.GetTypedConfig())})
		}
	}
	return facts
}

func (e *explaining) routes(hcm *hcmv3.HttpConnectionManager) error {
	rc, res := hcm.GetRouteConfig(), Resource{}
	if name := hcm.GetRds().GetRouteConfigName(); name != "" {
		var ok bool
		if res, ok = e.world.Resource(mesh.TypeRoute, name); !ok {
			return e.end("The sidecar has no routes yet, so it refuses the request with 404.")
		}
		rc = &routev3.RouteConfiguration{}
		if err := res.Any.UnmarshalTo(rc); err != nil {
			return fmt.Errorf("route %s: %w", name, err)
		}
	}
	resource := mesh.TypeRoute + " " + rc.GetName()
	d, err := Decide(rc, e.request)
	if err != nil {
		return err
	}
	if d.Host == nil {
		e.step(Step{Kind: KindVirtualHost, Resource: resource, Revision: res.Revision, Title: fmt.Sprintf("nothing has the name %q", e.request.Host)})
		return e.end("No virtual host has the name %q: the sidecar answers 404.", e.request.Host)
	}
	host := e.step(Step{Kind: KindVirtualHost, Resource: resource, Revision: res.Revision})
	e.virtualHost(host, rc, d, res.Objects)
	if d.Route < 0 {
		skipped, err := e.skipped(d.Host.GetRoutes())
		if err != nil {
			return err
		}
		e.step(Step{Kind: KindRoute, Resource: resource, Revision: res.Revision, Title: "no route takes it", Skipped: skipped})
		return e.end("No route of %s takes it: the sidecar answers 404.", d.Host.GetName())
	}
	return e.route(d, resource, res.Revision)
}

func (e *explaining) virtualHost(s *Step, rc *routev3.RouteConfiguration, d Decision, objects []string) {
	if d.Domain == "*" {
		s.Title = fmt.Sprintf("no service has the name %q; %s takes what is left", e.request.Host, d.Host.GetName())
		for _, name := range similar(rc, e.request.Host) {
			s.Facts = append(s.Facts, Fact{Name: "did you mean", Value: name})
		}
		return
	}
	s.Title = fmt.Sprintf("%s has the name %q", d.Host.GetName(), d.Domain)
	name, _, _ := strings.Cut(d.Host.GetName(), ":")
	for _, key := range objects {
		o := e.world.Object(key)
		if o == nil {
			continue
		}
		for i, h := range o.ServiceEntry().GetHosts() {
			if strings.EqualFold(strings.TrimSuffix(h, "."), name) {
				s.Place = e.place(key, fmt.Sprintf("spec.hosts[%d]", i))
				return
			}
		}
	}
}

func (e *explaining) skipped(routes []*routev3.Route) ([]Skipped, error) {
	var out []Skipped
	for _, r := range routes {
		why, err := refusal(r.GetMatch(), e.request)
		if err != nil {
			return nil, err
		}
		if len(out) == maxListed {
			out = append(out, Skipped{Name: "…", Why: fmt.Sprintf("and %d more", len(routes)-maxListed)})
			break
		}
		object, path := origin(r.GetMetadata())
		out = append(out, Skipped{Name: r.GetName(), Why: why, Place: e.place(object, path)})
	}
	return out, nil
}

func (e *explaining) route(d Decision, resource string, revision uint64) error {
	r := d.Host.GetRoutes()[d.Route]
	skipped, err := e.skipped(d.Host.GetRoutes()[:d.Route])
	if err != nil {
		return err
	}
	object, path := origin(r.GetMetadata())
	s := e.step(Step{
		Kind: KindRoute, Resource: resource, Revision: revision, Skipped: skipped, Place: e.place(object, path),
		Title: routeTitle(r),
	})
	facts := &factList{explaining: e, object: object, path: parent(path)}
	facts.route(r, d.Host)
	s.Facts = notNil(facts.list)

	switch action := r.GetAction().(type) {
	case *routev3.Route_DirectResponse:
		if r.GetName() == "block_all" {
			return e.end("The sidecar answers %d itself: nothing with this name is known in the mesh.", action.DirectResponse.GetStatus())
		}
		return e.end("The sidecar answers %d itself.", action.DirectResponse.GetStatus())
	case *routev3.Route_Redirect:
		return e.end("The sidecar redirects the client.")
	case *routev3.Route_Route:
		return e.forward(action.Route, object, parent(path), resource, revision)
	}
	return fmt.Errorf("route %s: this version does not know its action", r.GetName())
}

func routeTitle(r *routev3.Route) string {
	list := conditions(r.GetMatch())
	if len(list) == 0 {
		return r.GetName() + " takes every request"
	}
	return r.GetName() + " takes it: " + strings.Join(list, ", ")
}

// destination is where a route sends a share of its requests.
type destination struct {
	cluster string
	share   float64 // of 1
	index   int     // among the route's destinations
}

func (e *explaining) forward(a *routev3.RouteAction, object, path, resource string, revision uint64) error {
	var to []destination
	switch c := a.GetClusterSpecifier().(type) {
	case *routev3.RouteAction_Cluster:
		to = []destination{{cluster: c.Cluster, share: 1}}
	case *routev3.RouteAction_WeightedClusters:
		total := uint64(0)
		for _, w := range c.WeightedClusters.GetClusters() {
			total += uint64(w.GetWeight().GetValue())
		}
		s := Step{Kind: KindSplit, Resource: resource, Revision: revision, Place: e.place(object, path+".route")}
		for i, w := range c.WeightedClusters.GetClusters() {
			if w.GetWeight().GetValue() == 0 {
				continue
			}
			share := float64(w.GetWeight().GetValue()) / float64(total)
			to = append(to, destination{w.GetName(), share, i})
			s.Facts = append(s.Facts, Fact{Name: clusterText(w.GetName()), Value: percentText(share), Place: e.place(object, e.destinationPath(object, path, w.GetName()))})
		}
		s.Title = fmt.Sprintf("one of %d destinations, by weight", len(to))
		e.step(s)
	default:
		return fmt.Errorf("this version does not know the destination %T", c)
	}
	var outcomes []string
	for _, d := range to {
		outcome, err := e.cluster(d)
		if err != nil {
			return err
		}
		if d.share < 1 {
			outcome = percentText(d.share) + " " + outcome
		}
		outcomes = append(outcomes, outcome)
	}
	text := strings.Join(outcomes, "; ")
	return e.end("%s%s.", strings.ToUpper(text[:1]), text[1:])
}

// destinationPath finds the destination of an object's route that a
// cluster stands for: those without a weight were left out of the cluster's
// list, so that places do not tell.
func (e *explaining) destinationPath(object, path, cluster string) string {
	parts := strings.Split(cluster, "|")
	o := e.world.Object(object)
	if len(parts) != 4 || o == nil {
		return path + ".route"
	}
	for _, b := range o.Backends() {
		if strings.HasPrefix(b.Path, path+".backendRefs") && b.Destination.Host == parts[3] && fmt.Sprint(b.Destination.GetPort().GetNumber()) == parts[1] {
			return b.Path
		}
	}
	best := ""
	for i, b := range o.TrafficSplit().GetBackends() {
		// Of "catalog" and "catalog.press" the longer says which is meant.
		if host := b.Service; (host == parts[3] || strings.HasPrefix(parts[3], host+".")) && b.GetWeight() > 0 && len(host) > len(best) {
			best, path = host, fmt.Sprintf("spec.backends[%d]", i)
		}
	}
	if best != "" {
		return path
	}
	for i, r := range o.VirtualService().GetHttp() {
		if path != fmt.Sprintf("spec.http[%d]", i) {
			continue
		}
		for j, d := range r.GetRoute() {
			host := d.GetDestination().GetHost()
			if d.GetDestination().GetSubset() == parts[2] && (host == parts[3] || strings.HasPrefix(parts[3], host+".")) && d.GetWeight() > 0 {
				return fmt.Sprintf("%s.route[%d]", path, j)
			}
		}
	}
	return path + ".route"
}

// cluster explains one destination and says, as part of a sentence, what
// becomes of its share.
func (e *explaining) cluster(d destination) (string, error) {
	s := Step{Kind: KindCluster, Resource: mesh.TypeCluster + " " + d.cluster, Title: clusterText(d.cluster)}
	if d.share < 1 {
		s.Title = percentText(d.share) + " to " + s.Title
	}
	res, ok := e.world.Resource(mesh.TypeCluster, d.cluster)
	if !ok {
		s.Title += ": there is no such cluster"
		e.step(s)
		return "gets 503 (NC): nothing is known as " + clusterText(d.cluster), nil
	}
	c := &clusterv3.Cluster{}
	if err := res.Any.UnmarshalTo(c); err != nil {
		return "", fmt.Errorf("cluster %s: %w", d.cluster, err)
	}
	s.Revision = res.Revision
	rule := ""
	for _, o := range res.Objects {
		switch kind, _, _ := strings.Cut(o, " "); kind {
		case config.KindDestinationRule:
			rule = o
		case config.KindServiceEntry:
			s.Place = e.place(o, "spec")
		}
	}
	facts := &factList{explaining: e, object: rule}
	facts.cluster(c, e.subsetPath(rule, d.cluster))
	s.Facts = facts.list
	if path := e.subsetPath(rule, d.cluster); path != "" {
		s.Place = e.place(rule, path)
	}
	e.step(s)

	load, from, objects := c.GetLoadAssignment(), s.Place, res.Objects
	endpoints := Step{Kind: KindEndpoints, Resource: s.Resource, Revision: res.Revision}
	if c.GetType() == clusterv3.Cluster_EDS {
		name := c.GetEdsClusterConfig().GetServiceName()
		if name == "" {
			name = d.cluster
		}
		endpoints.Resource = mesh.TypeEndpoint + " " + name
		eds, ok := e.world.Resource(mesh.TypeEndpoint, name)
		if !ok {
			endpoints.Title = "the sidecar was not told any endpoints"
			e.step(endpoints)
			return "gets 503 (UH): no endpoints of " + clusterText(d.cluster) + " are known", nil
		}
		load = &endpointv3.ClusterLoadAssignment{}
		if err := eds.Any.UnmarshalTo(load); err != nil {
			return "", fmt.Errorf("endpoints %s: %w", name, err)
		}
		endpoints.Revision = eds.Revision
		objects = eds.Objects
		from = e.endpointsPlace(objects, from)
	}
	endpoints.Place = from
	for i := range load.GetEndpoints() {
		for _, lb := range load.Endpoints[i].GetLbEndpoints() {
			f := endpointFact(lb, load.Endpoints[i].GetLocality(), load.Endpoints[i].GetPriority())
			f.Place = e.workloadEntry(objects, lb.GetEndpoint().GetAddress().GetSocketAddress())
			endpoints.Facts = append(endpoints.Facts, f)
		}
	}
	outcome := e.endpoints(endpoints, c, d)
	refused, err := e.callees(c, load)
	return outcome + refused, err
}

// workloadEntry finds the object that an endpoint is of, where that is one of
// its own.
func (e *explaining) workloadEntry(objects []string, at *corev3.SocketAddress) Place {
	for _, key := range objects {
		if !strings.HasPrefix(key, config.KindWorkloadEntry+" ") {
			continue
		}
		o := e.world.Object(key)
		if o == nil {
			continue
		}
		we := o.WorkloadEntry()
		fits := we.GetAddress() == at.GetAddress() && len(we.GetPorts()) == 0
		for _, port := range we.GetPorts() {
			fits = fits || we.GetAddress() == at.GetAddress() && port == at.GetPortValue()
		}
		if fits {
			return e.place(key, "spec.address")
		}
	}
	return Place{}
}

func (e *explaining) endpointsPlace(objects []string, otherwise Place) Place {
	for _, o := range objects {
		if strings.HasPrefix(o, config.KindServiceEntry+" ") {
			return e.place(o, "spec.endpoints")
		}
	}
	return otherwise
}

func (e *explaining) endpoints(s Step, c *clusterv3.Cluster, d destination) string {
	total := len(s.Facts)
	switch {
	case total == 0 && c.GetType() == clusterv3.Cluster_ORIGINAL_DST:
		s.Title = "wherever the client wanted to go"
		e.step(s)
		return "goes where the client wanted to go"
	case total == 0:
		s.Title = "no endpoints"
		e.step(s)
		return "gets 503 (UH): " + clusterText(d.cluster) + " has no endpoints"
	}
	s.Title = oneOf(total)
	if c.GetType() == clusterv3.Cluster_STRICT_DNS || c.GetType() == clusterv3.Cluster_LOGICAL_DNS {
		s.Title = "one of the addresses that the sidecar looks up"
	}
	if total > maxListed {
		s.Facts = append(s.Facts[:maxListed], Fact{Name: "…", Value: fmt.Sprintf("and %d more", total-maxListed)})
	}
	e.step(s)
	return fmt.Sprintf("goes to %s of %s", oneOf(total), clusterText(d.cluster))
}

func oneOf(endpoints int) string {
	if endpoints == 1 {
		return "the one endpoint"
	}
	return fmt.Sprintf("one of %d endpoints", endpoints)
}

// subsetPath is where a DestinationRule defines the subset of a cluster; "" for
// the service as a whole.
func (e *explaining) subsetPath(rule, cluster string) string {
	parts := strings.Split(cluster, "|")
	if rule == "" || len(parts) != 4 || parts[2] == "" {
		return ""
	}
	o := e.world.Object(rule)
	if o == nil {
		return ""
	}
	i := -1
	for j, s := range o.DestinationRule().GetSubsets() {
		if s.GetName() == parts[2] {
			i = j
		}
	}
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("spec.subsets[%d]", i)
}

// clusterText is what a cluster's name means: "catalog.cinema:80 subset v2".
func clusterText(name string) string {
	parts := strings.Split(name, "|")
	if len(parts) != 4 {
		return name
	}
	text := strings.TrimSuffix(parts[3], ".svc.cluster.local") + ":" + parts[1]
	if parts[2] != "" {
		text += " subset " + parts[2]
	}
	return text
}

func percentText(share float64) string {
	text := strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.2f", share*100), "0"), ".")
	return text + " %"
}
