package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Severity tells whether a problem keeps an object from being accepted.
type Severity string

// The severities. An error means that the object, in the form it was found in,
// is not in effect; a warning, that it is in effect but probably not as meant.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// The stable codes of problems. docs/config-problems.md explains each.
const (
	CodeSyntax       = "SL1001" // not YAML
	CodeFile         = "SL1002" // file that cannot be read, or is no regular file, or is too large
	CodeNotObject    = "SL1003" // document without apiVersion, kind or metadata.name
	CodeUnknownKind  = "SL1004" // apiVersion or kind not understood
	CodeName         = "SL1005" // name or namespace that Kubernetes would refuse
	CodeUnknownField = "SL1006" // field that Istio does not have
	CodeValue        = "SL1007" // value of the wrong type or out of range
	CodeDuplicateKey = "SL1008" // the same key twice in one mapping
	CodeUnsupported  = "SL1009" // valid field or value that is not supported yet
	CodeDuplicate    = "SL1010" // the same object twice
	CodeLimit        = "SL1011" // a limit of the decoder or of the store
	CodeKept         = "SL1012" // an object is in effect in an older form
	CodeSource       = "SL1013" // a source besides the directory, or a part of it, that cannot be read

	CodeRequired      = "SL2001" // something required is missing
	CodeWeights       = "SL2002" // weights that add to nothing
	CodeRegex         = "SL2003" // regular expression that RE2 refuses
	CodeAddress       = "SL2004" // address that the resolution cannot use
	CodePort          = "SL2005" // port or protocol
	CodeDuration      = "SL2006" // duration out of range
	CodeAction        = "SL2007" // a route with no action or with two
	CodeSameName      = "SL2008" // two subsets or ports with one name
	CodeHost          = "SL2009" // host that is no host name
	CodeHeader        = "SL2010" // header name or value that HTTP refuses
	CodeUnreachable   = "SL2011" // route behind one that takes everything
	CodeProtocolGuess = "SL2012" // port without a protocol
	CodeNoEffect      = "SL2013" // a setting that does nothing as it stands
	CodeInsecure      = "SL2014" // a setting that lets in, or trusts, more than it seems to

	CodeNoHost         = "SL3001" // destination host that no service has
	CodeNoSubset       = "SL3002" // destination subset that no DestinationRule defines
	CodeHostClaimed    = "SL3003" // host claimed by more than one VirtualService or route
	CodeRuleClaimed    = "SL3004" // host claimed by more than one DestinationRule
	CodeServiceClaimed = "SL3005" // host claimed by more than one ServiceEntry
	CodeRouteNoService = "SL3006" // VirtualService or DestinationRule for a host that no service has
	CodeSelectsNothing = "SL3007" // selector that selects no endpoint
	CodeNoPort         = "SL3008" // destination port that the service does not have
	CodeObjective      = "SL3009" // annotation on health that cannot be read
	CodeNoGateway      = "SL3010" // gateway that no Gateway has the name of
	CodeNoTraffic      = "SL3011" // HTTPRouteGroup, match of one, or TCPRoute that does not exist

	CodeElsewhere = "SL4001" // API change of an object that lives in another file
)

// Problem is one thing that is wrong with the configuration, at the place where
// it is. Its JSON is the API's Problem.
type Problem struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`
	File     string   `json:"file"` // relative to the directory; "" for text that came by the API
	Line     int      `json:"line"` // from 1
	Column   int      `json:"column"`
	Path     string   `json:"path"` // "spec.http[0].retires", "" when it is about the whole document
	Message  string   `json:"message"`
	Hint     string   `json:"hint"`
	Object   string   `json:"object,omitempty"` // "VirtualService cinema/catalog"
}

// String is the one-line form of compilers: "file:line:column: error: ...".
func (p Problem) String() string {
	file := p.File
	if file == "" {
		file = "input"
	}
	s := fmt.Sprintf("%s:%d:%d: %s: %s (%s)", file, p.Line, p.Column, p.Severity, p.Message, p.Code)
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return s
}

// InvalidError says that configuration was refused, and why. It is
// mesh.ErrInvalid.
type InvalidError struct {
	Problems []Problem // at least one error among them
}

// Error names the first error and how many there are.
func (e *InvalidError) Error() string {
	var errs []string
	for _, p := range e.Problems {
		if p.Severity == SeverityError {
			errs = append(errs, p.String())
		}
	}
	switch len(errs) {
	case 0:
		return "configuration is invalid"
	case 1:
		return errs[0]
	}
	return fmt.Sprintf("%s (and %d more)", errs[0], len(errs)-1)
}

// Unwrap makes errors.Is(err, mesh.ErrInvalid) true.
func (e *InvalidError) Unwrap() error { return mesh.ErrInvalid }

// HasErrors reports whether one of the problems is an error.
func HasErrors(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity == SeverityError })
}

func firstError(problems []Problem) Problem {
	i := slices.IndexFunc(problems, func(p Problem) bool { return p.Severity == SeverityError })
	return problems[i]
}

// sortProblems orders by place, errors before warnings at the same place.
func sortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(
			strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			strings.Compare(string(a.Severity), string(b.Severity)), strings.Compare(a.Code, b.Code), strings.Compare(a.Path, b.Path),
		)
	})
}

// position is a place in a file, both numbers from 1.
type position struct{ line, column int }

// locate finds the position of a path, or of its nearest known ancestor.
func locate(positions map[string]position, path string) (position, bool) {
	for path != "" {
		if at, ok := positions[path]; ok {
			return at, true
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			break
		}
		path = path[:cut]
	}
	return position{}, false
}
