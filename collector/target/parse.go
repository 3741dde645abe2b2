package target

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// group is an entry of Prometheus' service discovery formats: targets that
// share labels.
type group struct {
	Targets []string          `json:"targets" yaml:"targets"`
	Labels  map[string]string `json:"labels" yaml:"labels"`
}

// ParseJSON reads a list of target groups as Prometheus' HTTP and file
// discovery have it: [{"targets": ["host:port"], "labels": {…}}].
//
// __scheme__ and __metrics_path__ say how to scrape, __param_NAME adds a URL
// parameter, other names with two underscores in front are for relabeling. The
// labels node, workload, namespace, cluster, app and version say whose sidecar
// it is.
func ParseJSON(r io.Reader) ([]Target, error) {
	var groups []group
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&groups); err != nil {
		return nil, fmt.Errorf("%w: %w", mesh.ErrInvalid, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows the list of groups", mesh.ErrInvalid)
	}
	return fromGroups(groups)
}

// ParseYAML reads the same in YAML. An empty document has no targets.
func ParseYAML(r io.Reader) ([]Target, error) {
	var groups []group
	dec := yaml.NewDecoder(r)
	dec.KnownFields(true)
	if err := dec.Decode(&groups); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", mesh.ErrInvalid, err)
	}
	return fromGroups(groups)
}

func fromGroups(groups []group) ([]Target, error) {
	out := []Target{}
	for i, g := range groups {
		for _, address := range g.Targets {
			t := FromLabels(address, g.Labels)
			if err := t.Validate(); err != nil {
				return nil, fmt.Errorf("group %d: %w", i+1, err)
			}
			out = append(out, t)
		}
	}
	return out, nil
}

// FromLabels makes a target of an address and labels in Prometheus' names.
func FromLabels(address string, labels map[string]string) Target {
	t := Target{
		Address: address,
		Scheme:  labels["__scheme__"],
		Path:    labels["__metrics_path__"],
		Node:    labels["node"],
		Labels:  make(map[string]string, len(labels)),
		Workload: mesh.Workload{
			Cluster:   labels["cluster"],
			Namespace: labels["namespace"],
			Name:      labels["workload"],
			App:       labels["app"],
			Version:   labels["version"],
		},
	}
	for name, v := range labels {
		switch {
		case !strings.HasPrefix(name, "__") || strings.HasPrefix(name, "__param_"):
			t.Labels[name] = v
		case name == "__address__" || name == "__scheme__" || name == "__metrics_path__":
		default:
			if t.Meta == nil {
				t.Meta = make(map[string]string)
			}
			t.Meta[name] = v
		}
	}
	return t
}
