// Package e2e checks the product from outside: its tests start the demo's real
// processes (server, sidecars, applications, load) and ask them by HTTP, by
// WebSocket and by command line, as users, scripts and browsers do.
//
// They know of the product what is promised to users: flags, exit codes, the
// API's JSON names. So they decode answers into structs of their own, and a
// name that changes by mistake fails here.
//
// One demo serves all checks of a scenario, because a mesh takes a while to
// have something to tell. SIDELIGHT_BIN names the folder of the binaries to
// test; without it they are built. `go test -short` skips all of it.
package e2e
