// Package xds brings configuration from the control plane into the running
// sidecar, and tells the control plane what became of it.
//
// It stands between the server and the proxy's engine:
//
//	delta ADS stream -> translate -> store -> gate -> Runtime.Apply -> account -> agent stream
//
// A response is translated whole before anything of it is kept: one bad
// resource refuses the response with a NACK that names it, and what was
// accepted before stays. Accepted resources wait at the gate until the set is
// complete (clusters have their endpoints, listeners their routes, routes
// their clusters), and then go to the runtime as one snapshot, so that no
// request meets half a change. Only then are they reported as applied. The
// last snapshot applied is kept on disk, for a start without control plane.
//
// A control plane that has no delta form is followed in state of the world
// (world.go), and one that is to be asked by REST is asked (pull.go); both end in
// the same response.
//
// The package owns the two streams to the server, the state file and the
// account of what runs. It never touches a request, and it knows the protocol
// buffers so that no other part of the proxy has to.
package xds
