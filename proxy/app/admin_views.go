package app

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/xds"
)

// configuration is what the sidecar was given, whoever gave it.
func (a *App) configuration() *xds.Dump {
	switch {
	case a.client != nil:
		return a.client.Dump()
	case a.opts.StaticDump != nil:
		return a.opts.StaticDump
	}
	return &xds.Dump{}
}

func (d *admin) configDump(w http.ResponseWriter, r *http.Request) {
	text, err := d.app.configuration().ConfigDump(r.URL.Query())
	answer(w, text, err)
}

func (d *admin) running(w http.ResponseWriter, _ *http.Request) { writeJSON(w, d.app.dump()) }

// state is where the sidecar is in its life.
func (d *admin) state() xds.ServerState {
	switch {
	case d.app.health.draining.Load():
		return xds.Draining
	case d.app.runtime.Current() == nil:
		return xds.Initializing
	}
	return xds.Live
}

func (d *admin) ready(w http.ResponseWriter, _ *http.Request) {
	s := d.state()
	if s != xds.Live {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = fmt.Fprintln(w, s)
}

func (d *admin) serverInfo(w http.ResponseWriter, _ *http.Request) {
	text, err := xds.ServerInfoJSON(d.app.configuration(), d.app.opts.Build, d.state(), time.Since(d.app.started))
	answer(w, text, err)
}

func (d *admin) certificates(w http.ResponseWriter, _ *http.Request) {
	var id *mesh.Identity
	if d.app.identity != nil {
		id = d.app.currentIdentity()
	}
	text, err := xds.CertificatesJSON(id, time.Now())
	answer(w, text, err)
}

func (d *admin) listeners(w http.ResponseWriter, r *http.Request) {
	asJSON, ok := isJSON(w, r)
	if !ok {
		return
	}
	configs := d.app.sockets.Configs()
	if asJSON {
		text, err := xds.ListenersJSON(configs)
		answer(w, text, err)
		return
	}
	for _, c := range configs {
		_, _ = fmt.Fprintf(w, "%s::%s\n", c.Name, c.Address)
	}
}

func (a *App) upstreams() []*forward.Upstream {
	list := a.engine.Upstreams()
	slices.SortFunc(list, func(x, y *forward.Upstream) int { return cmp.Compare(x.Config().Name, y.Config().Name) })
	return list
}

// clusters writes Envoy's text, so far as there is something to tell.
func (d *admin) clusters(w http.ResponseWriter, r *http.Request) {
	asJSON, ok := isJSON(w, r)
	if !ok {
		return
	}
	if asJSON {
		text, err := xds.ClustersJSON(d.app.upstreams())
		answer(w, text, err)
		return
	}
	for _, u := range d.app.upstreams() {
		c := u.Config()
		_, _ = fmt.Fprintf(w, "%s::observability_name::%s\n", c.Name, c.Name)
		for _, limit := range []struct {
			name  string
			value uint32
		}{
			{"max_connections", c.Limits.MaxConnections},
			{"max_pending_requests", c.Limits.MaxPending},
			{"max_requests", c.Limits.MaxRequests},
			{"max_retries", c.Limits.MaxRetries},
		} {
			_, _ = fmt.Fprintf(w, "%s::default_priority::%s::%d\n", c.Name, limit.name, cmp.Or(limit.value, 1<<32-1))
		}
		_, _ = fmt.Fprintf(w, "%s::added_via_api::%t\n", c.Name, d.app.client != nil)
		for _, e := range dumpUpstream(u).Endpoints {
			flags := "healthy"
			switch {
			case e.Ejected:
				flags = "/failed_outlier_check"
			case e.Health != "HEALTHY":
				flags = "/failed_eds_health"
			}
			for _, fact := range []string{
				fmt.Sprint("rq_active::", e.Active),
				"hostname::" + e.Hostname,
				"health_flags::" + flags,
				fmt.Sprint("weight::", e.Weight),
				fmt.Sprint("priority::", e.Priority),
				"workload::" + e.Workload,
			} {
				_, _ = fmt.Fprintf(w, "%s::%s::%s\n", c.Name, e.Address, fact)
			}
		}
	}
}

// stat is one line of /stats.
type stat struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

func (d *admin) stats(scrape http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		for name := range q {
			if !slices.Contains([]string{"format", "filter", "usedonly"}, name) {
				http.Error(w, name+": no such parameter; there are format, filter and usedonly", http.StatusBadRequest)
				return
			}
		}
		if q.Get("format") == "prometheus" {
			if q.Has("filter") || q.Has("usedonly") {
				http.Error(w, "filter and usedonly go with format=text or json; Prometheus filters by relabeling", http.StatusBadRequest)
				return
			}
			scrape.ServeHTTP(w, r)
			return
		}
		asJSON, ok := isJSON(w, r)
		if !ok {
			return
		}
		filter, err := regexp.Compile(q.Get("filter"))
		if err != nil {
			http.Error(w, "filter: "+err.Error(), http.StatusBadRequest)
			return
		}
		list, err := d.gather(filter, q.Has("usedonly"))
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		case asJSON:
			text, err := json.MarshalIndent(map[string]any{"stats": list}, "", " ")
			answer(w, text, err)
		default:
			for _, s := range list {
				_, _ = fmt.Fprintf(w, "%s: %v\n", s.Name, s.Value)
			}
		}
	}
}

// gather lists all series with their values; of histograms the count.
func (d *admin) gather(filter *regexp.Regexp, usedOnly bool) ([]stat, error) {
	families, err := d.app.registry.Gather()
	if err != nil {
		return nil, err
	}
	list := []stat{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			s := stat{Name: f.GetName() + labelText(m.GetLabel())}
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				s.Value = m.GetCounter().GetValue()
			case dto.MetricType_GAUGE:
				s.Value = m.GetGauge().GetValue()
			case dto.MetricType_HISTOGRAM:
				s.Value = float64(m.GetHistogram().GetSampleCount())
			default:
				continue
			}
			if filter.MatchString(s.Name) && (!usedOnly || s.Value != 0) {
				list = append(list, s)
			}
		}
	}
	return list, nil
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
