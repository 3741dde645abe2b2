package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

// Counts is what the server counted, as GET /api/v1/status gives it.
type Counts struct {
	Services    int    `json:"services"`
	Workloads   int    `json:"workloads"`
	Proxies     int    `json:"proxies"`
	Edges       int    `json:"edges"`
	Requests    uint64 `json:"requests"`
	Errors      uint64 `json:"errors"`
	Spans       uint64 `json:"spans"`
	Traces      uint64 `json:"traces"`
	TapEvents   uint64 `json:"tap_events"`
	Revisions   uint64 `json:"revisions"`
	NodesSynced int    `json:"nodes_synced"`
	Dropped     uint64 `json:"dropped"`
}

func fetchCounts(ctx context.Context, url string) (*Counts, error) {
	var status struct{ Counts Counts }
	if err := getJSON(ctx, url+"/api/v1/status", &status); err != nil {
		return nil, err
	}
	return &status.Counts, nil
}

// createToken asks the server for a join token.
func createToken(ctx context.Context, url, namespace, account string) (string, error) {
	body, err := json.Marshal(map[string]string{"namespace": namespace, "service_account": account})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/v1/identity/tokens", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var made struct{ Token string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&made); err != nil || resp.StatusCode != http.StatusCreated {
		return "", fmt.Errorf("join token for %s/%s: %s", namespace, account, resp.Status)
	}
	return made.Token, nil
}

// awaitSidecars waits until every sidecar says so at a path of its health port:
// that it is configured, or that it can reach its application, too.
func (d *run) awaitSidecars(ctx context.Context, problem, path string) error {
	return d.await(ctx, problem, func(ctx context.Context) []string {
		var waiting []string
		for _, i := range d.instances {
			if i.Meshed && i.NodeID() != d.opts.Scenario.Lost && getJSON(ctx, "http://"+loopback(i.ports.health)+path, nil) != nil {
				waiting = append(waiting, i.Name())
			}
		}
		return waiting
	})
}

// awaitLive waits until every edge of the cinema is in the graph.
func (d *run) awaitLive(ctx context.Context) error {
	return d.await(ctx, "the graph is not whole", d.missingEdges)
}

// await polls until nothing is missing. While the demo starts, the end of any
// of its processes ends it.
func (d *run) await(ctx context.Context, problem string, check func(context.Context) []string) error {
	ctx, cancel := context.WithTimeout(ctx, liveWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := check(ctx)
		if len(missing) == 0 {
			return nil
		}
		select {
		case e := <-d.group.ended:
			return e.err
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return fmt.Errorf("%s after %s; still missing %s", problem, liveWithin, strings.Join(missing, ", "))
		case <-tick.C:
		}
	}
}

func (d *run) missingEdges(ctx context.Context) []string {
	var view struct {
		Nodes []struct{ ID, Name string }
		Edges []struct {
			Source, Target string
			RPS            float64
			Active         float64 `json:"active_connections"`
			Sent           float64 `json:"sent_bytes_per_s"`
		}
	}
	if err := getJSON(ctx, d.url()+"/api/v1/graph?group=workload", &view); err != nil {
		return []string{"the server's answer"}
	}
	names := make(map[string]string, len(view.Nodes))
	for _, n := range view.Nodes {
		names[n.ID] = n.Name
	}
	seen := make(map[[2]string]bool, len(view.Edges))
	for _, e := range view.Edges {
		if e.RPS > 0 || e.Active > 0 || e.Sent > 0 {
			seen[[2]string{names[e.Source], names[e.Target]}] = true
		}
	}
	var missing []string
	for _, e := range edges() {
		if !seen[e] {
			missing = append(missing, e[0]+" → "+e[1])
		}
	}
	return missing
}

func getJSON(ctx context.Context, url string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 64<<20)).Decode(into)
}

// watchTap holds one tap session for all traffic open, as a viewer would, so
// that the counts of a demo cover that path, too.
func watchTap(ctx context.Context, port int) error {
	dialer := websocket.Dialer{HandshakeTimeout: 2 * time.Second, Subprotocols: []string{"sidelight.v1"}}
	conn, resp, err := dialer.DialContext(ctx, "ws://"+loopback(port)+"/api/v1/live", nil)
	if err != nil {
		return fmt.Errorf("tap the demo: %w", err)
	}
	defer resp.Body.Close()
	defer conn.Close()
	hangUp := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer hangUp()
	subscribe := map[string]any{"op": "subscribe", "id": "demo", "channel": "tap", "params": map[string]any{"filter": "", "limit_per_s": 100}}
	if err := conn.WriteJSON(subscribe); err != nil {
		return fmt.Errorf("tap the demo: %w", err)
	}
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("tap the demo: %w", err)
		}
	}
}

// startJanitor starts the process that outlives this one should it be killed.
func startJanitor(program, dir string) (io.Closer, error) {
	cmd := exec.Command(program, "demo", "janitor", "--dir", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the janitor: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the janitor: %w", err)
	}
	return janitor{stdin, cmd}, nil
}

type janitor struct {
	stdin io.Closer
	cmd   *exec.Cmd
}

// Close lets the janitor go and waits for it.
func (j janitor) Close() error {
	if err := j.stdin.Close(); err != nil {
		return fmt.Errorf("stop the janitor: %w", err)
	}
	return j.cmd.Wait()
}
