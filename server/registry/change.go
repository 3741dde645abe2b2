package registry

import (
	"slices"

	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// Change is an object that came, went or changed.
type Change struct{ Before, After *config.Object } // nil: it was, or is, not there

// Kind is the object's.
func (c Change) Kind() string {
	if c.After != nil {
		return c.After.Kind
	}
	return c.Before.Kind
}

// Changes tells how two sets of objects differ. Both are by key.
func Changes(before, after []*config.Object) []Change {
	var out []Change
	for len(before) > 0 || len(after) > 0 {
		if len(before) > 0 && len(after) > 0 && before[0] == after[0] {
			before, after = before[1:], after[1:]
			continue
		}
		order := 0
		switch {
		case len(before) == 0:
			order = 1
		case len(after) == 0:
			order = -1
		default:
			order = before[0].Key().Compare(after[0].Key())
		}
		switch {
		case order < 0:
			out = append(out, Change{Before: before[0]})
			before = before[1:]
		case order > 0:
			out = append(out, Change{After: after[0]})
			after = after[1:]
		default:
			if !Same(before[0], after[0]) {
				out = append(out, Change{before[0], after[0]})
			}
			before, after = before[1:], after[1:]
		}
	}
	return out
}

// Replaced is a service whose endpoints changed, and nothing else of it.
type Replaced struct{ Before, After *Service }

// Next gives the registry of objects, which differ by changes from those of r.
// whole is false when endpoints alone differ; replaced then tells whose.
func (r *Registry) Next(objects []*config.Object, changes []Change) (next *Registry, replaced []Replaced, whole bool) {
	touched := map[int]*config.Object{} // entries, with their objects of now
	for _, c := range changes {
		switch c.Kind() {
		case config.KindServiceEntry:
			if c.Before == nil || c.After == nil || !endpointsOnly(c.Before, c.After) {
				return r.build(objects), nil, true
			}
			if i, ok := r.find(c.After.Key()); ok {
				touched[i] = c.After
			}
		case config.KindWorkloadEntry:
			r.chosenBy(c, touched)
		}
	}
	if len(touched) == 0 {
		return r, nil, false
	}
	next = &Registry{services: slices.Clone(r.services), hosts: r.hosts, entries: slices.Clone(r.entries)}
	for i, o := range touched {
		before := r.entries[i]
		after := newOrigin(o, workloadsOf(objects, o.Namespace), before)
		if after == before {
			continue
		}
		next.entries[i] = after
		for j, s := range before.services {
			at := r.hosts[s.Host]
			for k := at.from; k < at.to; k++ {
				if r.services[k] == s { // not one that another entry holds
					next.services[k] = after.services[j]
					replaced = append(replaced, Replaced{s, after.services[j]})
				}
			}
		}
	}
	slices.SortFunc(replaced, func(a, b Replaced) int { return a.After.Object.Compare(b.After.Object) })
	return next, replaced, false
}

// chosenBy adds the entries whose selectors choose a WorkloadEntry as it was or
// is.
func (r *Registry) chosenBy(c Change, touched map[int]*config.Object) {
	for i, e := range r.entries {
		selector := e.object.ServiceEntry().GetWorkloadSelector().GetLabels()
		if len(selector) == 0 || touched[i] != nil {
			continue
		}
		for _, o := range []*config.Object{c.Before, c.After} {
			if o != nil && o.Namespace == e.object.Namespace && matches(selector, mergeLabels(o.Labels, o.WorkloadEntry().Labels)) {
				touched[i] = e.object
			}
		}
	}
}

func workloadsOf(objects []*config.Object, namespace string) []*config.Object {
	low, _ := slices.BinarySearchFunc(objects, config.Key{Kind: config.KindWorkloadEntry, Namespace: namespace}, func(o *config.Object, key config.Key) int { return o.Key().Compare(key) })
	high := low
	for high < len(objects) && objects[high].Kind == config.KindWorkloadEntry && objects[high].Namespace == namespace {
		high++
	}
	return objects[low:high]
}

// endpointsOnly reports whether two forms of a ServiceEntry differ in nothing
// that routes and listeners are made of.
func endpointsOnly(a, b *config.Object) bool {
	without := func(o *config.Object) *networking.ServiceEntry {
		se := o.ServiceEntry()
		return &networking.ServiceEntry{
			Hosts: se.Hosts, Addresses: se.Addresses, Ports: se.Ports, Location: se.Location, Resolution: se.Resolution, ExportTo: se.ExportTo,
			WorkloadSelector: se.WorkloadSelector, SubjectAltNames: se.SubjectAltNames,
		}
	}
	return a.Annotations[config.AnnotationRateLimit] == b.Annotations[config.AnnotationRateLimit] && proto.Equal(without(a), without(b))
}
