// Package kubernetes is a cluster as a source of configuration: the objects that
// server/config reads from files it reads from the API server, and of Services,
// EndpointSlices, Pods and Nodes it makes the services and endpoints that people
// without a cluster write themselves.
//
//	API server -> follow -> documents of YAML -> server/config
//
// It owns the connection (connect.go), what the cluster serves (discover.go), one
// list and watch for each resource (follow.go), and the translation, which is
// pure: an object to its document (document.go), a Service with its endpoints to
// a ServiceEntry with WorkloadEntries (service.go, pod.go). source.go puts them
// together, brings what changes at once into one step, and tells what cannot be
// read.
//
// It only ever reads. What it knew stays when the cluster is away, or when a
// right is taken from it: a source that is silent is no source that is empty.
package kubernetes
