package api

import (
	"errors"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

// requestMetrics counts requests by route, never by address: what clients can
// make up must not make series.
type requestMetrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newRequestMetrics(reg prometheus.Registerer) (*requestMetrics, error) {
	m := &requestMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidelight_server_api_requests_total", Help: "Requests to the API, by route and status.",
		}, []string{"method", "route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sidelight_server_api_request_seconds", Help: "Time to answer, by route.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10},
		}, []string{"route"}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.requests), reg.Register(m.seconds))
}

// measure is on the routes of the API only: a live socket would count as one
// request that took hours.
func (m *requestMetrics) measure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		err := next(c)
		code := c.Response().Status
		if err != nil {
			code, _ = describe(err)
		}
		m.requests.WithLabelValues(c.Request().Method, c.Path(), strconv.Itoa(code)).Inc()
		m.seconds.WithLabelValues(c.Path()).Observe(time.Since(began).Seconds())
		return err
	}
}
