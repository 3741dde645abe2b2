package graph

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// edge makes an edge of the view.
func (v *viewing) edge(g *gathered) Edge {
	f := g.lead
	quantiles := f.quantiles
	if len(f.latency) == 0 && g.server != nil { // copies: nobody times them at the client's side
		quantiles = g.server.quantiles
	}
	out := Edge{
		ID: g.id, Source: g.source.id, Target: g.target.id, Protocol: g.protocol,
		RPS: round(f.tally.total.rate()), ErrorRatio: round(f.tally.errorRatio()),
		P50MS: quantiles.p50, P95MS: quantiles.p95, P99MS: quantiles.p99,
		Codes: v.none, Flags: v.none,
		Mirrored:      g.mirrored,
		SentBytesPerS: round(f.plain[sumSent]), ReceivedBytesPerS: round(f.plain[sumReceived]),
		ActiveConnections: f.active,
		RPSSeries:         g.rps, ErrorSeries: g.failed,
		ClientSide: g.client.side(&g.sides[0]), ServerSide: g.server.side(&g.sides[1]),
		Weight:  v.splits.weight(g),
		written: &g.written,
	}
	if g.labels == nil || g.shown != nil && g.shown.Host != g.service.Host || g.shown == nil && g.service.Host != "" {
		g.shown = nil
		if g.service.Host != "" {
			service := v.service(g.service)
			g.shown = &service
		}
		out.Service = g.shown
		g.labels = out.labels(nil)
	}
	out.Service, out.written.head = g.shown, g.labels
	if g.securable > 0 {
		out.MTLSRatio = round(g.secured / g.securable)
	}
	v.connections(g, &out)
	v.codes(g, &out)
	out.AnsweredBy, out.Answers = answers(g)
	out.Health = v.edgeHealth(g, out.Answers)
	return out
}

// codes fills in answers by code and by flag.
func (v *viewing) codes(g *gathered, out *Edge) {
	list := g.lead.requests
	if len(list) == 0 {
		list = g.lead.responses
	}
	codes, flags := make(map[string]float64, 1), map[string]float64(nil)
	for _, r := range list {
		if g.protocol != mesh.TCP {
			codes[r.code] += r.rate
		}
		for _, flag := range r.flags {
			if flags == nil {
				flags = make(map[string]float64)
			}
			flags[flag] += r.rate
		}
	}
	if len(codes) > 0 {
		out.Codes = codes
		roundMap(codes)
	}
	if flags != nil {
		out.Flags = flags
		roundMap(flags)
	}
}

// service completes a service's names by the registry.
func (v *viewing) service(s mesh.Service) mesh.Service {
	if f, ok := v.engine.facts.Services[s.Host]; ok {
		if f.Service.Name != "" {
			s.Name = f.Service.Name
		}
		if f.Service.Namespace != "" {
			s.Namespace = f.Service.Namespace
		}
	}
	if s.Name == "" {
		s.Name = s.Host
	}
	return s
}

// connections fills in what only the client's side can tell of requests: how
// many tries they took and how many connections they were made over.
func (v *viewing) connections(g *gathered, out *Edge) {
	if g.protocol == mesh.TCP {
		out.NewConnectionsPerS = round(g.lead.plain[sumOpened])
		return
	}
	c := g.client
	if c == nil {
		return
	}
	requests := c.tally.total.rate()
	if requests > 0 && c.plain[sumAttempts] > 0 {
		out.AttemptsPerRequest = round(c.plain[sumAttempts] / requests)
	}
	if opened := c.plain[sumNewConnections]; opened > 0 {
		out.NewConnectionsPerS = round(opened)
		per := v.numbers.take(1)
		per[0] = round(requests / opened)
		out.RequestsPerConnection = &per[0]
	}
}

func (f *figures) side(into *Side) *Side {
	if f == nil {
		return nil
	}
	q := f.quantiles
	*into = Side{RPS: round(f.tally.total.rate()), ErrorRatio: round(f.tally.errorRatio()), P50MS: q.p50, P95MS: q.p95, P99MS: q.p99}
	return into
}

func roundMap(m map[string]float64) {
	for k, x := range m {
		m[k] = round(x)
	}
}

// maxAnswers bounds the error answers shown of an edge.
const maxAnswers = 10

