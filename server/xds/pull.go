package xds

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// poller is a node that asks for its configuration every few seconds. The
// version that a question names is what it holds: naming the one of the last
// answer acknowledges that. It is guarded by the server's lock.
type poller struct {
	line
	said      *corev3.Node // of itself
	every     time.Duration
	heard     time.Time
	questions map[question]*pulled
}

// question is what a node asks again and again: for one resource, or for all
// that it wants of a type, which may come to be more. Envoy has one question for
// each route configuration and each cluster's endpoints.
type question struct {
	t    int
	name string // "" where it is for several
}

// silently is how often an answer is given before it is taken as refused by a
// client that never says so, as Envoy does not by REST.
const silently = 3

// pulled is a question with what its asker holds.
type pulled struct {
	watch
	last    time.Time // when it was asked
	version string    // that the asker holds
	claims  string    // version that it says it holds, of which it is not known yet what it is

	nonce string // of the answer that was given last and is not settled; "" for none
	next  string // its version
	holds pair   // what the asker holds once it takes the answer
	lacks difference
	refs  []skew.ResourceRef
	given int  // how often
	told  bool // that it was refused

	no string // version that it refused: not offered again, until the content is another

	of      pair // what wants and signed are of
	asking  *nameSet
	wants   map[string]*Resource
	signed  string
	planned bool
}

