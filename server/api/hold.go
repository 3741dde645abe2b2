package api

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"
)

// maxWhy bounds the reason that somebody gives.
const maxWhy = 500

func (s *Server) getStages(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	return c.JSON(http.StatusOK, s.opts.Stages.State())
}

func (s *Server) holdRollout(c echo.Context) error {
	p := query(c, "reason")
	why := p.text("reason")
	if len(why) > maxWhy {
		p.fail("Say it in fewer words.", "reason has %d bytes, more than %d", len(why), maxWhy)
	}
	if p.err != nil {
		return p.err
	}
	state, err := s.opts.Stages.Hold(userOf(c).Name, why)
	if err != nil {
		return fmt.Errorf("hold the roll-out: %w", err)
	}
	return c.JSON(http.StatusOK, state)
}

func (s *Server) resumeRollout(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	state, err := s.opts.Stages.Resume(userOf(c).Name)
	if err != nil {
		return fmt.Errorf("resume the roll-out: %w", err)
	}
	return c.JSON(http.StatusOK, state)
}
