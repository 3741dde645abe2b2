package xds

import (
	"maps"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// wildcard is the name that subscribes to whatever the server has for us.
const wildcard = "*"

// kinds are the resource types in the order in which they are asked for and
// reported: Envoy's, in which nothing names what has not been offered yet.
func kinds() []string {
	return []string{mesh.TypeCluster, mesh.TypeEndpoint, mesh.TypeListener, mesh.TypeRoute}
}

// isWildcard tells the types that the server chooses from those that are asked
// for by name.
func isWildcard(kind string) bool {
	return kind == mesh.TypeCluster || kind == mesh.TypeListener
}

// subscriptions is what one stream has asked for. It belongs to the goroutine
// that serves the stream and dies with it.
type subscriptions struct {
	asked map[string]map[string]bool // by kind; absent until the first request
}

func newSubscriptions() *subscriptions {
	return &subscriptions{asked: make(map[string]map[string]bool)}
}

// request gives the message that brings what the stream has asked for in line
// with wanted, nil when it already is. versions is what we hold of the kind:
// the first request of a stream tells it, so that the server sends only what
// differs.
//
// A kind of which nothing is wanted is not asked for at all, because a first
// request without names would be a wildcard.
func (s *subscriptions) request(kind string, wanted map[string]bool, versions map[string]string) *discoveryv3.DeltaDiscoveryRequest {
	asked, open := s.asked[kind]
	if !open && len(wanted) == 0 {
		return nil
	}
	req := &discoveryv3.DeltaDiscoveryRequest{
		TypeUrl:                  mesh.TypeURL(kind),
		ResourceNamesSubscribe:   missingIn(asked, wanted),
		ResourceNamesUnsubscribe: missingIn(wanted, asked),
	}
	if open && len(req.ResourceNamesSubscribe)+len(req.ResourceNamesUnsubscribe) == 0 {
		return nil
	}
	if !open {
		req.InitialResourceVersions = make(map[string]string)
		for name, version := range versions {
			if wanted[wildcard] || wanted[name] {
				req.InitialResourceVersions[name] = version
			}
		}
	}
	s.asked[kind] = maps.Clone(wanted)
	return req
}

// has reports whether the stream asked for the resource.
func (s *subscriptions) has(kind, name string) bool {
	return s.asked[kind][name] || s.asked[kind][wildcard]
}

// open reports whether the stream asked for anything of the kind.
func (s *subscriptions) open(kind string) bool {
	_, open := s.asked[kind]
	return open
}

// missingIn lists the names of want that have lacks, sorted.
func missingIn(have, want map[string]bool) []string {
	var out []string
	for name := range want {
		if !have[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
