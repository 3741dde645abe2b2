// Package config holds the desired configuration: objects of Istio, the Gateway
// API and SMI from a watched directory of YAML, decoded strictly, and the
// numbered revisions that accepted changes make.
//
// It is the first stage of the configuration path:
//
//	directory, API -> config -> registry -> xds -> sidecars
//
// The directory is the source of truth. The package owns the decoding and its
// account of what is wrong (Problem), the last good form of each object while
// a newer form is broken, and the history of revisions. It compiles nothing
// and knows no proxy: xds subscribes to Snapshots.
//
// Rules that hold throughout:
//   - A field that the compiler does not carry is an error that names its path,
//     never silently ignored.
//   - A bad file never takes good objects down, its own earlier ones included.
//   - A change of many files at once is one revision; a change that alters no
//     object is none.
package config
