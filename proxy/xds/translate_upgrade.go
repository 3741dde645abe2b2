package xds

import (
	"strconv"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// What a connection may become of one that speaks HTTP, in Envoy's words.
const (
	connectUpgrade   = "connect"
	websocketUpgrade = "websocket"
)

// upgrade reads an entry of a list of upgrades; names are compared without case.
// A WebSocket passes everywhere, so that forbidding one is refused.
func (t *translator) upgrade(name string, enabled *wrapperspb.BoolValue, path string, into *problems) string {
	kind := strings.ToLower(name)
	switch {
	case kind == connectUpgrade:
	case kind != websocketUpgrade:
		into.add(path+".upgrade_type", "%q is not supported by build %s", name, t.build)
	case enabled != nil && !enabled.GetValue():
		into.add(path+".enabled", "false is not supported for websocket by build %s", t.build)
	}
	return kind
}

// tunnel reports whether a route's CONNECT requests are joined with an endpoint.
// Passing them on to another proxy is not carried out, so it is refused.
func (t *translator) tunnel(m *routev3.RouteAction, takesConnect bool, path string, into *problems) bool {
	joined, off := false, false
	for i, u := range m.GetUpgradeConfigs() {
		at := path + ".upgrade_configs[" + strconv.Itoa(i) + "]"
		if t.upgrade(u.GetUpgradeType(), u.GetEnabled(), at, into) == connectUpgrade {
			off = u.GetEnabled() != nil && !u.GetEnabled().GetValue()
			joined = u.GetConnectConfig() != nil
		}
	}
	if takesConnect && !joined && !off {
		into.add(path, "takes CONNECT and has no upgrade_configs entry for it with connect_config: passing CONNECT on is not supported by build %s", t.build)
	}
	return joined && !off
}
