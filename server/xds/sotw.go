package xds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"slices"
	"strconv"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// sotwStream is one configuration stream in the state-of-the-world form, as
// Envoy and gRPC clients speak it. We serve it ourselves: go-control-plane
// answers a refusal with the refused thing, again and again. Here a refusal is
// answered with nothing until the content is another (the gate), and what is
// offered follows the order of the delta form: make before break. It is guarded
// by the server's lock.
type sotwStream struct {
	line
	types [typeCount]sotwType
}

// sotwType is one resource type of a stream.
type sotwType struct {
	asked bool
	names map[string]bool // nil: all there are

	has     map[string]*Resource // what the client has, as far as it accepted
	version string               // signature of that and of what was asked for

	nonce   string // of the response under way, or the last one
	waiting bool
	out     map[string]*Resource // what the response under way makes it have
	next    string               // its signature
	refs    []skew.ResourceRef

	// The gate: signature of a refused whole (listeners, clusters), and refused
	// versions by name (routes and endpoints come by the piece).
	refused      string
	refusedNames map[string]string
}

// StreamAggregatedResources serves the state-of-the-world form.
func (a ads) StreamAggregatedResources(str discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	s := a.server
	st, err := s.openSotw(str.Context())
	if err != nil {
		return err
	}
	defer s.closeSotw(st)
	return converse(s, str, &st.line, st.take, st.offer)
}

func (s *Server) openSotw(ctx context.Context) (*sotwStream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.open(peerOf(ctx), "sotw")
	if err != nil {
		return nil, err
	}
	st := &sotwStream{line: l}
	s.sotw[st.id] = st
	return st, nil
}

func (s *Server) closeSotw(st *sotwStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sotw, st.id)
	st.end(streamEnded)
}

// take hears a request: a subscription, an answer, or both.
func (st *sotwStream) take(req *discoveryv3.DiscoveryRequest) error {
	s := st.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := st.hear(req.GetNode(), req.GetTypeUrl(), len(req.GetResourceNames())); err != nil {
		return err
	}
	t, ok := typeIndex(req.GetTypeUrl())
	if !ok {
		return st.unserved(req.GetTypeUrl())
	}
	typ := &st.types[t]
	switch nonce := req.GetResponseNonce(); {
	case nonce == "":
	case nonce != typ.nonce:
		s.metrics.pilot.expired.WithLabelValues(pilotTypes[t]).Inc()
		return nil // an answer to what was said before, with the names of then
	case typ.waiting:
		st.answer(t, req)
	}
	typ.subscribe(req.GetResourceNames(), t)
	if st.node.proxy.selective() {
		st.node.asks = st
		s.desire(st.node, s.opts.Now())
	}
	return nil
}

// subscribe takes the names of a request. Listeners and clusters without names
// are all there are, unless names were given before on the stream.
func (t *sotwType) subscribe(names []string, typ int) {
	all := typ == listenerType || typ == clusterType
	switch {
	case len(names) == 0 && all && (!t.asked || t.names == nil):
		t.names = nil
	case slices.Contains(names, "*"):
		t.names = nil
	default:
		t.names = make(map[string]bool, len(names))
		for _, n := range names {
			t.names[n] = true
		}
	}
	t.asked = true
}

// answer takes the answer to the response under way.
func (st *sotwStream) answer(t int, req *discoveryv3.DiscoveryRequest) {
	typ := &st.types[t]
	typ.waiting = false
	st.answered(t, typ.nonce, req.GetErrorDetail())
	if req.GetErrorDetail() == nil {
		typ.has, typ.version, typ.refused = typ.out, typ.next, ""
		for _, r := range typ.refs {
			delete(typ.refusedNames, r.Name)
		}
		return
	}
	typ.refused = typ.next
	if typ.refusedNames == nil {
		typ.refusedNames = map[string]string{}
	}
	for _, r := range typ.refs {
		typ.refusedNames[r.Name] = r.Version
	}
}

