package xds

import (
	"crypto/sha256"
	"maps"
	"slices"
	"strconv"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// hostKey is a virtual host by its bytes.
type hostKey [sha256.Size]byte

// knownHost is a virtual host that was checked and compiled, with the clusters
// that it sends to.
type knownHost struct {
	host route.VirtualHost
	uses []string
}

// routeTable compiles a route configuration and gives its own name. All services
// of a mesh are in one, and few change at a time: virtual hosts that are byte by
// byte what they were are taken from before, so that a change costs what changed.
func (t *translator) routeTable(r, before *resource, into *problems) string {
	rest, hosts, ok := splitHosts(r.packed)
	m := &routev3.RouteConfiguration{}
	if !ok { // not even a message: unpack says so
		t.unpack(r.packed, m, into)
		return ""
	}
	t.unpack(rest, m, into)
	c := t.tableConfig(m, r.revision, "", into)
	c.VirtualHosts = make([]route.VirtualHost, 0, len(hosts))
	r.hosts = make(map[hostKey]knownHost, len(hosts))
	uses := make(map[string]bool)
	for i, raw := range hosts {
		key := hostKey(sha256.Sum256(raw))
		var known knownHost
		found := false
		if before != nil {
			known, found = before.hosts[key]
		}
		if !found {
			known, found = t.knownHost(raw, m.GetName(), "virtual_hosts["+strconv.Itoa(i)+"]", into)
		}
		if found {
			c.VirtualHosts = append(c.VirtualHosts, known.host)
			r.hosts[key] = known
		}
		for _, name := range known.uses {
			uses[name] = true
		}
	}
	if len(into.list) > 0 {
		return m.GetName()
	}
	table, err := route.New(c)
	if err != nil {
		into.add("", "%v", err)
		return m.GetName()
	}
	r.table, r.uses = table, sortedKeys(uses)
	return m.GetName()
}

// knownHost reads, checks and compiles one virtual host.
func (t *translator) knownHost(raw []byte, table, path string, into *problems) (knownHost, bool) {
	before := len(into.list) + into.more
	m := &routev3.VirtualHost{}
	if err := proto.Unmarshal(raw, m); err != nil {
		into.add(path, "does not decode: %v", err)
		return knownHost{}, false
	}
	if t.check(m, path, into); len(into.list)+into.more > before {
		return knownHost{}, false
	}
	uses := make(map[string]bool)
	known := knownHost{host: t.virtualHost(m, path, uses, into)}
	if len(into.list)+into.more > before {
		return knownHost{}, false
	}
	if err := known.host.Compile(); err != nil {
		into.add("", "route configuration %s: %v", table, err)
		return knownHost{}, false
	}
	known.uses = slices.Sorted(maps.Keys(uses))
	return known, true
}

// virtualHostsField is the number of RouteConfiguration.virtual_hosts.
const virtualHostsField = 2

// splitHosts takes the virtual hosts out of a route configuration; false when it
// is none, or no message at all.
func splitHosts(packed *anypb.Any) (rest *anypb.Any, hosts [][]byte, ok bool) {
	if packed.MessageName() != (*routev3.RouteConfiguration)(nil).ProtoReflect().Descriptor().FullName() {
		return nil, nil, false
	}
	rest = &anypb.Any{TypeUrl: packed.TypeUrl}
	for b := packed.GetValue(); len(b) > 0; {
		number, kind, head := protowire.ConsumeTag(b)
		if head < 0 {
			return nil, nil, false
		}
		body := protowire.ConsumeFieldValue(number, kind, b[head:])
		if body < 0 {
			return nil, nil, false
		}
		if number == virtualHostsField && kind == protowire.BytesType {
			raw, _ := protowire.ConsumeBytes(b[head:])
			hosts = append(hosts, raw)
		} else {
			rest.Value = append(rest.Value, b[:head+body]...)
		}
		b = b[head+body:]
	}
	return rest, hosts, true
}
