package api

import "github.com/labstack/echo/v4"

const livePath = "/api/v1/live"

// routes is every route there is, but for the admin listener's.
func (s *Server) routes(e *echo.Echo) {
	v1 := e.Group("/api/v1", bounded)

	v1.GET("/graph", s.getGraph)
	v1.GET("/timeline", s.getTimeline)
	v1.GET("/overview", s.getOverview)

	v1.GET("/nodes", s.getNodes)
	v1.GET("/nodes/:id", s.getNode)
	v1.GET("/nodes/:id/history", s.getNodeHistory)

	v1.GET("/config/objects", s.getObjects)
	v1.PUT("/config/objects", s.putObjects)
	v1.GET("/config/objects/:kind/:namespace/:name", s.getObject)
	v1.DELETE("/config/objects/:kind/:namespace/:name", s.deleteObject)
	v1.POST("/config/validate", s.validateConfig)
	v1.GET("/config/revisions", s.getRevisions)
	v1.GET("/config/revisions/:number", s.getRevision)
	v1.GET("/config/problems", s.getProblems)

	v1.GET("/namespaces", s.getNamespaces)
	v1.GET("/workloads", s.getWorkloads)
	v1.GET("/services", s.getServices)

	v1.GET("/traces", s.searchTraces)
	v1.GET("/traces/services", s.getTraceServices)
	v1.GET("/traces/operations", s.getTraceOperations)
	v1.GET("/traces/:id", s.getTrace)

	v1.GET("/status", s.getStatus)
	v1.GET("/sd", s.getScrapeTargets)

	e.GET(livePath, s.getLive)
	e.Any("/prometheus/*", s.mount("/prometheus", s.opts.Prometheus, noMetrics))
	e.Any("/jaeger/*", s.mount("/jaeger", s.opts.Jaeger, noTraces))
	e.GET("/*", s.getUI)
	e.HEAD("/*", s.getUI)
}
