package scrape

import (
	"bytes"
	"fmt"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"gopkg.in/yaml.v3"

	"github.com/sidelight-mesh/sidelight/collector/target"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// Relabeling changes what discovery says of targets, or drops them, by the
// rules of Prometheus' relabel_configs.
type Relabeling []*relabel.Config

// ParseRelabeling reads a list of rules in YAML, as it stands under
// relabel_configs in Prometheus' configuration.
func ParseRelabeling(text []byte) (Relabeling, error) {
	var rules Relabeling
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&rules); err != nil {
		return nil, fmt.Errorf("relabeling: %w: %w", mesh.ErrInvalid, err)
	}
	for i, r := range rules {
		if r == nil {
			return nil, fmt.Errorf("relabeling: %w: rule %d is empty", mesh.ErrInvalid, i+1)
		}
		if err := r.Validate(model.UTF8Validation); err != nil {
			return nil, fmt.Errorf("relabeling: %w: rule %d: %w", mesh.ErrInvalid, i+1, err)
		}
	}
	return rules, nil
}

// apply gives the target as the rules make it, and whether it stays.
func (rules Relabeling) apply(t target.Target) (target.Target, bool) {
	if len(rules) == 0 {
		return t, true
	}
	b := labels.NewBuilder(labels.EmptyLabels())
	for name, v := range t.AllLabels() {
		b.Set(name, v)
	}
	if !relabel.ProcessBuilder(b, rules...) {
		return t, false
	}
	all := make(map[string]string)
	b.Range(func(l labels.Label) { all[l.Name] = l.Value })
	return target.FromLabels(all["__address__"], all), true
}
