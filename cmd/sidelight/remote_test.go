package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestForward(t *testing.T) {
	var got []string
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = append(got, r.URL.String()) }))
	defer collector.Close()
	for _, address := range []string{collector.URL, collector.URL + "/", collector.URL + "/behind"} {
		base, err := collectorURL(address)
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		answer := httptest.NewRecorder()
		forward(base, "prometheus", http.DefaultTransport).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/v1/query?query=up", nil))
		want := strings.TrimSuffix(base.Path, "/") + "/prometheus/api/v1/query?query=up"
		if answer.Code != http.StatusOK || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %d, collector was asked %q, want %q", address, answer.Code, got, want)
		}
	}
}

func TestForwardToACollectorThatIsGone(t *testing.T) {
	base := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	answer := httptest.NewRecorder()
	forward(base, "jaeger", http.DefaultTransport).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/services", nil))
	if answer.Code != http.StatusServiceUnavailable || !strings.Contains(answer.Body.String(), "127.0.0.1:1") {
		t.Errorf("%d %s, want 503 that names the collector", answer.Code, answer.Body)
	}
}

func TestForwardToACollectorThatHangs(t *testing.T) {
	hang := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer collector.Close()
	defer close(hang)
	base, err := collectorURL(collector.URL)
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	forward(base, "prometheus", &http.Transport{ResponseHeaderTimeout: 50 * time.Millisecond}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/v1/query?query=up", nil))
	if answer.Code != http.StatusServiceUnavailable || !strings.Contains(answer.Body.String(), base.Host) {
		t.Errorf("%d %s, want 503 that names the collector", answer.Code, answer.Body)
	}
}
