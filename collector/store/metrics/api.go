package metrics

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// apiVersion is the Prometheus whose API this is. Grafana asks for it to learn
// what it may use.
const apiVersion = "3.15.0"

// maxForm bounds a POST body. The longest dashboards' queries have 20 KB.
const maxForm = 1 << 20

// Handler serves the Prometheus HTTP API below /api/v1/, with Prometheus' own
// answers and errors, as far as reading goes.
func (s *Store) Handler() http.Handler {
	mux := http.NewServeMux()
	both := func(path string, answer answerFunc) {
		mux.Handle("GET "+path, s.handle(answer))
		mux.Handle("POST "+path, s.handle(answer))
	}
	both("/api/v1/query", s.query)
	both("/api/v1/query_range", s.queryRange)
	both("/api/v1/labels", s.labelNames)
	both("/api/v1/series", s.series)
	both("/api/v1/query_exemplars", s.exemplars)
	// Grafana tries each by POST first and goes on with GET only at a 405.
	get := func(path string, answer answerFunc) {
		mux.Handle("GET "+path, s.handle(answer))
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", "GET, HEAD")
			writeError(w, apiError{kind: "not_allowed", err: errors.New("this is to be asked by GET")})
		})
	}
	get("/api/v1/label/{name}/values", s.labelValues)
	get("/api/v1/metadata", s.metricMetadata)
	get("/api/v1/rules", s.ruleGroups)
	get("/api/v1/alerts", s.alerts)
	get("/api/v1/status/buildinfo", buildInfo)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, apiError{kind: "not_found", err: fmt.Errorf("no such API: %s %s", r.Method, r.URL.Path)})
	})
	return mux
}

// answerFunc answers one request with a whole JSON value.
type answerFunc func(r *http.Request) (answer, error)

type answer struct {
	data     []byte
	warnings annotations.Annotations
}

// apiError is an error in the Prometheus API's terms.
type apiError struct {
	kind string
	err  error
}

func (e apiError) Error() string { return e.err.Error() }
func (e apiError) Unwrap() error { return e.err }

func badData(err error) error { return apiError{"bad_data", err} }

func badParam(name string, err error) error {
	return apiError{"bad_data", fmt.Errorf("invalid parameter %q: %w", name, err)}
}

// handle holds the store open for one request and writes what came of it.
func (s *Store) handle(f answerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, done, err := s.begin(r.Context())
		if err != nil {
			writeError(w, err)
			return
		}
		defer done()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			writeError(w, badData(fmt.Errorf("error parsing form values: %w", err)))
			return
		}
		a, err := f(r)
		if err != nil {
			writeError(w, err)
			return
		}
		b := append([]byte(`{"status":"success","data":`), a.data...)
		warnings, infos := a.warnings.AsStrings(r.FormValue("query"), 10, 10)
		b = appendTexts(b, "warnings", warnings)
		b = appendTexts(b, "infos", infos)
		w.Header().Set("Content-Type", "application/json")
		// The client is gone when this fails: there is nobody to tell.
		_, _ = w.Write(append(b, '}'))
	})
}

func appendTexts(b []byte, name string, texts []string) []byte {
	if len(texts) == 0 {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return appendList(b, texts, appendString)
}

// writeError gives the status that Prometheus gives for the kind of error.
func writeError(w http.ResponseWriter, err error) {
	e := classify(err)
	status := map[string]int{
		"bad_data":    http.StatusBadRequest,
		"execution":   http.StatusUnprocessableEntity,
		"canceled":    499, // nginx' "client closed request"
		"timeout":     http.StatusServiceUnavailable,
		"unavailable": http.StatusServiceUnavailable,
		"not_found":   http.StatusNotFound,
		"not_allowed": http.StatusMethodNotAllowed,
	}[e.kind]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	b := appendString([]byte(`{"status":"error","errorType":`), e.kind)
	b = append(appendString(append(b, `,"error":`...), e.Error()), '}')
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

func classify(err error) apiError {
	var (
		api      apiError
		canceled promql.ErrQueryCanceled
		timeout  promql.ErrQueryTimeout
		broken   promql.ErrStorage
	)
	switch {
	case errors.As(err, &api):
		return api
	case errors.Is(err, mesh.ErrUnavailable):
		return apiError{"unavailable", err}
	case errors.As(err, &canceled), errors.Is(err, context.Canceled):
		return apiError{"canceled", err}
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		return apiError{"timeout", err}
	case errors.As(err, &broken):
		return apiError{"internal", err}
	}
	return apiError{"execution", err}
}

// jsonAnswer is for the answers whose shape plain structs have.
func jsonAnswer(v any) (answer, error) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		return answer{}, apiError{"internal", err}
	}
	return answer{data: bytes.TrimRight(b.Bytes(), "\n")}, nil
}

func buildInfo(*http.Request) (answer, error) {
	return jsonAnswer(map[string]string{
		"version": apiVersion, "revision": "sidelight", "branch": "", "buildUser": "", "buildDate": "",
		"goVersion": runtime.Version(),
	})
}
