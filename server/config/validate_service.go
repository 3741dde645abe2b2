package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"
)

// subsetForm keeps subset names out of the way of cluster names, whose parts
// are divided by '|'.
var subsetForm = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`)

func (c *checker) subsetName(path, name string) {
	if !subsetForm.MatchString(name) || len(name) > 63 {
		c.errorf(CodeName, path, "use letters, digits, '-', '_' and '.', at most 63", "%s: %q is not a subset name", path, name)
	}
}

func (c *checker) destinationRule(dr *networking.DestinationRule) {
	c.pattern("spec.host", dr.Host)
	c.exportTo(dr.ExportTo)
	c.trafficPolicy("spec.trafficPolicy", dr.TrafficPolicy)
	seen := map[string]bool{}
	for i, s := range dr.Subsets {
		path := fmt.Sprintf("spec.subsets[%d]", i)
		c.subsetName(path+".name", s.Name)
		if seen[s.Name] {
			c.errorf(CodeSameName, path+".name", "rename one of them", "%s: the subset %q is given twice", path, s.Name)
		}
		seen[s.Name] = true
		c.labels(path+".labels", s.Labels)
		c.trafficPolicy(path+".trafficPolicy", s.TrafficPolicy)
	}
}

// Protocols are the names that Istio gives to what a port speaks, upper case.
// What stands under HTTP is routed by request, what stands under TCP by
// connection.
var protocols = []string{"HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS", "TLS", "TCP", "MONGO", "REDIS", "MYSQL"}

func (c *checker) serviceEntry(se *networking.ServiceEntry) {
	c.hosts("spec.hosts", se.Hosts)
	c.exportTo(se.ExportTo)
	c.servicePorts(se.Ports)
	c.labels("spec.workloadSelector.labels", se.GetWorkloadSelector().GetLabels())

	switch se.Resolution {
	case v1alpha3.ServiceEntry_NONE, v1alpha3.ServiceEntry_STATIC, v1alpha3.ServiceEntry_DNS, v1alpha3.ServiceEntry_DNS_ROUND_ROBIN:
	default:
		c.unsupported("spec.resolution", se.Resolution.String())
	}
	if se.WorkloadSelector != nil {
		if len(se.Endpoints) > 0 {
			c.errorf(CodeAction, "spec.workloadSelector", "keep one of them", "spec has both endpoints and workloadSelector")
		}
		if len(se.WorkloadSelector.Labels) == 0 {
			c.required("spec.workloadSelector", "labels")
		}
	}
	if se.Resolution == v1alpha3.ServiceEntry_NONE && (len(se.Endpoints) > 0 || se.WorkloadSelector != nil) {
		c.errorf(CodeAction, "spec.resolution", "use STATIC or DNS", "spec.resolution: NONE takes no endpoints")
	}
	if se.Resolution == v1alpha3.ServiceEntry_STATIC && len(se.Endpoints) == 0 && se.WorkloadSelector == nil {
		c.errorf(CodeRequired, "spec.resolution", "add endpoints or a workloadSelector", "spec.resolution: STATIC needs endpoints")
	}
	if many := slices.IndexFunc(se.Hosts, isWild); many >= 0 && len(se.Endpoints) == 0 &&
		(se.Resolution == v1alpha3.ServiceEntry_DNS || se.Resolution == v1alpha3.ServiceEntry_DNS_ROUND_ROBIN) {
		c.errorf(CodeAddress, fmt.Sprintf("spec.hosts[%d]", many), "add endpoints, or use resolution: NONE", "spec.resolution: DNS cannot look %s up", se.Hosts[many])
	}
	for i, e := range se.Endpoints {
		path := fmt.Sprintf("spec.endpoints[%d]", i)
		c.workloadEntry(e, path)
		if se.Resolution == v1alpha3.ServiceEntry_STATIC && e.Address != "" && !isIP(e.Address) {
			c.errorf(CodeAddress, path+".address", "use an IP address, or resolution: DNS", "%s.address: STATIC cannot resolve %q", path, e.Address)
		}
		for _, name := range sortedKeys(e.Ports) {
			if !slices.ContainsFunc(se.Ports, func(p *networking.ServicePort) bool { return p.Name == name }) {
				c.errorf(CodePort, path+".ports["+name+"]", "", "%s.ports: the service has no port named %q", path, name)
			}
		}
	}
}

func isWild(host string) bool { return strings.HasPrefix(host, "*") }

func (c *checker) servicePorts(ports []*networking.ServicePort) {
	if len(ports) == 0 {
		c.required("spec.ports", "")
	}
	for i, p := range ports {
		path := fmt.Sprintf("spec.ports[%d]", i)
		c.port(path+".number", p.Number)
		if p.TargetPort != 0 {
			c.port(path+".targetPort", p.TargetPort)
		}
		if p.Name == "" {
			c.required(path+".name", "")
		}
		for j, other := range ports[:i] {
			if other.Number == p.Number {
				c.errorf(CodeSameName, path+".number", "", "%s: the port %d is given twice, first in spec.ports[%d]", path, p.Number, j)
			}
			if other.Name == p.Name && p.Name != "" {
				c.errorf(CodeSameName, path+".name", "", "%s: the name %q is given twice, first in spec.ports[%d]", path, p.Name, j)
			}
		}
		c.protocol(path, p)
	}
}

func (c *checker) protocol(path string, p *networking.ServicePort) {
	at := path + ".protocol"
	switch name := strings.ToUpper(p.Protocol); {
	case name == "":
		if PortProtocol(p.Protocol, p.Name) == "" {
			c.warnf(CodeProtocolGuess, path, "add protocol: HTTP, or whatever it speaks; to a Service of Kubernetes, appProtocol", "%s has no protocol and is taken as TCP", path)
		}
	case name == "UDP":
		c.unsupported(at, "UDP")
	case !slices.Contains(protocols, name):
		hint := "protocols are " + strings.Join(protocols, ", ")
		if near := nearest(name, protocols); near != "" {
			hint = fmt.Sprintf("did you mean %s?", near)
		}
		c.errorf(CodePort, at, hint, "%s: unknown protocol %q", at, p.Protocol)
	}
}

// PortProtocol tells what a port speaks, in Istio's spelling, upper case: what
// is declared, else what the name begins with ("grpc-web", "http-admin"), else
// "".
func PortProtocol(declared, name string) string {
	if declared != "" {
		return strings.ToUpper(declared)
	}
	name = strings.ToUpper(name)
	best := ""
	for _, p := range protocols {
		if (name == p || strings.HasPrefix(name, p+"-")) && len(p) > len(best) {
			best = p
		}
	}
	return best
}

func (c *checker) workloadEntry(we *networking.WorkloadEntry, path string) {
	switch {
	case we.Address == "":
		c.required(path+".address", "")
	case strings.HasPrefix(we.Address, "unix://"):
		c.unsupported(path+".address", "a Unix socket")
	case !isIP(we.Address) && !hostForm.MatchString(we.Address):
		c.errorf(CodeAddress, path+".address", "an address has no port", "%s.address: %q is no IP address and no host name", path, we.Address)
	}
	for _, name := range sortedKeys(we.Ports) {
		c.port(path+".ports["+name+"]", we.Ports[name])
	}
	c.labels(path+".labels", we.Labels)
}
