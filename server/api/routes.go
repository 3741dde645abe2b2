package api

import "github.com/labstack/echo/v4"

const livePath = "/api/v1/live"

// routes is every route there is, but for the admin listener's.
func (s *Server) routes(e *echo.Echo) {
	// Not a middleware of the group: echo would then take a wrong method for a
	// wrong address.
	in := func(h echo.HandlerFunc) echo.HandlerFunc { return s.metrics.measure(bounded(h)) }
	v1 := e.Group("/api/v1")

	v1.GET("/graph", in(s.getGraph))
	v1.GET("/timeline", in(s.getTimeline))
	v1.GET("/overview", in(s.getOverview))

	v1.GET("/nodes", in(s.getNodes))
	v1.GET("/nodes/:id", in(s.getNode))
	v1.GET("/nodes/:id/history", in(s.getNodeHistory))

	v1.GET("/config/objects", in(s.getObjects))
	v1.PUT("/config/objects", in(s.putObjects))
	v1.GET("/config/objects/:kind/:namespace/:name", in(s.getObject))
	v1.DELETE("/config/objects/:kind/:namespace/:name", in(s.deleteObject))
	v1.POST("/config/validate", in(s.validateConfig))
	v1.GET("/config/revisions", in(s.getRevisions))
	v1.GET("/config/revisions/:number", in(s.getRevision))
	v1.GET("/config/problems", in(s.getProblems))

	v1.GET("/namespaces", in(s.getNamespaces))
	v1.GET("/workloads", in(s.getWorkloads))
	v1.GET("/services", in(s.getServices))

	v1.GET("/traces", in(s.searchTraces))
	v1.GET("/traces/services", in(s.getTraceServices))
	v1.GET("/traces/operations", in(s.getTraceOperations))
	v1.GET("/traces/:id", in(s.getTrace))

	v1.GET("/status", in(s.getStatus))
	v1.GET("/sd", in(s.getScrapeTargets))

	e.GET(livePath, s.getLive)
	e.Any("/prometheus/*", s.mount("/prometheus", s.opts.Prometheus, noMetrics))
	e.Any("/jaeger/*", s.mount("/jaeger", s.opts.Jaeger, noTraces))
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/debug/*"} {
		e.GET(path, s.getOperators)
		e.HEAD(path, s.getOperators)
	}
	e.GET("/*", s.getUI)
	e.HEAD("/*", s.getUI)
}
