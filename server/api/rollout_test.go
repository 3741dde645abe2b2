package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Two of three nodes are connected, one of these has the object, the other
// refuses it.
func TestRollout(t *testing.T) {
	_, address := serve(t, &parts{}, nil)
	for _, tt := range []struct {
		path, body, want string
	}{
		{"/config/wait?object=virtualservice/cinema/catalog&for=50", "", "1/2 reached=true refused=false lacking=[web-2] waits for 1 less, in effect [true]"},
		{"/config/wait?object=VirtualService/cinema/catalog&timeout=10s", "", "1/2 reached=false refused=true lacking=[web-2] waits for 1 less, in effect [true]"},
		{"/config/wait?object=VirtualService/cinema/gone&for=50", "", "1/2 reached=false refused=false lacking=[web-2] waits for 1 less, in effect [false]"},
		{"/config/wait?for=50", "catalog", "1/2 reached=true refused=false lacking=[web-2] waits for 1 less, in effect [true]"},
		{"/config/wait", "", "400"},
		{"/config/wait?object=a", "", "400"},
		{"/config/wait?object=Pod/a/b", "", "400"},
		{"/config/wait?object=VirtualService/a/b&for=0", "", "400"},
		{"/config/wait?object=VirtualService/a/b&timeout=1h", "", "400"},
		{"/config/wait?revision=99", "", "404"},
	} {
		method := http.MethodGet
		if tt.body != "" {
			method = http.MethodPost
		}
		req, err := http.NewRequestWithContext(t.Context(), method, address+"/api/v1"+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(resp.StatusCode)
		var r Rollout
		if resp.StatusCode == http.StatusOK && json.Unmarshal(text, &r) == nil {
			var lacking []string
			var inEffect []bool
			for _, n := range r.Lacking {
				lacking = append(lacking, n.ID)
			}
			for _, o := range r.Objects {
				inEffect = append(inEffect, o.InEffect)
			}
			got = fmt.Sprintf("%d/%d reached=%t refused=%t lacking=%v waits for %d less, in effect %v", r.Have, r.Need, r.Reached, r.Refused, lacking, r.NotWaited, inEffect)
		}
		if got != tt.want {
			t.Errorf("%s %s %q = %s, want %s\n%s", method, tt.path, tt.body, got, tt.want, text)
		}
	}
}

// Whoever looks is told of a revision that goes no further, until somebody lets it.
func TestHeldRollout(t *testing.T) {
	held := newStages()
	for n := range uint64(2) {
		if _, err := held.machine.Begin(mesh.Revision{Number: n + 1}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	_, url := serve(t, &parts{}, func(o *Options) { o.Stages = held })
	const finding = `revision 3 goes no further, other nodes keep 2: `
	overview := func() string {
		_, body := call(t, "GET", url+"/api/v1/overview", "")
		return body
	}
	if _, body := call(t, "POST", url+"/api/v1/config/rollout/hold?reason=freeze", "", "X-Sidelight-User", "ann"); !strings.Contains(body, `"paused":true,`) {
		t.Errorf("hold: %s", body)
	}
	if body := overview(); strings.Contains(body, "goes no further") {
		t.Errorf("all nodes have the newest revision, and the overview says: %s", body)
	}
	if _, err := held.machine.Begin(mesh.Revision{Number: 3}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if body := overview(); !strings.Contains(body, finding) {
		t.Errorf("no %q in the overview: %s", finding, body)
	}
	if _, body := call(t, "POST", url+"/api/v1/config/rollout/resume", ""); !strings.Contains(body, `"phase":"done"`) {
		t.Errorf("resume: %s", body)
	}
	if body := overview(); strings.Contains(body, "goes no further") {
		t.Errorf("resumed, and the overview says: %s", body)
	}
}
