package kubernetes

import (
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
	proxies  []Proxy
}

// podSpec and podStatus have the API's fields.
type podSpec struct {
	ServiceAccountName string      `json:"serviceAccountName"`
	NodeName           string      `json:"nodeName"`
	InitContainers     []container `json:"initContainers"`
	Containers         []container `json:"containers"`
}

type container struct {
	Name  string `json:"name"`
	Ports []struct {
		Name          string `json:"name"`
		ContainerPort int64  `json:"containerPort"`
	} `json:"ports"`
}

type podStatus struct {
	PodIP string `json:"podIP"`
	Phase string `json:"phase"`
}

func readPod(o metav1.Object) *pod {
	p := &pod{labels: o.GetLabels(), workload: workloadOf(o)}
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return p
	}
	var spec podSpec
	var status podStatus
	fill(u.Object["spec"], &spec)
	fill(u.Object["status"], &status)
	p.account, p.proxies = spec.ServiceAccountName, spec.proxies(o, status, p.workload)
	return p
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