// offer gives the responses that may leave now.
func (st *sotwStream) offer() []response[discoveryv3.DiscoveryResponse] {
	s := st.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.node == nil {
		return nil
	}
	v := st.node.view
	var wants [typeCount]map[string]*Resource
	var due [typeCount]bool
	for t := range typeCount {
		wants[t], due[t] = st.types[t].lacks(v, t)
	}
	busy := func(t int) bool { return st.types[t].waiting || due[t] }
	var out []response[discoveryv3.DiscoveryResponse]
	if busy(clusterType) || busy(endpointType) {
		// What names clusters waits for them. A first question does not: a client
		// that begins with listeners has asked for no cluster yet.
		due[listenerType], due[routeType] = false, false
	}
	if busy(listenerType) || busy(routeType) {
		// What is named still must not be taken away yet.
		typ := &st.types[clusterType]
		if wants[clusterType] != nil && due[clusterType] {
			for name, r := range typ.has {
				if _, still := wants[clusterType][name]; !still {
					wants[clusterType][name] = r
				}
			}
			due[clusterType] = !maps.Equal(wants[clusterType], typ.has) || typ.nonce == ""
		}
	}
	for t := range typeCount {
		if due[t] {
			out = append(out, st.respond(v, t, wants[t]))
		}
	}
	return out
}

// lacks gives what the client should have of a type, and whether it is to be
// told now.
func (t *sotwType) lacks(v *view, typ int) (wants map[string]*Resource, due bool) {
	if !t.asked || t.waiting {
		return nil, false
	}
	wants = map[string]*Resource{}
	if t.names == nil {
		v.each(typ, func(r *Resource) bool {
			wants[r.Name] = r
			return true
		})
	}
	for name := range t.names {
		if r := v.get(typ, name); r != nil {
			wants[name] = r
		}
	}
	if typ == routeType || typ == endpointType {
		for name, r := range wants {
			if t.has[name] != r && (t.has[name] == nil || t.has[name].Version != r.Version) && t.refusedNames[name] != r.Version {
				return wants, true
			}
		}
		return wants, false
	}
	sig := signature(t.names, wants)
	return wants, sig != t.version && sig != t.refused
}

// signature stands for what a client has and asked for.
func signature(asked map[string]bool, wants map[string]*Resource) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		_, _ = io.WriteString(h, name+"\xff")
	}
	_, _ = io.WriteString(h, "\xfe")
	for _, name := range slices.Sorted(maps.Keys(wants)) {
		_, _ = io.WriteString(h, name+"\xff"+wants[name].Version+"\xff")
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// respond makes a response and notes it as under way. Listeners and clusters
// are told whole, because what is not named is gone; routes and endpoints by
// the piece.
func (st *sotwStream) respond(v *view, t int, wants map[string]*Resource) response[discoveryv3.DiscoveryResponse] {
	typ, now := &st.types[t], st.server.opts.Now()
	st.nonces++
	typ.nonce, typ.waiting, typ.next, typ.refs = strconv.FormatUint(st.nonces, 10), true, signature(typ.names, wants), nil
	typ.out = make(map[string]*Resource, len(wants))
	resp := &discoveryv3.DiscoveryResponse{TypeUrl: mesh.TypeURL(typeName(t)), VersionInfo: typ.next, Nonce: typ.nonce, Resources: []*anypb.Any{}}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(wants)) {
		r := wants[name]
		had := typ.has[name]
		same := had != nil && had.Version == r.Version
		if (t == routeType || t == endpointType) && (same || typ.refusedNames[name] == r.Version) {
			if had != nil {
				typ.out[name] = had
			}
			continue
		}
		typ.out[name] = r
		resp.Resources = append(resp.Resources, r.Any)
		size += len(r.Any.GetValue())
		if !same {
			typ.refs = append(typ.refs, skew.ResourceRef{Type: typeName(t), Name: name, Version: r.Version})
		}
	}
	for name := range typ.has {
		if _, still := wants[name]; !still {
			typ.refs = append(typ.refs, skew.ResourceRef{Type: typeName(t), Name: name})
		}
	}
	return response[discoveryv3.DiscoveryResponse]{t, now, st.leaves(t, typ.nonce, typ.refs, size, v.revision, now), resp}
}

// wanted narrows what a node should run to what it asks for: a gRPC client has
// the few services that it calls, and the rest is not missing.
func (st *sotwStream) wanted(v *view) []skew.Resource {
	out := []skew.Resource{}
	for t := range typeCount {
		typ := &st.types[t]
		for _, name := range slices.Sorted(maps.Keys(typ.names)) {
			if r := v.get(t, name); r != nil {
				out = append(out, r.listed())
			}
		}
	}
	return out
}
