package skew

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SyncStatus is one node as istiod's /debug/syncz tells it. A nonce is a push
// version with a UUID behind it; equal nonces mean that what was sent was
// acknowledged, "" that the type was never sent.
type SyncStatus struct {
	ClusterID            string `json:"cluster_id,omitempty"`
	ProxyID              string `json:"proxy,omitempty"`
	ProxyType            string `json:"proxy_type,omitempty"`
	IstioVersion         string `json:"istio_version,omitempty"`
	ClusterSent          string `json:"cluster_sent,omitempty"`
	ClusterAcked         string `json:"cluster_acked,omitempty"`
	ListenerSent         string `json:"listener_sent,omitempty"`
	ListenerAcked        string `json:"listener_acked,omitempty"`
	RouteSent            string `json:"route_sent,omitempty"`
	RouteAcked           string `json:"route_acked,omitempty"`
	EndpointSent         string `json:"endpoint_sent,omitempty"`
	EndpointAcked        string `json:"endpoint_acked,omitempty"`
	ExtensionConfigSent  string `json:"extensionconfig_sent,omitempty"`
	ExtensionConfigAcked string `json:"extensionconfig_acked,omitempty"`
}

// Syncz gives the connected nodes in istiod's form, by ID. What a node said it
// holds already counts as sent and acknowledged.
func (t *Tracker) Syncz(at time.Time) []SyncStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := []SyncStatus{}
	for _, n := range t.nodes {
		if !n.connected() {
			continue
		}
		s := SyncStatus{
			ClusterID: cmp.Or(n.Workload.Cluster, "Kubernetes"), ProxyID: n.ID, ProxyType: cmp.Or(n.Kind, "sidecar"), IstioVersion: n.Build,
		}
		s.ClusterSent, s.ClusterAcked = t.nonces(n, "cluster", at)
		s.ListenerSent, s.ListenerAcked = t.nonces(n, "listener", at)
		s.RouteSent, s.RouteAcked = t.nonces(n, "route", at)
		s.EndpointSent, s.EndpointAcked = t.nonces(n, "endpoint", at)
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b SyncStatus) int { return strings.Compare(a.ProxyID, b.ProxyID) })
	return out
}

// nonces stand for all that was sent of a type, and all that was acknowledged.
func (t *Tracker) nonces(n *node, typ string, at time.Time) (sent, acked string) {
	var sentAll, ackedAll []string
	newest, newestAcked := uint64(0), uint64(0)
	for r := range n.each {
		if r.typ != typ || r.sentAt.IsZero() {
			continue
		}
		sentAll = append(sentAll, r.name+"\xff"+r.sent)
		newest = max(newest, r.revisionOf(r.sent))
		if !r.ackedAt.IsZero() {
			ackedAll = append(ackedAll, r.name+"\xff"+r.acked)
			newestAcked = max(newestAcked, r.revisionOf(r.acked))
		}
	}
	return t.nonce(sentAll, newest, at), t.nonce(ackedAll, newestAcked, at)
}

// revisionOf names a version by the newest revision that had it.
func (r *resource) revisionOf(version string) uint64 {
	for _, w := range slices.Backward(r.wants) {
		if w.version == version {
			return w.revision
		}
	}
	return 0
}

// nonce is istiod's "TIME/COUNTER" with 36 characters behind that tell contents
// apart.
func (t *Tracker) nonce(parts []string, revision uint64, at time.Time) string {
	if len(parts) == 0 {
		return ""
	}
	slices.Sort(parts)
	sum := sha256.Sum256([]byte(strings.Join(parts, "\xfe")))
	h := hex.EncodeToString(sum[:16])
	uuid := strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
	return fmt.Sprintf("%s/%d%s", t.acceptedAt(revision, at).UTC().Format(time.RFC3339), revision, uuid)
}
