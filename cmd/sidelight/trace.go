package main

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

func traceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "Search traces, or show one",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(traceSearchCommand(), traceGetCommand(), traceCompareCommand(), tracePropagationCommand())
	return cmd
}

func traceSearchCommand() *cobra.Command {
	var (
		c      client
		out    output
		text   = map[string]*string{}
		errors bool
		clean  bool
		limit  int
		min    time.Duration
		max    time.Duration
		since  time.Duration
		tags   []string
	)
	cmd := &cobra.Command{
		Use:   "search",
		Short: "List traces, newest first",
		Long: `Search lists traces, newest first:

  sidelight trace search --source booking/tickets --target booking/payments --errors
  sidelight trace search --service web --min 500ms`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			for name, value := range text {
				if *value != "" {
					query.Set(name, *value)
				}
			}
			if errors {
				query.Set("errors", "true")
			}
			if clean {
				query.Set("clean", "true")
			}
			if min > 0 {
				query.Set("min_ms", strconv.FormatFloat(float64(min)/1e6, 'f', -1, 64))
			}
			if max > 0 {
				query.Set("max_ms", strconv.FormatFloat(float64(max)/1e6, 'f', -1, 64))
			}
			if since > 0 {
				query.Set("from", time.Now().Add(-since).Format(time.RFC3339Nano))
			}
			for _, tag := range tags {
				query.Add("tag", tag)
			}
			var found traces.SearchResult
			if err := c.get(cmd.Context(), "/api/v1/traces", query, &found); err != nil {
				return err
			}
			if out.json() {
				return out.writeJSON(cmd.OutOrStdout(), found)
			}
			return writeSummaries(cmd.OutOrStdout(), found)
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	flags := cmd.Flags()
	for _, f := range [][2]string{
		{"service", "only traces with a span of this service"},
		{"operation", "… and of this operation"},
		{"workload", "only traces through NAMESPACE/WORKLOAD"},
		{"source", "client of an edge, NAMESPACE/WORKLOAD"},
		{"target", "server of an edge, NAMESPACE/WORKLOAD"},
		{"route", "name of the route taken"},
		{"status", "HTTP status: 503 or 5xx"},
		{"percentile", "only this part by duration: 95..100"},
	} {
		text[f[0]] = flags.String(f[0], "", f[1])
	}
	flags.BoolVar(&errors, "errors", false, "only traces with an error")
	flags.BoolVar(&clean, "clean", false, "only traces without one")
	flags.IntVarP(&limit, "limit", "n", 20, "how many")
	flags.DurationVar(&min, "min", 0, "only traces that took at least this long")
	flags.DurationVar(&max, "max", 0, "only traces that took at most this long")
	flags.DurationVar(&since, "since", 0, "only traces that began within this time")
	flags.StringArrayVar(&tags, "tag", nil, "span attribute KEY=VALUE; may be given more than once")
	return cmd
}

func writeSummaries(w io.Writer, found traces.SearchResult) error {
	if len(found.Traces) == 0 {
		_, err := fmt.Fprintln(w, "No trace matches. Widen the search, or check that sidecars send spans: `sidelight nodes`.")
		return err
	}
	t := newTable("TRACE", "BEGAN", "SERVICE", "OPERATION", "STATUS>", "DURATION>", "SPANS>", "ERRORS>", "THROUGH")
	for _, s := range found.Traces {
		names := make([]string, len(s.Services))
		for i, svc := range s.Services {
			names[i] = svc.Name
		}
		t.add(s.TraceID, s.Start.Local().Format("15:04:05.000"), printable(s.Service), fit(printable(s.Operation), 32),
			statusOrDash(s.Status), millis(&s.DurationMS), strconv.Itoa(s.Spans), strconv.Itoa(s.Errors), printable(strings.Join(names, " ")))
	}
	if err := t.write(w); err != nil {
		return err
	}
	if !found.Complete {
		_, err := fmt.Fprintf(w, "The search stopped after %d traces; there may be older ones. Narrow it, or give --since.\n", found.TotalScanned)
		return err
	}
	return nil
}

func statusOrDash(status int) string {
	if status == 0 {
		return "-"
	}
	return strconv.Itoa(status)
}

func traceGetCommand() *cobra.Command {
	var (
		c   client
		out output
	)
	cmd := &cobra.Command{
		Use:   "get TRACE-ID",
		Short: "Show one trace as a waterfall",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var tr traces.Trace
			if err := c.get(cmd.Context(), "/api/v1/traces/"+url.PathEscape(args[0]), nil, &tr); err != nil {
				return err
			}
			if out.json() {
				return out.writeJSON(cmd.OutOrStdout(), tr)
			}
			return writeWaterfall(cmd.OutOrStdout(), tr, out.wide())
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	return cmd
}

// waterfallWidth is how many cells the time axis has.
const waterfallWidth = 40

func writeWaterfall(w io.Writer, tr traces.Trace, wide bool) error {
	fmt.Fprintf(w, "trace %s, %s, %d spans, began %s\n", tr.TraceID, millis(&tr.DurationMS), len(tr.Spans), tr.Start.Local().Format("15:04:05.000"))
	for _, p := range tr.Problems {
		fmt.Fprintln(w, "  note:", printable(p))
	}
	fmt.Fprintln(w)
	t := newTable("SPAN", "BEGINS>", "TAKES>", "", "WHAT")
	total := max(tr.DurationMS*1000, 1)
	for _, s := range tr.Spans {
		begins, takes := float64(s.StartUS)/1000, float64(s.DurationUS)/1000
		name := strings.Repeat("  ", min(s.Depth, 20)) + s.Service + " " + s.Operation
		t.add(fit(printable(name), 48), millis(&begins), millis(&takes), bar(s, total, slices.Contains(tr.CriticalPath, s.SpanID)), spanNote(s))
		if !wide {
			continue
		}
		for _, a := range s.Attributes {
			t.add(strings.Repeat("  ", min(s.Depth, 20)+1)+fit(printable(a.Key+"="+a.Value), 90), "", "", "", "")
		}
	}
	if err := t.write(w); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "\n█ on the critical path  ░ beside it")
	return err
}

func bar(s traces.Span, totalUS float64, critical bool) string {
	from := int(float64(s.StartUS) / totalUS * waterfallWidth)
	from = max(0, min(from, waterfallWidth-1))
	length := int(float64(s.DurationUS)/totalUS*waterfallWidth + 0.5)
	length = max(1, min(length, waterfallWidth-from))
	cell := "░"
	if critical {
		cell = "█"
	}
	return "|" + strings.Repeat(" ", from) + strings.Repeat(cell, length) + strings.Repeat(" ", waterfallWidth-from-length) + "|"
}

// spanNote says what is worth saying beside a span: an error and who gave it.
func spanNote(s traces.Span) string {
	at := map[string]string{}
	for _, a := range s.Attributes {
		at[a.Key] = a.Value
	}
	var note []string
	if code := at["http.response.status_code"]; code != "" {
		note = append(note, code)
	}
	if flags := at["sidelight.flags"]; flags != "" && flags != "-" {
		note = append(note, flags)
	}
	if at["sidelight.answered_by"] == "proxy" {
		note = append(note, "by proxy", at["sidelight.details"])
	}
	if n := at["sidelight.attempts"]; n != "" && n != "1" && n != "0" {
		note = append(note, n+" attempts")
	}
	if s.Status == "error" && s.Message != "" {
		note = append(note, s.Message)
	}
	return printable(strings.Join(note, ", "))
}
