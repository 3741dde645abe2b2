package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

type tapEvent struct {
	Seq         uint64      `json:"seq"`
	Node        string      `json:"node"`
	Direction   string      `json:"direction"`
	Source      workload    `json:"source"`
	Destination workload    `json:"destination"`
	Path        string      `json:"path"`
	Status      int         `json:"status"`
	Attempts    []tapTry    `json:"attempts"`
	Protocol    string      `json:"protocol"`
	Received    int64       `json:"response_bytes"`
	Request     []tapHeader `json:"request_headers"`
}

type workload struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

type tapHeader struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Redacted bool   `json:"redacted"`
}

type tapTry struct {
	Endpoint  string  `json:"endpoint"`
	ConnectMS float64 `json:"connect_ms"`
}

type tapLedger struct {
	Matched        uint64 `json:"matched"`
	Delivered      uint64 `json:"delivered"`
	SampledOut     uint64 `json:"sampled_out"`
	DroppedSidecar uint64 `json:"dropped_sidecar"`
	DroppedServer  uint64 `json:"dropped_server"`
	DroppedSocket  uint64 `json:"dropped_socket"`
}

func (l tapLedger) accounted() uint64 {
	return l.Delivered + l.SampledOut + l.DroppedSidecar + l.DroppedServer + l.DroppedSocket
}

type tapFrame struct {
	Events   []tapEvent `json:"events"`
	Ledger   tapLedger  `json:"ledger"`
	Sidecars int        `json:"sidecars"`
}

// sidecars is how many the cinema has.
const sidecars = 12

func checkTapFilter(t *testing.T, m *meshUnderTest) {
	payments := workload{"booking", "payments"}
	out := m.cli(t, "tap", "booking/payments", "--where", "status >= 500", "-n", "3", "-o", "json").must(t)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want 3:\n%s", len(lines), out)
	}
	for i, line := range lines {
		ev := decode[tapEvent](t, line)
		if ev.Status < 500 || ev.Source != payments && ev.Destination != payments {
			t.Errorf("does not match the filter: %s", line)
		}
		if ev.Seq != uint64(i+1) {
			t.Errorf("event %d has number %d", i+1, ev.Seq)
		}
	}
	// A connection is an event, too, when it ends.
	out = m.cli(t, "tap", "--where", "protocol = tcp and direction = outbound and to = booking/notifications", "-n", "1", "-o", "json", "--duration", "90s").must(t)
	if ev := decode[tapEvent](t, out); ev.Protocol != "tcp" || ev.Status != 0 || ev.Path != "" || ev.Received == 0 || len(ev.Attempts) != 1 || ev.Attempts[0].ConnectMS <= 0 {
		t.Errorf("a TCP connection is told as %s", out)
	}
	// By header fields; what the sidecar sends on has the trace's.
	out = m.cli(t, "tap", "--where", "to = booking/tickets and direction = inbound and header[traceparent] ~ ^00-[0-9a-f]{32}- and not header[x-nobody-sends]", "-n", "1", "-o", "json", "--headers").must(t)
	if ev := decode[tapEvent](t, out); !slices.ContainsFunc(ev.Request, func(h tapHeader) bool { return h.Name == "traceparent" }) {
		t.Errorf("found by its header, and without it: %s", out)
	}
	if r := m.cli(t, "tap", "--where", "header[authorization] ^= Bearer"); r.code != 2 || !strings.Contains(r.stderr, "is redacted") {
		t.Errorf("a filter by a secret: exit code %d, %s", r.code, r.stderr)
	}
	table := m.cli(t, "tap", "--where", "to = booking/seats", "-n", "2").must(t)
	if !strings.Contains(table, "FROM → TO") || !strings.Contains(table, "booking/tickets → booking/seats") || !strings.Contains(table, "grpc") {
		t.Errorf("the table is:\n%s", table)
	}
}

// tapOpen subscribes, and waits until every sidecar takes part.
func tapOpen(t *testing.T, m *meshUnderTest, params map[string]any) func(t *testing.T, what string, each func(tapFrame, string) bool) {
	t.Helper()
	conn := m.live(t)
	subscribe(t, conn, "t", "tap", params)
	read := func(t *testing.T, what string, each func(tapFrame, string) bool) {
		t.Helper()
		readUntil(t, conn, 15*time.Second, what, func(f frame) bool {
			var tf tapFrame
			if f.Type != "event" {
				return false
			}
			if err := json.Unmarshal(f.Data, &tf); err != nil {
				t.Fatal(err)
			}
			return each(tf, string(f.Data))
		})
	}
	read(t, "all sidecars take part", func(tf tapFrame, _ string) bool { return tf.Sidecars >= sidecars })
	return read
}

