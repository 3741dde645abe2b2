package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestTapPrinter(t *testing.T) {
	var out bytes.Buffer
	p := tapPrinter{w: &out, wide: true}
	for _, ev := range []mesh.TapEvent{
		{
			Direction: "outbound", Source: mesh.Workload{Namespace: "front", Name: "web"}, Destination: mesh.Workload{Namespace: "booking", Name: "tickets"},
			Protocol: mesh.HTTP, Method: "GET", Path: "/v1/\x1b[31mred", Status: 503, Flags: "UF,URX", AnsweredBy: mesh.AnsweredByProxy, DurationMS: 12,
			Attempts: []mesh.Attempt{
				{Endpoint: "10.0.0.1:8080", Workload: "booking/tickets", DurationMS: 9, QueueMS: 2, ConnectMS: 5, Flags: "UF", Reason: "connection refused"},
				{Endpoint: "10.0.0.2:8080", StartMS: 10, DurationMS: 2, Status: 503, QueueMS: 0.01, Flags: "-"},
			},
		},
		{Direction: "inbound", Protocol: mesh.TCP, Flags: "-", Service: mesh.Service{Host: "screen"}, AnsweredBy: mesh.AnsweredByUpstream},
	} {
		if err := p.print(ev); err != nil {
			t.Fatal(err)
		}
	}
	text := out.String()
	for _, want := range []string{
		"FROM → TO", "front/web → booking/tickets", "503 UF", "for 9.0ms (queued 2.0ms, connected in 5.0ms)  UF connection refused",
		"at +10ms for 2.0ms  503", "server ", "unknown → screen", "TCP", "closed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if strings.ContainsRune(text, '\x1b') || strings.Count(text, "TIME ") != 2 {
		t.Errorf("printed:\n%q", text)
	}
}

// A session ends by itself after ten minutes, unless it is asked to live longer:
// one of the command line ends when its reader goes.
func TestTapLivesAsLongAsItsReader(t *testing.T) {
	o := tapOptions{where: "status >= 500", limit: 50, duration: 30 * time.Minute}
	if got := o.session()["ttl_s"]; got != 3600.0 {
		t.Errorf("ttl_s is %v, want 3600", got)
	}
}

func TestLedgerLine(t *testing.T) {
	l := mesh.TapLedger{Matched: 60, Delivered: 10, SampledOut: 20, DroppedSidecar: 3, DroppedServer: 4, DroppedSocket: 23}
	want := "12 sidecars: matched 60 = shown 10 + over the limit 20 + dropped at sidecars 3 + at the server 4 + on the socket 23"
	if got := ledgerLine(l, 12); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
