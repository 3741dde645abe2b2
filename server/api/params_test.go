package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Whatever stands in an address, it is understood or refused as invalid.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"window=30s&at=2026-01-02T03:04:05Z&limit=5&errors=true&min_ms=1.5&tag=a=b&namespaces=a,b", "window=-1s", "window=1&window=2",
		"min_ms=1e999", "limit=99999999999999999999", "%zz", "a;b", "tag==", "min_ms=NaN", "at=0000-00-00T00:00:00Z",
	} {
		f.Add(seed)
	}
	e := echo.New()
	f.Fuzz(func(t *testing.T, raw string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: "/", RawQuery: raw}
		p := query(e.NewContext(r, httptest.NewRecorder()), "window", "at", "limit", "errors", "min_ms", "tag", "namespaces")
		window := p.duration("window", time.Minute, time.Second, time.Hour)
		limit := p.number("limit", 20, 1, 1000)
		ms := p.millis("min_ms")
		p.moment("at", time.Time{})
		p.flag("errors")
		p.pairs("tag")
		p.list("namespaces")
		if p.err != nil {
			if !errors.Is(p.err, mesh.ErrInvalid) {
				t.Errorf("%q: %v is not invalid", raw, p.err)
			}
			if status, body := describe(p.err); status != http.StatusBadRequest || body.Hint == "" || body.Message == "" {
				t.Errorf("%q: %d %+v", raw, status, body)
			}
			return
		}
		if window < time.Second || window > time.Hour || limit < 1 || limit > 1000 || ms < 0 {
			t.Errorf("%q gave window %s, limit %d, min %s", raw, window, limit, ms)
		}
	})
}

func FuzzGraphParams(f *testing.F) {
	for _, seed := range []string{
		`{"group":"workload","namespaces":[],"window_s":30,"q":""}`, `{"window_s":1e400}`, `null`, `[]`, `{"window_s":null}`, `{"q":"("}`, `{"Group":"app"}`,
	} {
		f.Add([]byte(seed))
	}
	s := &Server{opts: Options{Graph: &parts{}, Mesh: &parts{}}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		key, compute, err := s.graphChannel(raw)
		if err != nil {
			if !errors.Is(err, mesh.ErrInvalid) {
				t.Errorf("%s: %v is not invalid", raw, err)
			}
			return
		}
		if !json.Valid([]byte(key)) || compute == nil {
			t.Errorf("%s: key %q", raw, key)
		}
	})
}

func TestDidYouMean(t *testing.T) {
	known := []string{"group", "namespaces", "window", "at", "q"}
	for name, want := range map[string]string{
		"windw": `Did you mean "window"?`, "GROUP": `Did you mean "group"?`, "namespace": `Did you mean "namespaces"?`,
		"completely-different":   "There are group, namespaces, window, at, q.",
		strings.Repeat("q", 200): "There are group, namespaces, window, at, q.",
	} {
		if got := didYouMean(name, known); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestShortDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{time.Hour: "1h", time.Minute: "1m", 90 * time.Second: "1m30s", 5 * time.Second: "5s", 10 * time.Minute: "10m", 20 * time.Hour: "20h"} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v: %s", want, got)
		}
	}
}
