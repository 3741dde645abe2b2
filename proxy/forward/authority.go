package forward

import (
	"net"
	"strings"
	"sync"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// maxAuthorities bounds the services that are taken from Host headers: a
// workload is a handful of services, each under a few names.
const maxAuthorities = 64

// authorities names the called service from the Host header, at the receiving
// side, where the control plane did not say which service a port belongs to.
// Istio does the same. The header is the client's, so what is believed is
// bounded; beyond, the service is unknown.
type authorities struct {
	namespace string
	mu        sync.RWMutex
	known     map[string]mesh.Service
}

func newAuthorities(namespace string) *authorities {
	return &authorities{namespace: namespace, known: make(map[string]mesh.Service)}
}

func (a *authorities) service(host string) mesh.Service {
	a.mu.RLock()
	s, ok := a.known[host]
	full := len(a.known) >= maxAuthorities
	a.mu.RUnlock()
	if ok || full || len(host) > 255 {
		return s
	}
	s = parseService(host, a.namespace)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) < maxAuthorities {
		a.known[host] = s
	}
	return s
}

// parseService reads "name", "name.namespace", "name.namespace.svc[...]", each
// with or without a port. A service of the mesh is in the workload's own
// namespace, which is where its short names are completed from. Addresses and
// foreign names tell nothing.
func parseService(host, namespace string) mesh.Service {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(host)
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if !isDNSLabel(l) {
			return mesh.Service{}
		}
	}
	name := labels[0]
	switch {
	case name == "localhost" || net.ParseIP(host) != nil:
		return mesh.Service{}
	case len(labels) == 1:
	case labels[1] != namespace, len(labels) > 2 && labels[2] != "svc":
		return mesh.Service{}
	}
	if len(labels) > 3 {
		return mesh.Service{Host: host, Namespace: namespace, Name: name}
	}
	return mesh.Service{Host: name + "." + namespace + ".svc.cluster.local", Namespace: namespace, Name: name}
}

func isDNSLabel(l string) bool {
	if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	for i := range len(l) {
		if c := l[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
