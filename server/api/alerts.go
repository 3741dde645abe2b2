package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/alert"
	"github.com/sidelight-mesh/sidelight/server/api/live"
)

func (s *Server) alertsView(at time.Time) (alert.View, error) {
	if s.opts.Alerts == nil {
		return alert.View{}, hint("Rules are evaluated beside the metric store: use \"sidelight run\", or load the files of dashboards/rules in a Prometheus.",
			fmt.Errorf("this process evaluates no alerting rules: %w", mesh.ErrUnavailable))
	}
	return s.opts.Alerts.View(at), nil
}

func (s *Server) getAlerts(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	v, err := s.alertsView(time.Now())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, v)
}

func (s *Server) alertsChannel(raw json.RawMessage) (string, func(time.Time) (live.State, error), error) {
	if err := decodeParams(raw, &struct{}{}); err != nil {
		return "", nil, err
	}
	if _, err := s.alertsView(time.Now()); err != nil {
		return "", nil, err
	}
	return "", func(at time.Time) (live.State, error) {
		v, err := s.alertsView(at)
		if err != nil {
			return live.State{}, err
		}
		return live.Whole(v)
	}, nil
}
