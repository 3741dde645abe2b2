package metrics

import (
	"errors"
	"net/http"
	"slices"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql/parser"
)

// exemplars lists the exemplars of all series that an expression reads.
func (s *Store) exemplars(r *http.Request) (answer, error) {
	start, err := timeParam(r, "start", minTime())
	if err != nil {
		return answer{}, err
	}
	end, err := timeParam(r, "end", maxTime())
	if err != nil {
		return answer{}, err
	}
	if end.Before(start) {
		return answer{}, badData(errors.New("end timestamp must not be before start timestamp"))
	}
	expr, err := s.parser.ParseExpr(r.FormValue("query"))
	if err != nil {
		return answer{}, badData(err)
	}
	selectors := parser.ExtractSelectors(expr)
	if len(selectors) == 0 {
		return answer{data: []byte("[]")}, nil
	}
	q, err := s.db.ExemplarQuerier(r.Context())
	if err != nil {
		return answer{}, err
	}
	found, err := q.Select(timestamp.FromTime(start), timestamp.FromTime(end), selectors...)
	if err != nil {
		return answer{}, err
	}
	// The store gives them by no order that lasts.
	slices.SortFunc(found, func(a, b exemplar.QueryResult) int { return labels.Compare(a.SeriesLabels, b.SeriesLabels) })
	return answer{data: appendList(nil, found, appendExemplars)}, nil
}

func appendExemplars(b []byte, r exemplar.QueryResult) []byte {
	b = appendLabels(append(b, `{"seriesLabels":`...), r.SeriesLabels)
	b = appendList(append(b, `,"exemplars":`...), r.Exemplars, func(b []byte, e exemplar.Exemplar) []byte {
		b = appendLabels(append(b, `{"labels":`...), e.Labels)
		b = appendFloat(append(b, `,"value":`...), e.Value)
		return append(appendTime(append(b, `,"timestamp":`...), e.Ts), '}')
	})
	return append(b, '}')
}
