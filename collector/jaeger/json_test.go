package jaeger_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/collector/jaeger"
	"github.com/sidelight-mesh/sidelight/collector/store/traces/storetest"
)

// The requests are those that Grafana's Jaeger data source and Jaeger's UI
// send; the answers hold the fields that they read.
func TestJSON(t *testing.T) {
	s := open(t)
	begin := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	err := s.WriteSpans(t.Context(), storetest.Batch(
		storetest.Span{Trace: 1, ID: 1, Service: "web", Name: "GET /", Status: 500, Failed: true, At: begin, Took: time.Second},
		storetest.Span{Trace: 1, ID: 2, Parent: 1, Service: "catalog", Name: "GET /films", At: begin.Add(time.Millisecond), Took: time.Millisecond, Attributes: map[string]string{"k": "v"}},
	))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(jaeger.Handler(s))
	defer server.Close()
	get := func(path string, want int) map[string]any {
		t.Helper()
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want {
			t.Fatalf("GET %s: %s %v, want %d", path, resp.Status, body, want)
		}
		return body
	}

	if got := get("/api/services", 200)["data"].([]any); len(got) != 2 || got[0] != "catalog" {
		t.Errorf("services %v", got)
	}
	if got := get("/api/services/web/operations", 200)["data"].([]any); len(got) != 1 || got[0] != "GET /" {
		t.Errorf("operations %v", got)
	}
	if got := get("/api/operations?service=web", 200)["data"].([]any)[0].(map[string]any)["name"]; got != "GET /" {
		t.Errorf("operation %v", got)
	}
	query := url.Values{
		"service": {"catalog"}, "operation": {"GET /films"}, "tags": {`{"k":"v"}`}, "limit": {"20"}, "lookback": {"custom"},
		"start":       {strconv.FormatInt(begin.Add(-time.Minute).UnixMicro(), 10)},
		"end":         {strconv.FormatInt(begin.Add(time.Minute).UnixMicro(), 10)},
		"minDuration": {"10ms"}, "maxDuration": {"2s"},
	}
	for _, path := range []string{"/api/traces?" + query.Encode(), "/api/traces/" + storetest.ID(1), "/api/traces?traceID=" + storetest.ID(1)} {
		data := get(path, 200)["data"].([]any)
		if len(data) != 1 {
			t.Fatalf("GET %s: %d traces, want 1", path, len(data))
		}
		trace := data[0].(map[string]any)
		spans := trace["spans"].([]any)
		root, child := spans[0].(map[string]any), spans[1].(map[string]any)
		if root["startTime"].(float64) != float64(begin.UnixMicro()) || root["duration"].(float64) != 1e6 {
			t.Errorf("root %v", root)
		}
		ref := child["references"].([]any)[0].(map[string]any)
		if ref["refType"] != "CHILD_OF" || ref["spanID"] != root["spanID"] || ref["traceID"] != trace["traceID"] {
			t.Errorf("reference %v", ref)
		}
		process := trace["processes"].(map[string]any)[child["processID"].(string)].(map[string]any)
		if process["serviceName"] != "catalog" {
			t.Errorf("process %v", process)
		}
	}
	for tag, want := range map[string]int{"k:v": 1, "k:other": 0, "http.response.status_code:500": 0} {
		if got := get("/api/traces?service=catalog&tag="+url.QueryEscape(tag), 200)["data"].([]any); len(got) != want {
			t.Errorf("tag=%s finds %d traces, want %d", tag, len(got), want)
		}
	}
	if got := get("/api/traces?tag=error:true&tag=k:v&service=catalog", 200)["data"].([]any); len(got) != 1 {
		t.Errorf("two tags find %d traces, want 1", len(got))
	}
	get("/api/traces?service=web&tag=error", 400)
	get("/api/traces", 400)
	get("/api/traces?service=web&start=yesterday", 400)
	get("/api/traces?service=web&tags=notjson", 400)
	get("/api/traces?service=web&minDuration=long", 400)
	get("/api/traces/"+storetest.ID(77), 404)
	get("/api/traces/nothex", 400)
}
