package kubernetes

import (
	"maps"
	"regexp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// pod is what an endpoint takes from the pod behind it.
type pod struct {
	labels   map[string]string
	account  string
	workload string // what it is an instance of
}

func readPod(o metav1.Object) *pod {
	p := &pod{labels: o.GetLabels(), workload: workloadOf(o)}
	if u, ok := o.(*unstructured.Unstructured); ok {
		p.account, _, _ = unstructured.NestedString(u.Object, "spec", "serviceAccountName")
	}
	return p
}

func (p *pod) same(o *pod) bool {
	return p.account == o.account && p.workload == o.workload && maps.Equal(p.labels, o.labels)
}

// atTime ends the name of a Job that a CronJob made.
var atTime = regexp.MustCompile(`-\d{8,10}$`)

// workloadOf names what a pod is an instance of, as Istio does: not the ReplicaSet
// or Job, which are others after each change, but what made them.
func workloadOf(o metav1.Object) string {
	owner := metav1.GetControllerOfNoCopy(o)
	if owner == nil {
		return o.GetName()
	}
	labels := o.GetLabels()
	switch owner.Kind {
	case "ReplicaSet": // of a Deployment, or of another that names them alike, as a Rollout does
		for _, hash := range []string{labels["pod-template-hash"], labels["rollouts-pod-template-hash"]} {
			if name, ok := strings.CutSuffix(owner.Name, "-"+hash); ok && hash != "" {
				return name
			}
		}
	case "Job":
		return atTime.ReplaceAllString(owner.Name, "")
	case "ReplicationController":
		if name := labels["deploymentconfig"]; name != "" && strings.HasPrefix(owner.Name, name+"-") {
			return name
		}
	}
	return owner.Name
}

// node is where a pod runs.
type node struct{ region, zone, subZone string }

func readNode(o metav1.Object) node {
	labels := o.GetLabels()
	return node{labels["topology.kubernetes.io/region"], labels["topology.kubernetes.io/zone"], labels["topology.istio.io/subzone"]}
}
