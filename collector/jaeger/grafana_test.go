package jaeger_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/sidelight-mesh/sidelight/collector/jaeger"
	"github.com/sidelight-mesh/sidelight/collector/store/traces/storetest"
)

// TestGrafana answers the requests that Grafana's Jaeger data source sends.
func TestGrafana(t *testing.T) {
	s := open(t)
	begin := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	err := s.WriteSpans(t.Context(), storetest.Batch(
		storetest.Span{Trace: 1, ID: 1, Service: "web", Name: "GET /", Status: 500, Failed: true, At: begin, Took: time.Second},
		storetest.Span{Trace: 1, ID: 2, Parent: 1, Service: "catalog", Name: "GET /films", At: begin.Add(time.Millisecond), Took: 20 * time.Millisecond, Attributes: map[string]string{"k": "v"}},
		storetest.Span{Trace: 2, ID: 3, Service: "my shop", Name: "sell", At: begin, Took: time.Second},
	))
	if err != nil {
		t.Fatal(err)
	}
	from, to := begin.Add(-time.Minute), begin.Add(time.Minute)
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	archive, err := txtar.ParseFile("testdata/grafana.txtar")
	if err != nil {
		t.Fatal(err)
	}
	times := strings.NewReplacer(
		"AT_US", number(begin.UnixMicro()), "NEXT_US", number(begin.UnixMicro()+1000),
		"START_US", number(from.UnixMicro()), "END_US", number(to.UnixMicro()),
		"START_AT", from.In(time.FixedZone("", 7200)).Format(time.RFC3339Nano), "END_AT", to.In(time.FixedZone("", 7200)).Format(time.RFC3339Nano),
		"AT_NS", number(begin.UnixNano()), "SECOND_NS", number(begin.Add(time.Second).UnixNano()),
		"START_MS", number(from.UnixMilli()), "END_MS", number(to.UnixMilli()),
	)
	trace, parts := archive.Files[0], archive.Files[1:]
	if trace.Name != "TRACE" || len(parts)%2 != 0 || len(parts) < 20 {
		t.Fatalf("%d parts: want a trace, then requests and answers in turn", len(archive.Files))
	}
	fill := func(data []byte) string {
		return times.Replace(strings.ReplaceAll(strings.TrimSpace(string(data)), "[TRACE]", "["+strings.TrimSpace(string(trace.Data))+"]"))
	}
	for i := 0; i < len(parts); i += 2 {
		request, answer := parts[i], parts[i+1]
		t.Run(request.Name, func(t *testing.T) {
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(fill(request.Data) + "\r\nHost: x\r\n\r\n")))
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			jaeger.Handler(s).ServeHTTP(w, r)
			if strconv.Itoa(w.Code) != answer.Name {
				t.Errorf("status %d, want %s", w.Code, answer.Name)
			}
			if d := cmp.Diff(fill(answer.Data), strings.TrimSpace(w.Body.String())); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