func checkTapRedaction(t *testing.T, m *meshUnderTest) {
	const path = "/e2e/credentials"
	read := tapOpen(t, m, map[string]any{"filter": fmt.Sprintf("path = %q", path), "headers": true, "limit_per_s": 50})
	const secret = "hunter2-5f0c"
	outbound := m.sidecar(t, "reviews-1.catalog").flag("--outbound")
	tapWarm(t, read, outbound, path)
	status, err := through(outbound, "GET", "posters.catalog.svc.cluster.local", path+"?card="+secret+"&token="+secret,
		"Authorization", "Bearer "+secret, "Cookie", "session="+secret+"; theme=dark", "Proxy-Authorization", "Basic "+secret,
		"X-Api-Key", secret, "X-Auth-Token", secret, "X-Plain", "shown")
	if err != nil || status != 404 {
		t.Fatalf("status %d, %v; want the application's 404", status, err)
	}
	directions := map[string]tapEvent{}
	read(t, "the request from both sides", func(tf tapFrame, raw string) bool {
		if strings.Contains(raw, secret) {
			t.Fatalf("a secret is shown: %s", raw)
		}
		for _, ev := range tf.Events {
			if strings.Contains(ev.Path, "?") {
				directions[ev.Direction] = ev
			}
		}
		return len(directions) == 2
	})
	for direction, ev := range directions {
		headers := map[string]tapHeader{}
		for _, h := range ev.Request {
			headers[strings.ToLower(h.Name)] = h
		}
		for _, name := range []string{"authorization", "cookie", "x-api-key", "x-auth-token"} {
			if h, ok := headers[name]; !ok || !h.Redacted || h.Value != "" {
				t.Errorf("%s: header %s is %+v, want it named and redacted", direction, name, h)
			}
		}
		if h := headers["x-plain"]; h.Value != "shown" || h.Redacted {
			t.Errorf("%s: header x-plain is %+v, want it as it is", direction, h)
		}
		if !strings.HasPrefix(ev.Path, path+"?") || !strings.Contains(ev.Path, "card=") {
			t.Errorf("%s: path %q, want the names of the query's fields kept", direction, ev.Path)
		}
	}
}

// tapWarm sends single requests until both sides' sidecars have the session,
// which reaches each of them in its own time. It gives how many events came and
// how many were matched so far.
func tapWarm(t *testing.T, read func(*testing.T, string, func(tapFrame, string) bool), outbound, path string) (events, matched uint64) {
	t.Helper()
	for range 10 {
		if _, err := through(outbound, "GET", "posters.catalog.svc.cluster.local", path); err != nil {
			t.Fatal(err)
		}
		before, both := matched, false
		sent := time.Now()
		read(t, "a request from both sides", func(tf tapFrame, _ string) bool {
			events += uint64(len(tf.Events))
			matched = tf.Ledger.Matched
			both = matched == before+2 && tf.Ledger.accounted() == matched
			return both || time.Since(sent) > 2*time.Second
		})
		if both {
			return events, matched
		}
	}
	t.Fatal("the session did not reach both sidecars")
	return 0, 0
}

// checkTapLedger sends a known number of requests, once below and once far
// over the session's limit, and wants each of them in the ledger.
func checkTapLedger(t *testing.T, m *meshUnderTest) {
	outbound := m.sidecar(t, "reviews-1.catalog").flag("--outbound")
	for _, c := range []struct {
		name  string
		limit int
		sent  uint64
		lossy bool
	}{
		{"under the limit", 1000, 60, false}, // of which each of the sidecars has its share: 84
		{"over the limit", 5, 120, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := fmt.Sprintf("/e2e/ledger-%d", c.limit)
			read := tapOpen(t, m, map[string]any{"filter": fmt.Sprintf("path = %q", path), "limit_per_s": c.limit})
			events, base := tapWarm(t, read, outbound, path)
			for range c.sent {
				if _, err := through(outbound, "GET", "posters.catalog.svc.cluster.local", path); err != nil {
					t.Fatal(err)
				}
			}
			var last tapLedger
			read(t, "the ledger adds up", func(tf tapFrame, _ string) bool {
				events += uint64(len(tf.Events))
				last = tf.Ledger
				return last.Matched == base+2*c.sent && last.accounted() == last.Matched // each request has two sides
			})
			if events != last.Delivered {
				t.Errorf("%d events came, the ledger says %d", events, last.Delivered)
			}
			if lost := last.Matched - last.Delivered; (lost > 0) != c.lossy {
				t.Errorf("lost %d of %d at a limit of %d a second", lost, last.Matched, c.limit)
			}
			t.Logf("%+v", last)
		})
	}
}
