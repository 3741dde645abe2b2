package metrics

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
)

// apiStore holds two counters over a minute, a histogram and odd values.
func apiStore(t *testing.T) (*Store, string) {
	t.Helper()
	s := open(t, Options{})
	for i := range 5 {
		at := epoch().Add(time.Duration(i) * 15 * time.Second)
		write(t, s, at, float64(i), []string{"__name__", "requests", "to", "a"})
		write(t, s, at, float64(i)+0.5, []string{"__name__", "requests", "to", "b\n\"<"})
	}
	write(t, s, epoch(), math.Inf(1), []string{"__name__", "x_inf"})
	write(t, s, epoch(), math.NaN(), []string{"__name__", "x_nan"})
	write(t, s, epoch(), 1e22, []string{"__name__", "x_huge"})
	writeHistogram(t, s, epoch(), tsdbutil.GenerateTestHistogram(0), "__name__", "latency")
	server := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		server.Close()
	})
	return s, server.URL
}

// TestAPI holds answers to Prometheus' own, status and text.
func TestAPI(t *testing.T) {
	s, base := apiStore(t)
	s.SetMetadata(func() []Metadata {
		return []Metadata{
			{Metric: "requests", Type: "counter", Help: "Requests."},
			{Metric: "requests", Type: "gauge", Help: "Other."},
			{Metric: "a", Type: "gauge", Unit: "s"},
		}
	})
	cases := []struct {
		name, path string
		params     url.Values
		status     int
		want       string
	}{
		{
			"instant", "query",
			url.Values{"query": {`requests{to="a"}`}, "time": {"1700000015"}},
			200,
			`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"requests","to":"a"},"value":[1700000015,"1"]}]}}`,
		},
		{
			"escapes, milliseconds, RFC 3339", "query",
			url.Values{"query": {`requests{to!="a"}`}, "time": {"2023-11-14T22:13:35.025Z"}},
			200,
			`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"requests","to":"b\n\"\u003c"},"value":[1700000015.025,"1.5"]}]}}`,
		},
		{
			"scalar", "query",
			url.Values{"query": {`1/3`}, "time": {"1700000000.5"}},
			200,
			`{"status":"success","data":{"resultType":"scalar","result":[1700000000.500,"0.3333333333333333"]}}`,
		},
		{
			"string", "query",
			url.Values{"query": {`"x"`}, "time": {"1.007"}},
			200,
			`{"status":"success","data":{"resultType":"string","result":[1.007,"x"]}}`,
		},
		{
			"infinity, NaN, exponent", "query",
			url.Values{"query": {`{__name__=~"x_.*"}`}, "time": {"1700000000"}},
			200,
			`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"x_inf"},"value":[1700000000,"+Inf"]},{"metric":{"__name__":"x_nan"},"value":[1700000000,"NaN"]},{"metric":{"__name__":"x_huge"},"value":[1700000000,"1e+22"]}]}}`,
		},
		{
			"histogram", "query",
			url.Values{"query": {`latency`}, "time": {"1700000000"}},
			200,
			`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"latency"},"histogram":[1700000000,{"count":"12","sum":"18.4","buckets":[[1,"-4","-2.82842712474619","1"],[1,"-2.82842712474619","-2","1"],[1,"-1.414213562373095","-1","2"],[1,"-1","-0.7071067811865475","1"],[3,"-0.001","0.001","2"],[0,"0.7071067811865475","1","1"],[0,"1","1.414213562373095","2"],[0,"2","2.82842712474619","1"],[0,"2.82842712474619","4","1"]]}]}]}}`,
		},
		{
			"empty", "query",
			url.Values{"query": {`nothing`}, "time": {"1700000000"}},
			200,
			`{"status":"success","data":{"resultType":"vector","result":[]}}`,
		},
		{
			"matrix", "query",
			url.Values{"query": {`requests{to="a"}[30s]`}, "time": {"1700000030"}},
			200,
			`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"requests","to":"a"},"values":[[1700000015,"1"],[1700000030,"2"]]}]}}`,
		},
		{
			"limit", "query",
			url.Values{"query": {`requests`}, "time": {"1700000000"}, "limit": {"1"}},
			200,
			`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"requests","to":"a"},"value":[1700000000,"0"]}]},"warnings":["results truncated due to limit"]}`,
		},
		{
			"annotation", "query", url.Values{"query": {`rate(latency[1m])`}, "time": {"1700000000"}}, 200, "",
		},
		{
			"range", "query_range",
			url.Values{"query": {`sum(requests)`}, "start": {"1700000000"}, "end": {"1700000030"}, "step": {"15s"}},
			200,
			`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1700000000,"0.5"],[1700000015,"2.5"],[1700000030,"4.5"]]}]}}`,
		},
		{
			"range of histograms", "query_range", url.Values{"query": {`histogram_count(latency) or latency`}, "start": {"1700000000"}, "end": {"1700000000"}, "step": {"1"}}, 200, "",
		},
		{
			"syntax", "query",
			url.Values{"query": {`sum(`}},
			400,
			`{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis"}`,
		},
		{
			"no query", "query", nil, 400,
			`{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": unknown position: parse error: no expression found in input"}`,
		},
		{
			"many to many", "query", url.Values{"query": {`requests * on() requests`}, "time": {"1700000000"}}, 422, "",
		},
		{
			"bad time", "query",
			url.Values{"query": {`1`}, "time": {"noon"}},
			400,
			`{"status":"error","errorType":"bad_data","error":"invalid parameter \"time\": invalid time value for 'time': cannot parse \"noon\" to a valid timestamp"}`,
		},
		{
			"no start", "query_range",
			url.Values{"query": {`1`}},
			400,
			`{"status":"error","errorType":"bad_data","error":"invalid parameter \"start\": cannot parse \"\" to a valid timestamp"}`,
		},
		{
			"backwards", "query_range",
			url.Values{"query": {`1`}, "start": {"2"}, "end": {"1"}, "step": {"1"}},
			400,
			`{"status":"error","errorType":"bad_data","error":"invalid parameter \"end\": end timestamp must not be before start time"}`,
		},
		{
			"no step", "query_range",
			url.Values{"query": {`1`}, "start": {"1"}, "end": {"2"}, "step": {"0"}},
			400,
			`{"status":"error","errorType":"bad_data","error":"invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer"}`,
		},
		{
			"too fine", "query_range",
			url.Values{"query": {`1`}, "start": {"0"}, "end": {"20000"}, "step": {"1"}},
			400,
			`{"status":"error","errorType":"bad_data","error":"exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"}`,
		},
		{
			"timeout", "query", url.Values{"query": {`1`}, "timeout": {"0s"}}, 503, "",
		},
		{
			"labels", "labels", nil, 200,
			`{"status":"success","data":["__name__","to"]}`,
		},
		{
			"labels of none", "labels",
			url.Values{"match[]": {`nothing`}},
			200,
			`{"status":"success","data":[]}`,
		},
		{
			"label values", "label/to/values", nil, 200,
			`{"status":"success","data":["a","b\n\"\u003c"]}`,
		},
		{
			"label values of several sets", "label/__name__/values",
			url.Values{"match[]": {`x_inf`, `requests`, `{to="a"}`}},
			200,
			`{"status":"success","data":["requests","x_inf"]}`,
		},
		{
			"label values cut", "label/__name__/values",
			url.Values{"limit": {"2"}},
			200,
			`{"status":"success","data":["latency","requests"],"warnings":["results truncated due to limit"]}`,
		},
		{
			"label name", "label/%FF/values", nil, 400,
			`{"status":"error","errorType":"bad_data","error":"invalid label name: \"\\xff\""}`,
		},
		{
			"series", "series",
			url.Values{"match[]": {`requests`, `{to="a"}`}},
			200,
			`{"status":"success","data":[{"__name__":"requests","to":"a"},{"__name__":"requests","to":"b\n\"\u003c"}]}`,
		},
		{
			"series elsewhen", "series",
			url.Values{"match[]": {`requests`}, "end": {"1600000000"}},
			200,
			`{"status":"success","data":[]}`,
		},
		{
			"series without match", "series", nil, 400,
			`{"status":"error","errorType":"bad_data","error":"no match[] parameter provided"}`,
		},
		{
			"series of all", "series",
			url.Values{"match[]": {`{to=~".*"}`}},
			400,
			`{"status":"error","errorType":"bad_data","error":"invalid parameter \"match[]\": match[] must contain at least one non-empty matcher"}`,
		},
		{
			"metadata", "metadata", nil, 200,
			`{"status":"success","data":{"a":[{"type":"gauge","help":"","unit":"s"}],"requests":[{"type":"counter","help":"Requests.","unit":""},{"type":"gauge","help":"Other.","unit":""}]}}`,
		},
		{
			"metadata of one", "metadata",
			url.Values{"metric": {"requests"}, "limit_per_metric": {"1"}},
			200,
			`{"status":"success","data":{"requests":[{"type":"counter","help":"Requests.","unit":""}]}}`,
		},
		{
			"metadata limit", "metadata",
			url.Values{"limit": {"many"}},
			400,
			`{"status":"error","errorType":"bad_data","error":"limit must be a number"}`,
		},
		{
			"elsewhere", "nowhere", nil, 404, "",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			address := base + "/api/v1/" + c.path
			resp, err := http.Get(address + "?" + c.params.Encode())
			if err != nil {
				t.Fatal(err)
			}
			got := check(t, resp, c.status, c.want)
			if strings.HasPrefix(c.path, "label/") || c.path == "metadata" || c.path == "nowhere" {
				return // no POST there
			}
			resp, err = http.PostForm(address, c.params)
			if err != nil {
				t.Fatal(err)
			}
			if posted := check(t, resp, c.status, c.want); c.want != "" && posted != got {
				t.Errorf("POST differs from GET:\n%s\n%s", posted, got)
			}
		})
	}
}

