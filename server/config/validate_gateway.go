package config

import (
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"
)

// gatewayProtocols are those of ports that a gateway serves.
var gatewayProtocols = []string{"HTTP", "HTTP2", "GRPC", "HTTPS", "TLS", "TCP"}

func (c *checker) gateway(g *networking.Gateway) {
	if len(g.Servers) == 0 {
		c.required("spec.servers", "")
	}
	if len(g.Selector) == 0 {
		c.warnf(CodeNoEffect, "spec", "add a selector with the labels of the gateway's workload", "spec.selector is empty, so every gateway serves it")
	}
	c.labels("spec.selector", g.Selector)
	for i, s := range g.Servers {
		path := fmt.Sprintf("spec.servers[%d]", i)
		if s.Port == nil {
			c.required(path+".port", "")
		} else {
			c.port(path+".port.number", s.Port.Number)
			c.gatewayProtocol(path+".port.protocol", s)
		}
		if len(s.Hosts) == 0 {
			c.required(path+".hosts", "")
		}
		for j, h := range s.Hosts {
			c.gatewayHost(fmt.Sprintf("%s.hosts[%d]", path, j), h)
		}
		c.serverTLS(path, s)
	}
}

func (c *checker) gatewayProtocol(path string, s *networking.Server) {
	switch name := strings.ToUpper(s.Port.Protocol); {
	case name == "":
		c.required(path, "")
	case slices.Contains(gatewayProtocols, name):
	case name == "GRPC-WEB", name == "MONGO":
		c.unsupported(path, name+" at a gateway")
	default:
		c.errorf(CodePort, path, "protocols are "+strings.Join(gatewayProtocols, ", "), "%s: unknown protocol %q", path, s.Port.Protocol)
	}
}

// serverTLS checks that a server's TLS goes with its protocol, and is whole.
func (c *checker) serverTLS(path string, s *networking.Server) {
	protocol, tls := strings.ToUpper(s.GetPort().GetProtocol()), s.GetTls()
	path += ".tls"
	if protocol != "HTTPS" && protocol != "TLS" {
		if tls != nil && (!tls.HttpsRedirect || protocol == "TCP") {
			c.errorf(CodePort, path, "use protocol: HTTPS, or TLS for bytes", "%s: a port of protocol %s speaks no TLS", path, protocol)
		}
		return
	}
	if tls == nil {
		c.errorf(CodeRequired, path, "say mode: SIMPLE with serverCertificate and privateKey, or PASSTHROUGH", "%s is missing", path)
		return
	}
	needs := func(field, value string) {
		if value == "" {
			c.required(path+"."+field, "a file of the gateway")
		}
	}
	switch tls.Mode {
	case networking.ServerTLSSettings_PASSTHROUGH, networking.ServerTLSSettings_ISTIO_MUTUAL:
		return
	case networking.ServerTLSSettings_MUTUAL, networking.ServerTLSSettings_OPTIONAL_MUTUAL:
		needs("caCertificates", tls.CaCertificates)
	case networking.ServerTLSSettings_SIMPLE:
	default:
		c.unsupported(path+".mode", tls.Mode.String())
	}
	needs("serverCertificate", tls.ServerCertificate)
	needs("privateKey", tls.PrivateKey)
	switch tls.MinProtocolVersion {
	case networking.ServerTLSSettings_TLS_AUTO, networking.ServerTLSSettings_TLSV1_2, networking.ServerTLSSettings_TLSV1_3:
	default:
		c.unsupported(path+".minProtocolVersion", tls.MinProtocolVersion.String())
	}
}

// gatewayHost checks "host", "*.host", "*" and each behind "namespace/".
func (c *checker) gatewayHost(path, host string) {
	namespace, name, ok := strings.Cut(host, "/")
	if !ok {
		namespace, name = "*", host
	}
	if namespace != "*" && namespace != "." && !labelForm.MatchString(namespace) {
		c.errorf(CodeHost, path, "as namespace/host", "%s: %q is not a namespace", path, namespace)
	}
	if name == "*" {
		return
	}
	c.pattern(path, name)
}

// gatewayNames checks which gateways a VirtualService, or one of its matches, is
// for.
func (c *checker) gatewayNames(path string, names []string) {
	for i, name := range names {
		namespace, rest, ok := strings.Cut(name, "/")
		if !ok {
			namespace, rest = "default", name
		}
		if !labelForm.MatchString(namespace) || !nameForm.MatchString(rest) {
			at := fmt.Sprintf("%s[%d]", path, i)
			c.errorf(CodeName, at, `"mesh", a Gateway's name, or namespace/name`, "%s: %q is not a Gateway's name", at, name)
		}
	}
}
