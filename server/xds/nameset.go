package xds

import "hash/maphash"

// nameSet is a set of names that clients ask for. Most clients ask for what others
// ask for, so that each set is kept once. It is not changed while several use it.
type nameSet struct {
	set   map[string]struct{}
	sum   nameSum
	users int
}

// nameSum stands for a set of names, whatever their order: two sets with the same
// sum are taken for the same. Its seeds are of this process, so that nobody can
// make two such sets.
type nameSum [2]uint64

func (n *nameSet) has(name string) bool {
	if n == nil {
		return false
	}
	_, ok := n.set[name]
	return ok
}

func (n *nameSet) len() int {
	if n == nil {
		return 0
	}
	return len(n.set)
}

func (n *nameSet) each(yield func(string) bool) {
	if n == nil {
		return
	}
	for name := range n.set {
		if !yield(name) {
			return
		}
	}
}

// nameSets holds each set of names once, for as long as somebody uses it. nil is
// the empty set.
type nameSets struct {
	seeds [2]maphash.Seed
	bySum map[nameSum]*nameSet
}

func newNameSets() nameSets {
	return nameSets{[2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, map[nameSum]*nameSet{}}
}

// changed takes a user's set and gives the one with names added and removed;
// those added are not in it, those removed are.
func (ns *nameSets) changed(old *nameSet, added, removed []string) *nameSet {
	if len(added)+len(removed) == 0 {
		return old
	}
	var sum nameSum
	if old != nil {
		sum = old.sum
	}
	for i, seed := range ns.seeds {
		for _, name := range added {
			sum[i] += maphash.String(seed, name)
		}
		for _, name := range removed {
			sum[i] -= maphash.String(seed, name)
		}
	}
	if old.len()+len(added) == len(removed) {
		ns.release(old)
		return nil
	}
	if known := ns.bySum[sum]; known != nil {
		known.users++
		ns.release(old)
		return known
	}
	next := &nameSet{set: make(map[string]struct{}, old.len()+len(added)), sum: sum, users: 1}
	for name := range old.each {
		next.set[name] = struct{}{}
	}
	for _, name := range added {
		next.set[name] = struct{}{}
	}
	for _, name := range removed {
		delete(next.set, name)
	}
	ns.release(old)
	ns.bySum[sum] = next
	return next
}

// release tells that one user less uses a set.
func (ns *nameSets) release(n *nameSet) {
	if n == nil {
		return
	}
	if n.users--; n.users == 0 {
		delete(ns.bySum, n.sum)
	}
}
