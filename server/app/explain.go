package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/api"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/explain"
	"github.com/sidelight-mesh/sidelight/server/skew"
	"github.com/sidelight-mesh/sidelight/server/xds"
)

// explainer brings together what explain walks: what a node should run (xds),
// what it does run (skew), and the objects behind both (config).
type explainer struct{ *App }

// maxExplained bounds the nodes of a workload that are compared.
const maxExplained = 100

// maxSearched bounds the revisions that are compiled to find what a node runs.
const maxSearched = 20

// Explain is api.Explainer's.
func (e explainer) Explain(ctx context.Context, q api.ExplainQuery, at time.Time) (api.Explanation, error) {
	request, err := explain.NewRequest(q.Method, q.URL, q.Header)
	if err != nil {
		return api.Explanation{}, fmt.Errorf("%w: %w", err, mesh.ErrInvalid)
	}
	desired, err := e.snapshot(q.Revision)
	if err != nil {
		return api.Explanation{}, err
	}
	workload, nodes, err := e.nodes(q, at)
	if err != nil {
		return api.Explanation{}, err
	}
	answer := api.Explanation{
		Method: q.Method, URL: q.URL, From: workload.Namespace + "/" + workload.Name,
		Differences: []string{}, Nodes: []api.ExplainedNode{}, Notes: []string{},
	}
	nodeID := ""
	if len(nodes) > 0 {
		nodeID, answer.Node, answer.State = nodes[0].ID, nodes[0].ID, string(nodes[0].State)
	}
	previews := previews{e.xds, map[uint64]*xds.Preview{}}
	resources, known := previews.of(desired).Node(nodeID, workload)
	account := ""
	if known {
		e.caller(request, nodeID, at)
	} else {
		account = e.account(workload)
		request.Principal = e.xds.Principal(workload.Namespace, account)
	}
	should := newWorld(desired, resources)
	should.Callee = e.callee(at, func(id string, _ skew.NodeStatus) *explain.World {
		return newWorld(desired, previews.of(desired).Listeners(id))
	})
	if answer.Desired, err = should.Explain(request); err != nil {
		return api.Explanation{}, err
	}
	if !known {
		answer.Notes = append(answer.Notes, "no sidecar of "+answer.From+" has connected: this is what one would be told, and its certificate is taken to be of service account "+account)
		answer.Same = true
		return answer, ctx.Err()
	}
	runs := &running{explainer: e, previews: previews, node: nodes[0], workload: workload, desired: resources, snapshot: desired}
	if err := runs.explain(request, &answer, at); err != nil {
		return api.Explanation{}, err
	}
	answer.Nodes = e.compare(nodes, answer, resources, at)
	return answer, ctx.Err()
}

// previews are states of the configuration, read once for an answer.
type previews struct {
	server   *xds.Server
	revision map[uint64]*xds.Preview
}

func (p previews) of(snapshot config.Snapshot) *xds.Preview {
	number := snapshot.Revision.Number
	if p.revision[number] == nil {
		p.revision[number] = p.server.Preview(snapshot)
	}
	return p.revision[number]
}

// caller tells who the caller is, as a callee sees it: by its certificate, and by
// its address.
func (e explainer) caller(r *explain.Request, nodeID string, at time.Time) {
	r.Principal = e.xds.Identity(nodeID)
	detail, _ := e.tracker.Node(nodeID, at)
	if detail.Identity != nil {
		r.Principal = detail.Identity.Principal
	}
	if n := len(detail.Connections); n > 0 {
		if peer, err := netip.ParseAddrPort(detail.Connections[n-1].Peer); err == nil {
			r.Source = peer.Addr()
		}
	}
}

// account is a workload's service account, by its WorkloadEntry.
func (e explainer) account(of mesh.Workload) string {
	for _, o := range e.store.Objects() {
		if w := o.WorkloadEntry(); w != nil && o.Namespace == of.Namespace && o.Name == of.Name {
			return cmp.Or(w.ServiceAccount, "default")
		}
	}
	return "default"
}

// callee gives what finds the node at which a request arrives, with what it runs,
// or should.
func (e explainer) callee(at time.Time, world func(id string, n skew.NodeStatus) *explain.World) func(address, workload string) *explain.Callee {
	return func(address, workload string) *explain.Callee {
		id := e.xds.NodeAt(address, workload)
		if id == "" {
			return nil
		}
		detail, _ := e.tracker.Node(id, at)
		w := world(id, detail.NodeStatus)
		if w == nil {
			return nil
		}
		return &explain.Callee{Node: id, World: w}
	}
}

func (e explainer) snapshot(revision uint64) (config.Snapshot, error) {
	now := e.store.Snapshot()
	if revision == 0 || revision == now.Revision.Number {
		return now, nil
	}
	rev, err := e.store.Revision(revision)
	if err != nil {
		return config.Snapshot{}, err
	}
	objects, err := e.store.Content(revision)
	return config.Snapshot{Revision: rev, Objects: objects}, err
}

