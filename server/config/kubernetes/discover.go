package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sidelight-mesh/sidelight/server/config"
)

const (
	// discoverEvery is how long a kind that is installed later goes unnoticed. The
	// same question tells whether the cluster can be reached.
	discoverEvery = 10 * time.Second
	discoverTime  = 5 * time.Second
)

// served tells what the API server serves. Each answer is asked for once.
type served struct {
	get      func(ctx context.Context, path string, into any) error
	groups   map[string][]string // versions
	versions map[schema.GroupVersion][]metav1.APIResource
}

func newServed(get func(ctx context.Context, path string, into any) error) *served {
	return &served{get: get, groups: map[string][]string{}, versions: map[schema.GroupVersion][]metav1.APIResource{}}
}

// find gives the resource of a kind, in the best version that both sides know;
// found is false when the kind is not installed.
func (s *served) find(ctx context.Context, kind string) (r schema.GroupVersionResource, found bool, err error) {
	group := config.APIGroup(kind)
	versions, err := s.group(ctx, group)
	if err != nil {
		return r, false, err
	}
	for _, version := range config.APIVersions(kind) {
		if !slices.Contains(versions, version) {
			continue
		}
		resources, err := s.version(ctx, schema.GroupVersion{Group: group, Version: version})
		if err != nil {
			return r, false, err
		}
		for _, one := range resources {
			if one.Kind == kind && !strings.Contains(one.Name, "/") && slices.Contains(one.Verbs, "watch") {
				return resource(group, version, one.Name), true, nil
			}
		}
	}
	return r, false, nil
}

func (s *served) group(ctx context.Context, name string) ([]string, error) {
	if versions, ok := s.groups[name]; ok {
		return versions, nil
	}
	var answer metav1.APIGroup
	if err := s.ask(ctx, "/apis/"+name, &answer); err != nil {
		return nil, err
	}
	versions := []string{}
	for _, v := range answer.Versions {
		versions = append(versions, v.Version)
	}
	s.groups[name] = versions
	return versions, nil
}

func (s *served) version(ctx context.Context, of schema.GroupVersion) ([]metav1.APIResource, error) {
	if resources, ok := s.versions[of]; ok {
		return resources, nil
	}
	var answer metav1.APIResourceList
	if err := s.ask(ctx, "/apis/"+of.String(), &answer); err != nil {
		return nil, err
	}
	s.versions[of] = answer.APIResources
	return answer.APIResources, nil
}

// ask takes 404 for an empty answer. An API server that has not yet read which
// kinds are installed answers 503.
func (s *served) ask(ctx context.Context, path string, into any) error {
	err := s.get(ctx, path, into)
	if status, ok := errors.AsType[*statusError](err); ok && status.status == http.StatusNotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ask what the cluster serves: %w", err)
	}
	return nil
}
