package main

import (
	"fmt"
	"io"
	"math"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/server/trace"
)

func traceCompareCommand() *cobra.Command {
	var (
		c     client
		out   output
		limit int
	)
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Say what differs between two traces or two groups of them",
		Long: `Compare tells what differs between two traces or two groups of them: which
operation takes the time, and which endpoint, version, revision or attribute one
side has and the other has not. A side is a trace's ID or the parameters of a
search:

  sidelight trace compare 'service=web&percentile=0..50' 'service=web&percentile=95..100'`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{"a": {args[0]}, "b": {args[1]}, "limit": {strconv.Itoa(limit)}}
			var found trace.Comparison
			if err := c.get(cmd.Context(), "/api/v1/traces/compare", query, &found); err != nil {
				return err
			}
			if out.json() {
				return out.writeJSON(cmd.OutOrStdout(), found)
			}
			return writeComparison(cmd.OutOrStdout(), found, out.wide())
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	cmd.Flags().IntVar(&limit, "limit", 100, "how many traces of a group are read, at most")
	return cmd
}

// comparedRows is how many rows of each table are shown unless all are wanted.
const comparedRows = 12

func writeComparison(w io.Writer, c trace.Comparison, wide bool) error {
	fmt.Fprintf(w, "%s.\n\n", printable(c.Finding))
	t := newTable("", "TRACES>", "FAILED>", "MEAN>", "P50>", "P95>")
	for _, side := range []struct {
		name string
		g    trace.Group
	}{{"A", c.A}, {"B", c.B}} {
		t.add(side.name, strconv.Itoa(side.g.Traces), strconv.Itoa(side.g.Failed), millis(&side.g.MeanMS), millis(&side.g.P50MS), millis(&side.g.P95MS))
	}
	if err := t.write(w); err != nil {
		return err
	}
	operations, values := c.Operations, c.Values
	if !wide {
		operations, values = operations[:min(len(operations), comparedRows)], values[:min(len(values), comparedRows)]
	}
	if len(operations) > 0 {
		fmt.Fprintln(w, "\nOwn time a trace, by operation")
		t = newTable("SERVICE", "OPERATION", "KIND", "A>", "B>", "B-A>", "SPANS A>", "SPANS B>", "ERRORS A>", "ERRORS B>")
		for _, o := range operations {
			t.add(printable(o.Service), fit(printable(o.Operation), 32), o.Kind, millis(&o.A.OwnMS), millis(&o.B.OwnMS), signed(o.DeltaMS),
				short(o.A.SpansPerTrace), short(o.B.SpansPerTrace), percentOf(o.A.ErrorRatio), percentOf(o.B.ErrorRatio))
		}
		if err := t.write(w); err != nil {
			return err
		}
	}
	if len(values) == 0 {
		_, err := fmt.Fprintln(w, "\nNo attribute, endpoint, version or revision tells the two apart.")
		return err
	}
	fmt.Fprintln(w, "\nTraces that have it")
	t = newTable("SERVICE", "KEY", "VALUE", "A>", "B>")
	for _, v := range values {
		t.add(printable(v.Service), printable(v.Key), fit(printable(v.Value), 48), percentOf(v.ARatio), percentOf(v.BRatio))
	}
	return t.write(w)
}

func signed(ms float64) string {
	if ms < 0 {
		ms = -ms
		return "-" + millis(&ms)
	}
	return "+" + millis(&ms)
}

func short(n float64) string { return strconv.FormatFloat(math.Round(n*100)/100, 'f', -1, 64) }

func percentOf(ratio float64) string { return strconv.FormatFloat(100*ratio, 'f', 0, 64) + "%" }
