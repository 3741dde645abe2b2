package xds

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// Limits of what a node may ask for by its metadata.
const (
	maxNodeID   = 512
	maxInbound  = 64
	maxOutbound = 256
)

// proxy is a node as its own metadata describes it: who it is, and on which
// ports it listens.
type proxy struct {
	node     mesh.Node
	where    registry.Locality
	account  string   // its service account
	identity bool     // it has a certificate, or will
	grpc     bool     // a gRPC client that speaks xDS itself
	outbound string   // host:port, "" = none
	gateway  string   // IP address on which a node at the edge listens
	capture  *capture // nil: explicit ports
	inbound  []inboundPort
	tcp      []outboundPort
	register bool          // its ports are to be endpoints
	pull     time.Duration // how often it asks by REST; 0: it does not say
}

// inboundPort is a port on which a sidecar takes requests for its app.
type inboundPort struct {
	address     string // host:port of the sidecar
	app         string // host:port of the app
	protocol    string // http | grpc | tcp
	servicePort uint32
}

// outboundPort is a port of a sidecar that leads to one TCP service.
type outboundPort struct {
	address string
	host    string
	port    uint32
}

// selective reports whether the node asks for single things by name, so that
// what it does not ask for is not missing.
func (p *proxy) selective() bool { return p.grpc }

// readProxy reads a node's metadata, in Istio's keys and in SIDELIGHT_*.
func readProxy(n *corev3.Node) (*proxy, error) {
	if n.GetId() == "" || len(n.GetId()) > maxNodeID {
		return nil, fmt.Errorf("node.id must have 1 to %d bytes", maxNodeID)
	}
	m := metadata{fields: n.GetMetadata().GetFields()}
	labels := m.labels("LABELS")
	p := &proxy{node: mesh.Node{
		ID: n.GetId(), Kind: cmp.Or(m.text("SIDELIGHT_KIND"), "sidecar"), Build: m.text("SIDELIGHT_BUILD"), Labels: labels,
		Workload: mesh.Workload{
			Cluster:   m.text("CLUSTER_ID"),
			Namespace: cmp.Or(m.text("NAMESPACE"), "default"),
			Name:      m.text("WORKLOAD_NAME"),
			App:       cmp.Or(labels["service.istio.io/canonical-name"], labels["app"], n.GetCluster()),
			Version:   cmp.Or(labels["service.istio.io/canonical-revision"], labels["version"]),
		},
	}}
	if m.text("GENERATOR") == "grpc" || strings.HasPrefix(n.GetUserAgentName(), "gRPC") {
		p.grpc, p.node.Kind = true, "proxyless"
		p.node.Workload.Name = cmp.Or(p.node.Workload.Name, n.GetCluster())
	}
	if l := n.GetLocality(); l != nil {
		p.where = registry.Locality{Region: l.GetRegion(), Zone: l.GetZone(), SubZone: l.GetSubZone()}
	}
	p.account = cmp.Or(m.text("SERVICE_ACCOUNT"), "default")
	p.outbound = m.optionalAddress("SIDELIGHT_OUTBOUND")
	p.identity = m.fields["SIDELIGHT_IDENTITY"].GetBoolValue()
	p.gateway = cmp.Or(m.text("SIDELIGHT_GATEWAY_ADDRESS"), "127.0.0.1")
	if _, err := netip.ParseAddr(p.gateway); err != nil {
		m.failf("SIDELIGHT_GATEWAY_ADDRESS: %q is not an IP address", p.gateway)
	}
	for i, e := range m.list("SIDELIGHT_INBOUND", maxInbound) {
		in := inboundPort{
			address: e.address("address"), app: e.address("app"),
			protocol: cmp.Or(e.text("protocol"), "http"), servicePort: e.port("service_port"),
		}
		if in.protocol != "http" && in.protocol != "grpc" && in.protocol != "tcp" {
			e.failf("protocol must be http, grpc or tcp, got %q", in.protocol)
		}
		m.adopt(fmt.Sprintf("SIDELIGHT_INBOUND[%d]", i), e)
		p.inbound = append(p.inbound, in)
	}
	for i, e := range m.list("SIDELIGHT_TCP_OUTBOUND", maxOutbound) {
		out := outboundPort{address: e.address("address"), host: e.text("host"), port: e.port("port")}
		if out.host == "" || len(out.host) > 255 {
			e.failf("host must have 1 to 255 bytes")
		}
		m.adopt(fmt.Sprintf("SIDELIGHT_TCP_OUTBOUND[%d]", i), e)
		p.tcp = append(p.tcp, out)
	}
	p.capture = readCapture(&m)
	p.pull = m.pull("SIDELIGHT_PULL")
	if p.register = m.fields["SIDELIGHT_REGISTER"].GetBoolValue(); p.register && !p.dialable() {
		m.failf("SIDELIGHT_REGISTER: needs an --inbound at an address that clients can dial, not at all of them")
	}
	if m.err != nil {
		return nil, fmt.Errorf("node.metadata: %w", m.err)
	}
	return p, nil
}

// metadata reads fields of a struct and keeps the first thing that is wrong.
type metadata struct {
	fields map[string]*structpb.Value
	err    error
}

func (m *metadata) failf(format string, args ...any) {
	if m.err == nil {
		m.err = fmt.Errorf(format, args...)
	}
}

func (m *metadata) adopt(path string, of *metadata) {
	if of.err != nil {
		m.failf("%s: %w", path, of.err)
	}
}

func (m *metadata) text(key string) string { return m.fields[key].GetStringValue() }

func (m *metadata) labels(key string) map[string]string {
	labels := map[string]string{}
	for k, v := range m.fields[key].GetStructValue().GetFields() {
		labels[k] = v.GetStringValue()
	}
	return labels
}

func (m *metadata) list(key string, limit int) []*metadata {
	values := m.fields[key].GetListValue().GetValues()
	if len(values) > limit {
		m.failf("%s has %d entries, more than %d", key, len(values), limit)
		return nil
	}
	out := make([]*metadata, 0, len(values))
	for _, v := range values {
		out = append(out, &metadata{fields: v.GetStructValue().GetFields()})
	}
	return out
}

func (m *metadata) optionalAddress(key string) string {
	if m.text(key) == "" {
		return ""
	}
	return m.address(key)
}

// pull reads a duration that is neither a hot loop nor for ever.
func (m *metadata) pull(key string) time.Duration {
	text := m.text(key)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d > time.Hour {
		m.failf("%s: %q is no time from 1s to 1h", key, text)
	}
	return d
}

func (m *metadata) address(key string) string {
	return m.checkAddress(key, m.text(key))
}

func (m *metadata) checkAddress(key, text string) string {
	host, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || host == "" || strings.ContainsAny(host, "|/ ") {
		m.failf("%s: %q is not host:port", key, text)
	}
	return text
}

// port reads a port number, which JSON and YAML bring as a number and people
// sometimes as text.
func (m *metadata) port(key string) uint32 {
	v := m.fields[key]
	number := v.GetNumberValue()
	if text := v.GetStringValue(); text != "" {
		parsed, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			m.failf("%s: %q is not a port", key, text)
		}
		number = float64(parsed)
	}
	if number < 1 || number > 65535 || number != float64(uint32(number)) {
		m.failf("%s must be a port", key)
		return 0
	}
	return uint32(number)
}

func socketAddress(hostPort string) *corev3.Address {
	host, port, _ := net.SplitHostPort(hostPort)
	number, _ := strconv.ParseUint(port, 10, 16)
	return address(host, uint32(number))
}

func address(host string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}
