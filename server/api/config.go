package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

type objectList struct {
	Objects []*config.Object `json:"objects"`
	Lacking []skew.Lack      `json:"lacking"` // of all objects, those that some node lacks
}

type problemList struct {
	Problems []config.Problem `json:"problems"`
}

type revisionList struct {
	Revisions []mesh.Revision `json:"revisions"`
}

// changeResult is what a change of the configuration led to.
type changeResult struct {
	Revision *mesh.Revision   `json:"revision"` // null when nothing differed
	Objects  []*config.Object `json:"objects"`
	Warnings []config.Problem `json:"warnings"`
}

func (s *Server) getObjects(c echo.Context) error {
	p := query(c, "kind", "namespace")
	if p.err != nil {
		return p.err
	}
	kind, err := kindNamed(p.text("kind"))
	if err != nil {
		return err
	}
	list := []*config.Object{}
	since := map[string]uint64{}
	for _, o := range s.opts.Config.Objects() {
		since[o.Key().String()] = o.Revision
		if (kind == "" || o.Kind == kind) && (p.text("namespace") == "" || o.Namespace == p.text("namespace")) {
			list = append(list, o)
		}
	}
	return c.JSON(http.StatusOK, objectList{list, listOf(s.opts.Nodes.Lacking(since, time.Now()))})
}

func (s *Server) getObject(c echo.Context) error {
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
	return c.JSON(http.StatusOK, o)
}

func (s *Server) putObjects(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	yaml, err := readBody(c)
	if err != nil {
		return err
	}
	applied, err := s.opts.Config.Apply(c.Request().Context(), yaml, userOf(c).Name)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, changeResult{applied.Revision, listOf(applied.Objects), listOf(applied.Warnings)})
}

func (s *Server) deleteObject(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	key, err := objectKey(c)
	if err != nil {
		return err
	}
	applied, err := s.opts.Config.Delete(c.Request().Context(), key, userOf(c).Name)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, changeResult{applied.Revision, listOf(applied.Objects), listOf(applied.Warnings)})
}

func (s *Server) validateConfig(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	yaml, err := readBody(c)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, problemList{listOf(s.opts.Config.Validate(yaml))})
}

func (s *Server) getRevisions(c echo.Context) error {
	p := query(c, "limit")
	limit := p.number("limit", 50, 1, 1000)
	if p.err != nil {
		return p.err
	}
	return c.JSON(http.StatusOK, revisionList{listOf(s.opts.Config.Revisions(limit))})
}

func (s *Server) getRevision(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	n, err := revisionParam(c)
	if err != nil {
		return err
	}
	rev, err := s.opts.Config.Revision(n)
	if err != nil {
		return noRevision(err)
	}
	return c.JSON(http.StatusOK, rev)
}

func revisionParam(c echo.Context) (uint64, error) {
	n, err := strconv.ParseUint(c.Param("number"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("revision %q is not a number: %w", c.Param("number"), mesh.ErrInvalid)
	}
	return n, nil
}

func noRevision(err error) error {
	if errors.Is(err, mesh.ErrNotFound) {
		return hint("GET /api/v1/config/revisions lists those that are kept.", err)
	}
	return err
}

// diffResult tells how two contents differ.
type diffResult struct {
	From    *mesh.Revision      `json:"from"`
	To      *mesh.Revision      `json:"to"` // null: the text that was sent
	Objects []config.ObjectDiff `json:"objects"`
}

// getDiff compares two revisions: by default the newest and the one before.
func (s *Server) getDiff(c echo.Context) error {
	p := query(c, "from", "to")
	newest := uint64(1)
	if list := s.opts.Config.Revisions(1); len(list) > 0 {
		newest = list[0].Number
	}
	to := p.revision("to", newest)
	from := p.revision("from", max(to, 2)-1)
	if p.err != nil {
		return p.err
	}
	objects, err := s.opts.Config.Diff(from, to)
	if err != nil {
		return noRevision(err)
	}
	before, err := s.opts.Config.Revision(from)
	if err != nil {
		return noRevision(err)
	}
	after, err := s.opts.Config.Revision(to)
	if err != nil {
		return noRevision(err)
	}
	return c.JSON(http.StatusOK, diffResult{&before, &after, listOf(objects)})
}

// postDiff compares what is in effect with objects that are sent.
func (s *Server) postDiff(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	yaml, err := readBody(c)
	if err != nil {
		return err
	}
	objects, err := s.opts.Config.DiffText(yaml)
	if err != nil {
		return err
	}
	result := diffResult{Objects: listOf(objects)}
	if list := s.opts.Config.Revisions(1); len(list) > 0 {
		result.From = &list[0]
	}
	return c.JSON(http.StatusOK, result)
}

func (s *Server) rollback(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	n, err := revisionParam(c)
	if err != nil {
		return err
	}
	applied, err := s.opts.Config.Rollback(c.Request().Context(), n, userOf(c).Name)
	if err != nil {
		return noRevision(err)
	}
	return c.JSON(http.StatusOK, changeResult{applied.Revision, listOf(applied.Objects), listOf(applied.Warnings)})
}

func (s *Server) getProblems(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	return c.JSON(http.StatusOK, problemList{listOf(s.opts.Config.Problems())})
}

func objectKey(c echo.Context) (config.Key, error) {
	kind, err := kindNamed(c.Param("kind"))
	if err != nil {
		return config.Key{}, err
	}
	return config.Key{Kind: kind, Namespace: c.Param("namespace"), Name: c.Param("name")}, nil
}

// kindNamed takes kinds in any case, as kubectl does.
func kindNamed(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	kinds := config.Kinds()
	for _, k := range kinds {
		if strings.EqualFold(k, text) {
			return k, nil
		}
	}
	return "", hint("There are "+strings.Join(kinds, ", ")+".", fmt.Errorf("kind %q is not known: %w", text, mesh.ErrInvalid))
}

func readBody(c echo.Context) ([]byte, error) {
	body, err := io.ReadAll(c.Request().Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("read the body: %w: %w", err, mesh.ErrInvalid)
	case len(body) == 0:
		return nil, hint("Send YAML, one or more documents.", fmt.Errorf("the body is empty: %w", mesh.ErrInvalid))
	}
	return body, nil
}
