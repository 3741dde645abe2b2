package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Querier reads stored metrics by PromQL. Its backends are the Store and
// Remote; metricstest.Suite says what both hold to.
//
// Errors wrap mesh.ErrInvalid when the expression or the range is at fault,
// mesh.ErrExhausted when it costs too much, and mesh.ErrUnavailable when the
// store does not answer.
type Querier interface {
	// Instant evaluates expr at one time. A scalar comes as one sample without
	// labels; histograms are left out.
	Instant(ctx context.Context, expr string, at time.Time) ([]Sample, error)
	// Range evaluates expr at from, from+step … up to to. Series without values
	// are left out.
	Range(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Series, error)
}

// Remote reads a Prometheus HTTP API: Prometheus itself, Thanos, Mimir,
// VictoriaMetrics, or another collector of ours.
type Remote struct {
	base   *url.URL // its path ends before /api/v1/…
	client *http.Client
}

// RemoteOptions say where the API is.
type RemoteOptions struct {
	URL       string            // "http://prometheus:9090", up to but without /api/v1
	Timeout   time.Duration     // 35 s
	Transport http.RoundTripper // http.DefaultTransport's settings
}

// maxRemoteAnswer bounds what is read of an answer: as much as a query over
// the limits of the embedded store gives.
const maxRemoteAnswer = 256 << 20

// NewRemote makes the backend. It asks nothing yet.
func NewRemote(o RemoteOptions) (*Remote, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("metrics backend %q: %w: want a URL like http://127.0.0.1:9090", o.URL, mesh.ErrInvalid)
	}
	if o.Timeout <= 0 {
		o.Timeout = 35 * time.Second // a little more than stores give a query
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 8}
	}
	return &Remote{base: u, client: &http.Client{Timeout: o.Timeout, Transport: o.Transport}}, nil
}

// Close lets go of idle connections.
func (r *Remote) Close() { r.client.CloseIdleConnections() }

// Instant implements Querier.
func (r *Remote) Instant(ctx context.Context, expr string, at time.Time) ([]Sample, error) {
	var data struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	}
	if err := r.ask(ctx, "query", url.Values{"query": {expr}, "time": {unixText(at)}}, &data); err != nil {
		return nil, fmt.Errorf("query %q: %w", expr, err)
	}
	switch data.ResultType {
	case "vector":
		var rows []struct {
			Metric map[string]string `json:"metric"`
			Value  *wirePoint        `json:"value"`
		}
		if err := json.Unmarshal(data.Result, &rows); err != nil {
			return nil, fmt.Errorf("query %q: answer: %w: %w", expr, mesh.ErrUnavailable, err)
		}
		out := make([]Sample, 0, len(rows))
		for _, row := range rows {
			if row.Value != nil { // else it is a histogram
				out = append(out, Sample{Labels: labelsOf(row.Metric), At: row.Value.At, Value: row.Value.Value})
			}
		}
		return out, nil
	case "scalar":
		var p wirePoint
		if err := json.Unmarshal(data.Result, &p); err != nil {
			return nil, fmt.Errorf("query %q: answer: %w: %w", expr, mesh.ErrUnavailable, err)
		}
		return []Sample{{Labels: map[string]string{}, At: p.At, Value: p.Value}}, nil
	}
	return nil, fmt.Errorf("query %q: %w: gives a %s, not numbers", expr, mesh.ErrInvalid, data.ResultType)
}

// Range implements Querier.
func (r *Remote) Range(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]Series, error) {
	if err := checkRange(expr, from, to, step); err != nil {
		return nil, err
	}
	var data struct {
		ResultType string `json:"resultType"`
		Result     []struct {
			Metric map[string]string `json:"metric"`
			Values []wirePoint       `json:"values"`
		} `json:"result"`
	}
	query := url.Values{
		"query": {expr}, "start": {unixText(from)}, "end": {unixText(to)},
		"step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	}
	if err := r.ask(ctx, "query_range", query, &data); err != nil {
		return nil, fmt.Errorf("query %q: %w", expr, err)
	}
	out := make([]Series, 0, len(data.Result))
	for _, row := range data.Result {
		if len(row.Values) == 0 {
			continue
		}
		points := make([]Point, len(row.Values))
		for i, p := range row.Values {
			points[i] = Point(p)
		}
		out = append(out, Series{Labels: labelsOf(row.Metric), Points: points})
	}
	return out, nil
}

// ask sends a query as a form, because expressions outgrow addresses.
func (r *Remote) ask(ctx context.Context, endpoint string, form url.Values, into any) error {
	u := r.base.JoinPath("api/v1", endpoint).String()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("%w: %w", mesh.ErrInvalid, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := r.client.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", mesh.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	var answer struct {
		Status    string          `json:"status"`
		ErrorType string          `json:"errorType"`
		Error     string          `json:"error"`
		Data      json.RawMessage `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxRemoteAnswer)).Decode(&answer); err != nil {
		return fmt.Errorf("%w: %s answers %s and no Prometheus JSON: %w", mesh.ErrUnavailable, r.base.Redacted(), resp.Status, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%w: %s: %s", remoteKind(answer.ErrorType, resp.StatusCode), r.base.Redacted(), answer.Error)
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		return fmt.Errorf("%w: %s answers in another form: %w", mesh.ErrUnavailable, r.base.Redacted(), err)
	}
	return nil
}

// remoteKind sorts an error by its type: "bad_data" in Prometheus, "422" in
// VictoriaMetrics.
func remoteKind(errorType string, status int) error {
	switch {
	case errorType == "bad_data" || errorType == "execution" && status == http.StatusBadRequest || errorType == "400":
		return mesh.ErrInvalid
	case errorType == "execution" || status == http.StatusUnprocessableEntity:
		return mesh.ErrInvalid
	case status == http.StatusTooManyRequests:
		return mesh.ErrExhausted
	}
	return mesh.ErrUnavailable
}

// wirePoint is a value as the API writes it: [unix seconds, "text"].
type wirePoint Point

// UnmarshalJSON implements json.Unmarshaler.
func (p *wirePoint) UnmarshalJSON(raw []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(raw, &pair); err != nil || len(pair) != 2 {
		return errors.Join(fmt.Errorf("%s is no [time, value]", raw), err)
	}
	var at float64
	var text string
	if err := errors.Join(json.Unmarshal(pair[0], &at), json.Unmarshal(pair[1], &text)); err != nil {
		return err
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("value %q: %w", text, err)
	}
	p.At, p.Value = time.UnixMilli(int64(math.Round(at*1000))), value
	return nil
}

func labelsOf(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func unixText(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64)
}
