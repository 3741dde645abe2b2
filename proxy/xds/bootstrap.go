package xds

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"sigs.k8s.io/yaml"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
)

// Bootstrap is what an Envoy v3 bootstrap file says: a whole configuration
// without a control plane.
type Bootstrap struct {
	NodeID   string
	Workload mesh.Workload // as far as node.metadata tells, in Istio's keys
	Admin    string        // "host:port", or ""
	Snapshot *forward.Snapshot
	Dump     *Dump // the file's resources, in Envoy's form
}

// ReadBootstrap reads a bootstrap in YAML or JSON. Only static resources are
// carried out; an error names everything that this build does not support, by
// its path.
func ReadBootstrap(text []byte, build string) (*Bootstrap, error) {
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	m := &bootstrapv3.Bootstrap{}
	if err := protojson.Unmarshal(asJSON, m); err != nil {
		return nil, errors.New(string(bytes.ReplaceAll([]byte(err.Error()), []byte("\u00a0"), []byte(" "))))
	}
	for _, l := range m.GetStaticResources().GetListeners() {
		if l.GetTrafficDirection() == corev3.TrafficDirection_UNSPECIFIED {
			l.TrafficDirection = corev3.TrafficDirection_OUTBOUND // what a proxy alone does
		}
	}
	t := newTranslator(build)
	into := &problems{}
	t.check(m, "", into)
	if err := into.err(); err != nil {
		return nil, err
	}
	b := &Bootstrap{NodeID: m.GetNode().GetId(), Workload: nodeWorkload(m.GetNode()), Snapshot: &forward.Snapshot{Revision: 1}}
	if a := m.GetAdmin().GetAddress(); a != nil {
		b.Admin = address(a, "admin.address", into)
	}
	t.static(m.GetStaticResources(), b.Snapshot, into)
	if err := into.err(); err != nil {
		return nil, err
	}
	b.Dump, err = staticDump(m, time.Now())
	return b, err
}

// static translates the listeners and clusters, and holds their names together.
func (t *translator) static(m *bootstrapv3.Bootstrap_StaticResources, s *forward.Snapshot, into *problems) {
	clusters := map[string]bool{}
	for i, c := range m.GetClusters() {
		path := "static_resources.clusters[" + strconv.Itoa(i) + "]"
		clusters[c.GetName()] = true
		if r := t.staticResource(mesh.TypeCluster, c.GetName(), c, path, into); r != nil {
			if r.cluster.EDS {
				into.add(path+".type", "EDS needs a control plane")
			}
			s.Clusters = append(s.Clusters, *r.cluster)
		}
	}
	for i, l := range m.GetListeners() {
		path := "static_resources.listeners[" + strconv.Itoa(i) + "]"
		name := l.GetName()
		if name == "" {
			name = "listener_" + strconv.Itoa(i)
			l.Name = name
		}
		r := t.staticResource(mesh.TypeListener, name, l, path, into)
		if r == nil {
			continue
		}
		if r.listener.RouteName != "" {
			into.add(path, "rds needs a control plane; put the routes into route_config")
		}
		for _, c := range r.uses {
			if !clusters[c] {
				into.add(path, "sends to cluster %q, which is not among static_resources.clusters", c)
			}
		}
		s.Listeners = append(s.Listeners, *r.listener)
	}
	if len(m.GetListeners()) == 0 {
		into.add("static_resources.listeners", "is empty, so there is nothing to do")
	}
}

// staticResource gives nil when the resource is not right; its problems then say
// why, below path.
func (t *translator) staticResource(kind, name string, m proto.Message, path string, into *problems) *resource {
	packed, err := anypb.New(m)
	if err != nil {
		into.add(path, "%v", err)
		return nil
	}
	r, err := t.translate(kind, name, "", 1, packed)
	if err != nil {
		into.add(path, "%v", err)
		return nil
	}
	return r
}

func nodeWorkload(n *corev3.Node) mesh.Workload {
	fields := n.GetMetadata().GetFields()
	labels := fields["LABELS"].GetStructValue().GetFields()
	text := func(keys ...string) string {
		for _, k := range keys {
			if v := labels[k].GetStringValue(); v != "" {
				return v
			}
		}
		return ""
	}
	w := mesh.Workload{
		Name: fields["WORKLOAD_NAME"].GetStringValue(), Namespace: fields["NAMESPACE"].GetStringValue(),
		Cluster: fields["CLUSTER_ID"].GetStringValue(),
		App:     text("service.istio.io/canonical-name", "app"), Version: text("service.istio.io/canonical-revision", "version"),
	}
	if w.Name == "" {
		w.Name = n.GetCluster()
	}
	return w
}
