package config

import (
	"fmt"
	"math"
	"slices"

	"github.com/sidelight-mesh/sidelight/server/config/smi"
)

// trafficSplit checks a TrafficSplit. SMI leaves most of it open, so weights
// are held to what a VirtualService's are.
func (c *checker) trafficSplit(spec *smi.TrafficSplit) {
	c.host("spec.service", spec.Service)
	for i, m := range spec.Matches {
		path := fmt.Sprintf("spec.matches[%d]", i)
		if m.ApiGroup != "" && m.ApiGroup != groupSpecs {
			c.errorf(CodeValue, path+".apiGroup", "write "+groupSpecs, "%s.apiGroup: %q has no HTTPRouteGroup", path, m.ApiGroup)
		}
		c.specification(path, m.Kind, m.Name, KindHTTPRouteGroup)
	}
	if len(spec.Backends) == 0 {
		c.required("spec.backends", "")
		return
	}
	var seen []string
	total := int64(0)
	for i, b := range spec.Backends {
		path := fmt.Sprintf("spec.backends[%d]", i)
		c.host(path+".service", b.Service)
		switch {
		case b.Weight == nil:
			c.required(path+".weight", "")
		case *b.Weight < 0:
			c.errorf(CodeWeights, path+".weight", "", "%s: a weight is not negative, got %d", path, *b.Weight)
		}
		if slices.Contains(seen, b.Service) {
			c.errorf(CodeSameName, path+".service", "put both into one", "%s: the service %q is given twice", path, b.Service)
		}
		seen = append(seen, b.Service)
		total += int64(b.GetWeight())
	}
	switch {
	case HasErrors(c.problems):
	case total == 0:
		c.errorf(CodeWeights, "spec.backends", "give at least one of them a weight", "spec.backends: the weights add to 0")
	case total > math.MaxUint32:
		c.errorf(CodeWeights, "spec.backends", "", "spec.backends: the weights add to %d, more than %d", total, uint32(math.MaxUint32))
	}
}