// nodes finds the nodes that a query is about, the one to explain first: the
// one that is named, else one that is connected, the worst off before others.
func (e explainer) nodes(q api.ExplainQuery, at time.Time) (mesh.Workload, []skew.NodeStatus, error) {
	view := e.tracker.View(at)
	if q.Node != "" {
		i := slices.IndexFunc(view.Nodes, func(n skew.NodeStatus) bool { return n.ID == q.Node })
		if i < 0 {
			return mesh.Workload{}, nil, fmt.Errorf("node %q: %w", q.Node, mesh.ErrNotFound)
		}
		w := view.Nodes[i].Workload
		if q.From != "" && !isWorkload(w, q.From) {
			return w, nil, fmt.Errorf("node %q is one of %s/%s, not of %s: %w", q.Node, w.Namespace, w.Name, q.From, mesh.ErrInvalid)
		}
		others := slices.DeleteFunc(slices.Clone(view.Nodes), func(n skew.NodeStatus) bool {
			return n.ID == q.Node || n.Workload.Namespace != w.Namespace || n.Workload.Name != w.Name
		})
		return w, append([]skew.NodeStatus{view.Nodes[i]}, others...), nil
	}
	namespace, name, ok := strings.Cut(q.From, "/")
	if !ok || namespace == "" || name == "" {
		return mesh.Workload{}, nil, fmt.Errorf("%q is not NAMESPACE/WORKLOAD: %w", q.From, mesh.ErrInvalid)
	}
	found := slices.DeleteFunc(view.Nodes, func(n skew.NodeStatus) bool { return !isWorkload(n.Workload, q.From) })
	if len(found) == 0 {
		return mesh.Workload{Namespace: namespace, Name: name}, nil, nil
	}
	slices.SortStableFunc(found, func(a, b skew.NodeStatus) int {
		if a.Connected != b.Connected {
			return cmp.Compare(btoi(b.Connected), btoi(a.Connected))
		}
		return cmp.Compare(b.State.Severity(), a.State.Severity())
	})
	return found[0].Workload, found[:min(len(found), maxExplained)], nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// isWorkload takes a workload's own name and that of its application.
func isWorkload(w mesh.Workload, from string) bool {
	return w.Namespace+"/"+w.Name == from || w.Namespace+"/"+w.App == from
}

// compare tells of each node whether it runs the desired content of what
// decided.
func (e explainer) compare(nodes []skew.NodeStatus, answer api.Explanation, desired []*xds.Resource, at time.Time) []api.ExplainedNode {
	decides := map[string]string{} // resource -> version
	for _, s := range answer.Desired.Steps {
		decides[s.Resource] = ""
	}
	for _, r := range desired {
		if _, ok := decides[r.Type+" "+r.Name]; ok && r.Type != mesh.TypeListener { // listeners are each node's own
			decides[r.Type+" "+r.Name] = r.Version
		}
	}
	out := make([]api.ExplainedNode, 0, len(nodes))
	for _, n := range nodes {
		x := api.ExplainedNode{ID: n.ID, State: string(n.State), Revision: n.Revision, Same: true}
		detail, _ := e.tracker.Node(n.ID, at)
		applied := appliedVersions(detail)
		for name, version := range decides {
			if version != "" && !sameVersion(applied[name], version) {
				x.Same = false
			}
		}
		out = append(out, x)
	}
	return out
}

func appliedVersions(n skew.NodeDetail) map[string]string {
	applied := make(map[string]string, len(n.Resources))
	for _, r := range n.Resources {
		applied[r.Type+" "+r.Name] = r.Applied
	}
	return applied
}

// sameVersion compares a version as the tracker shows it, shortened, with a
// whole one.
func sameVersion(short, whole string) bool { return short != "" && strings.HasPrefix(whole, short) }

// newWorld makes what explain walks of resources and their configuration.
func newWorld(snapshot config.Snapshot, resources []*xds.Resource) *explain.World {
	objects := make(map[string]*config.Object, len(snapshot.Objects))
	for _, o := range snapshot.Objects {
		objects[o.Key().String()] = o
	}
	byName := make(map[string]*xds.Resource, len(resources))
	w := &explain.World{Revision: snapshot.Revision.Number, Object: func(name string) *config.Object { return objects[name] }}
	for _, r := range resources {
		byName[r.Type+" "+r.Name] = r
		if r.Type == mesh.TypeListener {
			w.Listeners = append(w.Listeners, explained(r))
		}
	}
	w.Resource = func(typ, name string) (explain.Resource, bool) {
		r := byName[typ+" "+name]
		if r == nil {
			return explain.Resource{}, false
		}
		return explained(r), true
	}
	return w
}

func explained(r *xds.Resource) explain.Resource {
	return explain.Resource{Name: r.Name, Any: r.Any, Objects: r.Objects, Revision: r.Revision}
}

// running finds what a node really runs. The tracker knows the hashes of it;
// their content is that of the desired state, or of an earlier revision, which
// is compiled again to see.
type running struct {
	explainer
	previews previews
	node     skew.NodeStatus
	workload mesh.Workload
	desired  []*xds.Resource
	snapshot config.Snapshot

	version map[string]map[string]*xds.Resource // by name and version, of what was compiled
	objects map[string]*config.Object
	search  []mesh.Revision // that were not compiled yet
	lost    []string        // resources whose content is nowhere any more
}

func (r *running) explain(request *explain.Request, answer *api.Explanation, at time.Time) error {
	w := r.world(at)
	if w == nil {
		answer.Notes = append(answer.Notes, "it is not known what "+r.node.ID+" runs")
		return nil
	}
	callees := map[string]*running{}
	w.Callee = r.callee(at, func(id string, n skew.NodeStatus) *explain.World {
		should := r.previews.of(r.snapshot).Listeners(id)
		callees[id] = &running{explainer: r.explainer, previews: r.previews, node: n, workload: n.Workload, desired: should, snapshot: r.snapshot}
		if w := callees[id].world(at); w != nil {
			return w
		}
		answer.Notes = append(answer.Notes, "it is not known what "+id+" runs: what it does is shown as desired")
		return newWorld(r.snapshot, should)
	})
	account, err := w.Explain(request)
	if err != nil {
		return err
	}
	for _, node := range append([]*running{r}, slices.Collect(maps.Values(callees))...) {
		if len(node.lost) > 0 {
			answer.Notes = append(answer.Notes, fmt.Sprintf("%s runs %s as no revision that is kept has it; read its /config_dump", node.node.ID, strings.Join(node.lost, ", ")))
			return nil
		}
	}
	answer.Runs = &account
	answer.Differences = explain.Compare(answer.Runs, &answer.Desired)
	answer.Same = len(answer.Differences) == 0
	return nil
}

// prepare makes ready to find what the node runs, and gives the versions of that;
// none when it does not say.
func (r *running) prepare(at time.Time) (applied map[string]string) {
	detail, _ := r.tracker.Node(r.node.ID, at)
	if applied = appliedVersions(detail); len(applied) == 0 {
		return nil
	}
	r.objects, r.version = map[string]*config.Object{}, map[string]map[string]*xds.Resource{}
	r.remember(r.snapshot, r.desired)
	r.search = r.candidates()
	return applied
}

// world is what the node runs; nil when it does not say.
func (r *running) world(at time.Time) *explain.World {
	applied := r.prepare(at)
	if applied == nil {
		return nil
	}
	w := &explain.World{Revision: r.node.Revision, Object: func(name string) *config.Object { return r.objects[name] }}
	for _, d := range r.desired {
		if d.Type != mesh.TypeListener {
			continue
		}
		if found := r.find(d.Type, d.Name, applied); found != nil {
			w.Listeners = append(w.Listeners, explained(found))
		}
	}
	w.Resource = func(typ, name string) (explain.Resource, bool) {
		found := r.find(typ, name, applied)
		if found == nil {
			return explain.Resource{}, false
		}
		return explained(found), true
	}
	return w
}

// remember keeps resources by name and version, and the objects they came from.
func (r *running) remember(snapshot config.Snapshot, resources []*xds.Resource) {
	for _, res := range resources {
		key := res.Type + " " + res.Name
		if r.version[key] == nil {
			r.version[key] = map[string]*xds.Resource{}
		}
		if r.version[key][res.Version] == nil {
			r.version[key][res.Version] = res
		}
	}
	for _, o := range snapshot.Objects {
		if key := o.Key().String(); r.objects[key] == nil {
			r.objects[key] = o
		}
	}
}

// find gives the content that a node runs under a name; nil when it runs none,
// or when it cannot be told, which is noted.
func (r *running) find(typ, name string, applied map[string]string) *xds.Resource {
	key := typ + " " + name
	version := applied[key]
	if version == "" {
		return nil
	}
	if found := r.known(key, version); found != nil {
		return found
	}
	for len(r.search) > 0 {
		rev := r.search[0]
		r.search = r.search[1:]
		objects, err := r.store.Content(rev.Number)
		if err != nil {
			continue // not kept
		}
		snapshot := config.Snapshot{Revision: rev, Objects: objects}
		resources, _ := r.previews.of(snapshot).Node(r.node.ID, r.workload)
		for _, o := range objects {
			r.objects[o.Key().String()] = o // what the node runs is of then
		}
		r.remember(snapshot, resources)
		if found := r.known(key, version); found != nil {
			return found
		}
	}
	r.lost = append(r.lost, key)
	return nil
}

func (r *running) known(key, version string) *xds.Resource {
	for whole, res := range r.version[key] {
		if sameVersion(version, whole) {
			return res
		}
	}
	return nil
}

// candidates are the revisions that a node's content may be of: what it says it
// wholly runs, then from new to old.
func (r *running) candidates() []mesh.Revision {
	var out []mesh.Revision
	if rev, err := r.store.Revision(r.node.Revision); err == nil {
		out = append(out, rev)
	}
	for _, rev := range r.store.Revisions(maxSearched) {
		if rev.Number != r.node.Revision && rev.Number != r.snapshot.Revision.Number {
			out = append(out, rev)
		}
	}
	return out
}
