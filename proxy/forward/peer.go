package forward

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// The headers by which sidecars tell each other who they are. They never reach
// an app.
const (
	headerPeer   = "X-Envoy-Peer-Metadata"
	headerPeerID = "X-Envoy-Peer-Metadata-Id"
)

// Istio's labels for what it calls canonical service and revision.
const (
	labelCanonicalName     = "service.istio.io/canonical-name"
	labelCanonicalRevision = "service.istio.io/canonical-revision"
)

// Peer is who stands at one end of an exchange. Peers are interned: the same
// workload is the same pointer as long as it is in use, so that telemetry can
// look its series up by pointer.
type Peer struct {
	mesh.Workload
	NodeID    string // "" when not told
	Principal string // SPIFFE identity; "" without mutual TLS
}

// Peers interns peers and reads their metadata headers. What a header can make
// it keep is bounded.
type Peers struct {
	mu       sync.RWMutex
	byHeader map[headers]*Peer
	byValue  map[Peer]*Peer
	unknown  *Peer
}

type headers struct{ metadata, id string }

// maxPeers bounds what is remembered, maxPeerHeader what is read: a peer's
// metadata is about 500 bytes.
const (
	maxPeers      = 4096
	maxPeerHeader = 8 << 10
	maxPeerValue  = 253 // what Kubernetes takes for a name
)

// NewPeers gives an empty set.
func NewPeers() *Peers {
	p := &Peers{unknown: &Peer{}}
	p.reset()
	return p
}

func (p *Peers) reset() {
	p.byHeader = make(map[headers]*Peer)
	p.byValue = make(map[Peer]*Peer)
}

// Unknown is the peer that nobody could tell.
func (p *Peers) Unknown() *Peer { return p.unknown }

// Of gives the peer for a workload, as endpoint metadata names it.
func (p *Peers) Of(w mesh.Workload) *Peer {
	if w.IsUnknown() {
		return p.unknown
	}
	return p.intern(Peer{Workload: w})
}

// Proven gives a peer whose certificate says who it is. Where its metadata says
// nothing, or names another namespace, it goes by its service account: metadata
// can be made up, the certificate cannot.
func (p *Peers) Proven(peer *Peer, principal string) *Peer {
	if principal == "" || peer.Principal == principal {
		return peer
	}
	v := *peer
	v.Principal = principal
	if ns, account, ok := ServiceAccount(principal); ok && (v.IsUnknown() || v.Namespace != ns) {
		v.Workload, v.NodeID = mesh.Workload{Cluster: v.Cluster, Namespace: ns, Name: account, App: account}, ""
	}
	return p.intern(v)
}

// ServiceAccount reads the two parts of an identity of the form
// spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT.
func ServiceAccount(principal string) (namespace, account string, ok bool) {
	_, path, ok := strings.Cut(strings.TrimPrefix(principal, "spiffe://"), "/")
	if !ok {
		return "", "", false
	}
	parts := strings.Split(path, "/")
	if len(parts) != 4 || parts[0] != "ns" || parts[2] != "sa" {
		return "", "", false
	}
	return parts[1], parts[3], true
}

func (p *Peers) intern(v Peer) *Peer {
	p.mu.RLock()
	known := p.byValue[v]
	p.mu.RUnlock()
	if known != nil {
		return known
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known = p.byValue[v]; known != nil {
		return known
	}
	if len(p.byValue) >= maxPeers {
		p.reset()
	}
	p.byValue[v] = &v
	return &v
}

// FromHeaders gives the peer that a request's or an answer's metadata headers
// name. False when they are absent or cannot be read.
func (p *Peers) FromHeaders(metadata, id string) (*Peer, bool) {
	if metadata == "" || len(metadata) > maxPeerHeader || len(id) > maxPeerHeader {
		return p.unknown, false
	}
	key := headers{metadata, id}
	p.mu.RLock()
	known := p.byHeader[key]
	p.mu.RUnlock()
	if known != nil {
		return known, known != p.unknown
	}
	v, err := decodePeer(metadata, id)
	known = p.unknown
	if err == nil {
		known = p.intern(v)
	}
	p.mu.Lock()
	if len(p.byHeader) >= maxPeers {
		p.byHeader = make(map[headers]*Peer)
	}
	p.byHeader[key] = known // a broken one too, so that it is decoded once
	p.mu.Unlock()
	return known, err == nil
}

// EncodePeer gives the metadata header's value for a workload, in Istio's
// form: base64 of a deterministically serialised google.protobuf.Struct.
func EncodePeer(w mesh.Workload) (string, error) {
	s, err := structpb.NewStruct(map[string]any{
		"NAME":          w.Name,
		"NAMESPACE":     w.Namespace,
		"WORKLOAD_NAME": w.Name,
		"OWNER":         "kubernetes://apis/apps/v1/namespaces/" + w.Namespace + "/deployments/" + w.Name,
		"CLUSTER_ID":    w.Cluster,
		"LABELS": map[string]any{
			"app":                  w.App,
			"version":              w.Version,
			labelCanonicalName:     w.App,
			labelCanonicalRevision: w.Version,
		},
	})
	if err != nil {
		return "", fmt.Errorf("encode peer metadata of %s: %w", w.ID(), err)
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("encode peer metadata of %s: %w", w.ID(), err)
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}

func decodePeer(metadata, id string) (Peer, error) {
	raw, err := base64.StdEncoding.DecodeString(metadata)
	if err != nil {
		return Peer{}, fmt.Errorf("peer metadata: %w", err)
	}
	var s structpb.Struct
	if err := proto.Unmarshal(raw, &s); err != nil {
		return Peer{}, fmt.Errorf("peer metadata: %w", err)
	}
	f := s.GetFields()
	labels := f["LABELS"].GetStructValue().GetFields()
	first := func(values ...string) string {
		for _, v := range values {
			if v != "" {
				return v
			}
		}
		return ""
	}
	p := Peer{NodeID: id, Workload: mesh.Workload{
		Cluster:   f["CLUSTER_ID"].GetStringValue(),
		Namespace: f["NAMESPACE"].GetStringValue(),
		Name:      first(f["WORKLOAD_NAME"].GetStringValue(), f["NAME"].GetStringValue()),
		App:       first(labels[labelCanonicalName].GetStringValue(), labels["app"].GetStringValue()),
		Version:   first(labels[labelCanonicalRevision].GetStringValue(), labels["version"].GetStringValue()),
	}}
	if p.IsUnknown() {
		return Peer{}, fmt.Errorf("peer metadata: no workload name")
	}
	for _, v := range []string{p.Cluster, p.Namespace, p.Name, p.App, p.Version} {
		if len(v) > maxPeerValue { // it would be a label of every series
			return Peer{}, fmt.Errorf("peer metadata: a value of %d bytes", len(v))
		}
	}
	return p, nil
}
