package xds

import (
	"cmp"
	"slices"

	"github.com/sidelight-mesh/sidelight/server/skew"
)

// resources are those of one type. A set that did not change keeps the same
// pointer from revision to revision, so that it need not be compared again; of
// one that did, segments that did not change keep theirs. Once settled it is
// immutable.
type resources struct {
	byName   map[string]*Resource // until it is settled
	segments []*segment           // after that, by name
	count    int
}

// segment is some resources that follow each other by name. Where one ends, the
// name of its last resource alone says: so equal resources are in equal segments,
// whatever came and went elsewhere.
type segment struct {
	list    []*Resource
	desired []skew.Resource // the same as the tracker wants them, made when asked for
}

// ends reports whether a segment ends with a name: one in 128 does.
func ends(name string) bool {
	h := uint32(2166136261) // FNV-1a
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return h>>16%128 == 0
}

func newResources() *resources { return &resources{byName: map[string]*Resource{}} }

func compareName(r *Resource, name string) int { return cmp.Compare(r.Name, name) }

func (r *resources) add(one *Resource) { r.byName[one.Name] = one }

func (r *resources) len() int { return max(r.count, len(r.byName)) }

// get gives a resource, nil when there is none of that name.
func (r *resources) get(name string) *Resource {
	if r.byName != nil {
		return r.byName[name]
	}
	if at, i, ok := r.find(name); ok {
		return r.segments[at].list[i]
	}
	return nil
}

// find tells where a name is.
func (r *resources) find(name string) (at, i int, ok bool) {
	at, _ = slices.BinarySearchFunc(r.segments, name, func(s *segment, name string) int {
		return cmp.Compare(s.list[len(s.list)-1].Name, name)
	})
	if at == len(r.segments) {
		return 0, 0, false
	}
	i, ok = slices.BinarySearchFunc(r.segments[at].list, name, compareName)
	return at, i, ok
}

func (r *resources) each(yield func(*Resource) bool) {
	for _, one := range r.byName {
		if !yield(one) {
			return
		}
	}
	for _, s := range r.segments {
		for _, one := range s.list {
			if !yield(one) {
				return
			}
		}
	}
}

// settle ends the making of a set. Segments that are as before are those of
// before, which may be nil.
func (r *resources) settle(before *resources) {
	if r.byName == nil {
		return
	}
	all := make([]*Resource, 0, len(r.byName))
	for _, one := range r.byName {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *Resource) int { return cmp.Compare(a.Name, b.Name) })
	r.count, r.byName = len(all), nil
	for from := 0; from < len(all); {
		to := from + 1
		for to < len(all) && !ends(all[to-1].Name) {
			to++
		}
		s := &segment{list: all[from:to:to]}
		if before != nil {
			if at, _, ok := before.find(all[from].Name); ok && slices.Equal(before.segments[at].list, s.list) {
				s = before.segments[at]
			}
		}
		r.segments = append(r.segments, s)
		from = to
	}
}

// copy gives the same resources, some of which will be replaced.
func (r *resources) copy() *resources {
	return &resources{segments: slices.Clone(r.segments), count: r.count}
}

// replace puts one in the place of that of its name, in a copy of from. It
// reports whether there was one.
func (r *resources) replace(from *resources, one *Resource, revision uint64) bool {
	at, i, ok := r.find(one.Name)
	if !ok {
		return false
	}
	if r.segments[at] == from.segments[at] {
		r.segments[at] = &segment{list: slices.Clone(r.segments[at].list)}
	}
	if list := r.segments[at].list; one.Revision == 0 {
		if one.Revision = revision; list[i].Version == one.Version {
			one.Revision = list[i].Revision
		}
	}
	r.segments[at].list[i] = one
	return true
}

// has reports whether one of the resources is the same as r.
func (r *resources) has(one *Resource) bool {
	old := r.get(one.Name)
	return old == one || old != nil && old.Version == one.Version && slices.Equal(old.Objects, one.Objects)
}

// lists appends the resources as the tracker wants them: lists that are made once
// for all nodes that share them.
func (r *resources) lists(to [][]skew.Resource) [][]skew.Resource {
	r.settle(nil)
	for _, s := range r.segments {
		if s.desired == nil {
			s.desired = make([]skew.Resource, 0, len(s.list))
			for _, one := range s.list {
				s.desired = append(s.desired, one.listed())
			}
		}
		to = append(to, s.desired)
	}
	return to
}

// differences lists the names that are otherwise than before, which may be nil.
func (r *resources) differences(before *resources) []string {
	old := map[string]*Resource{}
	if before != nil {
		kept := make(map[*segment]bool, len(r.segments))
		for _, s := range r.segments {
			kept[s] = true
		}
		for _, s := range before.segments {
			if !kept[s] {
				for _, one := range s.list {
					old[one.Name] = one
				}
			}
		}
	}
	var names []string
	for _, s := range r.segments {
		if before != nil && before.holdsSegment(s) {
			continue
		}
		for _, one := range s.list {
			if was := old[one.Name]; was == nil || was.Version != one.Version {
				names = append(names, one.Name)
			}
			delete(old, one.Name)
		}
	}
	for name := range old {
		names = append(names, name)
	}
	return names
}

func (r *resources) holdsSegment(s *segment) bool {
	at, _, ok := r.find(s.list[0].Name)
	return ok && r.segments[at] == s
}
