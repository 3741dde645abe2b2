// Package explain says what becomes of a request, step by step, and which line
// of which object is behind each step: listener, virtual host, route, split,
// cluster, policies, endpoints; and at the node where it arrives, who may call and
// what a policy makes of it.
//
// It walks the very resources that a node is given, so it needs no model of its
// own of what objects mean; server/xds is that model. What it decides (which
// virtual host, which route, which rule) is what proxy/route and proxy/policy
// decide; they are held against each other in deploy/parity, because server and
// proxy do not import each other.
//
// The package is pure: resources and objects in, an account out.
package explain
