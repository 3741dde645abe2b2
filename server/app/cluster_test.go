package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/server/config/kubernetes"
)

// empty is an API server that holds nothing, and serves no kinds but its own. It
// ends watches when it is told to.
type empty struct{ end chan struct{} }

func (e empty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/version":
		_, _ = io.WriteString(w, "{}")
	case strings.HasPrefix(r.URL.Path, "/apis/") && strings.Count(r.URL.Path, "/") == 2:
		http.NotFound(w, r)
	case r.URL.Query().Get("watch") != "":
		select {
		case <-e.end:
		case <-r.Context().Done():
		}
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": "1"}, "items": []any{}})
	}
}

// A server that knows nothing of its cluster yet says so, and tells no sidecar that
// its services are gone; once it has read the cluster, it serves.
func TestClusterAway(t *testing.T) {
	at, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := at.Addr().String()
	_ = at.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("{apiVersion: v1, kind: Config, current-context: a, clusters: [{name: a, cluster: {server: %q}}], contexts: [{name: a, context: {cluster: a}}]}", "http://"+address)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a := start(t, func(o *Options) { o.Kubernetes = &kubernetes.Options{Kubeconfig: kubeconfig} })
	eventually(t, "being told that the cluster is away", func() bool {
		ready, err := http.Get("http://" + a.Addrs().Admin + "/readyz")
		if err != nil {
			return false
		}
		defer ready.Body.Close()
		said, _ := io.ReadAll(ready.Body)
		return ready.StatusCode == http.StatusOK && strings.Contains(string(said), "- kubernetes, since ") &&
			strings.Contains(string(said), "the cluster at http://"+address+" is not reachable: dial tcp ")
	})
	if missing := (overall{a}).Missing(time.Now()); len(missing) == 0 || missing[len(missing)-1].Source != "kubernetes" {
		t.Errorf("missing is %v", missing)
	}

	sidecar, err := net.Dial("tcp", a.Addrs().XDS)
	if err != nil {
		t.Fatal(err)
	}
	defer sidecar.Close()
	_, _ = io.WriteString(sidecar, "GET / HTTP/1.1\r\nHost: sidelight\r\n\r\n")
	answer := make([]byte, len("HTTP/1.1"))
	_ = sidecar.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := sidecar.Read(answer); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("before the cluster was read a sidecar got %q, %v", answer[:n], err)
	}

	if at, err = net.Listen("tcp", address); err != nil {
		t.Skip("the port was taken meanwhile: ", err)
	}
	end := make(chan struct{})
	cluster := &httptest.Server{Listener: at, Config: &http.Server{Handler: empty{end}, ReadHeaderTimeout: time.Minute}}
	cluster.Start()
	t.Cleanup(func() {
		close(end) // closing waits for what is under way, and clients watch again
		cluster.Close()
	})
	_ = sidecar.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.ReadFull(sidecar, answer); err != nil {
		t.Errorf("after the cluster was read: %v", err)
	}
}
