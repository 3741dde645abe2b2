package api

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/server/api/live"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/tap"
)

type liveFrame struct {
	ID, Type, Epoch, Reason string
	Seq                     uint64
	Data                    json.RawMessage
	Error                   Error
}

func dialLive(t *testing.T, url string, header http.Header, net func(network, addr string) (net.Conn, error)) *websocket.Conn {
	t.Helper()
	d := websocket.Dialer{Subprotocols: []string{live.Protocol}, EnableCompression: net == nil, NetDial: net}
	ws, resp, err := d.Dial("ws"+strings.TrimPrefix(url, "http")+"/api/v1/live", header)
	if err != nil {
		t.Fatalf("%v (%v)", err, resp)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = ws.Close() })
	return ws
}

func sayLive(t *testing.T, ws *websocket.Conn, text string) {
	t.Helper()
	if err := ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func readLive(t *testing.T, ws *websocket.Conn) (f liveFrame) {
	t.Helper()
	_ = ws.SetReadDeadline(time.Now().Add(5 * time.Second))
	if err := ws.ReadJSON(&f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLiveChannels(t *testing.T) {
	t.Parallel()
	p := &parts{rps: 1}
	_, url := serve(t, p, nil)
	ws := dialLive(t, url, http.Header{"Origin": {url}}, nil)

	sayLive(t, ws, `{"op":"subscribe","id":"g","channel":"graph","params":{"group":"app","namespaces":["b","a"],"window_s":60}}`)
	f := readLive(t, ws)
	var view graph.View
	if err := json.Unmarshal(f.Data, &view); err != nil || f.Type != "snapshot" || view.Epoch != f.Epoch || view.Seq != 1 ||
		len(view.Nodes) != 2 || len(view.Edges) != 1 || len(view.Stale) != 1 || view.Group != graph.ByApp || view.WindowS != 60 {
		t.Fatalf("%v: %+v %s", err, f, f.Data)
	}
	p.mu.Lock()
	if q := p.queries[0]; q.Window != time.Minute || strings.Join(q.Namespaces, " ") != "a b" {
		t.Errorf("asked %+v", q)
	}
	p.rps = 2
	p.mu.Unlock()
	f = readLive(t, ws)
	var delta struct {
		Nodes     []graph.Node
		Edges     []graph.Edge
		GoneEdges []string `json:"gone_edges"`
		Totals    graph.Totals
	}
	if err := json.Unmarshal(f.Data, &delta); err != nil || f.Type != "delta" || f.Seq != 2 || len(delta.Nodes) != 0 ||
		len(delta.Edges) != 1 || delta.Edges[0].RPS != 2 || delta.Totals.RPS != 2 || delta.GoneEdges == nil {
		t.Errorf("%v: %+v %s", err, f, f.Data)
	}
	sayLive(t, ws, `{"op":"unsubscribe","id":"g"}`)

	sayLive(t, ws, `{"op":"subscribe","id":"n","channel":"nodes"}`)
	f = nextOf(t, ws, "n")
	for _, key := range []string{`"desired":{`, `"summary":{`, `"spread":{`, `"nodes":[{"id":"web-2"`, `"epoch":"`} {
		if f.Type != "snapshot" || !strings.Contains(string(f.Data), key) {
			t.Errorf("nodes lack %s: %+v %s", key, f, f.Data)
		}
	}
	if f = nextOf(t, ws, "n"); f.Type != "delta" || !strings.Contains(string(f.Data), `"nodes":[],"gone":[]`) {
		t.Errorf("got %+v %s", f, f.Data)
	}
	sayLive(t, ws, `{"op":"subscribe","id":"o","channel":"overview"}`)
	for range 2 {
		if f = nextOf(t, ws, "o"); f.Type != "snapshot" || !strings.Contains(string(f.Data), `"findings":[`) {
			t.Errorf("got %+v %s", f, f.Data)
		}
	}
}

func nextOf(t *testing.T, ws *websocket.Conn, id string) liveFrame {
	t.Helper()
	for {
		if f := readLive(t, ws); f.ID == id {
			return f
		}
	}
}

func TestLiveTap(t *testing.T) {
	t.Parallel()
	p := &parts{}
	_, url := serve(t, p, nil)
	p.hello(mesh.Node{ID: "web-1"})
	ws := dialLive(t, url, nil, nil)
	sayLive(t, ws, `{"op":"subscribe","id":"t","channel":"tap","params":{"filter":"status >= 400","limit_per_s":50,"headers":false,"ttl_s":600}}`)
	start := (<-p.sent).GetTapStart()
	if start.GetFilter() != "status >= 400" || start.GetMaxPerSecond() != 50 {
		t.Fatalf("the sidecar got %v", start)
	}
	var events []mesh.TapEvent
	p.tapIn("web-1", &meshv1.TapBatch{Session: start.Session, Matched: 3, SampledOut: 1, Events: []*meshv1.TapEvent{{Status: 503}, {Status: 404}}})
	for len(events) < 2 {
		f := readLive(t, ws)
		var d struct {
			Events   []mesh.TapEvent
			Ledger   mesh.TapLedger
			Sidecars int
		}
		if err := json.Unmarshal(f.Data, &d); err != nil || f.Type != "event" || d.Sidecars != 1 || !strings.Contains(string(f.Data), `"events":[`) {
			t.Fatalf("%v: %+v %s", err, f, f.Data)
		}
		events = append(events, d.Events...)
		if len(events) == 2 && d.Ledger != (mesh.TapLedger{Matched: 3, Delivered: 2, SampledOut: 1}) {
			t.Errorf("ledger %+v", d.Ledger)
		}
	}
	if resp, body := call(t, "DELETE", url+"/api/v1/tap/sessions/"+tapSession(t, url, "ann"), "", "X-Sidelight-User", "ann"); resp.StatusCode != 204 {
		t.Fatalf("stop: %d %s", resp.StatusCode, body)
	}
	f := readLive(t, ws)
	for f.Type == "event" {
		f = readLive(t, ws)
	}
	if f.Type != "end" || f.Reason != "stopped by ann" {
		t.Errorf("the viewer is told %+v", f)
	}
	_ = ws.Close()
	if stop := (<-p.sent).GetTapStop(); stop.GetSession() != start.Session {
		t.Errorf("after the viewer was stopped the sidecar got %v", stop)
	}
}

// tapSession gives the ID of the newest session, which is open, as a user sees it.
func tapSession(t *testing.T, url, user string) string {
	t.Helper()
	var list struct{ Sessions []tap.Record }
	_, body := call(t, "GET", url+"/api/v1/tap/sessions", "", "X-Sidelight-User", user)
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Sessions) == 0 || !list.Sessions[0].ClosedAt.IsZero() {
		t.Fatalf("%v: sessions %s", err, body)
	}
	return list.Sessions[0].ID
}

func TestLiveErrors(t *testing.T) {
	t.Parallel()
	_, url := serve(t, &parts{}, nil)
	ws := dialLive(t, url, nil, nil)
	for _, tc := range []struct{ params, code, message, hint string }{
		{`"channel":"graph","params":{"windw_s":30}`, "invalid", `unknown parameter "windw_s"`, `"window_s"`},
		{`"channel":"graph","params":{"window_s":"30"}`, "invalid", `parameter "window_s" is a string, must be a number`, ""},
		{`"channel":"graph","params":{"namespaces":"a"}`, "invalid", `parameter "namespaces" is a string, must be a list`, ""},
		{`"channel":"graph","params":{"window_s":1}`, "invalid", "window_s is 1, must be 5 to 3600", ""},
		{`"channel":"graph","params":{"group":"x"}`, "invalid", `group is "x"`, "workload"},
		{`"channel":"graph","params":{"q":"("}`, "invalid", "q: at ", ""},
		{`"channel":"graph","params":[]`, "invalid", "not an object", ""},
		{`"channel":"nodes","params":{"a":1}`, "invalid", `unknown parameter "a"`, "none"},
		{`"channel":"overview","params":7`, "invalid", "not an object", ""},
		{`"channel":"tap","params":{"filter":"statsu = 1"}`, "invalid", "tap filter: at 1", "status"},
		{`"channel":"tap","params":{"limit_per_s":100000}`, "invalid", "limit_per_s is 100000", ""},
		{`"channel":"tap","params":{"limit_per_s":1.5}`, "invalid", `parameter "limit_per_s"`, ""},
		{`"channel":"tap","params":{"ttl_s":1e300}`, "invalid", "ttl_s is 1e+300", ""},
		{`"channel":"taps"`, "invalid", `channel "taps": there are alerts, graph, nodes, overview, tap`, ""},
	} {
		sayLive(t, ws, `{"op":"subscribe","id":"x",`+tc.params+`}`)
		f := readLive(t, ws)
		if f.Type != "error" || f.ID != "x" || f.Error.Code != tc.code || !strings.Contains(f.Error.Message, tc.message) ||
			f.Error.Hint == "" || !strings.Contains(f.Error.Hint, tc.hint) {
			t.Errorf("%s: got %+v", tc.params, f)
		}
	}
	for i := range 9 {
		sayLive(t, ws, fmt.Sprintf(`{"op":"subscribe","id":"t%d","channel":"tap"}`, i))
	}
	for {
		f := readLive(t, ws)
		if f.Type == "error" {
			if f.ID != "t8" || f.Error.Code != "exhausted" {
				t.Errorf("one session too many: %+v", f)
			}
			break
		}
	}
}

// A client on a real connection that never reads fills its own buffers only.
func TestLiveDeafClient(t *testing.T) {
	t.Parallel()
	p := &parts{rps: 1, big: 4_000} // a megabyte a frame
	s, url := serve(t, p, nil)
	// Not compressed, so that a second's frames are more than its buffers hold.
	deaf := dialLive(t, url, nil, func(network, addr string) (net.Conn, error) {
		c, err := net.Dial(network, addr)
		if err == nil {
			err = c.(*net.TCPConn).SetReadBuffer(4096)
		}
		return c, err
	})
	good := dialLive(t, url, nil, net.Dial)
	for i := range 8 {
		sayLive(t, deaf, fmt.Sprintf(`{"op":"subscribe","id":"g%d","channel":"graph"}`, i))
	}
	sayLive(t, good, `{"op":"subscribe","id":"g","channel":"graph"}`)
	began := time.Now()
	for i := range 4 {
		p.mu.Lock()
		p.rps++
		p.mu.Unlock()
		if f := readLive(t, good); f.Seq < uint64(i+1) {
			t.Fatalf("frame %d is %s %d", i, f.Type, f.Seq)
		}
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("four frames took %s", took)
	}
	if st := s.LiveStats(); st.Sockets != 2 || st.Topics != 1 {
		t.Errorf("stats %+v", st)
	}
}
