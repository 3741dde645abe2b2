package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/api"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/xds"
)

// maxDiffering bounds the resources of an answer about a node.
const maxDiffering = 200

// Difference is api.Explainer's.
func (e explainer) Difference(ctx context.Context, node, against string, at time.Time) (api.NodeDifference, error) {
	now := e.store.Snapshot()
	answer := api.NodeDifference{Node: node, Against: against, Revision: now.Revision.Number, Resources: []api.ResourceDifference{}, Notes: []string{}}
	previews := previews{e.xds, map[uint64]*xds.Preview{}}
	runs, err := e.runsWhole(previews, now, node, at, &answer)
	if err != nil {
		return answer, err
	}
	should := runs.should
	if against != "" {
		other, err := e.runsWhole(previews, now, against, at, &answer)
		if err != nil {
			return answer, err
		}
		should = other.does
	}
	for _, key := range slices.Sorted(maps.Keys(union(runs.does, should))) {
		d, err := difference(runs.does[key], should[key])
		if err != nil {
			return answer, fmt.Errorf("%s: %w", key, err)
		}
		if d == nil {
			continue
		}
		if len(answer.Resources) == maxDiffering {
			answer.Notes = append(answer.Notes, fmt.Sprintf("more than %d resources differ", maxDiffering))
			break
		}
		answer.Resources = append(answer.Resources, *d)
	}
	return answer, ctx.Err()
}

// nodeRuns is what a node runs, and should, by type and name. What is not kept any
// more has no content.
type nodeRuns struct{ does, should map[string]*xds.Resource }

func (e explainer) runsWhole(p previews, now config.Snapshot, id string, at time.Time, answer *api.NodeDifference) (nodeRuns, error) {
	out := nodeRuns{map[string]*xds.Resource{}, map[string]*xds.Resource{}}
	detail, ok := e.tracker.Node(id, at)
	if !ok {
		return out, fmt.Errorf("node %q: %w", id, mesh.ErrNotFound)
	}
	desired, known := p.of(now).Node(id, detail.Workload)
	if !known {
		answer.Notes = append(answer.Notes, id+" has not connected since the server began: its own listeners are not known")
	}
	for _, r := range desired {
		if known || r.Type != mesh.TypeListener {
			out.should[r.Type+" "+r.Name] = r
		}
	}
	run := &running{explainer: e, previews: p, node: detail.NodeStatus, workload: detail.Workload, desired: desired, snapshot: now}
	applied := run.prepare(at)
	if len(applied) == 0 {
		answer.Notes = append(answer.Notes, "it is not known what "+id+" runs")
	}
	for _, r := range detail.Resources {
		key := r.Type + " " + r.Name
		if r.Applied == "" {
			continue
		}
		if found := run.find(r.Type, r.Name, applied); found != nil {
			out.does[key] = found
		} else {
			out.does[key] = &xds.Resource{Type: r.Type, Name: r.Name, Version: r.Applied, Objects: r.Objects}
			answer.Notes = append(answer.Notes, fmt.Sprintf("%s runs %s %s at %s, which no revision that is kept has; its /config_dump shows it", id, r.Type, r.Name, r.Applied))
		}
	}
	return out, nil
}

func union(a, b map[string]*xds.Resource) map[string]*xds.Resource {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// difference compares one resource; nil when it is the same.
func difference(runs, should *xds.Resource) (*api.ResourceDifference, error) {
	d := &api.ResourceDifference{Op: "changed", Fields: []config.FieldDiff{}, Objects: []string{}}
	of := should
	switch {
	case runs == nil:
		d.Op = "added"
	case should == nil:
		d.Op, of = "removed", runs
	case sameVersion(shortVersion(runs), should.Version):
		return nil, nil
	case runs.Any != nil && should.Any != nil:
		before, err := runs.Any.UnmarshalNew()
		if err != nil {
			return nil, err
		}
		after, err := should.Any.UnmarshalNew()
		if err != nil {
			return nil, err
		}
		d.Fields = config.CompareMessages(before, after)
	}
	d.Type, d.Name = of.Type, of.Name
	d.Objects = append(d.Objects, of.Objects...)
	d.Runs, d.Should = shortVersion(runs), shortVersion(should)
	return d, nil
}

// shortVersion is a version as the tracker shows it.
func shortVersion(r *xds.Resource) string {
	if r == nil {
		return ""
	}
	return r.Version[:min(len(r.Version), 12)]
}
