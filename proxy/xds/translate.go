package xds

import (
	"bytes"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// resource is one accepted resource in the runtime's own terms. It is
// immutable. Which of listener, table, cluster and endpoints is set follows
// from kind.
type resource struct {
	kind     string // mesh.TypeListener …
	name     string
	version  string // as the server named it
	revision uint64 // of the response that brought it
	packed   *anypb.Any

	listener  *listen.Config
	table     *route.Table
	cluster   *cluster.Config
	endpoints []cluster.Endpoint

	uses []string // clusters that a listener or route table sends to

	hosts map[hostKey]knownHost // of table, for the next version of it
}

// equal reports whether o is the same content under the same version.
func (r *resource) equal(o *resource) bool {
	return o != nil && r.version == o.version && bytes.Equal(r.packed.GetValue(), o.packed.GetValue())
}

// translator turns resources into the runtime's terms. It is pure and safe for
// concurrent use.
type translator struct{ checker }

func newTranslator(build string) *translator {
	return &translator{checker{fields: supportedFields(), build: build}}
}

// translate gives the resource of the kind, or every reason why not, by path.
func (t *translator) translate(kind, name, version string, revision uint64, packed *anypb.Any) (*resource, error) {
	return t.translateAfter(nil, kind, name, version, revision, packed)
}

// translateAfter does the same, and takes what did not change from before.
func (t *translator) translateAfter(before *resource, kind, name, version string, revision uint64, packed *anypb.Any) (*resource, error) {
	r := &resource{kind: kind, name: name, version: version, revision: revision, packed: packed}
	into := &problems{}
	var own string
	switch kind {
	case mesh.TypeListener:
		m := &listenerv3.Listener{}
		if t.unpack(packed, m, into) {
			own = m.GetName()
			t.listener(m, r, into)
		}
	case mesh.TypeRoute:
		own = t.routeTable(r, before, into)
	case mesh.TypeCluster:
		m := &clusterv3.Cluster{}
		if t.unpack(packed, m, into) {
			own = m.GetName()
			t.cluster(m, r, into)
		}
	case mesh.TypeEndpoint:
		m := &endpointv3.ClusterLoadAssignment{}
		if t.unpack(packed, m, into) {
			own = m.GetClusterName()
			r.endpoints = t.endpoints(m, "", into)
		}
	default:
		return nil, fmt.Errorf("resource type %q is not known", kind)
	}
	if err := into.err(); err != nil {
		return nil, err
	}
	if own != name {
		return nil, fmt.Errorf("the resource calls itself %q", own)
	}
	return r, nil
}

// unpack reads and checks a resource; false means that there is nothing to
// translate.
func (t *translator) unpack(packed *anypb.Any, m proto.Message, into *problems) bool {
	if packed == nil {
		into.add("", "the response carries no content")
		return false
	}
	if packed.MessageName() != m.ProtoReflect().Descriptor().FullName() {
		into.add("", "is a %s, not a %s", typeOf(packed), m.ProtoReflect().Descriptor().Name())
		return false
	}
	if err := packed.UnmarshalTo(m); err != nil {
		into.add("", "does not decode: %v", err)
		return false
	}
	t.check(m, "", into)
	return len(into.list) == 0
}

// duration reads a duration that may be absent.
func duration(d *durationpb.Duration, absent time.Duration, path string, into *problems) time.Duration {
	if d == nil {
		return absent
	}
	if err := d.CheckValid(); err != nil || d.GetSeconds() < 0 || d.GetNanos() < 0 || d.GetSeconds() > math.MaxInt64/int64(time.Second)-1 {
		into.add(path, "%ds is no duration that can be waited for", d.GetSeconds())
		return absent
	}
	return d.AsDuration()
}

// address reads the one form of address that is supported: TCP with a number
// for the port.
func address(a *corev3.Address, path string, into *problems) string {
	s := a.GetSocketAddress()
	switch {
	case s == nil:
		into.add(path, "no socket address")
		return ""
	case s.GetProtocol() != corev3.SocketAddress_TCP:
		into.add(path+".socket_address.protocol", "%s is not supported, only TCP is", s.GetProtocol())
		return ""
	case s.GetAddress() == "":
		into.add(path+".socket_address.address", "is empty")
		return ""
	case s.GetPortValue() > math.MaxUint16:
		into.add(path+".socket_address.port_value", "%d is no port", s.GetPortValue())
		return ""
	}
	return net.JoinHostPort(s.GetAddress(), strconv.FormatUint(uint64(s.GetPortValue()), 10))
}

// overADS checks that a resource names this very stream as the source of what
// it needs.
func overADS(c *corev3.ConfigSource, path string, into *problems) {
	if c == nil || (c.GetAds() == nil && c.GetSelf() == nil) {
		into.add(path, "only ads is supported as a source")
	}
}

// objectOf names the configuration object that the control plane made a
// resource from: Istio's control plane and ours write its path to the metadata.
// "" when it is not told.
func objectOf(m *corev3.Metadata) string {
	path := m.GetFilterMetadata()["istio"].GetFields()["config"].GetStringValue()
	// /apis/networking.istio.io/v1/namespaces/<namespace>/<kind>/<name>
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(parts) != 7 || parts[0] != "apis" || parts[3] != "namespaces" {
		return ""
	}
	var kind strings.Builder
	for word := range strings.SplitSeq(parts[5], "-") {
		if word != "" {
			kind.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return kind.String() + " " + parts[4] + "/" + parts[6]
}
