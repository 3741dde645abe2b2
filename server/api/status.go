package api

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// Status is what runs, what it has seen, and what it lost.
type Status struct {
	Version   string         `json:"version"`
	StartedAt time.Time      `json:"started_at"`
	UptimeS   float64        `json:"uptime_s"`
	Mode      string         `json:"mode"`
	Counts    Counts         `json:"counts"`
	Losses    []Loss         `json:"losses"`
	Targets   []TargetStatus `json:"targets"`
}

// Counts are totals since the start (requests, errors, spans, traces, tap
// events, dropped) and what there is now (the others). Each request counts
// once, however many sidecars saw it.
type Counts struct {
	Services    int    `json:"services"`
	Workloads   int    `json:"workloads"`
	Proxies     int    `json:"proxies"`
	Edges       int    `json:"edges"`
	Requests    uint64 `json:"requests"`
	Errors      uint64 `json:"errors"`
	Spans       uint64 `json:"spans"`
	Traces      uint64 `json:"traces"`
	TapEvents   uint64 `json:"tap_events"`
	Revisions   uint64 `json:"revisions"`
	NodesSynced int    `json:"nodes_synced"`
	Dropped     uint64 `json:"dropped"`
}

// Loss is one line of the losses ledger: something that was dropped, where,
// and what to do about it.
type Loss struct {
	Where string `json:"where"`
	What  string `json:"what"`
	Count uint64 `json:"count"`
	Hint  string `json:"hint"`
}

// TargetStatus is how the scraping of one target goes.
type TargetStatus struct {
	Address    string    `json:"address"`
	Node       string    `json:"node,omitempty"`
	Up         bool      `json:"up"`
	Error      string    `json:"error,omitempty"`
	LastScrape time.Time `json:"last_scrape,omitzero"`
	DurationMS float64   `json:"duration_ms,omitempty"`
}

// ScrapeTarget is one group of Prometheus' HTTP service discovery:
// https://prometheus.io/docs/prometheus/latest/http_sd/
type ScrapeTarget struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

func (s *Server) getStatus(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	st := s.opts.Mesh.Status(time.Now())
	st.Losses, st.Targets = listOf(st.Losses), listOf(st.Targets)
	return c.JSON(http.StatusOK, st)
}

func (s *Server) getScrapeTargets(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	return c.JSON(http.StatusOK, listOf(s.opts.Mesh.ScrapeTargets()))
}
