package app

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/server/api"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// overall is what the API asks about the server as a whole.
type overall struct{ *App }

// Services lists the registry.
func (o overall) Services() []api.ServiceEntry {
	out := []api.ServiceEntry{}
	reg := o.registry.Load()
	if reg == nil {
		return out
	}
	f := factsBuilder{cluster: o.opts.Cluster, clusters: map[string]string{}}
	f.Workloads = map[string]graph.WorkloadFacts{}
	f.addNodes(o.tracker.View(time.Now()))
	byHost, byWorkload := policiesBy(o.Policies())
	for _, s := range reg.Services() {
		e := api.ServiceEntry{Service: s.Service, External: s.External, Endpoints: len(s.Endpoints), Instances: map[string]int{}}
		for _, p := range s.Ports {
			e.Ports = append(e.Ports, api.Port{Name: p.Name, Number: p.Number, Protocol: p.Protocol})
		}
		for _, ep := range s.Endpoints {
			id := ""
			if !s.External && !ep.Workload.IsUnknown() {
				id = f.workload(ep.Workload).ID()
				e.Workloads = append(e.Workloads, id)
				e.Instances[id]++
			}
			e.List = append(e.List, endpoint(s, ep, id))
		}
		e.Workloads = distinct(e.Workloads)
		e.Objects = slices.Clone(byHost[s.Host])
		for _, id := range e.Workloads {
			e.Objects = append(e.Objects, byWorkload[id]...)
		}
		e.Objects = append(distinct(e.Objects), s.Objects...)
		out = append(out, e)
	}
	return out
}

func endpoint(s *registry.Service, ep registry.Endpoint, workload string) api.Endpoint {
	out := api.Endpoint{
		Address: ep.Address, Ports: map[string]uint32{}, Workload: workload, Weight: max(ep.Weight, 1), Labels: ep.Labels,
		Object: cmp.Or(ep.Object, s.Object.String()),
	}
	for _, p := range s.Ports {
		out.Ports[p.Name] = ep.Port(p)
	}
	if l := ep.Locality; l.Region != "" {
		out.Locality = strings.TrimRight(l.Region+"/"+l.Zone+"/"+l.SubZone, "/")
	}
	return out
}

// Markers lists configuration changes, nodes' starts and stops, and what circuit
// breakers did.
func (o overall) Markers(from, until time.Time) []graph.Marker {
	out := o.markers.between(from, until)
	for _, rev := range o.store.Revisions(0) { // newest first
		if rev.At.Before(from) {
			break
		}
		if !rev.At.After(until) && !rev.EndpointsOnly() {
			out = append(out, graph.Marker{At: rev.At, Kind: "config", Text: rev.Summary, Revision: rev.Number})
		}
	}
	slices.SortStableFunc(out, func(a, b graph.Marker) int { return a.At.Compare(b.At) })
	return out
}

// Cost gives the figures of the last measurement.
func (o overall) Cost() api.Cost {
	c := o.stored.Load().cost
	for _, n := range o.tracker.View(time.Now()).Nodes {
		if n.Connected {
			c.Proxies++
		}
	}
	return c
}

// NodeCosts gives the CPU and memory of each sidecar, by node ID.
func (o overall) NodeCosts() map[string]api.Cost { return o.stored.Load().byNode }

// Outliers gives what the sidecars keep from clusters now.
func (o overall) Outliers() []graph.Outlier { return o.stored.Load().outs }

// Ejections lists what outlier detection did for a host, oldest first.
func (o overall) Ejections(host string) []api.EjectionEvent { return o.markers.ejections(host) }

// Policies lists the objects that only sidecars carry out.
func (o overall) Policies() []graph.Policy {
	reg := o.registry.Load()
	if reg == nil {
		return nil
	}
	return policiesOf(reg, o.store.Objects(), o.tracker.View(time.Now()), o.opts.Cluster)
}

// Missing names what the graph should be made of and is not there: the
// collector, the metrics store, and what the collector, or the cluster's source of
// configuration, cannot read.
func (o overall) Missing(at time.Time) []graph.Stale {
	missing := append(o.silentCollector(at), o.unreadCluster(at)...)
	if s := o.storeAway.Load(); s != nil && !at.Before(s.Since) {
		missing = append(missing, *s)
	}
	if o.opts.Unread != nil {
		for _, s := range o.opts.Unread() {
			if !at.Before(s.Since) {
				missing = append(missing, s)
			}
		}
	}
	return missing
}

// silentCollector names the collector when nothing comes from it although it
// has something to scrape.
func (o overall) silentCollector(at time.Time) []graph.Stale {
	now := time.Now()
	since, never, silent := o.intake.silence(o.started, now)
	if !silent || at.Before(since) {
		return nil
	}
	if o.opts.Targets != nil && len(o.xds.Targets()) == 0 {
		return nil // the collector is here and has nothing to scrape
	}
	reason := "no collector has sent anything since: is it running, and does it reach this server?"
	if never {
		reason = "no collector has sent anything yet: start \"sidelight collector\" with --server set to this server"
	}
	return []graph.Stale{{Source: "collector", Since: since, Reason: reason}}
}

