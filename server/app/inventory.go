package app

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/registry"
	"github.com/sidelight-mesh/sidelight/server/skew"
	"github.com/sidelight-mesh/sidelight/server/statefile"
)

// savedInventory is the nodes that a server knew, as they are on disk.
type savedInventory struct {
	At    time.Time   `json:"at"`
	Nodes []skew.Kept `json:"nodes"`
}

// saveInventoryEvery is how much of what nodes did a kill can lose.
const saveInventoryEvery = 2 * time.Second

// restoreInventory makes the nodes known that an earlier process knew. Without
// it, those that are gone while the server restarts would be gone for good.
func (a *App) restoreInventory() {
	a.inventory = statefile.At(subdir(a.opts.StateDir, "nodes"), "inventory.json")
	var saved savedInventory
	if ok, err := a.inventory.Load(&saved); err != nil {
		a.opts.Logger.Warn("the nodes of before the restart are not known", "error", err)
	} else if ok {
		saved.Nodes = slices.DeleteFunc(saved.Nodes, func(k skew.Kept) bool { return strings.HasPrefix(k.Node.ID, expectedPrefix) })
		a.tracker.Restore(saved.Nodes, saved.At, time.Now())
	}
}

// keepInventory saves what is known of nodes until ctx ends, and then once
// more. A mesh that is large is saved less often: never more than a twentieth
// of the time goes into it.
func (a *App) keepInventory(ctx context.Context) {
	var last uint64
	save := func() time.Duration {
		start := time.Now()
		if a.tracker.Seq() == last {
			return saveInventoryEvery
		}
		nodes, seq := a.tracker.Inventory(start)
		if err := a.inventory.Save(savedInventory{start, nodes}); err != nil {
			a.opts.Logger.Warn("the inventory of nodes is not kept", "error", err)
		}
		last = seq
		return max(saveInventoryEvery, 20*time.Since(start))
	}
	for {
		select {
		case <-time.After(save()):
		case <-ctx.Done():
			save()
			return
		}
	}
}

// expectedPrefix begins the IDs of nodes that only discovery knows: what the
// real one will call itself is not known.
const expectedPrefix = "expected~"

// Labels by which discovery says that a workload has a sidecar.
const (
	injectLabel  = "sidecar.istio.io/inject"
	tlsModeLabel = "security.istio.io/tlsMode"
)

// expect makes known, as nodes that never connected, the instances that
// discovery says have a sidecar and of which no node was ever heard.
func (a *App) expect(reg *registry.Registry, nodes []skew.NodeStatus, now time.Time) {
	heard := heardWorkloads(nodes)
	wanted := map[string]mesh.Node{}
	for _, s := range reg.Services() {
		for _, ep := range s.Endpoints {
			if s.External || ep.Workload.IsUnknown() || ep.Labels[injectLabel] != "true" && ep.Labels[tlsModeLabel] != "istio" {
				continue
			}
			at := ep.Workload.Namespace + "/" + ep.Workload.Name
			id := expectedPrefix + at
			if ids := heard[at]; len(ids) > 0 {
				address, taken := a.spokenFor(s, ep, ids)
				if taken {
					continue
				}
				id += "@" + address
			}
			wanted[id] = mesh.Node{ID: id, Workload: ep.Workload, Kind: "sidecar"}
		}
	}
	for id, n := range wanted {
		if !a.expected[id] {
			a.tracker.Expected(n, now)
		}
	}
	for id := range a.expected {
		if _, still := wanted[id]; !still {
			a.tracker.Forget(id) // its node came, or nobody expects it any more
		}
	}
	a.expected = map[string]bool{}
	for id := range wanted {
		a.expected[id] = true
	}
}

// heardWorkloads gives the nodes of each workload that were ever heard of, by
// NAMESPACE/NAME.
func heardWorkloads(nodes []skew.NodeStatus) map[string][]string {
	heard := map[string][]string{}
	for _, n := range nodes {
		if !strings.HasPrefix(n.ID, expectedPrefix) {
			at := n.Workload.Namespace + "/" + n.Workload.Name
			heard[at] = append(heard[at], n.ID)
		}
	}
	return heard
}

// spokenFor reports whether a node of the workload takes the requests of an
// instance, and gives the instance's address. Where one does not say where it
// listens, it may be any.
func (a *App) spokenFor(s *registry.Service, ep registry.Endpoint, nodeIDs []string) (address string, yes bool) {
	own := map[string]bool{}
	for _, p := range s.Ports {
		address = net.JoinHostPort(ep.Address, strconv.FormatUint(uint64(ep.Port(p)), 10))
		own[address] = true
	}
	for _, id := range nodeIDs {
		inbound := a.xds.Inbound(id)
		if len(inbound) == 0 || slices.ContainsFunc(inbound, func(at string) bool { return own[at] }) {
			return address, true
		}
	}
	return address, false
}
