package metrics

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// The Prometheus API's JSON for query results, written by hand: values are
// strings, so that infinities and NaN survive, times are seconds with at most
// three decimals, and a range result has far too many of both for reflection.

func appendResult(b []byte, v parser.Value) []byte {
	b = append(b, `{"resultType":"`...)
	b = append(b, v.Type()...)
	b = append(b, `","result":`...)
	switch v := v.(type) {
	case promql.Vector:
		b = appendList(b, v, appendSample)
	case promql.Matrix:
		b = appendList(b, v, appendSeries)
	case promql.Scalar:
		b = appendPoint(b, v.T, v.V)
	case promql.String:
		b = appendTime(append(b, '['), v.T)
		b = append(appendString(append(b, ','), v.V), ']')
	}
	return append(b, '}')
}

func appendList[T any](b []byte, list []T, one func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = one(b, v)
	}
	return append(b, ']')
}

func appendSample(b []byte, s promql.Sample) []byte {
	b = appendLabels(append(b, `{"metric":`...), s.Metric)
	if s.H != nil {
		b = appendHistogramPoint(append(b, `,"histogram":`...), promql.HPoint{T: s.T, H: s.H})
	} else {
		b = appendPoint(append(b, `,"value":`...), s.T, s.F)
	}
	return append(b, '}')
}

func appendSeries(b []byte, s promql.Series) []byte {
	b = appendLabels(append(b, `{"metric":`...), s.Metric)
	if len(s.Floats) > 0 {
		b = appendList(append(b, `,"values":`...), s.Floats, func(b []byte, p promql.FPoint) []byte {
			return appendPoint(b, p.T, p.F)
		})
	}
	if len(s.Histograms) > 0 {
		b = appendList(append(b, `,"histograms":`...), s.Histograms, appendHistogramPoint)
	}
	return append(b, '}')
}

func appendPoint(b []byte, t int64, v float64) []byte {
	b = appendTime(append(b, '['), t)
	return append(appendFloat(append(b, ','), v), ']')
}

func appendHistogramPoint(b []byte, p promql.HPoint) []byte {
	b = appendTime(append(b, '['), p.T)
	return append(appendHistogram(append(b, ','), p.H), ']')
}

// appendHistogram tells of each bucket which of its bounds belong to it: 0 the
// upper, 1 the lower, 2 neither, 3 both.
func appendHistogram(b []byte, h *histogram.FloatHistogram) []byte {
	b = appendFloat(append(b, `{"count":`...), h.Count)
	b = appendFloat(append(b, `,"sum":`...), h.Sum)
	sep := `,"buckets":[`
	for it := h.AllBucketIterator(); it.Next(); {
		bucket := it.At()
		if bucket.Count == 0 {
			continue
		}
		bounds := byte('2')
		switch {
		case bucket.LowerInclusive && bucket.UpperInclusive:
			bounds = '3'
		case bucket.LowerInclusive:
			bounds = '1'
		case bucket.UpperInclusive:
			bounds = '0'
		}
		b = append(append(b, sep...), '[', bounds)
		for _, v := range []float64{bucket.Lower, bucket.Upper, bucket.Count} {
			b = appendFloat(append(b, ','), v)
		}
		b = append(b, ']')
		sep = ","
	}
	if sep == "," {
		b = append(b, ']')
	}
	return append(b, '}')
}

func appendLabels(b []byte, ls labels.Labels) []byte {
	b = append(b, '{')
	first := true
	ls.Range(func(l labels.Label) {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendString(append(appendString(b, l.Name), ':'), l.Value)
	})
	return append(b, '}')
}

func appendTime(b []byte, ms int64) []byte {
	if ms < 0 {
		b, ms = append(b, '-'), -ms
	}
	b = strconv.AppendInt(b, ms/1000, 10)
	rest := ms % 1000
	if rest == 0 {
		return b
	}
	b = append(b, '.')
	for _, unit := range []int64{100, 10, 1} {
		b = append(b, byte('0'+rest/unit%10))
	}
	return b
}

// appendFloat writes very large and very small values with an exponent, as
// JavaScript does.
func appendFloat(b []byte, v float64) []byte {
	form := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		form = 'e'
	}
	b = strconv.AppendFloat(append(b, '"'), v, form, -1, 64)
	return append(b, '"')
}

func appendString(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic("BUG: a string has no JSON: " + err.Error())
	}
	return append(b, text...)
}