// ScrapeTargets lists the metrics endpoints of connected nodes, for Prometheus
// and for collectors elsewhere.
func (o overall) ScrapeTargets() []api.ScrapeTarget {
	out := []api.ScrapeTarget{}
	for _, t := range o.scrapeTargets() {
		labels := map[string]string{"node": t.Node, "workload": t.Workload.Name, "namespace": t.Workload.Namespace}
		if t.Secure {
			labels["__scheme__"] = "https"
		}
		out = append(out, api.ScrapeTarget{Targets: []string{t.Address}, Labels: labels})
	}
	return out
}

// Status counts what there is and what has been.
func (o overall) Status(at time.Time) api.Status {
	st := api.Status{
		Version: o.opts.Version, StartedAt: o.started.UTC(), UptimeS: at.Sub(o.started).Seconds(), Mode: o.opts.Mode,
		Losses: o.losses(), Targets: []api.TargetStatus{},
	}
	workloads := o.engine.View(graph.Query{Group: graph.ByWorkload}, at)
	for _, n := range workloads.Nodes {
		if n.Kind == graph.KindWorkload {
			st.Counts.Workloads++
		}
	}
	nodes := o.tracker.View(at)
	traffic := o.engine.Stats()
	st.Counts.Edges = len(workloads.Edges)
	st.Counts.Services = o.countServices(workloads)
	for _, n := range nodes.Nodes {
		if n.Connected {
			st.Counts.Proxies++
		}
	}
	st.Counts.NodesSynced = nodes.Summary.Synced
	st.Counts.Requests = uint64(math.Round(traffic.Requests))
	st.Counts.Errors = uint64(math.Round(traffic.Errors))
	st.Counts.TapEvents = o.tap.Stats().Events
	if nodes.Desired != nil {
		st.Counts.Revisions = nodes.Desired.Number
	}
	if o.opts.Traces != nil {
		stored := o.opts.Traces.Stats()
		st.Counts.Spans, st.Counts.Traces = stored.Spans, stored.Traces
	}
	for _, l := range st.Losses {
		st.Counts.Dropped += l.Count
	}
	st.Targets = o.targetHealth()
	return st
}

// targetsTime is how long a collector elsewhere may take to tell its targets.
const targetsTime = 2 * time.Second

// targetHealth gives how the scraping of each target goes, whichever collector
// does it. One that does not answer stands for all of its targets.
func (o overall) targetHealth() []api.TargetStatus {
	var health []TargetStatus
	switch {
	case o.opts.Targets != nil:
		health = o.opts.Targets()
	case o.opts.RemoteTargets != nil:
		ctx, cancel := context.WithTimeout(context.Background(), targetsTime)
		defer cancel()
		var err error
		if health, err = o.opts.RemoteTargets(ctx); err != nil {
			health = []TargetStatus{{Address: "collector", Error: err.Error()}}
		}
	}
	out := make([]api.TargetStatus, 0, len(health))
	for _, t := range health {
		out = append(out, api.TargetStatus{
			Address: t.Address, Node: t.Node, Up: t.Up, Error: t.Error, LastScrape: t.LastScrape,
			DurationMS: float64(t.Duration) / float64(time.Millisecond),
		})
	}
	return out
}

// countServices counts the hosts of the registry, and those that were called
// without being in it.
func (o overall) countServices(workloads graph.View) int {
	hosts := map[string]struct{}{}
	if reg := o.registry.Load(); reg != nil {
		for _, s := range reg.Services() {
			hosts[s.Host] = struct{}{}
		}
	}
	for _, e := range workloads.Edges {
		if e.Service != nil && e.Service.Host != "" {
			hosts[e.Service.Host] = struct{}{}
		}
	}
	return len(hosts)
}

// losses is the ledger of everything that was dropped anywhere; what never
// happened is left out.
func (o overall) losses() []api.Loss {
	traffic := o.engine.Stats()
	var stored traces.Stats
	if o.opts.Traces != nil {
		stored = o.opts.Traces.Stats()
	}
	all := []api.Loss{
		{Where: "server/graph", What: "changes of edges over the limit", Count: traffic.DroppedEdges, Hint: "more distinct edges than the graph holds"},
		{Where: "server/graph", What: "changes that came too late", Count: traffic.Late, Hint: "the collector lagged by more than the graph looks back"},
		{Where: "server/graph", What: "changes that made no sense", Count: traffic.Invalid, Hint: "a collector of another version, or a target that is no sidecar"},
		{Where: "server/edges", What: "edge streams refused", Count: o.intake.refused.Load(), Hint: "somebody without a collector's certificate tells of edges: the log says who; docs/identity.md#collectors"},
		{Where: "server/tap", What: "events that a viewer did not get", Count: o.tap.Stats().Dropped, Hint: "narrow the filter, or lower the limit of the session"},
		{Where: "store/traces", What: "spans refused", Count: stored.Refused, Hint: "the store could not keep up, or the spans were invalid: see the log"},
		{Where: "store/traces", What: "blocks that could not be read", Count: stored.Corrupt, Hint: "the disk returned damaged data"},
		{Where: "sidecars", What: "spans not sent", Count: o.spans.Load(), Hint: "the sidecars did not reach the collector in time"},
	}
	if o.opts.Losses != nil {
		for _, l := range o.opts.Losses() {
			all = append(all, api.Loss(l))
		}
	}
	all = slices.DeleteFunc(all, func(l api.Loss) bool { return l.Count == 0 })
	slices.SortStableFunc(all, func(a, b api.Loss) int { return cmp.Compare(b.Count, a.Count) })
	return all
}
