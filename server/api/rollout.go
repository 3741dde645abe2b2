package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// Lineage follows an object to what it became and to who has it.
type Lineage struct {
	Object    *config.Object     `json:"object"`
	Problems  []config.Problem   `json:"problems"`  // of the object
	Resources []LineageResource  `json:"resources"` // by type and name
	Nodes     []skew.LineageNode `json:"nodes"`     // that need it, those that lack it first
	Need      int                `json:"need"`      // connected nodes that need it
	Have      int                `json:"have"`      // of those
}

// LineageResource is a resource that an object became, over all nodes.
type LineageResource struct {
	Type string `json:"type"`
	Name string `json:"name"`
	Need int    `json:"need"` // connected nodes that need it
	Have int    `json:"have"` // of those
}

// Rollout tells how far some objects, or a revision, are.
type Rollout struct {
	Revision  uint64          `json:"revision"` // that is desired now
	Objects   []RolloutObject `json:"objects"`  // that were asked for; none for a revision
	Need      int             `json:"need"`     // connected nodes that need any of it
	Have      int             `json:"have"`     // of those
	Share     float64         `json:"share"`    // Have/Need; 1 when nobody needs it
	Reached   bool            `json:"reached"`
	Refused   bool            `json:"refused"`    // waiting will not help: too many nodes refuse it
	Lacking   []LackingNode   `json:"lacking"`    // connected, worst first, 100 at most
	NotWaited int             `json:"not_waited"` // nodes that need it and are not connected
}

// RolloutObject is one of the objects.
type RolloutObject struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	InEffect  bool   `json:"in_effect"` // as it was asked for
	Why       string `json:"why"`       // not: "" when it is
	Revision  uint64 `json:"revision"`  // that last changed it; 0: not in effect
}

// LackingNode is a node that a roll-out waits for.
type LackingNode struct {
	ID        string     `json:"id"`
	State     skew.State `json:"state"`
	Since     time.Time  `json:"since"`
	Reason    string     `json:"reason"`
	Resources []string   `json:"resources"` // that it lacks: "cluster outbound|80||catalog"
}

const (
	maxLacking = 100
	// longestWait is within requestTime.
	longestWait = 15 * time.Second
	waitStep    = 100 * time.Millisecond
)

func (s *Server) getRollout(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	key, err := objectKey(c)
	if err != nil {
		return err
	}
	o, err := s.opts.Config.Object(key)
	if err != nil {
		return err
	}
	l := Lineage{Object: o, Problems: []config.Problem{}, Nodes: s.opts.Nodes.Lineage([]string{key.String()}, o.Revision, time.Now())}
	for _, p := range s.opts.Config.Problems() {
		if p.Object == key.String() {
			l.Problems = append(l.Problems, p)
		}
	}
	l.count()
	return c.JSON(http.StatusOK, l)
}

func (l *Lineage) count() {
	resources := map[string]*LineageResource{}
	for _, n := range l.Nodes {
		if !n.Connected {
			continue
		}
		l.Need++
		if n.Has {
			l.Have++
		}
		for _, p := range n.Resources {
			r := resources[p.Type+" "+p.Name]
			if r == nil {
				r = &LineageResource{Type: p.Type, Name: p.Name}
				resources[p.Type+" "+p.Name] = r
			}
			r.Need++
			if p.State == skew.Synced {
				r.Have++
			}
		}
	}
	l.Resources = make([]LineageResource, 0, len(resources))
	for _, r := range resources {
		l.Resources = append(l.Resources, *r)
	}
	slices.SortFunc(l.Resources, func(a, b LineageResource) int { return strings.Compare(a.Type+" "+a.Name, b.Type+" "+b.Name) })
	slices.SortStableFunc(l.Nodes, func(a, b skew.LineageNode) int {
		switch {
		case a.Has == b.Has:
			return b.State.Severity() - a.State.Severity()
		case a.Has:
			return 1
		default:
			return -1
		}
	})
}

// target is what a roll-out is waited for.
type target struct {
	objects  []*config.Object // as they are to be; nil Spec: as they are
	revision uint64           // 0: the objects count
	share    float64
}

// waitConfig answers when enough nodes have what is asked for, or when the
// time is over: objects by name, objects as YAML has them (POST), or a revision.
func (s *Server) waitConfig(c echo.Context) error {
	p := query(c, "object", "revision", "for", "timeout")
	t := target{revision: p.revision("revision", 0), share: float64(p.number("for", 100, 1, 100)) / 100}
	timeout := p.duration("timeout", 0, 0, longestWait)
	for _, text := range p.list("object") {
		words := strings.Split(text, "/")
		if len(words) != 3 {
			p.fail("Write it like object=VirtualService/cinema/catalog; several with commas between.", "parameter %q is %q, not KIND/NAMESPACE/NAME", "object", text)
			break
		}
		kind, err := kindNamed(words[0])
		if err != nil {
			return err
		}
		t.objects = append(t.objects, &config.Object{Kind: kind, Namespace: words[1], Name: words[2]})
	}
	if p.err != nil {
		return p.err
	}
	if c.Request().Method == http.MethodPost {
		yaml, err := readBody(c)
		if err != nil {
			return err
		}
		if t.objects, err = s.opts.Config.Decode(yaml); err != nil {
			return err
		}
	}
	if t.revision == 0 && len(t.objects) == 0 {
		return hint("Add object=VirtualService/cinema/catalog or revision=42, or POST YAML.", fmt.Errorf("it is not said what to wait for: %w", mesh.ErrInvalid))
	}
	rollout, err := s.await(c.Request().Context(), t, timeout)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, rollout)
}

