package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1"
	security "istio.io/api/security/v1beta1"

	"github.com/sidelight-mesh/sidelight/server/config/smi"
)

// Key names an object: two objects with the same key are the same object.
type Key struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// String is the form that people read: "VirtualService cinema/catalog".
func (k Key) String() string { return k.Kind + " " + k.Namespace + "/" + k.Name }

// Compare orders keys by kind, namespace and name.
func (k Key) Compare(o Key) int {
	return cmp.Or(strings.Compare(k.Kind, o.Kind), strings.Compare(k.Namespace, o.Namespace), strings.Compare(k.Name, o.Name))
}

// Object is one accepted configuration object. It is immutable once it is part
// of a Snapshot. Its JSON is the API's ConfigObject.
type Object struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"api_version"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	Source     string `json:"source"` // file, relative to the directory, with slashes
	Line       int    `json:"line"`   // first line of its document there
	YAML       string `json:"yaml"`   // its document, as written
	Revision   uint64 `json:"revision"`

	Labels      map[string]string `json:"-"`
	Annotations map[string]string `json:"-"`
	// Spec is what Kind says: *networking.VirtualService and so on.
	Spec proto.Message `json:"-"`
	// Created is what metadata.creationTimestamp says, of kinds among which the
	// oldest goes first; else zero.
	Created time.Time `json:"-"`
	// Rules tell, of a VirtualService that stands for routes of other APIs, what
	// each of its http routes is from; nil for one that was written.
	Rules []Rule `json:"-"`
	// Port is the only port of its host that such a VirtualService is for; 0: all.
	Port uint32 `json:"-"`
	// Hash is the sha256 of the canonical content, hex: independent of
	// comments, field order, API version and place.
	Hash string `json:"-"`

	positions map[string]position
	record    *record // of an object of an earlier process, whose Spec is nil
}

// Key is the object's name.
func (o *Object) Key() Key { return Key{o.Kind, o.Namespace, o.Name} }

// VirtualService is the spec, or nil when the object is of another kind.
func (o *Object) VirtualService() *networking.VirtualService {
	spec, _ := o.Spec.(*networking.VirtualService)
	return spec
}

// DestinationRule is the spec, or nil when the object is of another kind.
func (o *Object) DestinationRule() *networking.DestinationRule {
	spec, _ := o.Spec.(*networking.DestinationRule)
	return spec
}

// ServiceEntry is the spec, or nil when the object is of another kind.
func (o *Object) ServiceEntry() *networking.ServiceEntry {
	spec, _ := o.Spec.(*networking.ServiceEntry)
	return spec
}

// Gateway is the spec, or nil when the object is of another kind.
func (o *Object) Gateway() *networking.Gateway {
	spec, _ := o.Spec.(*networking.Gateway)
	return spec
}

// Sidecar is the spec, or nil when the object is of another kind.
func (o *Object) Sidecar() *networking.Sidecar {
	spec, _ := o.Spec.(*networking.Sidecar)
	return spec
}

// WorkloadEntry is the spec, or nil when the object is of another kind.
func (o *Object) WorkloadEntry() *networking.WorkloadEntry {
	spec, _ := o.Spec.(*networking.WorkloadEntry)
	return spec
}

// AuthorizationPolicy is the spec, or nil when the object is of another kind.
func (o *Object) AuthorizationPolicy() *security.AuthorizationPolicy {
	spec, _ := o.Spec.(*security.AuthorizationPolicy)
	return spec
}

// TrafficSplit is the spec, or nil when the object is of another kind.
func (o *Object) TrafficSplit() *smi.TrafficSplit {
	spec, _ := o.Spec.(*smi.TrafficSplit)
	return spec
}

// TrafficTarget is the spec, or nil when the object is of another kind.
func (o *Object) TrafficTarget() *smi.TrafficTarget {
	spec, _ := o.Spec.(*smi.TrafficTarget)
	return spec
}

// HTTPRouteGroup is the spec, or nil when the object is of another kind.
func (o *Object) HTTPRouteGroup() *smi.HTTPRouteGroup {
	spec, _ := o.Spec.(*smi.HTTPRouteGroup)
	return spec
}

// TCPRoute is the spec, or nil when the object is of another kind.
func (o *Object) TCPRoute() *smi.TCPRoute {
	spec, _ := o.Spec.(*smi.TCPRoute)
	return spec
}

// PeerAuthentication is the spec, or nil when the object is of another kind.
func (o *Object) PeerAuthentication() *security.PeerAuthentication {
	spec, _ := o.Spec.(*security.PeerAuthentication)
	return spec
}

// Problem makes a problem of this object at a path of its document, as
// "spec.http[0].route[0].destination.host". The position is the path's own, or
// that of the nearest enclosing field that the document has.
func (o *Object) Problem(severity Severity, code, path, message, hint string) Problem {
	p := Problem{
		Severity: severity, Code: code, File: o.Source, Line: o.Line, Column: 1,
		Path: path, Message: message, Hint: hint, Object: o.Key().String(),
	}
	if at, ok := locate(o.positions, path); ok {
		p.Line, p.Column = at.line, at.column
	}
	return p
}

// Locate finds the line of a path of the document, as "spec.http[0].timeout".
// exact is false when the document does not have it: the line is then that of
// the nearest field around it.
func (o *Object) Locate(path string) (line int, exact bool) {
	if at, ok := o.positions[path]; ok {
		return at.line, true
	}
	if at, ok := locate(o.positions, path); ok {
		return at.line, false
	}
	return o.Line, false
}

// hashObject gives the content hash. The API version is left out: v1alpha3,
// v1beta1 and v1 of networking.istio.io are one schema.
func hashObject(o *Object) (string, error) {
	spec, err := proto.MarshalOptions{Deterministic: true}.Marshal(o.Spec)
	if err != nil {
		return "", fmt.Errorf("marshal %s: %w", o.Key(), err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", o.Key().String())
	for _, m := range []map[string]string{o.Labels, o.Annotations} {
		for _, k := range sortedKeys(m) {
			fmt.Fprintf(h, "%q=%q\n", k, m[k])
		}
		fmt.Fprintln(h)
	}
	if !o.Created.IsZero() {
		fmt.Fprintf(h, "%d\n", o.Created.Unix())
	}
	h.Write(spec)
	return hex.EncodeToString(h.Sum(nil)), nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