// answers says who answered an edge's requests, and lists the error answers,
// most frequent first.
//
// Two proxies stand on the way. To the client's, an answer that the server's
// proxy made looks like the service's own; the server's proxy knows better.
// So what the client's side counts as answered upstream is split by what the
// server's side says of answers with the same status. What the client's proxy
// answered never reached the server and is missing there rightly.
func answers(g *gathered) (AnsweredBy, []Answer) {
	list := g.lead.responses
	if len(list) == 0 {
		list = guessed(g.lead.requests)
	}
	if g.client != nil && g.server != nil && g.lead != g.server {
		list = attribute(list, g.server.responses)
	}
	var by AnsweredBy
	found := []Answer{}
	for _, r := range list {
		switch r.AnsweredBy {
		case mesh.AnsweredByUpstream:
			by.Upstream += r.rate
		case mesh.AnsweredByProxy:
			by.Proxy += r.rate
		}
		if failing := r.isError() && g.protocol != mesh.TCP || g.protocol == mesh.TCP && r.tcpFail; failing {
			found = append(found, Answer{
				Code: r.Code, GRPC: r.GRPC, Flags: r.Flags, By: r.AnsweredBy,
				Details: r.Details, Object: r.Object, RPS: round(r.rate),
			})
		}
	}
	slices.SortFunc(found, func(a, b Answer) int {
		return cmp.Or(cmp.Compare(b.RPS, a.RPS), cmp.Compare(a.Code, b.Code), strings.Compare(a.GRPC, b.GRPC),
			strings.Compare(a.Flags, b.Flags), strings.Compare(a.By, b.By),
			strings.Compare(a.Details, b.Details), strings.Compare(a.Object, b.Object))
	})
	if len(found) > maxAnswers {
		found = slices.Clip(found[:maxAnswers])
	}
	return AnsweredBy{round(by.Upstream), round(by.Proxy)}, found
}

// status is what both sides of an edge see of an answer.
type status struct {
	code int
	grpc string
}

// attribute takes from the client side's upstream answers what the server's
// proxy says that it made itself.
func attribute(client, server []outcomeRate) []outcomeRate {
	upstream := make(map[status]float64)
	for _, r := range client {
		if r.AnsweredBy != mesh.AnsweredByProxy {
			upstream[status{r.Code, grpcNumber(r.GRPC)}] += r.rate
		}
	}
	taken := make(map[status]float64)
	var out []outcomeRate
	for _, r := range server {
		if r.AnsweredBy != mesh.AnsweredByProxy {
			continue
		}
		st := status{r.Code, grpcNumber(r.GRPC)}
		// The client's retries make the server answer more than the client
		// counts; only what it counts is to be split.
		rate := min(r.rate, upstream[st]-taken[st])
		if rate > 0 {
			taken[st] += rate
			out = append(out, outcomeRate{r.outcome, rate})
		}
	}
	for _, r := range client {
		if r.AnsweredBy != mesh.AnsweredByProxy {
			st := status{r.Code, grpcNumber(r.GRPC)}
			left := upstream[st] - taken[st]
			if left < 1e-9*upstream[st] {
				continue
			}
			r.rate *= left / upstream[st]
		}
		out = append(out, r)
	}
	return out
}

// proxyFlags are set only where a proxy made the answer itself. URX and UR are
// not among them: a service's own last answer may carry them.
var proxyFlags = []mesh.Flag{
	mesh.FlagNoHealthyUpstream, mesh.FlagUpstreamConnectionFailure, mesh.FlagUpstreamOverflow,
	mesh.FlagNoRouteFound, mesh.FlagNoClusterFound, mesh.FlagUpstreamRequestTimeout,
	mesh.FlagUpstreamConnectionTerm, mesh.FlagUpstreamProtocolError, mesh.FlagFaultInjected,
	mesh.FlagRateLimited, mesh.FlagUnauthorized, mesh.FlagOverload, mesh.FlagDNSFailure,
}

// guessed makes responses of requests where the mesh tells no more than the
// standard metrics do. An answer without flags may be anybody's (a denial sets
// none): then nobody is named.
func guessed(requests []outcomeRate) []outcomeRate {
	out := make([]outcomeRate, 0, len(requests))
	for _, r := range requests {
		if slices.ContainsFunc(r.flags, func(f string) bool { return slices.Contains(proxyFlags, mesh.Flag(f)) }) {
			o := *r.outcome
			o.AnsweredBy = mesh.AnsweredByProxy
			r.outcome = &o
		}
		out = append(out, r)
	}
	return out
}
