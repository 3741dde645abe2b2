package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func readHTTP(client *http.Client, url string, parse func([]byte) ([]reading, error)) reader {
	return func(ctx context.Context) ([]reading, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("it answered %s", resp.Status)
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
		if err != nil {
			return nil, err
		}
		return parse(body)
	}
}

// uuidLen is what istiod hangs on to a push version to make a nonce.
const uuidLen = 36

// pushVersion is a nonce without its UUID. Versions are compared, not nonces:
// a nonce is new with each response.
func pushVersion(nonce string) string {
	if len(nonce) <= uuidLen {
		return nonce
	}
	return nonce[:len(nonce)-uuidLen]
}

// parseSyncz reads istiod's list: each type's nonces stand in fields of their
// own and, since 1.24, by type URL with the last error.
func parseSyncz(body []byte) ([]reading, error) {
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("not in the form of /debug/syncz: %w", err)
	}
	out := make([]reading, 0, len(list))
	for _, fields := range list {
		text := func(name string) (s string) {
			_ = json.Unmarshal(fields[name], &s) // absent or another type: ""
			return s
		}
		r := reading{id: text("proxy")}
		if r.id == "" {
			continue
		}
		for _, typ := range []string{"cluster", "listener", "route", "endpoint", "extensionconfig"} {
			sent, acked := text(typ+"_sent"), text(typ+"_acked")
			if sent != acked {
				r.late(typ, pushVersion(sent), pushVersion(acked))
			}
			r.version = max(r.version, pushVersion(acked))
		}
		var resources map[string]struct{ Sent, Acked, LastError string }
		_ = json.Unmarshal(fields["resources"], &resources)
		for _, typ := range slices.Sorted(maps.Keys(resources)) {
			if res := resources[typ]; res.LastError != "" {
				r.refused = mesh.TypeName(typ) + ": " + res.LastError
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// late notes that a type was sent and not acknowledged.
func (r *reading) late(typ, sent, acked string) {
	if r.behind == "" {
		if acked == "" {
			acked = "nothing"
		}
		r.behind = fmt.Sprintf("%s: sent %s, acknowledged %s", typ, sent, acked)
	}
}

// parseDump reads an Envoy's own account: what it refused stands beside what
// it runs, and what it warms is not in use yet.
func parseDump(body []byte, host string) ([]reading, error) {
	var dump struct{ Configs []json.RawMessage }
	if err := json.Unmarshal(body, &dump); err != nil || dump.Configs == nil {
		return nil, fmt.Errorf("not in the form of /config_dump: %w", cmpError(err))
	}
	r := reading{id: host}
	for _, raw := range dump.Configs {
		var section struct {
			VersionInfo string `json:"version_info"`
			Bootstrap   struct{ Node struct{ ID string } }
		}
		_ = json.Unmarshal(raw, &section) // sections differ
		if section.Bootstrap.Node.ID != "" {
			r.id = section.Bootstrap.Node.ID
		}
		r.version = max(r.version, section.VersionInfo)
		var tree map[string]any
		_ = json.Unmarshal(raw, &tree)
		r.walk(tree, 0)
	}
	return []reading{r}, nil
}

func cmpError(err error) error {
	if err == nil {
		return fmt.Errorf("no configs: %w", mesh.ErrInvalid)
	}
	return err
}

// walk looks for refusals and for what is warming, a few levels deep: below
// are the resources themselves.
func (r *reading) walk(v any, depth int) {
	if depth > 3 {
		return
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			r.walk(e, depth)
		}
	case map[string]any:
		if state, ok := v["error_state"].(map[string]any); ok {
			details, _ := state["details"].(string)
			name, _ := v["name"].(string)
			r.refused = strings.TrimSpace(name + " " + details)
		}
		for key, e := range v {
			if list, ok := e.([]any); ok && strings.HasPrefix(key, "dynamic_warming_") && len(list) > 0 {
				r.behind = fmt.Sprintf("%d resources are warming (%s)", len(list), key)
			}
			r.walk(e, depth+1)
		}
	}
}

// readCSDS asks a server of client status: Envoy, gRPC's admin service, or
// another control plane.
func readCSDS(address string) (reader, func(), error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxBody)))
	if err != nil {
		return nil, nil, err
	}
	client := statusv3.NewClientStatusDiscoveryServiceClient(conn)
	read := func(ctx context.Context) ([]reading, error) {
		resp, err := client.FetchClientStatus(ctx, &statusv3.ClientStatusRequest{})
		if err != nil {
			return nil, err
		}
		out := make([]reading, 0, len(resp.GetConfig()))
		for _, c := range resp.GetConfig() {
			out = append(out, readingOf(c))
		}
		return out, nil
	}
	return read, func() { _ = conn.Close() }, nil
}

func readingOf(c *statusv3.ClientConfig) reading {
	r := reading{id: c.GetNode().GetId()}
	for _, g := range c.GetGenericXdsConfigs() {
		what := mesh.TypeName(g.GetTypeUrl()) + " " + g.GetName()
		r.version = max(r.version, g.GetVersionInfo())
		switch {
		case g.GetClientStatus() == adminv3.ClientResourceStatus_NACKED || g.GetConfigStatus() == statusv3.ConfigStatus_ERROR:
			r.refused = what + ": " + g.GetErrorState().GetDetails()
		case g.GetConfigStatus() == statusv3.ConfigStatus_STALE, g.GetConfigStatus() == statusv3.ConfigStatus_NOT_SENT,
			g.GetClientStatus() == adminv3.ClientResourceStatus_REQUESTED:
			r.behind = what + " did not arrive yet"
		case g.GetClientStatus() == adminv3.ClientResourceStatus_DOES_NOT_EXIST, g.GetClientStatus() == adminv3.ClientResourceStatus_TIMEOUT:
			r.behind = what + " does not exist at its control plane"
		}
	}
	return r
}
