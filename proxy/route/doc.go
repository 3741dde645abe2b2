// Package route decides where a request goes. A Table is compiled once from a
// Config and then only read: domains to a virtual host, conditions to a route,
// weights to a cluster. The rules are Envoy's, word by word, because users
// know them.
//
// The package is pure: no I/O, no clock, no logging, and randomness comes from
// the caller. It sees a request's host, path and headers, never its body.
package route
