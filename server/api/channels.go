package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/api/live"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/skew"
	"github.com/sidelight-mesh/sidelight/server/tap"
)

type graphParams struct {
	Group      string   `json:"group"`
	Namespaces []string `json:"namespaces"`
	WindowS    *float64 `json:"window_s"`
	Q          string   `json:"q"`
}

func (s *Server) graphChannel(raw json.RawMessage) (string, func(time.Time) (live.State, error), error) {
	var p graphParams
	if err := decodeParams(raw, &p, "group", "namespaces", "window_s", "q"); err != nil {
		return "", nil, err
	}
	q := graph.Query{Window: defaultWindow}
	if p.WindowS != nil {
		if *p.WindowS < minWindow.Seconds() || *p.WindowS > maxWindow.Seconds() {
			return "", nil, fmt.Errorf("window_s is %g, must be %g to %g: %w", *p.WindowS, minWindow.Seconds(), maxWindow.Seconds(), mesh.ErrInvalid)
		}
		q.Window = time.Duration(*p.WindowS * float64(time.Second))
	}
	if len(p.Namespaces) > 256 {
		return "", nil, fmt.Errorf("namespaces has %d entries, at most 256 are taken: %w", len(p.Namespaces), mesh.ErrInvalid)
	}
	slices.Sort(p.Namespaces)
	q.Namespaces = slices.Compact(p.Namespaces)
	p.Q = strings.TrimSpace(p.Q)
	if err := setGroupAndFind(&q, p.Group, p.Q); err != nil {
		return "", nil, err
	}
	key, err := json.Marshal([]any{q.Group, q.Namespaces, q.Window, p.Q})
	if err != nil {
		return "", nil, fmt.Errorf("name the view: %w", err)
	}
	return string(key), func(at time.Time) (live.State, error) { return graphState(s.graphView(q, at)) }, nil
}

func graphState(v graph.View) (live.State, error) {
	st := live.State{At: v.At}
	err := errors.Join(
		st.Fix("group", v.Group),
		st.Put("window_s", v.WindowS),
		st.Put("stale", v.Stale),
		st.Put("totals", v.Totals),
		st.Put("limits", v.Limits),
		st.PutIf(v.Matched != nil, "matched", v.Matched),
		live.AddList(&st, "nodes", "gone_nodes", v.Nodes, func(n *graph.Node) string { return n.ID }),
		live.AddList(&st, "edges", "gone_edges", v.Edges, func(e *graph.Edge) string { return e.ID }),
	)
	return st, err
}

func (s *Server) nodesChannel(raw json.RawMessage) (string, func(time.Time) (live.State, error), error) {
	if err := decodeParams(raw, &struct{}{}); err != nil {
		return "", nil, err
	}
	return "", func(at time.Time) (live.State, error) { return nodesState(s.opts.Nodes.View(at)) }, nil
}

func nodesState(v skew.NodesView) (live.State, error) {
	st := live.State{At: v.At}
	err := errors.Join(
		st.Put("desired", v.Desired),
		st.Put("summary", v.Summary),
		st.Put("spread", v.Spread),
		live.AddList(&st, "nodes", "gone", v.Nodes, func(n *skew.NodeStatus) string { return n.ID }),
	)
	return st, err
}

func (s *Server) overviewChannel(raw json.RawMessage) (string, func(time.Time) (live.State, error), error) {
	if err := decodeParams(raw, &struct{}{}); err != nil {
		return "", nil, err
	}
	return "", func(at time.Time) (live.State, error) { return live.Whole(s.overview(at)) }, nil
}

type tapParams struct {
	Filter    string   `json:"filter"`
	LimitPerS int      `json:"limit_per_s"`
	Headers   bool     `json:"headers"`
	TTLS      *float64 `json:"ttl_s"`
}

func (s *Server) tapChannel(user string, raw json.RawMessage) (live.Stream, error) {
	var p tapParams
	if err := decodeParams(raw, &p, "filter", "limit_per_s", "headers", "ttl_s"); err != nil {
		return nil, err
	}
	req := tap.Request{User: user, Filter: p.Filter, LimitPerS: p.LimitPerS, Headers: p.Headers}
	if p.TTLS != nil {
		if *p.TTLS < 1 || *p.TTLS > tap.MaxTTL.Seconds() {
			return nil, fmt.Errorf("ttl_s is %g, must be 1 to %g: %w", *p.TTLS, tap.MaxTTL.Seconds(), mesh.ErrInvalid)
		}
		req.TTL = time.Duration(*p.TTLS * float64(time.Second))
	}
	v, err := s.opts.Tap.Open(req)
	if err != nil {
		return nil, err
	}
	return tapStream{v}, nil
}

// tapStream gives a viewer's batches their JSON.
type tapStream struct{ *tap.Viewer }

type tapData struct {
	Events   []*mesh.TapEvent `json:"events"`
	Ledger   mesh.TapLedger   `json:"ledger"`
	Sidecars int              `json:"sidecars"`
}

func (t tapStream) Take() any {
	b := t.Viewer.Take()
	return tapData{listOf(b.Events), b.Ledger, b.Sidecars}
}

// decodeParams reads a subscription's params as strictly as a query.
func decodeParams(raw json.RawMessage, into any, known ...string) error {
	if len(raw) == 0 {
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return fmt.Errorf("params is not an object: %w", mesh.ErrInvalid)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(known, name) {
			return hint(didYouMean(name, known), fmt.Errorf("unknown parameter %q: %w", name, mesh.ErrInvalid))
		}
	}
	var wrong *json.UnmarshalTypeError
	switch err := json.Unmarshal(raw, into); {
	case errors.As(err, &wrong):
		return fmt.Errorf("parameter %q is a %s, must be a %s: %w", wrong.Field, wrong.Value, jsonKind(wrong.Type), mesh.ErrInvalid)
	case err != nil:
		return fmt.Errorf("params: %w: %w", err, mesh.ErrInvalid)
	}
	return nil
}
