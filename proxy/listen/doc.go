// Package listen owns the sidecar's listening sockets: it binds them, accepts
// with limits, hands each connection to the HTTP or the TCP engine by what the
// socket's configuration says now, and drains.
//
// Sockets are kept by address: a new configuration for an address changes what
// the next connection gets and touches no connection that is open.
package listen
