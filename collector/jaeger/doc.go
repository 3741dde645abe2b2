// Package jaeger serves Jaeger's query APIs over the span store, so that its UI,
// Grafana's Jaeger data source and its clients read Sidelight: JSON and api_v3
// over HTTP, api_v2 and api_v3 over gRPC. It stands beside server/api, on the
// same port of the store, and owns nothing but the shapes. A remote Jaeger is
// read by the store (traces.Remote).
package jaeger

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// kinds pairs each kind of error with what the two protocols call it.
var kinds = []struct {
	kind error
	http int
	grpc codes.Code
}{
	{mesh.ErrNotFound, http.StatusNotFound, codes.NotFound},
	{mesh.ErrInvalid, http.StatusBadRequest, codes.InvalidArgument},
	{mesh.ErrExhausted, http.StatusTooManyRequests, codes.ResourceExhausted},
	{mesh.ErrUnavailable, http.StatusServiceUnavailable, codes.Unavailable},
}

func statusOf(err error) int {
	for _, k := range kinds {
		if errors.Is(err, k.kind) {
			return k.http
		}
	}
	return http.StatusInternalServerError
}

func codeOf(err error) codes.Code {
	for _, k := range kinds {
		if errors.Is(err, k.kind) {
			return k.grpc
		}
	}
	return codes.Internal
}

// processTags are the attributes of a span's resource that the store keeps.
func processTags(s traces.Span) [][2]string {
	var tags [][2]string
	for _, t := range [][2]string{{"sidelight.workload", s.Workload}, {"service.version", s.Version}, {"service.instance.id", s.Node}} {
		if t[1] != "" {
			tags = append(tags, t)
		}
	}
	return tags
}

// integer reads an attribute that OpenTelemetry's conventions, or ours, make a
// whole number.
func integer(a traces.Attribute) (int64, bool) {
	switch a.Key {
	case "http.response.status_code", "http.status_code", "rpc.grpc.status_code", "http.request.resend_count",
		"server.port", "client.port", "network.peer.port", "sidelight.attempts", "sidelight.revision":
	default:
		if !strings.HasSuffix(a.Key, ".body.size") {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(a.Value, 10, 64)
	return n, err == nil
}

// link is a call from one service to another, as often as traces show it.
type link struct {
	parent, child string
	calls         uint64
}

// dependencies counts calls between services in the newest traces of a time
// range, as many as one search gives.
func dependencies(ctx context.Context, q traces.Querier, from, to time.Time) ([]link, error) {
	calls := map[[2]string]uint64{}
	for t, err := range q.Stream(ctx, traces.Query{From: from, To: to, Limit: traces.MaxLimit}) {
		if err != nil {
			return nil, err
		}
		service := make(map[string]string, len(t.Spans))
		for i := range t.Spans {
			service[t.Spans[i].SpanID] = t.Spans[i].Service
		}
		for i := range t.Spans {
			s := &t.Spans[i]
			if parent := service[s.ParentID]; parent != "" && parent != s.Service {
				calls[[2]string{parent, s.Service}]++
			}
		}
	}
	links := make([]link, 0, len(calls))
	for ends, n := range calls {
		links = append(links, link{ends[0], ends[1], n})
	}
	slices.SortFunc(links, func(a, b link) int {
		return cmp.Or(strings.Compare(a.parent, b.parent), strings.Compare(a.child, b.child))
	})
	return links, nil
}
