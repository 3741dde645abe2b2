package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/xds"
)

// admin is the operator's port, on loopback only: Envoy's paths and forms as far
// as they have a meaning here. What it changes needs POST, so that no page in a
// browser can do it by a link.
type admin struct {
	app    *App
	status *grpc.Server // CSDS, on the same port
}

func newAdmin(a *App) *admin {
	d := &admin{app: a, status: grpc.NewServer()}
	xds.RegisterClientStatus(d.status, a.configuration)
	return d
}

func (d *admin) routes(scrape http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.index)
	mux.HandleFunc("GET /help", d.index)
	mux.HandleFunc("GET /config_dump", d.configDump)
	mux.HandleFunc("GET /running", d.running)
	mux.HandleFunc("GET /clusters", d.clusters)
	mux.HandleFunc("GET /listeners", d.listeners)
	mux.HandleFunc("GET /certs", d.certificates)
	mux.HandleFunc("GET /stats", d.stats(scrape))
	mux.Handle("GET /stats/prometheus", scrape)
	mux.HandleFunc("GET /logging", d.logging)
	mux.HandleFunc("POST /logging", d.logging)
	mux.HandleFunc("GET /server_info", d.serverInfo)
	mux.HandleFunc("GET /ready", d.ready)
	mux.HandleFunc("POST /quitquitquit", d.quit)
	mux.HandleFunc("POST /drain", d.drain)
	mux.HandleFunc("POST /drain_listeners", d.drain)
	for path, instead := range refusedPaths {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, fmt.Sprintf("%s: sidelight-proxy does not offer it; %s", path, instead), http.StatusNotImplemented)
		})
	}
	return localHostOnly(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			c := http.NewResponseController(w) // a client that watches stays on its stream
			_ = errors.Join(c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{}))
			d.status.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

// refusedPaths are Envoy's that are not here, and what to do instead.
var refusedPaths = map[string]string{
	"/contention":          "it keeps no such statistics",
	"/cpuprofiler":         "profile it with perf",
	"/heapprofiler":        "read process_resident_memory_bytes and go_memstats_* in /stats",
	"/heap_dump":           "read process_resident_memory_bytes and go_memstats_* in /stats",
	"/memory":              "read process_resident_memory_bytes and go_memstats_* in /stats",
	"/hot_restart_version": "there is no hot restart; start another sidecar and drain this one",
	"/init_dump":           "what is waited for stands in /running, xds.waiting_for",
	"/runtime":             "there are no runtime flags; what runs is in /running",
	"/runtime_modify":      "there are no runtime flags; change the configuration",
	"/reset_counters":      "counters are for scrapers, who would take it for a restart",
	"/reopen_logs":         "let the log be rotated by copying, or write it to standard output",
	"/tap":                 "use `sidelight tap`",
	"/healthcheck/fail":    "use POST /drain",
	"/healthcheck/ok":      "a sidecar that drains does not come back; start another",
	"/stats/recentlookups": "it keeps no such statistics",
}

// localHostOnly keeps pages of other names out (DNS rebinding).
func localHostOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !isLoopback(host) {
			http.Error(w, "the admin port answers to localhost only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (d *admin) index(w http.ResponseWriter, _ *http.Request) {
	_, _ = fmt.Fprint(w, `sidelight-proxy admin
  GET  /config_dump            configuration in Envoy's form: ?include_eds, ?resource=dynamic_listeners, ?name_regex=
  GET  /running                what this sidecar makes of it: routes, clusters, revision, what it waits for
  GET  /clusters               clusters and their endpoints; ?format=json
  GET  /listeners              bound addresses; ?format=json
  GET  /certs                  this sidecar's certificate
  GET  /stats                  counters and levels, one a line; ?filter=REGEX, ?usedonly, ?format=json|prometheus
  GET  /stats/prometheus       all metrics
  GET  /ready                  200 when it forwards
  GET  /server_info            who this is
  GET  /logging                log level; POST /logging?level=debug|info|warn|error changes it
  POST /drain                  stop taking connections, finish what is under way; also /drain_listeners
  POST /quitquitquit           drain and exit
  gRPC envoy.service.status.v3.ClientStatusDiscoveryService (CSDS), on this port
`)
}

// answer writes what a view made, or why it could not.
func answer(w http.ResponseWriter, text []byte, err error) {
	switch {
	case errors.Is(err, mesh.ErrInvalid):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text) // the only error left is a client that is gone
	}
}

// isJSON reads the parameter format; not ok when it was none and that was said.
func isJSON(w http.ResponseWriter, r *http.Request) (asJSON, ok bool) {
	switch f := r.URL.Query().Get("format"); f {
	case "", "text":
		return false, true
	case "json":
		return true, true
	default:
		http.Error(w, fmt.Sprintf("format %q is neither text nor json", f), http.StatusBadRequest)
		return false, false
	}
}

func (d *admin) logging(w http.ResponseWriter, r *http.Request) {
	level := d.app.opts.Level
	if level == nil {
		http.Error(w, "the log level is fixed in this process", http.StatusNotImplemented)
		return
	}
	q := r.URL.Query()
	for name := range q {
		if name != "level" {
			http.Error(w, name+": there is one log with one level: POST /logging?level=debug|info|warn|error", http.StatusBadRequest)
			return
		}
	}
	if want := q.Get("level"); want != "" {
		if r.Method != http.MethodPost {
			http.Error(w, "changing the level needs POST", http.StatusMethodNotAllowed)
			return
		}
		var l slog.Level
		if want == "warning" { // Envoy's word
			want = "warn"
		}
		if err := l.UnmarshalText([]byte(want)); err != nil {
			http.Error(w, "level must be debug, info, warn or error", http.StatusBadRequest)
			return
		}
		level.Set(l)
	}
	_, _ = fmt.Fprintln(w, "level:", strings.ToLower(level.Level().String()))
}

func (d *admin) quit(w http.ResponseWriter, _ *http.Request) {
	_, _ = fmt.Fprintln(w, "OK")
	d.app.Quit()
}

func (d *admin) drain(w http.ResponseWriter, _ *http.Request) {
	d.app.drain(d.app.opts.DrainTime)
	_, _ = fmt.Fprintln(w, "OK")
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // the only error left is a client that is gone
}
