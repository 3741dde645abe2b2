package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/registry"
	"github.com/sidelight-mesh/sidelight/server/xds"
)

const (
	// registrationGrace is how long an instance stays whose sidecar is gone: a
	// connection that breaks comes back sooner.
	registrationGrace = 10 * time.Second
	registrationTick  = 500 * time.Millisecond
)

// registrations is a source of configuration: the sidecars that want their
// workloads to be found (--register), as WorkloadEntries.
type registrations struct {
	app   *App
	grace time.Duration
}

// Name is config.Source's.
func (registrations) Name() string { return "sidecars" }

// Watch is config.Source's. Instances that an earlier process knew stay for a
// while: their sidecars come back one after the other.
func (r registrations) Watch(ctx context.Context, changed func(config.Given)) error {
	tick := time.NewTicker(registrationTick)
	defer tick.Stop()
	start, heard := time.Now(), false
	var last map[string]config.Document
	for {
		now := time.Now()
		documents, err := r.documents(now)
		if err != nil {
			return err
		}
		returning := now.Sub(start) < r.grace
		if returning {
			r.earlier(documents)
		}
		if (len(documents) > 0 || !returning) && (!heard || !maps.Equal(documents, last)) {
			heard, last = true, documents
			changed(config.Given{Documents: documents})
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// earlier adds what an earlier process had.
func (r registrations) earlier(documents map[string]config.Document) {
	for _, o := range r.app.store.Objects() {
		if name, ok := strings.CutPrefix(o.Source, r.Name()+":"); ok && documents[name].Text == "" {
			documents[name] = config.Document{Text: o.YAML}
		}
	}
}

// documents gives the WorkloadEntries of the sidecars that are there.
func (r registrations) documents(now time.Time) (map[string]config.Document, error) {
	out := map[string]config.Document{}
	found := r.app.xds.Registrations(r.grace, now)
	if len(found) == 0 {
		return out, nil
	}
	var services []*config.Object
	for _, o := range r.app.store.Objects() {
		if o.ServiceEntry() != nil {
			services = append(services, o)
		}
	}
	for _, one := range found {
		name, text, err := workloadEntry(one, services)
		if err != nil {
			return nil, err
		}
		out[one.Workload.Namespace+"/"+name] = config.Document{Text: text}
	}
	return out, nil
}

// workloadEntry writes an instance as an object. Ports are called as the services
// call them that select it.
func workloadEntry(r xds.Registration, services []*config.Object) (name, text string, err error) {
	labels := maps.Clone(r.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels["service.istio.io/workload-name"] = r.Workload.Name
	if r.TLS {
		labels[tlsModeLabel] = "istio"
	}
	ports := map[string]uint32{}
	for _, o := range services {
		if o.Namespace != r.Workload.Namespace || !registry.Selects(o.ServiceEntry(), labels) {
			continue
		}
		for _, p := range o.ServiceEntry().Ports {
			if own, ok := r.Ports[p.Number]; ok {
				ports[p.Name] = own
			}
		}
	}
	name = strings.NewReplacer(":", "-", "%", "-").Replace(r.Workload.Name + "-" + r.Address.String())
	for _, own := range slices.Sorted(maps.Values(r.Ports))[:1] { // many may be at one address
		name += fmt.Sprint("-", own)
	}
	spec := map[string]any{"address": r.Address.String(), "labels": labels, "serviceAccount": r.Account}
	if len(ports) > 0 {
		spec["ports"] = ports
	}
	if where := strings.Trim(strings.Join([]string{r.Locality.Region, r.Locality.Zone, r.Locality.SubZone}, "/"), "/"); where != "" {
		spec["locality"] = where
	}
	out, err := yaml.Marshal(map[string]any{
		"apiVersion": "networking.istio.io/v1", "kind": config.KindWorkloadEntry,
		"metadata": map[string]any{"name": name, "namespace": r.Workload.Namespace}, "spec": spec,
	})
	return name, string(out), err
}
