package metrics

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

var errTruncated = errors.New("results truncated due to limit")

func (s *Store) query(r *http.Request) (answer, error) {
	limit, err := limitParam(r)
	if err != nil {
		return answer{}, err
	}
	at, err := timeParam(r, "time", time.Now())
	if err != nil {
		return answer{}, err
	}
	return s.evaluate(r, limit, func(ctx context.Context, opts promql.QueryOpts) (promql.Query, error) {
		return s.engine.NewInstantQuery(ctx, s.db, opts, r.FormValue("query"), at)
	})
}

func (s *Store) queryRange(r *http.Request) (answer, error) {
	limit, err := limitParam(r)
	if err != nil {
		return answer{}, err
	}
	start, err := parseTime(r.FormValue("start"))
	if err != nil {
		return answer{}, badParam("start", err)
	}
	end, err := parseTime(r.FormValue("end"))
	if err != nil {
		return answer{}, badParam("end", err)
	}
	if end.Before(start) {
		return answer{}, badParam("end", errors.New("end timestamp must not be before start time"))
	}
	step, err := parseDuration(r.FormValue("step"))
	if err != nil {
		return answer{}, badParam("step", err)
	}
	if step <= 0 {
		return answer{}, badParam("step",
			errors.New("zero or negative query resolution step widths are not accepted. Try a positive integer"))
	}
	if end.Sub(start)/step > maxPoints {
		return answer{}, badData(errors.New(
			"exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"))
	}
	return s.evaluate(r, limit, func(ctx context.Context, opts promql.QueryOpts) (promql.Query, error) {
		return s.engine.NewRangeQuery(ctx, s.db, opts, r.FormValue("query"), start, end, step)
	})
}

