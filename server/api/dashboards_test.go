package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestDashboards(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) (int, string) {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
		r.RemoteAddr = "127.0.0.1:1"
		s.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	status, body := get("/api/v1/dashboards")
	var list DashboardList
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != http.StatusOK || len(list.Dashboards) < 7 {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	for _, d := range list.Dashboards {
		status, body := get("/api/v1/dashboards/" + d.UID)
		var file struct{ UID, Title string }
		if err := json.Unmarshal([]byte(body), &file); err != nil || status != http.StatusOK || file.UID != d.UID || !strings.HasSuffix(file.Title, d.Title) {
			t.Errorf("%s: %d, %+v, %v", d.UID, status, file, err)
		}
	}
	if status, body := get("/api/v1/dashboards/nope"); status != http.StatusNotFound || !strings.Contains(body, "/api/v1/dashboards lists them") {
		t.Errorf("%d %s", status, body)
	}
}