func (s *Server) await(ctx context.Context, t target, timeout time.Duration) (Rollout, error) {
	over := time.NewTimer(timeout)
	defer over.Stop()
	tick := time.NewTicker(waitStep)
	defer tick.Stop()
	for {
		r, err := s.rollout(t, time.Now())
		if err != nil || r.Reached || r.Refused {
			return r, err
		}
		select {
		case <-over.C:
			return r, nil
		case <-ctx.Done():
			return r, ctx.Err()
		case <-tick.C:
		}
	}
}

func (s *Server) rollout(t target, at time.Time) (Rollout, error) {
	r := Rollout{Objects: []RolloutObject{}, Lacking: []LackingNode{}}
	if list := s.opts.Config.Revisions(1); len(list) > 0 {
		r.Revision = list[0].Number
	}
	inEffect := true
	refusing := 0
	if t.revision > 0 {
		if t.revision > r.Revision {
			return r, hint("The newest is in GET /api/v1/config/revisions.", fmt.Errorf("revision %d: %w", t.revision, mesh.ErrNotFound))
		}
		refusing = r.byRevision(s.opts.Nodes.View(at), t.revision)
	} else {
		var keys []string
		var since uint64 // the last of them changed
		for _, want := range t.objects {
			o := s.rolloutObject(want)
			inEffect = inEffect && o.InEffect
			r.Objects = append(r.Objects, o)
			keys = append(keys, want.Key().String())
			since = max(since, o.Revision)
		}
		refusing = r.byLineage(s.opts.Nodes.Lineage(keys, since, at))
	}
	slices.SortStableFunc(r.Lacking, func(a, b LackingNode) int { return b.State.Severity() - a.State.Severity() })
	r.Lacking = r.Lacking[:min(len(r.Lacking), maxLacking)]
	r.Share = 1
	if r.Need > 0 {
		r.Share = float64(r.Have) / float64(r.Need)
	}
	r.Reached = inEffect && r.Share >= t.share
	r.Refused = inEffect && !r.Reached && r.Need > 0 && float64(r.Need-refusing)/float64(r.Need) < t.share
	return r, nil
}

func (s *Server) rolloutObject(want *config.Object) RolloutObject {
	o := RolloutObject{Kind: want.Kind, Namespace: want.Namespace, Name: want.Name}
	now, err := s.opts.Config.Object(want.Key())
	switch {
	case errors.Is(err, mesh.ErrNotFound):
		o.Why = "it is not in effect: apply it, or put its file into the watched folder"
	case err != nil:
		o.Why = err.Error()
	case want.Hash != "" && want.Hash != now.Hash:
		o.Why, o.Revision = fmt.Sprintf("another form is in effect (%s:%d)", now.Source, now.Line), now.Revision
	default:
		o.InEffect, o.Revision = true, now.Revision
	}
	if o.InEffect {
		return o
	}
	for _, p := range s.opts.Config.Problems() {
		if p.Object == want.Key().String() && p.Severity == config.SeverityError {
			o.Why = p.String()
			break
		}
	}
	return o
}

func refuses(s skew.State) bool { return s == skew.Rejected || s == skew.Unsupported }

func (r *Rollout) byLineage(nodes []skew.LineageNode) (refusing int) {
	for _, n := range nodes {
		switch {
		case !n.Connected:
			r.NotWaited++
			continue
		case n.Has:
			r.Have++
		default:
			x := LackingNode{ID: n.ID, State: n.State, Since: n.Since, Reason: n.Reason, Resources: []string{}}
			for _, p := range n.Resources {
				if p.State != skew.Synced {
					x.Resources = append(x.Resources, p.Type+" "+p.Name)
				}
			}
			r.Lacking = append(r.Lacking, x)
			if refuses(n.State) {
				refusing++
			}
		}
		r.Need++
	}
	return refusing
}

func (r *Rollout) byRevision(view skew.NodesView, revision uint64) (refusing int) {
	for _, n := range view.Nodes {
		switch {
		case !n.Connected:
			r.NotWaited++
			continue
		case n.Revision >= revision:
			r.Have++
		default:
			r.Lacking = append(r.Lacking, LackingNode{ID: n.ID, State: n.State, Since: n.Since, Reason: n.Reason, Resources: []string{}})
			if refuses(n.State) {
				refusing++
			}
		}
		r.Need++
	}
	return refusing
}
