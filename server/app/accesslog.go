package app

import "github.com/sidelight-mesh/sidelight/mesh"

// accessLog hands what Envoys log to the tap sessions, which are made after the
// server that takes the logs, and before it serves.
type accessLog struct{ app *App }

// Wanted implements xds.AccessLog.
func (l accessLog) Wanted() bool { return l.app.tap.Wanted() }

// Observe implements xds.AccessLog.
func (l accessLog) Observe(ev *mesh.TapEvent) { l.app.tap.Observe(ev) }
