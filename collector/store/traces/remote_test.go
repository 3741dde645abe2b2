package traces_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/collector/jaeger"
	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/collector/store/traces/storetest"
	"github.com/sidelight-mesh/sidelight/mesh"
)

func remote(t *testing.T, opts traces.RemoteOptions) *traces.Remote {
	t.Helper()
	r, err := traces.NewRemote(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return r
}

// Our own api_v3 is one that is there to read from.
func TestRemoteJaeger(t *testing.T) {
	storetest.Suite(t, storetest.Backend{Silent: true, Open: func(t *testing.T) (traces.Writer, traces.Querier) {
		s := open(t, traces.Options{})
		server := httptest.NewServer(http.StripPrefix("/jaeger", jaeger.Handler(s)))
		t.Cleanup(server.Close)
		return s, remote(t, traces.RemoteOptions{URL: "jaeger+" + server.URL + "/jaeger"})
	}})
}

// A Jaeger whose store knows no attributes, wants a service, and says what it
// found in several parts.
func TestRemotePlainJaeger(t *testing.T) {
	storetest.Suite(t, storetest.Backend{Silent: true, Open: func(t *testing.T) (traces.Writer, traces.Querier) {
		s := open(t, traces.Options{})
		api := jaeger.Handler(s)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			v := r.URL.Query()
			if r.URL.Path == "/api/v3/traces" {
				if v.Get("query.service_name") == "" {
					http.Error(w, `{"error":{"httpCode":500,"message":"service name must be set"}}`, http.StatusInternalServerError)
					return
				}
				v.Del("query.attributes")
				r.URL.RawQuery = v.Encode()
				defer func() { _, _ = w.Write([]byte("\n{\"result\":{}}\n")) }()
			}
			api.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		return s, remote(t, traces.RemoteOptions{URL: "jaeger+" + server.URL})
	}})
}

func TestRemoteTempo(t *testing.T) {
	storetest.Suite(t, storetest.Backend{Silent: true, Open: func(t *testing.T) (traces.Writer, traces.Querier) {
		s, server := newTempo(t)
		s.auth = "team-a"
		return s, remote(t, traces.RemoteOptions{URL: "tempo+" + server.URL, Header: http.Header{"X-Scope-Orgid": {"team-a"}}})
	}})
}

func TestRemoteAddresses(t *testing.T) {
	for _, url := range []string{"", "http://tempo:3200", "zipkin+http://a", "tempo+", "tempo+ftp://a", "tempo+a:1"} {
		if _, err := traces.NewRemote(traces.RemoteOptions{URL: url}); !errors.Is(err, mesh.ErrInvalid) || !strings.Contains(err.Error(), "want jaeger+http://") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// What a remote store says or does not say becomes an error of a kind.
func TestRemoteFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"a refusal":         {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no tenant", http.StatusUnauthorized) }, mesh.ErrUnavailable},
		"too many":          {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "slow down", http.StatusTooManyRequests) }, mesh.ErrExhausted},
		"no JSON":           {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, mesh.ErrUnavailable},
		"an answer cut off": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"traces":[{"traceID":"a`)) }, mesh.ErrUnavailable},
		"odd IDs": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"traces":[{"traceID":"zz"}],"result":{"resourceSpans":7}}`))
		}, mesh.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tc.answer)
			defer server.Close()
			for _, kind := range []string{"jaeger", "tempo"} {
				r := remote(t, traces.RemoteOptions{URL: kind + "+" + server.URL})
				if _, err := r.Search(t.Context(), traces.Query{Service: "web"}); !errors.Is(err, tc.want) {
					t.Errorf("%s: %v, want %v", kind, err, tc.want)
				}
			}
		})
	}
	gone := remote(t, traces.RemoteOptions{URL: "tempo+http://127.0.0.1:1"})
	if _, err := gone.Get(t.Context(), storetest.ID(1)); !errors.Is(err, mesh.ErrUnavailable) {
		t.Errorf("a store that is gone: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer slow.Close()
	if _, err := remote(t, traces.RemoteOptions{URL: "tempo+" + slow.URL}).Search(ctx, traces.Query{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a store that is too slow: %v", err)
	}
}
