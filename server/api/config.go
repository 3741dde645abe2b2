package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
)

type objectList struct {
	Objects []*config.Object `json:"objects"`
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
	for _, o := range s.opts.Config.Objects() {
		if (kind == "" || o.Kind == kind) && (p.text("namespace") == "" || o.Namespace == p.text("namespace")) {
			list = append(list, o)
		}
	}
	return c.JSON(http.StatusOK, objectList{list})
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
	user, err := userOf(c.Request())
	if err != nil {
		return err
	}
	yaml, err := readBody(c)
	if err != nil {
		return err
	}
	applied, err := s.opts.Config.Apply(c.Request().Context(), yaml, user)
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
	user, err := userOf(c.Request())
	if err != nil {
		return err
	}
	applied, err := s.opts.Config.Delete(c.Request().Context(), key, user)
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
	n, err := strconv.ParseUint(c.Param("number"), 10, 64)
	if err != nil {
		return fmt.Errorf("revision %q is not a number: %w", c.Param("number"), mesh.ErrInvalid)
	}
	rev, err := s.opts.Config.Revision(n)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, rev)
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
	kinds := []string{config.KindDestinationRule, config.KindServiceEntry, config.KindVirtualService, config.KindWorkloadEntry}
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
