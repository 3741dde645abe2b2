package xds

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Dump is a sidecar's configuration at one moment, to be shown in Envoy's forms.
type Dump struct {
	node      *corev3.Node
	bootstrap *bootstrapv3.Bootstrap // nil: configured by a control plane
	resources []held                 // by type and name
}

// held is one resource: the version that runs, if one does, and why a newer one
// does not.
type held struct {
	ResourceStatus
	packed *anypb.Any // of the version that runs
}

// Dump gives a picture of the moment.
func (c *Client) Dump() *Dump {
	d := &Dump{node: c.node}
	statuses := c.account.resources(c.store.refusals())
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	for _, s := range statuses {
		d.resources = append(d.resources, held{s, c.account.runs[resourceKey{s.Type, s.Name}].packed})
	}
	return d
}

// staticDump is the picture of a bootstrap file, which does not change.
func staticDump(m *bootstrapv3.Bootstrap, at time.Time) (*Dump, error) {
	d := &Dump{node: m.GetNode(), bootstrap: m}
	add := func(kind, name string, m proto.Message) error {
		packed, err := anypb.New(m)
		d.resources = append(d.resources, held{ResourceStatus{Type: kind, Name: name, AppliedAt: at}, packed})
		return err
	}
	for _, c := range m.GetStaticResources().GetClusters() {
		if err := add(mesh.TypeCluster, c.GetName(), c); err != nil {
			return nil, err
		}
	}
	for _, l := range m.GetStaticResources().GetListeners() {
		if err := add(mesh.TypeListener, l.GetName(), l); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (h *held) updated() *timestamppb.Timestamp {
	if h.AppliedAt.IsZero() {
		return nil
	}
	return timestamppb.New(h.AppliedAt)
}

func (h *held) failure() *adminv3.UpdateFailureState {
	if h.Error == "" {
		return nil
	}
	return &adminv3.UpdateFailureState{Details: h.Error, VersionInfo: h.ErrorVersion, LastUpdateAttempt: timestamppb.New(h.ErrorAt)}
}

func (h *held) client() adminv3.ClientResourceStatus {
	if h.Error != "" {
		return adminv3.ClientResourceStatus_NACKED
	}
	return adminv3.ClientResourceStatus_ACKED
}

// ConfigDump gives envoy.admin.v3.ConfigDump as JSON. Of Envoy's parameters it
// takes include_eds, resource and name_regex; an error is the asker's.
func (d *Dump) ConfigDump(q url.Values) ([]byte, error) {
	for name := range q {
		switch name {
		case "include_eds", "resource", "name_regex":
		case "mask":
			return nil, fmt.Errorf("mask: not supported; select a section by resource=dynamic_listeners, a name by name_regex: %w", mesh.ErrInvalid)
		default:
			return nil, fmt.Errorf("%s: no such parameter; there are include_eds, resource and name_regex: %w", name, mesh.ErrInvalid)
		}
	}
	keep := func(string) bool { return true }
	if text := q.Get("name_regex"); text != "" {
		re, err := regexp.Compile("^(?:" + text + ")$")
		if err != nil {
			return nil, fmt.Errorf("name_regex: %w: %w", err, mesh.ErrInvalid)
		}
		keep = re.MatchString
	}
	section := q.Get("resource")
	sections := d.sections(q.Has("include_eds") || strings.HasSuffix(section, "endpoint_configs"), keep)
	out := &adminv3.ConfigDump{}
	if section != "" {
		picked, err := pick(sections, section)
		if err != nil {
			return nil, err
		}
		sections = picked
	}
	for _, s := range sections {
		packed, err := anypb.New(s)
		if err != nil {
			return nil, err
		}
		out.Configs = append(out.Configs, packed)
	}
	return toJSON(out)
}

// sections are the parts of a dump in Envoy's order.
func (d *Dump) sections(endpoints bool, keep func(string) bool) []proto.Message {
	boot := d.bootstrap
	if boot == nil {
		boot = &bootstrapv3.Bootstrap{Node: d.node}
	}
	clusters, eps := &adminv3.ClustersConfigDump{}, &adminv3.EndpointsConfigDump{}
	listeners, routes := &adminv3.ListenersConfigDump{}, &adminv3.RoutesConfigDump{}
	for i := range d.resources {
		h := &d.resources[i]
		if !keep(h.Name) {
			continue
		}
		switch h.Type {
		case mesh.TypeCluster:
			if d.bootstrap != nil {
				clusters.StaticClusters = append(clusters.StaticClusters, &adminv3.ClustersConfigDump_StaticCluster{Cluster: h.packed, LastUpdated: h.updated()})
				continue
			}
			clusters.DynamicActiveClusters = append(clusters.DynamicActiveClusters, &adminv3.ClustersConfigDump_DynamicCluster{
				VersionInfo: h.Version, Cluster: h.packed, LastUpdated: h.updated(), ErrorState: h.failure(), ClientStatus: h.client(),
			})
		case mesh.TypeEndpoint:
			eps.DynamicEndpointConfigs = append(eps.DynamicEndpointConfigs, &adminv3.EndpointsConfigDump_DynamicEndpointConfig{
				VersionInfo: h.Version, EndpointConfig: h.packed, LastUpdated: h.updated(), ErrorState: h.failure(), ClientStatus: h.client(),
			})
		case mesh.TypeListener:
			if d.bootstrap != nil {
				listeners.StaticListeners = append(listeners.StaticListeners, &adminv3.ListenersConfigDump_StaticListener{Listener: h.packed, LastUpdated: h.updated()})
				continue
			}
			l := &adminv3.ListenersConfigDump_DynamicListener{Name: h.Name, ErrorState: h.failure(), ClientStatus: h.client()}
			if h.packed != nil {
				l.ActiveState = &adminv3.ListenersConfigDump_DynamicListenerState{VersionInfo: h.Version, Listener: h.packed, LastUpdated: h.updated()}
			}
			listeners.DynamicListeners = append(listeners.DynamicListeners, l)
		case mesh.TypeRoute:
			routes.DynamicRouteConfigs = append(routes.DynamicRouteConfigs, &adminv3.RoutesConfigDump_DynamicRouteConfig{
				VersionInfo: h.Version, RouteConfig: h.packed, LastUpdated: h.updated(), ErrorState: h.failure(), ClientStatus: h.client(),
			})
		}
	}
	list := []proto.Message{&adminv3.BootstrapConfigDump{Bootstrap: boot}, clusters}
	if endpoints {
		list = append(list, eps)
	}
	return append(list, listeners, routes)
}

// pick gives the messages of one field of the sections, by Envoy's name for it.
func pick(sections []proto.Message, name string) ([]proto.Message, error) {
	var known []string
	for _, s := range sections {
		m := s.ProtoReflect()
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			f := fields.Get(i)
			if f.Message() == nil || !f.IsList() && f.Name() != "bootstrap" {
				continue
			}
			known = append(known, string(f.Name()))
			if string(f.Name()) != name {
				continue
			}
			if !f.IsList() {
				return []proto.Message{m.Get(f).Message().Interface()}, nil
			}
			return messages(m.Get(f).List()), nil
		}
	}
	slices.Sort(known)
	return nil, fmt.Errorf("resource %q: no such section; there are %s: %w", name, strings.Join(known, ", "), mesh.ErrInvalid)
}

func messages(list protoreflect.List) []proto.Message {
	out := make([]proto.Message, 0, list.Len())
	for i := range list.Len() {
		out = append(out, list.Get(i).Message().Interface())
	}
	return out
}

// toJSON writes as Envoy does: proto names, indented by one space.
func toJSON(m proto.Message) ([]byte, error) {
	return indented(protojson.MarshalOptions{UseProtoNames: true}, m)
}

// indented undoes protojson's spaces, which it varies on purpose: no golden file
// would stand it.
func indented(o protojson.MarshalOptions, m proto.Message) ([]byte, error) {
	text, err := o.Marshal(m)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", " "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}
