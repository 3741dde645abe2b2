package graph

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// outcome is a mesh.Outcome with what views ask of it, worked out once.
type outcome struct {
	mesh.Outcome
	code    string   // as in Edge.Codes
	flags   []string // without "-"
	failed  bool     // of a request: 5xx, no answer, or a gRPC error
	class   class    // of a request
	tcpFail bool     // of a TCP connection
}

// class sorts a request's outcome by what health asks for.
type class uint8

const (
	classOK class = iota
	class5xx
	class4xx
	classNone // no answer
	classGRPC
	classTCP
)

// outcomes gives each distinct outcome a small number. It never forgets one:
// the number is in the rings.
type outcomes struct {
	list  []outcome
	ids   map[mesh.Outcome]uint32
	limit int
}

func newOutcomes(limit int) *outcomes {
	o := &outcomes{ids: make(map[mesh.Outcome]uint32), limit: limit}
	o.id(mesh.Outcome{Code: -1, Flags: string(mesh.FlagNone), Details: "other"}) // number 0 is the last resort
	return o
}

// id gives the number of an outcome. When there is no room, details go first,
// then everything: the count itself is kept always. folded tells that.
func (o *outcomes) id(out mesh.Outcome) (id uint32, folded bool) {
	if out.Flags == "" {
		out.Flags = string(mesh.FlagNone)
	}
	if id, ok := o.ids[out]; ok {
		return id, false
	}
	if len(o.list) < o.limit {
		return o.add(out), false
	}
	coarse := mesh.Outcome{Code: out.Code, GRPC: out.GRPC, Flags: string(mesh.FlagNone), AnsweredBy: out.AnsweredBy, Details: "other"}
	if id, ok := o.ids[coarse]; ok {
		return id, true
	}
	if len(o.list) < o.limit+o.limit/8 {
		return o.add(coarse), true
	}
	return 0, true
}

// unknown lists, in an order of their own, the outcomes that have no number.
func (o *outcomes) unknown(counts map[mesh.Outcome]float64) []mesh.Outcome {
	var list []mesh.Outcome
	for out := range counts {
		if _, known := o.ids[out]; !known && len(counts) > 1 {
			list = append(list, out)
		}
	}
	slices.SortFunc(list, func(a, b mesh.Outcome) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), strings.Compare(a.GRPC, b.GRPC), strings.Compare(a.Flags, b.Flags),
			strings.Compare(a.AnsweredBy, b.AnsweredBy), strings.Compare(a.Details, b.Details), strings.Compare(a.Object, b.Object))
	})
	return list
}

// room is how many numbers there can be.
func (o *outcomes) room() int { return o.limit + o.limit/8 + 1 }

func (o *outcomes) add(out mesh.Outcome) uint32 {
	id := uint32(len(o.list))
	o.list = append(o.list, readOutcome(out))
	o.ids[out] = id
	return id
}

func readOutcome(out mesh.Outcome) outcome {
	r := outcome{Outcome: out, code: strconv.Itoa(out.Code)}
	if out.Flags != string(mesh.FlagNone) {
		for f := range strings.SplitSeq(out.Flags, ",") {
			if f = strings.TrimSpace(f); f != "" && f != string(mesh.FlagNone) {
				r.flags = append(r.flags, f)
			}
		}
	}
	grpc := grpcNumber(out.GRPC)
	if grpc != "" {
		r.code = "grpc:" + grpc
	}
	switch {
	case out.Code == 0:
		r.class, r.failed = classNone, true
	case out.Code >= 500:
		r.class, r.failed = class5xx, true
	case grpc != "" && grpc != "0":
		r.class, r.failed = classGRPC, true
	case out.Code >= 400:
		r.class = class4xx
	}
	for _, f := range r.flags {
		// A client that hangs up ends a TCP connection the usual way.
		if f != string(mesh.FlagDownstreamTermination) {
			r.tcpFail = true
		}
	}
	return r
}

// isError reports whether the outcome belongs among an edge's error answers.
func (o *outcome) isError() bool { return o.class != classOK }

// grpcNames are the names of the gRPC status codes, by number.
var grpcNames = []string{
	"ok", "cancelled", "unknown", "invalidargument", "deadlineexceeded", "notfound", "alreadyexists",
	"permissiondenied", "resourceexhausted", "failedprecondition", "aborted", "outofrange", "unimplemented",
	"internal", "unavailable", "dataloss", "unauthenticated",
}

// grpcNumber gives a gRPC status by number, however it was written. What is
// neither name nor number stays as it is.
func grpcNumber(status string) string {
	if status == "" || status[0] >= '0' && status[0] <= '9' {
		return status
	}
	plain := strings.ToLower(strings.ReplaceAll(status, "_", ""))
	if plain == "canceled" {
		return "1"
	}
	for i, name := range grpcNames {
		if name == plain {
			return strconv.Itoa(i)
		}
	}
	return status
}
