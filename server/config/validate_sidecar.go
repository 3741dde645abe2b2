package config

import (
	"fmt"
	"strings"

	networking "istio.io/api/networking/v1"
)

func (c *checker) sidecar(s *networking.Sidecar) {
	c.labels("spec.workloadSelector.labels", s.GetWorkloadSelector().GetLabels())
	for i, e := range s.Egress {
		path := fmt.Sprintf("spec.egress[%d]", i)
		if i > 0 {
			c.errorf(CodeSameName, path, "put the hosts into the first", "%s: without ports, one entry is for all", path)
		}
		if len(e.GetHosts()) == 0 {
			c.required(path+".hosts", "")
		}
		for j, h := range e.GetHosts() {
			c.importedHost(fmt.Sprintf("%s.hosts[%d]", path, j), h)
		}
	}
}

// importedHost checks "namespace/host", either of which may be a wildcard.
func (c *checker) importedHost(path, host string) {
	namespace, name, ok := strings.Cut(host, "/")
	switch {
	case !ok:
		c.errorf(CodeHost, path, `write "./"+host for the object's namespace, "*/"+host for all`, "%s: %q has no namespace, want namespace/host", path, host)
	case namespace != "*" && namespace != "." && namespace != "~" && !labelForm.MatchString(namespace):
		c.errorf(CodeHost, path, `"*" stands for all, "." for the object's own, "~" for none`, "%s: %q is not a namespace", path, namespace)
	case name != "*":
		c.pattern(path, name)
	}
}
