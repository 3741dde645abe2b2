package scrape

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unique"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/storage"

	"github.com/sidelight-mesh/sidelight/collector/dialect"
	"github.com/sidelight-mesh/sidelight/collector/target"
	"github.com/sidelight-mesh/sidelight/mesh"
)

const (
	// identityLabel leads from a target of the scrape manager to its watch. It
	// is not put on series, as no label is that starts with two underscores.
	identityLabel = "__sidelight_id__"
	// keepRemoved is how long a target that went away is remembered. A sidecar
	// that reconnects must not count its counters anew, nor lose what they
	// gained meanwhile.
	keepRemoved = 5 * time.Minute
	maxRemoved  = 1000
)

// watches holds what is remembered of all targets.
type watches struct {
	dialects dialect.Set
	limits   Limits
	interval time.Duration
	counts   *counts

	mu   sync.Mutex
	byID map[string]*watch
}

func newWatches(d dialect.Set, l Limits, interval time.Duration, c *counts) *watches {
	return &watches{dialects: d, limits: l, interval: interval, counts: c, byID: make(map[string]*watch)}
}

func (ws *watches) get(id string) (*watch, bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w, ok := ws.byID[id]
	return w, ok
}

// replace makes targets the list, and gives it in the scrape manager's terms.
func (ws *watches) replace(targets []target.Target, now time.Time) []*targetgroup.Group {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	listed := make(map[string]bool, len(targets))
	group := &targetgroup.Group{Source: jobName}
	for _, t := range targets {
		labels := managerLabels(t)
		id := string(labels[identityLabel])
		listed[id] = true
		group.Targets = append(group.Targets, labels)
		w, ok := ws.byID[id]
		if !ok {
			w = &watch{
				target: t, dialects: ws.dialects, limits: ws.limits, interval: ws.interval, counts: ws.counts,
				series: make(map[storage.SeriesRef]*series),
				dists:  make(map[distributionKey]*distribution),
				edges:  make(map[unique.Handle[mesh.EdgeKey]]*edge),
			}
			ws.byID[id] = w
		}
		w.removed = time.Time{}
	}
	ws.forget(listed, now)
	return []*targetgroup.Group{group}
}

// forget drops what has been off the list for long, and the oldest of too
// many.
func (ws *watches) forget(listed map[string]bool, now time.Time) {
	var gone []string
	for id, w := range ws.byID {
		if listed[id] {
			continue
		}
		if w.removed.IsZero() {
			w.removed = now
		}
		gone = append(gone, id)
	}
	slices.SortFunc(gone, func(a, b string) int { return ws.byID[b].removed.Compare(ws.byID[a].removed) })
	for i, id := range gone {
		if i >= maxRemoved || now.Sub(ws.byID[id].removed) > keepRemoved {
			delete(ws.byID, id)
		}
	}
}

// managerLabels describes a target to the scrape manager. Its identity is all
// that ends up in its series' labels: with other labels they are other series,
// and what was remembered does not hold for them.
func managerLabels(t target.Target) model.LabelSet {
	set := make(model.LabelSet, len(t.Labels)+8)
	for name, v := range t.Labels {
		if !strings.HasPrefix(name, "__") || strings.HasPrefix(name, "__param_") {
			set[model.LabelName(name)] = model.LabelValue(v)
		}
	}
	put := func(name, v string) {
		if v != "" {
			set[model.LabelName(name)] = model.LabelValue(v)
		}
	}
	put("node", t.Node)
	put("workload", t.Workload.Name)
	put("namespace", t.Workload.Namespace)
	put(model.AddressLabel, t.Address)
	put(model.MetricsPathLabel, t.Path)
	put(model.SchemeLabel, t.Scheme)
	h := fnv.New64a()
	for _, name := range slices.Sorted(maps.Keys(set)) {
		fmt.Fprintf(h, "%s\xff%s\xff", name, set[name])
	}
	fmt.Fprintf(h, "%+v", t.Workload)
	set[identityLabel] = model.LabelValue(strconv.FormatUint(h.Sum64(), 16))
	return set
}
