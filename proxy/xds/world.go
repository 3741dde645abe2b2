package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// adsStream is a stream to a control plane in the incremental protocol's terms.
type adsStream interface {
	Send(*discoveryv3.DeltaDiscoveryRequest) error
	Recv() (*discoveryv3.DeltaDiscoveryResponse, error)
}

// worldStream speaks the state-of-the-world protocol, for control planes that
// have no other, behind the incremental one's terms: each response names all
// there is, and what differs from the last one is found here. Send and Recv are
// not called at the same time.
type worldStream struct {
	stream worldWire
	types  map[string]*world // by type URL
}

// world is what one stream knows of a type.
type world struct {
	names    map[string]bool   // asked for
	versions map[string]string // of what was handed on, by name; "" when it was refused
	accepted string            // version of the last response that was not refused
	nonce    string            // of the last response
	version  string            // and what it says of itself
	came     []string          // names in it
	refused  string            // version of the last response that was refused
}

// worldWire is what the protocol is spoken on: a gRPC stream, or a pullStream.
type worldWire interface {
	Send(*discoveryv3.DiscoveryRequest) error
	Recv() (*discoveryv3.DiscoveryResponse, error)
}

func newWorldStream(s worldWire) *worldStream {
	return &worldStream{stream: s, types: make(map[string]*world)}
}

// Send turns a request into one that names everything that is asked for.
func (s *worldStream) Send(req *discoveryv3.DeltaDiscoveryRequest) error {
	w := s.types[req.GetTypeUrl()]
	if w == nil {
		w = &world{names: make(map[string]bool), versions: maps.Clone(req.GetInitialResourceVersions())}
		if w.versions == nil {
			w.versions = make(map[string]string)
		}
		s.types[req.GetTypeUrl()] = w
	}
	for _, name := range req.GetResourceNamesSubscribe() {
		w.names[name] = true
	}
	for _, name := range req.GetResourceNamesUnsubscribe() {
		delete(w.names, name)
		delete(w.versions, name)
	}
	version := w.accepted
	switch {
	case req.GetResponseNonce() == "":
	case req.GetErrorDetail() == nil:
		w.accepted, version, w.refused = w.version, w.version, ""
	default: // it comes again with the next response, and is judged anew
		for _, name := range w.came {
			w.versions[name] = ""
		}
		// A server that answers a refusal by the same again would do so for ever:
		// many send whatever differs from the version that a request names.
		if w.refused == w.version {
			version = w.version
		}
		w.refused = w.version
	}
	out := &discoveryv3.DiscoveryRequest{
		Node: req.GetNode(), TypeUrl: req.GetTypeUrl(), VersionInfo: version, ResponseNonce: w.nonce, ErrorDetail: req.GetErrorDetail(),
	}
	if !w.names[wildcard] {
		out.ResourceNames = slices.Sorted(maps.Keys(w.names))
	}
	return s.stream.Send(out)
}

// Recv gives what a response changes.
func (s *worldStream) Recv() (*discoveryv3.DeltaDiscoveryResponse, error) {
	resp, err := s.stream.Recv()
	if err != nil {
		return nil, err
	}
	w := s.types[resp.GetTypeUrl()]
	if w == nil {
		return nil, fmt.Errorf("server sent type %q, which was not asked for", resp.GetTypeUrl())
	}
	w.nonce, w.version, w.came = resp.GetNonce(), resp.GetVersionInfo(), nil
	out := &discoveryv3.DeltaDiscoveryResponse{
		TypeUrl: resp.GetTypeUrl(), Nonce: resp.GetNonce(), SystemVersionInfo: resp.GetVersionInfo(),
	}
	here := make(map[string]bool, len(resp.GetResources()))
	for _, packed := range resp.GetResources() {
		name, content := unwrap(packed)
		sum := sha256.Sum256(content.GetValue())
		version := hex.EncodeToString(sum[:8])
		if here[name] || w.versions[name] != version {
			out.Resources = append(out.Resources, &discoveryv3.Resource{Name: name, Version: version, Resource: content})
		}
		here[name] = true
		w.versions[name] = version
		w.came = append(w.came, name)
	}
	if isWildcard(mesh.TypeName(resp.GetTypeUrl())) { // of the others, a response need not name all
		for _, name := range slices.Sorted(maps.Keys(w.versions)) {
			if !here[name] {
				out.RemovedResources = append(out.RemovedResources, name)
				delete(w.versions, name)
			}
		}
	}
	return out, nil
}

// unwrap gives a resource with its name, which is the first field of all types
// that are asked for. What does not decode has no name, and is refused later.
func unwrap(packed *anypb.Any) (string, *anypb.Any) {
	m, err := packed.UnmarshalNew()
	if err != nil {
		return "", packed
	}
	if r, ok := m.(*discoveryv3.Resource); ok && r.GetResource() != nil {
		_, content := unwrap(r.GetResource())
		return resourceName(r), content
	}
	return firstField(m), packed
}

func firstField(m proto.Message) string {
	f := m.ProtoReflect().Descriptor().Fields().ByNumber(1)
	if f == nil || f.Kind() != protoreflect.StringKind || f.IsList() {
		return ""
	}
	return m.ProtoReflect().Get(f).String()
}
