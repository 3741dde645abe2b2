package api

import (
	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/server/auth"
)

const livePath = "/api/v1/live"

// routes is every route there is, but for the admin listener's.
func (s *Server) routes(e *echo.Echo) {
	// Not a middleware of the group: echo would then take a wrong method for a
	// wrong address.
	in := func(h echo.HandlerFunc) echo.HandlerFunc { return s.metrics.measure(bounded(s.let(auth.View, h))) }
	change := func(h echo.HandlerFunc) echo.HandlerFunc { return s.metrics.measure(bounded(s.let(auth.Change, h))) }
	v1 := e.Group("/api/v1")

	v1.GET("/graph", in(s.getGraph))
	v1.GET("/graph/diff", in(s.getGraphDiff))
	v1.GET("/timeline", in(s.getTimeline))
	v1.GET("/overview", in(s.getOverview))

	v1.GET("/nodes", in(s.getNodes))
	v1.GET("/nodes/:id", in(s.getNode))
	v1.GET("/nodes/:id/history", in(s.getNodeHistory))
	v1.GET("/nodes/:id/diff", in(s.getNodeDifference))
	v1.GET("/observed", in(s.getObserved))

	v1.GET("/config/objects", in(s.getObjects))
	v1.PUT("/config/objects", change(s.putObjects))
	v1.GET("/config/objects/:kind/:namespace/:name", in(s.getObject))
	v1.DELETE("/config/objects/:kind/:namespace/:name", change(s.deleteObject))
	v1.POST("/config/validate", in(s.validateConfig))
	v1.GET("/config/revisions", in(s.getRevisions))
	v1.GET("/config/revisions/:number", in(s.getRevision))
	v1.POST("/config/revisions/:number/rollback", change(s.rollback))
	v1.GET("/config/diff", in(s.getDiff))
	v1.POST("/config/diff", in(s.postDiff))
	v1.GET("/config/objects/:kind/:namespace/:name/rollout", in(s.getRollout))
	v1.GET("/config/wait", in(s.waitConfig))
	v1.POST("/config/wait", in(s.waitConfig))
	v1.GET("/config/explain", in(s.getExplain))
	v1.GET("/config/problems", in(s.getProblems))
	v1.GET("/config/rollout", in(s.getStages))
	v1.POST("/config/rollout/hold", change(s.holdRollout))
	v1.POST("/config/rollout/resume", change(s.resumeRollout))

	v1.GET("/namespaces", in(s.getNamespaces))
	v1.GET("/namespaces/:name", in(s.getNamespace))
	v1.GET("/workloads", in(s.getWorkloads))
	v1.GET("/workloads/*", in(s.getWorkload)) // an ID has slashes, escaped or not
	v1.GET("/services", in(s.getServices))
	v1.GET("/services/:host", in(s.getService))

	v1.GET("/traces", in(s.searchTraces))
	v1.GET("/traces/services", in(s.getTraceServices))
	v1.GET("/traces/operations", in(s.getTraceOperations))
	v1.GET("/traces/compare", in(s.compareTraces))
	v1.GET("/traces/propagation", in(s.getPropagation))
	v1.GET("/traces/:id", in(s.getTrace))

	v1.GET("/alerts", in(s.getAlerts))

	v1.GET("/dashboards", in(s.getDashboards))
	v1.GET("/dashboards/:uid", in(s.getDashboard))

	v1.GET("/grafana/status", in(s.getGrafanaStatus))
	v1.GET("/identity", in(s.getAuthority))
	v1.GET("/identity/tokens", in(s.getTokens))
	v1.POST("/identity/tokens", change(s.postToken))
	v1.DELETE("/identity/tokens/:id", change(s.deleteToken))

	v1.GET("/tap/sessions", in(s.getTapSessions))
	v1.DELETE("/tap/sessions/:id", in(s.stopTapSession))

	v1.GET("/session", s.metrics.measure(bounded(s.getSession)))
	v1.POST("/session", s.metrics.measure(bounded(s.signIn)))
	v1.DELETE("/session", s.metrics.measure(bounded(s.signOut)))

	v1.GET("/status", in(s.getStatus))
	v1.GET("/sd", in(s.getScrapeTargets))

	e.GET(livePath, s.let(auth.View, s.getLive))
	e.Any("/prometheus/*", s.let(auth.View, s.mount("/prometheus", s.opts.Prometheus, noMetrics)))
	e.Any("/jaeger/*", s.let(auth.View, s.mount("/jaeger", s.opts.Jaeger, noTraces)))
	e.Any("/grafana", s.while(auth.View, s.getGrafana))
	e.Any("/grafana/*", s.while(auth.View, s.getGrafana))
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/debug/*"} {
		e.GET(path, s.getOperators)
		e.HEAD(path, s.getOperators)
	}
	e.GET("/*", s.getUI)
	e.HEAD("/*", s.getUI)
}