// evaluate runs what newQuery makes, under the request's own timeout when it
// names one.
func (s *Store) evaluate(r *http.Request, limit int,
	newQuery func(context.Context, promql.QueryOpts) (promql.Query, error),
) (answer, error) {
	ctx := r.Context()
	if t := r.FormValue("timeout"); t != "" {
		timeout, err := parseDuration(t)
		if err != nil {
			return answer{}, badParam("timeout", err)
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	var lookback time.Duration
	if l := r.FormValue("lookback_delta"); l != "" {
		var err error
		if lookback, err = parseDuration(l); err != nil {
			return answer{}, badData(errors.New("error parsing lookback delta duration: " + err.Error()))
		}
	}
	q, err := newQuery(ctx, promql.NewPrometheusQueryOpts(false, lookback))
	if err != nil && ctx.Err() != nil {
		return answer{}, err // there was no free place in time
	}
	if err != nil {
		return answer{}, badParam("query", err)
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return answer{}, res.Err
	}
	warnings := res.Warnings
	if limit > 0 {
		switch v := res.Value.(type) {
		case promql.Matrix:
			if len(v) > limit {
				res.Value = v[:limit]
				warnings = warnings.Add(errTruncated)
			}
		case promql.Vector:
			if len(v) > limit {
				res.Value = v[:limit]
				warnings = warnings.Add(errTruncated)
			}
		}
	}
	return answer{data: appendResult(nil, res.Value), warnings: warnings}, nil
}

func (s *Store) labelNames(r *http.Request) (answer, error) {
	return s.texts(r, func(q storage.Querier, m []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelNames(r.Context(), nil, m...)
	})
}

func (s *Store) labelValues(r *http.Request) (answer, error) {
	name := r.PathValue("name")
	if strings.HasPrefix(name, "U__") {
		name = model.UnescapeName(name, model.ValueEncodingEscaping)
	}
	if !model.UTF8Validation.IsValidLabelName(name) {
		return answer{}, badData(errors.New("invalid label name: " + strconv.Quote(name)))
	}
	return s.texts(r, func(q storage.Querier, m []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelValues(r.Context(), name, nil, m...)
	})
}

// texts answers with a sorted list that is looked up for each set of matchers.
// The limit is not handed down: the database would give any so many, not the
// first.
func (s *Store) texts(r *http.Request,
	look func(storage.Querier, []*labels.Matcher) ([]string, annotations.Annotations, error),
) (answer, error) {
	limit, err := limitParam(r)
	if err != nil {
		return answer{}, err
	}
	start, end, err := timeRange(r)
	if err != nil {
		return answer{}, err
	}
	sets, err := s.matchers(r)
	if err != nil {
		return answer{}, badData(err)
	}
	if len(sets) == 0 {
		sets = [][]*labels.Matcher{nil}
	}
	q, err := s.db.Querier(timestamp.FromTime(start), timestamp.FromTime(end))
	if err != nil {
		return answer{}, err
	}
	defer q.Close()
	var (
		found    []string
		warnings annotations.Annotations
	)
	for _, set := range sets {
		texts, warned, err := look(q, set)
		if err != nil {
			return answer{}, err
		}
		found = append(found, texts...)
		warnings.Merge(warned)
	}
	slices.Sort(found)
	found = slices.Compact(found)
	if limit > 0 && len(found) > limit {
		found = found[:limit]
		warnings = warnings.Add(errTruncated)
	}
	return answer{data: appendList(nil, found, appendString), warnings: warnings}, nil
}

// hintLimit asks for one more than is given, to see whether there is more.
func hintLimit(limit int) int {
	if limit > 0 {
		limit++
	}
	return limit
}

func (s *Store) series(r *http.Request) (answer, error) {
	if len(r.Form["match[]"]) == 0 {
		return answer{}, badData(errors.New("no match[] parameter provided"))
	}
	limit, err := limitParam(r)
	if err != nil {
		return answer{}, err
	}
	start, end, err := timeRange(r)
	if err != nil {
		return answer{}, err
	}
	sets, err := s.matchers(r)
	if err != nil {
		return answer{}, badParam("match[]", err)
	}
	q, err := s.db.Querier(timestamp.FromTime(start), timestamp.FromTime(end))
	if err != nil {
		return answer{}, err
	}
	defer q.Close()
	hints := &storage.SelectHints{
		Start: timestamp.FromTime(start),
		End:   timestamp.FromTime(end),
		Func:  "series", // samples are not asked for
		Limit: hintLimit(limit),
	}
	selected := make([]storage.SeriesSet, 0, len(sets))
	for _, set := range sets {
		selected = append(selected, q.Select(r.Context(), true, hints, set...))
	}
	all := selected[0]
	if len(selected) > 1 {
		all = storage.NewMergeSeriesSet(selected, 0, storage.ChainedSeriesMerge)
	}
	var (
		found    []labels.Labels
		warnings = all.Warnings()
	)
	for all.Next() {
		if err := r.Context().Err(); err != nil {
			return answer{}, err
		}
		if limit > 0 && len(found) == limit {
			warnings = warnings.Add(errTruncated)
			break
		}
		found = append(found, all.At().Labels())
	}
	if err := all.Err(); err != nil {
		return answer{}, err
	}
	return answer{data: appendList(nil, found, appendLabels), warnings: warnings}, nil
}

func (s *Store) metricMetadata(r *http.Request) (answer, error) {
	limits := [2]int{-1, -1}
	for i, name := range []string{"limit", "limit_per_metric"} {
		if v := r.FormValue(name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil {
				return answer{}, badData(errors.New(name + " must be a number"))
			}
			limits[i] = n
		}
	}
	out := make(map[string][]Metadata)
	var all []Metadata
	if list := s.metadata.Load(); list != nil {
		all = (*list)()
	}
	slices.SortStableFunc(all, func(a, b Metadata) int { return cmp.Compare(a.Metric, b.Metric) })
	metric := r.FormValue("metric")
	for _, m := range all {
		if metric != "" && m.Metric != metric {
			continue
		}
		got, ok := out[m.Metric]
		if !ok && limits[0] >= 0 && len(out) >= limits[0] || limits[1] > 0 && len(got) >= limits[1] {
			continue
		}
		out[m.Metric] = append(got, m)
	}
	return jsonAnswer(out)
}
