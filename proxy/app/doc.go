// Package app wires a sidecar together and runs it: options, ports, start and
// stop order, the admin, metrics and health ports, and the command line.
//
// It is the only part of proxy/ that knows all the others.
package app
