package cluster

import (
	"net"
	"sync/atomic"
	"time"
)

// Host is an endpoint with what this sidecar knows of it. It outlives changes
// of the endpoint list as long as its address stays.
type Host struct {
	endpoint atomic.Pointer[Endpoint]
	active   atomic.Int64
	opened   atomic.Int64
	health   health
	seen     atomic.Pointer[time.Time] // since when it is known; for a slow start
	cold     atomic.Uint32             // what its share lacks; 0: nothing
}

// NewHost gives a host that belongs to no list: that of an OriginalDst cluster.
func NewHost(e Endpoint) *Host {
	h := &Host{}
	h.endpoint.Store(&e)
	return h
}

// Endpoint gives the endpoint as last told by the control plane.
func (h *Host) Endpoint() *Endpoint { return h.endpoint.Load() }

// Active is the number of requests or TCP connections under way.
func (h *Host) Active() int64 { return h.active.Load() }

// Acquire counts a request or TCP connection in.
func (h *Host) Acquire() { h.active.Add(1) }

// Release counts it out.
func (h *Host) Release() { h.active.Add(-1) }

// Opened counts a connection to the host.
func (h *Host) Opened() { h.opened.Add(1) }

// TakeOpened gives the connections opened since it was last asked.
func (h *Host) TakeOpened() int {
	if h.opened.Load() == 0 {
		return 0
	}
	return int(h.opened.Swap(0))
}

// Ejected reports whether outlier detection has taken the host out.
func (h *Host) Ejected() bool { return h.health.ejected.Load() }

// usable: the control plane calls it healthy, and so does its own record.
func (h *Host) usable() bool { return h.Endpoint().usable() && !h.Ejected() }

// Name is the endpoint's host name: as told, or its address without the port.
func (e *Endpoint) Name() string {
	if e.Hostname != "" {
		return e.Hostname
	}
	name, _, err := net.SplitHostPort(e.Address)
	if err != nil {
		return e.Address
	}
	return name
}

func (e *Endpoint) weight() uint32 { return max(e.Weight, 1) }

func (e *Endpoint) usable() bool { return e.Health == Healthy || e.Health == Degraded }
