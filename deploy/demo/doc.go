// Package demo is the online cinema: a small mesh of real processes that
// Sidelight shows when someone first meets it, and that the end-to-end tests
// run against.
//
// Run starts `sidelight run`, one sidecar and one application process for each
// instance of the cinema, an external bank, a caller without a sidecar and a
// load generator, all on loopback; writes their configuration into a directory
// that the server watches; plays a Scenario, which changes that directory or
// starts a sidecar with a fault; and stops everything again, leaving neither a
// process nor a file. ServiceMain is what the application processes run.
//
// The package supervises and simulates. It imports no part of the product but
// the shared nouns: all it knows of Sidelight goes over command lines, files
// and the HTTP API, as it would for a user.
package demo