// pull answers a question; nil when nothing is new.
func (s *Server) pull(t int, req *discoveryv3.DiscoveryRequest, peer string) (*response[discoveryv3.DiscoveryResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.poller(req, t, peer)
	if err != nil {
		return nil, err
	}
	now := s.opts.Now()
	p.heard = now
	q, err := p.question(t, req.GetResourceNames())
	if err != nil {
		return nil, err
	}
	q.last = now
	p.take(t, q, req.GetVersionInfo(), req.GetErrorDetail())
	return p.answer(t, q), nil
}

// poller finds the node that asks. One that says otherwise of itself than before
// has started anew.
func (s *Server) poller(req *discoveryv3.DiscoveryRequest, t int, peer string) (*poller, error) {
	p := s.pollers[req.GetNode().GetId()]
	if p != nil && proto.Equal(p.said, req.GetNode()) {
		return p, p.check(mesh.TypeURL(typeName(t)), len(req.GetResourceNames()))
	}
	if p != nil {
		p.close("it asks as another than before")
	}
	l, err := s.open(peer, "rest")
	if err != nil {
		return nil, err
	}
	p = &poller{line: l, said: req.GetNode(), questions: map[question]*pulled{}}
	node, err := p.read(req.GetNode())
	if err != nil {
		return nil, err
	}
	if err := p.check(mesh.TypeURL(typeName(t)), len(req.GetResourceNames())); err != nil {
		return nil, err
	}
	if p.every = node.pull; p.every == 0 {
		p.every = pullUnknown
	}
	node.node.PullS = p.every.Seconds()
	p.meet(node)
	s.pollers[node.node.ID] = p
	return p, nil
}

func (p *poller) close(reason string) {
	s := p.server
	for _, q := range p.questions {
		s.names.release(q.asked)
	}
	delete(s.pollers, p.node.proxy.node.ID)
	p.end(reason)
}

// question finds what is known of a question, by what it is for.
func (p *poller) question(t int, names []string) (*pulled, error) {
	all := len(names) == 0 || slices.Contains(names, everything)
	key := question{t: t}
	if len(names) == 1 && !all {
		key.name = names[0]
	}
	q := p.questions[key]
	if q == nil {
		if len(p.questions) > maxNames {
			return nil, status.Errorf(codes.ResourceExhausted, "the node asks more than %d questions", maxNames)
		}
		q = &pulled{}
		p.questions[key] = q
	}
	if all {
		if !q.all {
			q.ask(&p.server.names, []string{everything}, nil)
		}
		return q, nil
	}
	fresh := make(map[string]bool, len(names))
	for _, name := range names {
		fresh[name] = true
	}
	var gone []string
	for name := range q.asked.each {
		if !fresh[name] {
			gone = append(gone, name)
		}
	}
	if q.all {
		gone = append(gone, everything)
	}
	if len(gone) > 0 || q.asked.len() != len(fresh) {
		q.ask(&p.server.names, slices.Collect(maps.Keys(fresh)), gone)
	}
	q.heard = true
	return q, nil
}

// take hears what the asker holds, and so what became of the last answer.
func (p *poller) take(t int, q *pulled, version string, refusal *rpcstatus.Status) {
	switch {
	case q.nonce != "" && refusal != nil:
		if !q.told {
			p.answered(t, q.nonce, refusal)
		}
		q.nonce, q.no = "", q.next
	case q.nonce != "" && version == q.next:
		if q.told { // it was lost, then, and not refused
			p.leaves(t, q.nonce, q.refs, 0, p.node.view.revision, p.server.opts.Now())
		}
		p.answered(t, q.nonce, nil)
		q.watch.given(q.holds, &q.lacks)
		q.version, q.nonce, q.no = version, "", ""
	case version != q.version: // it began anew, or has heard another server
		q.has, q.otherwise = pair{}, nil
		q.version, q.claims, q.nonce, q.no = version, version, "", ""
	}
}

// answer gives what the asker lacks; nil when that is nothing, or must wait. The
// order is that of streams, make before break: see stream.offer. Endpoints that
// are asked for one by one need none, for their clusters wait for them.
func (p *poller) answer(t int, q *pulled) *response[discoveryv3.DiscoveryResponse] {
	v := p.node.view
	wants, signed := q.plan(v, t)
	if q.claims != "" {
		if q.claims == signed {
			p.held(t, q, v)
		}
		q.claims = ""
	}
	d := q.compare(p.server, v, t)
	switch {
	case len(d.send)+len(d.removed) == 0 && (q.spoken || q.version != ""):
		return nil
	case q.no == signed:
		return nil
	case t >= listenerType && q.spoken && p.busy(clusterType):
		return nil
	case t == clusterType && len(d.removed) > 0 && (p.busy(listenerType) || p.busy(routeType)):
		if len(d.send) == 0 {
			return nil
		}
		wants = maps.Clone(wants)
		for _, name := range d.removed {
			if r := q.has.get(name); r != nil {
				wants[name] = r
			}
		}
		d.putOff(&q.watch)
		signed = signature(nil, wants)
	}
	return p.respond(t, q, d, wants, signed)
}

// busy reports whether the node is yet to be told of resources of a type, or to
// take them.
func (p *poller) busy(t int) bool {
	for key, q := range p.questions {
		if key.t != t {
			continue
		}
		if q.nonce != "" {
			return true
		}
		d := q.compare(p.server, p.node.view, t)
		if _, signed := q.plan(p.node.view, t); len(d.send) > 0 && signed != q.no {
			return true
		}
	}
	return false
}

// plan gives what the asker is to have, and the version of that.
func (q *pulled) plan(v *view, t int) (wants map[string]*Resource, signed string) {
	if now := v.pair(t); !q.planned || q.of != now || q.asking != q.asked {
		q.of, q.asking, q.planned, q.wants = now, q.asked, true, map[string]*Resource{}
		if q.all {
			v.each(t, func(r *Resource) bool {
				q.wants[r.Name] = r
				return true
			})
		}
		for name := range q.asked.each {
			if r := v.get(t, name); r != nil {
				q.wants[name] = r
			}
		}
		q.signed = signature(nil, q.wants)
	}
	return q.wants, q.signed
}

// held notes that the asker has all that it is to have, and had it before.
func (p *poller) held(t int, q *pulled, v *view) {
	refs := make([]skew.ResourceRef, 0, len(q.wants))
	for _, name := range slices.Sorted(maps.Keys(q.wants)) {
		refs = append(refs, skew.ResourceRef{Type: typeName(t), Name: name, Version: q.wants[name].Version})
	}
	s := p.server
	s.opts.Tracker.Holds(p.node.proxy.node.ID, p.conn, refs, s.opts.Now())
	q.has, q.otherwise, q.spoken = v.pair(t), nil, true
}

// respond makes an answer, or gives again the one that was not taken yet.
func (p *poller) respond(t int, q *pulled, d difference, wants map[string]*Resource, signed string) *response[discoveryv3.DiscoveryResponse] {
	s, v := p.server, p.node.view
	now := s.opts.Now()
	resp := &discoveryv3.DiscoveryResponse{TypeUrl: mesh.TypeURL(typeName(t)), VersionInfo: signed, Resources: make([]*anypb.Any, 0, len(wants))}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(wants)) {
		resp.Resources = append(resp.Resources, wants[name].Any)
		size += len(wants[name].Any.GetValue())
	}
	out := &response[discoveryv3.DiscoveryResponse]{t: t, made: now, resp: resp}
	if q.nonce == "" || q.next != signed {
		p.nonces++
		q.nonce, q.next, q.given, q.told = strconv.FormatUint(p.nonces, 10), signed, 0, false
		q.refs = nil
		for _, r := range d.send {
			q.refs = append(q.refs, skew.ResourceRef{Type: r.Type, Name: r.Name, Version: r.Version})
		}
		for _, name := range d.removed {
			q.refs = append(q.refs, skew.ResourceRef{Type: typeName(t), Name: name})
		}
		out.accepted = p.leaves(t, q.nonce, q.refs, size, v.revision, now)
	}
	q.holds, q.lacks, q.spoken = v.pair(t), d, true
	if q.given++; q.given > silently && !q.told {
		q.told = true
		p.answered(t, q.nonce, &rpcstatus.Status{Message: fmt.Sprintf("was given version %s %d times and asks on for what follows %q: its own log says why", signed, silently, q.version)})
	}
	resp.Nonce = q.nonce
	return out
}
