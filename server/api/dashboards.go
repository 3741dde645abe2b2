package api

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/dashboards"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// DashboardList is the dashboards that belong to this build.
type DashboardList struct {
	Dashboards []dashboards.Dashboard `json:"dashboards"`
}

func (s *Server) getDashboards(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	all, err := dashboards.All()
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, DashboardList{Dashboards: all})
}

// getDashboard gives the file as Grafana imports it.
func (s *Server) getDashboard(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	all, err := dashboards.All()
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.UID == c.Param("uid") {
			return c.JSONBlob(http.StatusOK, d.JSON)
		}
	}
	return hint("GET /api/v1/dashboards lists them.", fmt.Errorf("dashboard %q: %w", c.Param("uid"), mesh.ErrNotFound))
}
