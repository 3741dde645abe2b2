package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/explain"
)

// Explainer says what becomes of a request.
type Explainer interface {
	// Explain fails with mesh.ErrInvalid for a request that cannot be meant, and
	// with mesh.ErrNotFound for a node or revision that is not known.
	Explain(ctx context.Context, q ExplainQuery, at time.Time) (Explanation, error)
	// Difference tells how what a node runs differs from what it should run, or from
	// what another node runs. It fails with mesh.ErrNotFound for one that is not
	// known.
	Difference(ctx context.Context, node, against string, at time.Time) (NodeDifference, error)
}

// NodeDifference is how what a node runs differs from something else.
type NodeDifference struct {
	Node      string               `json:"node"`
	Against   string               `json:"against"`  // the other node; "": what the node should run
	Revision  uint64               `json:"revision"` // desired
	Resources []ResourceDifference `json:"resources"`
	Notes     []string             `json:"notes"`
}

// ResourceDifference is one resource that the node runs otherwise.
type ResourceDifference struct {
	Op     string `json:"op"` // changed; added: it does not run it; removed: it runs it still
	Type   string `json:"type"`
	Name   string `json:"name"`
	Runs   string `json:"runs"`   // version, "" for none
	Should string `json:"should"` // the same, of the desired content, or the other node's
	// Fields tell the difference of a changed one by meaning, from what runs to what
	// should; empty when the content that runs is not kept any more.
	Fields  []config.FieldDiff `json:"fields"`
	Objects []string           `json:"objects"` // that it comes from
}

func (s *Server) getNodeDifference(c echo.Context) error {
	p := query(c, "against")
	if p.err != nil {
		return p.err
	}
	id, err := pathParam(c, "id")
	if err != nil {
		return err
	}
	if s.opts.Explain == nil {
		return fmt.Errorf("there is nothing here that compares: %w", mesh.ErrUnavailable)
	}
	answer, err := s.opts.Explain.Difference(c.Request().Context(), id, p.text("against"), time.Now())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, answer)
}

// ExplainQuery asks about a request of one workload's app.
type ExplainQuery struct {
	Method   string
	URL      string
	Header   map[string][]string
	From     string // "cinema/web"; may be left out with a node
	Node     string // "": one of the workload's
	Revision uint64 // desired is taken from it; 0: the newest
}

// Explanation sets what a node runs beside what it should run.
type Explanation struct {
	Method      string           `json:"method"`
	URL         string           `json:"url"`
	From        string           `json:"from"`
	Node        string           `json:"node"`  // "": none of the workload is known
	State       string           `json:"state"` // of the node
	Desired     explain.Account  `json:"desired"`
	Runs        *explain.Account `json:"runs"` // null: no node, or one that does not say what it runs
	Same        bool             `json:"same"` // runs decides as desired does
	Differences []string         `json:"differences"`
	Nodes       []ExplainedNode  `json:"nodes"` // of the workload, the one above included
	Notes       []string         `json:"notes"`
}

// ExplainedNode tells whether another node of the workload decides the same.
type ExplainedNode struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Revision uint64 `json:"revision"` // newest that it wholly runs
	// Same: it runs the desired content of every resource that decides here.
	Same bool `json:"same"`
}

func (s *Server) getExplain(c echo.Context) error {
	p := query(c, "method", "url", "from", "node", "revision", "header")
	q := ExplainQuery{
		Method: strings.ToUpper(p.text("method")), URL: p.text("url"), From: p.text("from"), Node: p.text("node"),
		Revision: p.revision("revision", 0), Header: map[string][]string{},
	}
	for _, h := range p.values["header"] {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			p.fail("Write it like header=x-tester:yes, once for each header.", "parameter %q is %q, not name:value", "header", h)
			break
		}
		name = strings.ToLower(strings.TrimSpace(name))
		q.Header[name] = append(q.Header[name], strings.TrimSpace(value))
	}
	switch {
	case p.err != nil:
		return p.err
	case s.opts.Explain == nil:
		return fmt.Errorf("there is nothing here that explains: %w", mesh.ErrUnavailable)
	case q.URL == "":
		return hint("Add url=http://catalog/movies, as the app calls it.", fmt.Errorf("the URL is missing: %w", mesh.ErrInvalid))
	case q.From == "" && q.Node == "":
		return hint("Add from=NAMESPACE/WORKLOAD: who sends the request decides what its sidecar does.", fmt.Errorf("the caller is missing: %w", mesh.ErrInvalid))
	}
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	answer, err := s.opts.Explain.Explain(c.Request().Context(), q, time.Now())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, answer)
}
