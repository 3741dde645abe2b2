package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// Resource is one compiled resource. It is immutable and shared by all nodes
// whose resource of that name has the same content.
type Resource struct {
	Type    string // mesh.TypeListener, ...
	Name    string
	Version string // first 16 hex digits of the sha256 of the canonical bytes
	Any     *anypb.Any
	Objects []string // configuration objects that it came from, sorted
	// Revision is the configuration revision that last changed the content.
	Revision uint64

	routed bool // a listener that names a route configuration
	wire   *discoveryv3.Resource
}

// The resource types in the order in which they are offered: what is named by a
// later type has been offered before (make before break).
const (
	clusterType = iota
	endpointType
	listenerType
	routeType
	typeCount
)

// typeNames are the short names by type.
func typeName(t int) string {
	return [typeCount]string{mesh.TypeCluster, mesh.TypeEndpoint, mesh.TypeListener, mesh.TypeRoute}[t]
}

// typeIndex gives the type of a type URL.
func typeIndex(url string) (int, bool) {
	for t := range typeCount {
		if mesh.TypeURL(typeName(t)) == url {
			return t, true
		}
	}
	return 0, false
}

// canonical gives the bytes that a message always has: what a version is the
// hash of.
func canonical(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

// pack makes an Any with canonical bytes, so that the message around it has
// canonical bytes too.
func pack(m proto.Message) *anypb.Any {
	b, err := canonical(m)
	if err != nil {
		panic(fmt.Sprintf("BUG: marshal %s: %v", m.ProtoReflect().Descriptor().FullName(), err)) // only messages we built, with valid UTF-8
	}
	return &anypb.Any{TypeUrl: "type.googleapis.com/" + string(m.ProtoReflect().Descriptor().FullName()), Value: b}
}

func newResource(t int, name string, m proto.Message, objects ...string) *Resource {
	packed := pack(m)
	sum := sha256.Sum256(packed.Value)
	slices.Sort(objects)
	r := &Resource{
		Type: typeName(t), Name: name, Version: hex.EncodeToString(sum[:8]), Any: packed, Objects: slices.Compact(objects),
	}
	r.wire = &discoveryv3.Resource{Name: r.Name, Version: r.Version, Resource: r.Any}
	return r
}

// set is resources by type.
type set [typeCount]*resources

func newSet() *set {
	var s set
	for t := range s {
		s[t] = newResources()
	}
	return &s
}

func (s *set) add(t int, r *Resource) { s[t].add(r) }

// settle gives each resource the revision that last changed it, by comparison
// with the set before, and keeps of that set what did not change. With no set
// before, only the objects can tell: newest gives the highest revision among
// them.
func (s *set) settle(before *set, revision uint64, newest func(objects []string) uint64) {
	for t := range s {
		same := before != nil && before[t].len() == s[t].len()
		for r := range s[t].each {
			var old *Resource
			if before != nil {
				old = before[t].get(r.Name)
			}
			switch {
			case r.Revision != 0: // shared with a namespace that was settled first, or as it was
				same = same && old == r
			case before == nil:
				r.Revision = newest(r.Objects)
			case old == nil || old.Version != r.Version:
				r.Revision, same = revision, false
			case slices.Equal(old.Objects, r.Objects):
				s[t].add(old)
			default:
				r.Revision, same = old.Revision, false
			}
		}
		switch {
		case same:
			s[t] = before[t]
		case before != nil:
			s[t].settle(before[t])
		default:
			s[t].settle(nil)
		}
	}
}

// view is what one node should run: what its namespace shares and what is its
// own. It is immutable.
type view struct {
	revision uint64
	shared   *set
	own      *set
	desired  [][]skew.Resource // lists that nodes share, see skew.Tracker.Desired
}

func (v *view) get(t int, name string) *Resource {
	return v.pair(t).get(name)
}

func (v *view) each(t int, yield func(*Resource) bool) {
	for _, s := range []*set{v.shared, v.own} {
		for r := range s[t].each {
			if !yield(r) {
				return
			}
		}
	}
}

// newView makes a view. A node none of whose listeners names routes asks for
// none: what is never asked for must not count as missing.
func newView(revision uint64, shared, own *set, before *view) *view {
	routed := false
	for r := range own[listenerType].each {
		routed = routed || r.routed
	}
	if !routed {
		without := *shared
		without[routeType] = own[routeType] // no node has routes of its own, so this is none
		shared = &without
	}
	v := &view{revision: revision, shared: shared, own: own}
	if before != nil && *before.shared == *shared && *before.own == *own {
		v.desired = before.desired
		return v
	}
	for t := range typeCount {
		v.desired = own[t].lists(shared[t].lists(v.desired))
	}
	return v
}

// listed is a resource as the tracker wants it.
func (r *Resource) listed() skew.Resource {
	return skew.Resource{Type: r.Type, Name: r.Name, Version: r.Version, Objects: r.Objects, Revision: r.Revision}
}
