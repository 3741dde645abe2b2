package xds

import (
	"maps"
	"slices"
	"strconv"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// toldAbsent is the version that stands for "told that there is none" among
// what a client holds. It is no hash, so no resource ever has it.
const toldAbsent = "-"

// watch is one resource type of one stream.
type watch struct {
	req *cache.DeltaRequest // nil while the last response is under way
	sub cache.Subscription
	out chan cache.DeltaResponse

	spoken  bool // a response was given on this stream
	waiting int  // responses given and not answered

	// refused are versions that the node said no to: they are not offered
	// again, which would be a loop, until the content changes.
	refused map[string]string
	// held are resources that came with a refused one and were not refused
	// themselves. The node took the response whole or not at all, so they are
	// offered once more.
	held map[string]bool

	// What was compared last and found complete, so that it is not compared
	// again: a node acknowledges far more often than its view changes.
	complete [2]*resources
}

func (w *watch) open(req *cache.DeltaRequest, sub cache.Subscription, out chan cache.DeltaResponse) {
	w.req, w.sub, w.out = req, sub, out
	if len(req.GetResourceNamesSubscribe())+len(req.GetResourceNamesUnsubscribe()) > 0 || !w.spoken {
		w.complete = [2]*resources{}
	}
}

// close forgets a watch, unless a newer one has taken its place.
func (w *watch) close(req *cache.DeltaRequest) {
	if w.req == req {
		w.req, w.sub, w.out = nil, nil, nil
	}
}

// refuse takes a no to a response.
func (w *watch) refuse(refs []skew.ResourceRef, message string) {
	all := !slices.ContainsFunc(refs, func(r skew.ResourceRef) bool { return named(message, r.Type, r.Name) })
	for _, r := range refs {
		if all || named(message, r.Type, r.Name) {
			if w.refused == nil {
				w.refused = map[string]string{}
			}
			w.refused[r.Name] = r.Version
			delete(w.held, r.Name)
			continue
		}
		if w.held == nil {
			w.held = map[string]bool{}
		}
		w.held[r.Name] = true
	}
	w.complete = [2]*resources{}
}

// difference is what a client lacks of a type.
type difference struct {
	send    []*Resource
	removed []string // it holds them, and they are gone
	absent  []string // it asked for them, and there are none
}

func (d *difference) empty() bool { return len(d.send)+len(d.removed)+len(d.absent) == 0 }

// compare tells what the client lacks of a view.
func (w *watch) compare(v *view, t int) difference {
	var d difference
	now := [2]*resources{v.shared[t], v.own[t]}
	if w.complete == now {
		return d
	}
	holds := w.sub.ReturnedResources()
	look := func(r *Resource) {
		if w.refused[r.Name] == r.Version || holds[r.Name] == r.Version && !w.held[r.Name] {
			return
		}
		d.send = append(d.send, r)
	}
	if w.sub.IsWildcard() {
		v.each(t, func(r *Resource) bool {
			look(r)
			return true
		})
	}
	for name := range w.sub.SubscribedResources() {
		r := v.get(t, name)
		switch {
		case r == nil && holds[name] != toldAbsent:
			d.absent = append(d.absent, name)
		case r != nil && !w.sub.IsWildcard():
			look(r)
		}
	}
	for name, version := range holds {
		_, asked := w.sub.SubscribedResources()[name]
		if v.get(t, name) == nil && !asked && version != toldAbsent {
			d.removed = append(d.removed, name)
		}
	}
	if d.empty() {
		w.complete = now
	}
	slices.SortFunc(d.send, func(a, b *Resource) int { return cmpString(a.Name, b.Name) })
	slices.Sort(d.removed)
	slices.Sort(d.absent)
	return d
}

func cmpString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// offer gives the stream what it lacks, as far as the order allows: make before
// break. Clusters and endpoints go first; what names them goes when they were
// answered; and what is gone is taken away when nothing names it any more.
func (st *stream) offer() {
	if st.node == nil {
		return
	}
	v := st.node.view
	var lacks [typeCount]difference
	for t := range typeCount {
		if st.types[t].req != nil {
			lacks[t] = st.types[t].compare(v, t)
		}
	}
	// Additions that are not with the client yet: offered now or under way.
	busy := func(t int) bool { return st.types[t].waiting > 0 || len(lacks[t].send) > 0 }
	backing := busy(clusterType) || busy(endpointType)
	naming := busy(listenerType) || busy(routeType)

	for t := range typeCount {
		d := lacks[t]
		switch t {
		case clusterType, endpointType:
			if naming || t == endpointType && busy(clusterType) {
				d.removed, d.absent = nil, absentNow(d.absent, st.types[t].sub)
			}
		default:
			if backing {
				d = difference{}
			}
		}
		st.types[t].give(st, v, t, d)
	}
}

// absentNow keeps the names of which the client was never told anything: it
// waits for an answer to its question. What it holds is taken away later.
func absentNow(names []string, sub cache.Subscription) []string {
	if sub == nil {
		return nil
	}
	return slices.DeleteFunc(names, func(name string) bool {
		_, holds := sub.ReturnedResources()[name]
		return holds
	})
}

// give puts a response into the stream's channel. The first question with a
// wildcard is always answered, with nothing if there is nothing: the client
// waits to hear that it has all.
func (w *watch) give(st *stream, v *view, t int, d difference) {
	if w.req == nil {
		return
	}
	first := !w.spoken && w.sub.IsWildcard()
	if d.empty() && !first || first && st.heldBack(t) {
		return
	}
	resp := &discoveryv3.DeltaDiscoveryResponse{
		SystemVersionInfo: strconv.FormatUint(v.revision, 10),
		TypeUrl:           mesh.TypeURL(typeName(t)),
		RemovedResources:  append(d.removed, d.absent...),
	}
	holds := maps.Clone(w.sub.ReturnedResources())
	if holds == nil {
		holds = map[string]string{}
	}
	for _, r := range d.send {
		resp.Resources = append(resp.Resources, r.wire)
		holds[r.Name] = r.Version
		delete(w.refused, r.Name)
		delete(w.held, r.Name)
	}
	for _, name := range d.removed {
		delete(holds, name)
		delete(w.refused, name)
	}
	for _, name := range d.absent {
		holds[name] = toldAbsent
		delete(w.refused, name)
	}
	answer := &cache.DeltaPassthroughResponse{DeltaRequest: w.req, NextVersionMap: holds, DeltaDiscoveryResponse: resp}
	select {
	case w.out <- answer:
		w.req, w.sub, w.out = nil, nil, nil
		w.spoken = true
		w.waiting++
	default:
		// Never block with the lock held. The watch stays open, so the next
		// request or change offers again.
		st.server.metrics.refused.WithLabelValues("queue").Inc()
	}
}

// heldBack reports whether a type must wait for clusters and endpoints.
func (st *stream) heldBack(t int) bool {
	return t >= listenerType && st.types[clusterType].waiting+st.types[endpointType].waiting > 0
}
