package app

import (
	"strings"
	"testing"

	networking "istio.io/api/networking/v1"

	"github.com/sidelight-mesh/sidelight/server/config"
)

func TestObjectivesOfServices(t *testing.T) {
	entry := func(name string, annotations map[string]string) *config.Object {
		return &config.Object{Kind: config.KindServiceEntry, Namespace: "b", Name: name, Annotations: annotations, Spec: &networking.ServiceEntry{Hosts: []string{name + ".b.svc.cluster.local"}}}
	}
	objects := []*config.Object{
		entry("pay", map[string]string{config.AnnotationTolerance: "5xx=1%,5%", config.AnnotationLatency: "p95 < 300ms", config.AnnotationAvailability: "99.9%"}),
		entry("half", map[string]string{config.AnnotationTolerance: "5xx=lots", config.AnnotationLatency: "p99 < 1s"}),
		entry("plain", nil),
	}
	got := objectivesOf(objects)
	pay := got["pay.b.svc.cluster.local"]
	if len(got) != 2 || pay.LatencyMS != 300 || pay.Availability < 0.9989 || pay.Availability > 0.9991 || len(pay.Tolerances) != 1 || pay.Object != "ServiceEntry b/pay" {
		t.Errorf("got %+v", got)
	}
	if half := got["half.b.svc.cluster.local"]; half.LatencyMS != 1000 || len(half.Tolerances) != 0 {
		t.Errorf("what can be read of a half broken one: %+v", half)
	}
	var told []string
	for _, p := range check("", objects) {
		if p.Code == config.CodeObjective {
			told = append(told, p.Object+": "+p.Message)
		}
	}
	if len(told) != 1 || !strings.HasPrefix(told[0], "ServiceEntry b/half: "+config.AnnotationTolerance) {
		t.Errorf("told %q", told)
	}
}
