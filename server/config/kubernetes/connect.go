package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
)

// Options say which cluster it is.
type Options struct {
	// Kubeconfig is a file of clusters and who to be there. "" means $KUBECONFIG or
	// ~/.kube/config when there is one, else the cluster that this process runs in.
	Kubeconfig string
	Context    string // of the kubeconfig; "" for its current one

	// Earlier gives the documents of this source that are in effect. Of what cannot
	// be read from the beginning, they are all that is known.
	Earlier func() map[string]config.Document

	Logger *slog.Logger
}

// client speaks with one API server.
type client struct {
	host     *url.URL
	http     *http.Client
	objects  dynamic.Interface
	metadata metadata.Interface
}

// connect reads who to speak with. It sends nothing.
func connect(opts Options) (*client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = opts.Kubeconfig
	rules.WarnIfAllMissing = false
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: opts.Context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w: %w", mesh.ErrInvalid, err)
	}
	cfg.UserAgent = "sidelight"
	cfg.QPS = -1 // a list and a watch a resource need no brake
	cfg.WarningHandlerWithContext = rest.NoWarnings{}
	c := &client{}
	if c.host, _, err = rest.DefaultServerUrlFor(cfg); err != nil {
		return nil, fmt.Errorf("address of the cluster: %w: %w", mesh.ErrInvalid, err)
	}
	if c.http, err = rest.HTTPClientFor(cfg); err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w: %w", mesh.ErrInvalid, err)
	}
	if c.objects, err = dynamic.NewForConfigAndClient(cfg, c.http); err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	if c.metadata, err = metadata.NewForConfigAndClient(cfg, c.http); err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return c, nil
}

// statusError is an answer that says no.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return fmt.Sprintf("answered %d: %s", e.status, e.text) }

// get reads a path of the API server that holds no objects: its version, and
// what it serves.
func (c *client) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.host.JoinPath(path).String(), http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var said metav1.Status
		_ = json.Unmarshal(body, &said) // a proxy on the way says something else
		return &statusError{resp.StatusCode, said.Message}
	}
	return json.Unmarshal(body, into)
}

// reader lists and watches the objects of one resource, in all namespaces.
type reader struct {
	list  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
}

func (c *client) whole(of schema.GroupVersionResource) reader {
	r := c.objects.Resource(of)
	return reader{
		func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return r.List(ctx, o) },
		r.Watch,
	}
}

// named reads what objects are called and labelled, and nothing else of them.
func (c *client) named(of schema.GroupVersionResource) reader {
	r := c.metadata.Resource(of)
	return reader{
		func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return r.List(ctx, o) },
		r.Watch,
	}
}
