package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/server/alert"
)

type alerts struct{}

func (alerts) View(at time.Time) alert.View {
	return alert.View{At: at, Counts: alert.Counts{Firing: 1}, Alerts: []alert.Alert{{ID: "a"}}, Past: []alert.Alert{}}
}

func TestAlerts(t *testing.T) {
	_, url := serve(t, &parts{}, func(o *Options) { o.Alerts = alerts{} })
	resp, body := call(t, http.MethodGet, url+"/api/v1/alerts", "")
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, `"counts":{"firing":1,`) {
		t.Errorf("%s %s", resp.Status, body)
	}
	if resp, _ := call(t, http.MethodGet, url+"/api/v1/alerts?state=firing", ""); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("an unknown parameter: %s", resp.Status)
	}
}

// Without rules the API says where they are, and does not look empty.
func TestAlertsNeedAStore(t *testing.T) {
	_, url := serve(t, &parts{}, nil)
	resp, body := call(t, http.MethodGet, url+"/api/v1/alerts", "")
	if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "sidelight run") {
		t.Errorf("%s %s", resp.Status, body)
	}
}