func check(t *testing.T, resp *http.Response, status int, want string) string {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Errorf("status %d, want %d: %s", resp.StatusCode, status, b)
	}
	if want != "" {
		if diff := cmp.Diff(want, string(b)); diff != "" {
			t.Errorf("body differs (-want +got):\n%s", diff)
		}
	}
	if !json.Valid(b) || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("not JSON: %s", b)
	}
	return string(b)
}

func TestBuildInfo(t *testing.T) {
	_, base := apiStore(t)
	resp, err := http.Get(base + "/api/v1/status/buildinfo")
	if err != nil {
		t.Fatal(err)
	}
	var info struct {
		Data struct{ Version, GoVersion string }
	}
	if err := json.Unmarshal([]byte(check(t, resp, 200, "")), &info); err != nil || !strings.HasPrefix(info.Data.Version, "3.") || info.Data.GoVersion == "" {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestAPIBounds(t *testing.T) {
	s, base := apiStore(t)
	resp, err := http.PostForm(base+"/api/v1/query", url.Values{"query": {strings.Repeat("1+", maxForm) + "1"}})
	if err != nil {
		t.Fatal(err)
	}
	check(t, resp, 400, "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	resp, err = http.Get(base + "/api/v1/labels")
	if err != nil {
		t.Fatal(err)
	}
	check(t, resp, 503, `{"status":"error","errorType":"unavailable","error":"metric store: unavailable: closed"}`)
}

// FuzzParams throws parameters of every kind at the API: each must be answered
// in JSON, by a status that says whose fault it was.
func FuzzParams(f *testing.F) {
	f.Add("query", "up", "1", "2", "1", `{a="b"}`)
	f.Add("query_range", "up", "1e300", "-1", "1y", `a{`)
	f.Add("series", "", "NaN", "Inf", "-0", ``)
	f.Add("labels", "\xff", "2023-11-14T22:13:35Z", "9223372036854775807", "1e-9", `{}`)
	s, err := Open(Options{Dir: f.TempDir(), QueryTimeout: time.Second, MaxSamples: 10_000})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	h := s.Handler()
	f.Fuzz(func(t *testing.T, path, query, start, end, step, match string) {
		params := url.Values{
			"query": {query}, "start": {start}, "end": {end}, "step": {step}, "time": {start}, "timeout": {step},
			"limit": {step}, "lookback_delta": {end}, "match[]": {match},
		}
		r := httptest.NewRequest(http.MethodGet, "/api/v1/"+url.PathEscape(path)+"?"+params.Encode(), nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if !json.Valid(w.Body.Bytes()) && w.Code != http.StatusTemporaryRedirect && w.Code != http.StatusMovedPermanently {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
		if w.Code == http.StatusInternalServerError {
			t.Errorf("%s: %s", fmt.Sprint(params), w.Body)
		}
	})
}
