package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/api/live"
	"github.com/sidelight-mesh/sidelight/server/auth"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/skew"
	"github.com/sidelight-mesh/sidelight/server/tap"
)

func (s *Server) graphChannel(raw json.RawMessage) (string, func(time.Time) (live.State, error), error) {
	var p graphParams
	if err := decodeParams(raw, &p, graphParamNames...); err != nil {
		return "", nil, err
	}
	q, key, err := p.query()
	if err != nil {
		return "", nil, err
	}
	return key, func(at time.Time) (live.State, error) { return graphState(s.graphView(q, at)) }, nil
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
		st.PutIf(v.Hidden != nil, "hidden", v.Hidden),
		st.PutIf(v.Folded != graph.Folded{}, "folded", v.Folded),
	)
	live.AddItems(&st, "nodes", "gone_nodes", v.Nodes)
	live.AddItems(&st, "edges", "gone_edges", v.Edges)
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
		st.Put("traffic", listOf(v.Traffic)),
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

func (s *Server) tapChannel(user auth.User, raw json.RawMessage) (live.Stream, error) {
	var p tapParams
	if err := decodeParams(raw, &p, "filter", "limit_per_s", "headers", "ttl_s"); err != nil {
		return nil, err
	}
	namespaces, err := s.opts.Access.TapNamespaces(user)
	if err != nil {
		s.opts.Logger.Warn("tap session refused", "user", user.Name, "filter", p.Filter, "error", err)
		return nil, err
	}
	req := tap.Request{User: user.Name, Namespaces: namespaces, Filter: p.Filter, LimitPerS: p.LimitPerS, Headers: p.Headers}
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
	return tapStream{v, func() bool {
		now, err := s.opts.Access.TapNamespaces(user)
		return err == nil && slices.Equal(now, namespaces) && (now == nil) == (namespaces == nil)
	}}, nil
}

// getTapSessions is the audit: who tapped what, when, and how much.
func (s *Server) getTapSessions(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	return c.JSON(http.StatusOK, map[string]any{"sessions": s.opts.Tap.Sessions()})
}

// stopTapSession ends a view; its viewer is told by whom. One's own may be
// ended by everybody, others' take the right to change.
func (s *Server) stopTapSession(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	user, id := userOf(c), c.Param("id")
	list := s.opts.Tap.Sessions()
	at := slices.IndexFunc(list, func(r tap.Record) bool { return r.ID == id && r.ClosedAt.IsZero() })
	if at < 0 || list[at].User != user.Name {
		if err := s.opts.Access.May(user, auth.Change); err != nil {
			return fmt.Errorf("stop somebody else's tap session: %w", err)
		}
	}
	if err := s.opts.Tap.Stop(id, user.Name); err != nil {
		return hint("GET /api/v1/tap/sessions lists those that are open, with their IDs.", err)
	}
	return c.NoContent(http.StatusNoContent)
}

// tapStream gives a viewer's batches their JSON.
type tapStream struct {
	*tap.Viewer
	permitted func() bool // what it was opened for
}

// Recheck implements live.Stream. The filter at the sidecars says which
// namespaces are seen: with others it has to be opened anew.
func (t tapStream) Recheck() {
	if !t.permitted() {
		t.Revoke()
	}
}

// Take implements live.Stream.
func (t tapStream) Take() (json.RawMessage, error) { return t.Viewer.Take().JSON() }

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
