package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWalk goes the way of someone on call, from an edge that costs too many
// attempts to the endpoint behind them: edge, tapped request, its trace, the
// try that failed, the endpoint, and that it was taken out.
func TestWalk(t *testing.T) {
	t.Parallel()
	m := startDemo(t, "--scenario", "breaker")

	// The edge: more attempts than requests, though the caller sees none fail.
	eventually(t, 40*time.Second, "web retries tickets", func() error {
		var v struct {
			Edges []struct {
				Source   string   `json:"source"`
				Target   string   `json:"target"`
				Attempts *float64 `json:"attempts_per_request"`
			} `json:"edges"`
		}
		if err := m.try("/api/v1/graph?window=60s", &v); err != nil {
			return err
		}
		for _, e := range v.Edges {
			if strings.HasSuffix(e.Source, "front/web") && strings.HasSuffix(e.Target, "booking/tickets") && e.Attempts != nil && *e.Attempts > 1 {
				t.Logf("web → tickets: %.2f attempts a request", *e.Attempts)
				return nil
			}
		}
		return fmt.Errorf("%d edges, none of web → tickets with retries", len(v.Edges))
	})

	// A request of it, tapped: the first try failed, a later one helped. The
	// endpoint is out most of the time, longer each time, so this waits for it to
	// be asked again.
	var ev struct {
		Trace    string `json:"trace_id"`
		Status   int    `json:"status"`
		Attempts []struct {
			Endpoint string `json:"endpoint"`
			Status   int    `json:"status"`
		} `json:"attempts"`
	}
	// Some are tried again because the bank refused: that is another story.
	const filter = "from = front/web and to = booking/tickets and attempts > 1 and status < 300 and direction = outbound"
	for range 8 {
		line := commandFor(t, 100*time.Second, "tap", "--where", filter, "-n", "1", "-o", "json", "--duration", "90s", "--address", m.url).must(t)
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("tap printed %q: %v", line, err)
		}
		if len(ev.Attempts) > 1 && ev.Attempts[0].Status == 503 {
			break
		}
	}
	if len(ev.Attempts) < 2 || ev.Attempts[0].Status != 503 || ev.Trace == "" {
		t.Fatalf("the tapped request: %+v", ev)
	}
	first := ev.Attempts[0]

	// Its trace: the try that failed is where the error began, at that endpoint.
	var tr struct {
		Origins []string `json:"origins"`
		Spans   []struct {
			span
			Role   string `json:"role"`
			Status string `json:"status"`
		} `json:"spans"`
	}
	eventually(t, 15*time.Second, "the trace of the tapped request is whole", func() error {
		if err := m.try("/api/v1/traces/"+ev.Trace, &tr); err != nil {
			return err
		}
		for _, s := range tr.Spans {
			if s.Role == "attempt" && s.Status == "error" && s.Service == "web" && s.attribute("server.address") == first.Endpoint {
				return nil
			}
		}
		return fmt.Errorf("no failed attempt at %s among %d spans", first.Endpoint, len(tr.Spans))
	})
	at := slices.IndexFunc(tr.Spans, func(s struct {
		span
		Role   string `json:"role"`
		Status string `json:"status"`
	},
	) bool {
		return slices.Contains(tr.Origins, s.ID)
	})
	if at < 0 || tr.Spans[at].Service != "tickets" && tr.Spans[at].Role != "attempt" {
		t.Errorf("the error began at %v", tr.Origins)
	}

	// The endpoint: web's sidecar has taken it out, and said so.
	eventually(t, 40*time.Second, "the endpoint's ejection is told", func() error {
		var line struct {
			Markers []struct {
				Text string `json:"text"`
			} `json:"markers"`
		}
		if err := m.try("/api/v1/timeline?window=5m", &line); err != nil {
			return err
		}
		var texts []string
		for _, mk := range line.Markers {
			texts = append(texts, mk.Text)
			if strings.Contains(mk.Text, "web took endpoint "+first.Endpoint) {
				t.Log(mk.Text)
				return nil
			}
		}
		return fmt.Errorf("markers: %q", texts)
	})

	// From the latency histogram of that edge to a trace of it: an exemplar.
	eventually(t, 30*time.Second, "an exemplar of the edge leads to a trace", func() error {
		query := url.Values{"query": {`{__name__=~"istio_request_duration_milliseconds(_bucket)?",reporter="source",source_workload="web",destination_workload="tickets"}`}}
		var found struct {
			Data []struct {
				Exemplars []struct {
					Labels struct {
						Trace string `json:"trace_id"`
					} `json:"labels"`
				} `json:"exemplars"`
			} `json:"data"`
		}
		if err := m.try("/prometheus/api/v1/query_exemplars?"+query.Encode(), &found); err != nil {
			return err
		}
		for _, series := range found.Data {
			for _, e := range series.Exemplars {
				if m.try("/api/v1/traces/"+e.Labels.Trace, &tr) == nil && slices.ContainsFunc(tr.Spans, func(s struct {
					span
					Role   string `json:"role"`
					Status string `json:"status"`
				},
				) bool {
					return s.Service == "web" && s.attribute("sidelight.destination") == "booking/tickets"
				}) {
					return nil
				}
			}
		}
		return fmt.Errorf("%d series with exemplars, none with a trace of web → tickets", len(found.Data))
	})

	// All that by one look each, for the terminal.
	eventually(t, 20*time.Second, "top shows who calls most", func() error {
		out := m.cli(t, "top", "-n", "2").must(t)
		if !strings.Contains(out, "FROM → TO") || !strings.Contains(out, "front/ingress → front/web") {
			return fmt.Errorf("top printed:\n%s", out)
		}
		return nil
	})
	wantAll(t, "tap sessions", m.cli(t, "tap", "sessions").must(t), "direction = outbound", "closed")
	// A limit that the way into the cinema is at most of the time.
	apply(t, m, `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: narrow, namespace: front}
spec: {host: web, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}}}
`)
	checkEvent(t, m, "Proxy: Ejected endpoints A", "Proxy: Retries A", "Proxy: Open circuit breakers A", "Proxy: Upstream requests, limited clusters A")
}
