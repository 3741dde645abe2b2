package route

import (
	"regexp"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Config is one route configuration as the control plane describes it. New
// compiles it to a Table; afterwards it must not be changed.
type Config struct {
	Name         string
	Revision     uint64 // configuration revision that brought it
	VirtualHosts []VirtualHost

	RequestHeaders  HeaderOps
	ResponseHeaders HeaderOps
}

// VirtualHost is a set of routes for some domains: exact ("catalog"),
// suffix ("*.example.com"), prefix ("catalog.*") or all ("*"). A domain with a
// port matches only a Host with that port.
type VirtualHost struct {
	Name    string
	Domains []string
	Routes  []Route // first match wins
	Retry   *Retry  // for routes that have none of their own

	RequestHeaders  HeaderOps
	ResponseHeaders HeaderOps

	service mesh.Service
	ready   *host // what Compile made
}

// Service is what the virtual host stands for, read from its first domain that
// is no wildcard; zero when there is none.
func (vh *VirtualHost) Service() mesh.Service { return vh.service }

// Route is a match and what becomes of the requests that it takes. Exactly one
// of Forward, Redirect and Direct is set.
type Route struct {
	Name     string
	Object   string // configuration object it came from: "VirtualService cinema/catalog"
	Revision uint64 // configuration revision that brought it; 0 = the table's
	Match    Match

	Forward  *Forward
	Redirect *Redirect
	Direct   *Direct

	CORS      *CORS      // nil: none
	Fault     *Fault     // nil: none
	RateLimit *RateLimit // nil: none

	RequestHeaders  HeaderOps
	ResponseHeaders HeaderOps
}

// Match says which requests a route takes: all conditions must hold. The zero
// value takes every request.
type Match struct {
	Path    Path
	Headers []HeaderMatch // also of the pseudo headers :method, :authority, :path, :scheme
	Query   []QueryMatch
	GRPC    bool // only content-type application/grpc
	Connect bool // takes CONNECT, which has no path and which nothing else takes
}

// PathKind is how a Path compares.
type PathKind uint8

// The ways to compare a path. The query is never part of it.
const (
	PathPrefix          PathKind = iota // text prefix; "" and "/" take all
	PathExact                           // the whole path
	PathRegex                           // RE2, the whole path
	PathSeparatedPrefix                 // whole segments: "/api" takes /api and /api/x, not /apix
)

// Path compares a request's path.
type Path struct {
	Kind       PathKind
	Value      string
	IgnoreCase bool // not for PathRegex
}

// StringKind is how a StringMatch compares.
type StringKind uint8

// The ways to compare a header's or a query parameter's value.
const (
	Present StringKind = iota // any value
	Exact
	Prefix
	Suffix
	Contains
	Regex // RE2, the whole value
	Range // an integer in [From, To)
)

// StringMatch compares one value.
type StringMatch struct {
	Kind       StringKind
	Value      string
	IgnoreCase bool
	From, To   int64 // Range
}

// HeaderMatch is a condition on one header. Several values of a header are
// compared as one, joined by commas.
type HeaderMatch struct {
	Name           string
	Value          StringMatch
	Invert         bool
	MissingAsEmpty bool // an absent header compares as ""
}

// QueryMatch is a condition on the first value of a query parameter.
type QueryMatch struct {
	Name  string
	Value StringMatch
}

// Forward sends the request to a cluster.
type Forward struct {
	Clusters []Weighted // at least one; shares are Weight/ΣWeight

	Timeout time.Duration // whole answer, all tries; 0 = none
	Retry   *Retry
	MaxGRPC *time.Duration // gRPC clients' deadlines are heeded up to it, 0 = to any; nil = not at all

	PrefixRewrite string // replaces what Path matched (prefix or exact)
	RegexRewrite  *RegexRewrite
	HostRewrite   string
	AutoHost      bool // Host becomes the endpoint's host name

	NotFoundStatus int // answer when the cluster is unknown; 0 = 503

	Tunnel  bool         // CONNECT joins the client with an endpoint; else it is refused
	Hash    []HashPolicy // what of a request a hashed cluster goes by
	Mirrors []Mirror     // where copies go

	policy Policy // Retry, or the virtual host's
}

// Policy gives the retry policy in force.
func (f *Forward) Policy() Policy { return f.policy }

// Weighted is one destination of a split.
type Weighted struct {
	Cluster string
	Weight  uint32

	RequestHeaders  HeaderOps
	ResponseHeaders HeaderOps
}

// RegexRewrite replaces every match in the path; \1 … \9 name groups.
type RegexRewrite struct {
	Pattern      string
	Substitution string

	re       *regexp.Regexp
	template string
}

// Retry says when a request is tried again.
type Retry struct {
	On          []string // Envoy's words, see ParseConditions
	Num         uint32   // tries beyond the first
	PerTry      time.Duration
	StatusCodes []int // for retriable-status-codes

	AvoidPrevious bool   // predicate previous_hosts
	HostAttempts  uint32 // how often another endpoint is drawn to avoid a previous one

	BackoffBase time.Duration // 0 = 25 ms
	BackoffMax  time.Duration // 0 = 10 × base
}

// Redirect answers with another address. Empty parts stay as in the request.
type Redirect struct {
	Scheme        string
	Host          string
	Port          uint32
	Path          string // whole path, may carry a query
	PrefixRewrite string
	StripQuery    bool
	Status        int // 301, 302, 303, 307, 308; 0 = 301
}

// Direct answers without asking anyone.
type Direct struct {
	Status int
	Body   string
}

// HeaderAppend is what setting a header does to values already there.
type HeaderAppend uint8

// Envoy's append actions.
const (
	AppendOrAdd       HeaderAppend = iota // one more value
	AddIfAbsent                           // nothing when present
	OverwriteOrAdd                        // the only value
	OverwriteIfExists                     // the only value, nothing when absent
)

// HeaderSet is one header to set.
type HeaderSet struct {
	Name   string
	Value  string
	Action HeaderAppend
}

// HeaderOps changes headers: first Remove, then Set. The pseudo header
// :authority (or host) can be set, not removed.
type HeaderOps struct {
	Set    []HeaderSet
	Remove []string
}

// IsZero reports whether there is nothing to do.
func (o HeaderOps) IsZero() bool { return len(o.Set) == 0 && len(o.Remove) == 0 }
