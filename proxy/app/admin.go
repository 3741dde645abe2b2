package app

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// admin is the operator's port, on loopback only. What it changes needs POST,
// so that no page in a browser can do it by a link.
type admin struct{ app *App }

func (d *admin) routes(scrape http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.index)
	mux.HandleFunc("GET /config_dump", d.configDump)
	mux.HandleFunc("GET /clusters", d.clusters)
	mux.HandleFunc("GET /listeners", d.listeners)
	mux.HandleFunc("GET /stats", d.stats)
	mux.Handle("GET /stats/prometheus", scrape)
	mux.HandleFunc("GET /logging", d.logging)
	mux.HandleFunc("POST /logging", d.logging)
	mux.HandleFunc("GET /server_info", d.serverInfo)
	mux.HandleFunc("POST /quitquitquit", d.quit)
	mux.HandleFunc("POST /drain", d.drain)
	return localHostOnly(mux)
}

// localHostOnly refuses requests that came here under another name: a web page
// whose name was rebound to 127.0.0.1 must not read or stop the sidecar.
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
  GET  /config_dump            what runs, as JSON
  GET  /clusters               clusters and their endpoints
  GET  /listeners              bound addresses
  GET  /stats                  counters and levels, one a line
  GET  /stats/prometheus       all metrics
  GET  /server_info            who this is
  GET  /logging                log level; POST /logging?level=debug|info|warn|error changes it
  POST /drain                  stop taking connections, finish what is under way
  POST /quitquitquit           drain and exit
`)
}

func (d *admin) configDump(w http.ResponseWriter, _ *http.Request) { writeJSON(w, d.app.dump()) }

func (d *admin) serverInfo(w http.ResponseWriter, r *http.Request) {
	state := "LIVE"
	if reason := d.app.health.notReady(r.Context()); reason != "" {
		state = reason
	}
	writeJSON(w, map[string]any{
		"node": d.app.opts.NodeID, "workload": d.app.opts.Workload, "version": d.app.opts.Build,
		"state": state, "started_at": d.app.started, "revision": d.app.runtime.revision(),
		"active_requests": d.app.engine.Active(),
	})
}

func (d *admin) listeners(w http.ResponseWriter, _ *http.Request) {
	for _, c := range d.app.sockets.Configs() {
		_, _ = fmt.Fprintf(w, "%s::%s\n", c.Name, c.Address)
	}
}

// clusters writes one fact a line, in the manner of Envoy's admin port.
func (d *admin) clusters(w http.ResponseWriter, _ *http.Request) {
	for _, c := range d.app.clusterDump() {
		for _, e := range c.Endpoints {
			for _, fact := range []string{
				"rq_active::" + fmt.Sprint(e.Active),
				"health_flags::" + strings.ToLower(e.Health),
				"weight::" + fmt.Sprint(e.Weight),
				"hostname::" + e.Hostname,
				"workload::" + e.Workload,
			} {
				_, _ = fmt.Fprintf(w, "%s::%s::%s\n", c.Name, e.Address, fact)
			}
		}
		if len(c.Endpoints) == 0 {
			_, _ = fmt.Fprintf(w, "%s::no endpoints\n", c.Name)
		}
	}
}

// stats writes counters and levels as "name{labels}: value".
func (d *admin) stats(w http.ResponseWriter, _ *http.Request) {
	families, err := d.app.registry.Gather()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var value float64
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				value = m.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				value = m.GetGauge().GetValue()
			case dto.MetricType_HISTOGRAM:
				value = float64(m.GetHistogram().GetSampleCount())
			default:
				continue
			}
			_, _ = fmt.Fprintf(w, "%s%s: %v\n", f.GetName(), labelText(m.GetLabel()), value)
		}
	}
}

func labelText(pairs []*dto.LabelPair) string {
	if len(pairs) == 0 {
		return ""
	}
	texts := make([]string, 0, len(pairs))
	for _, p := range pairs {
		texts = append(texts, fmt.Sprintf("%s=%q", p.GetName(), p.GetValue()))
	}
	slices.Sort(texts)
	return "{" + strings.Join(texts, ",") + "}"
}

func (d *admin) logging(w http.ResponseWriter, r *http.Request) {
	level := d.app.opts.Level
	if level == nil {
		http.Error(w, "the log level is fixed in this process", http.StatusNotImplemented)
		return
	}
	if want := r.URL.Query().Get("level"); want != "" {
		if r.Method != http.MethodPost {
			http.Error(w, "changing the level needs POST", http.StatusMethodNotAllowed)
			return
		}
		var l slog.Level
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
