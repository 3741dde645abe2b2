package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// topOptions are the flags of `sidelight top` beyond those of tap.
type topOptions struct {
	tapOptions
	by, sort string
	every    time.Duration
	rounds   int
	rows     int
}

func topCommand() *cobra.Command {
	var (
		c    client
		out  output
		opts topOptions
	)
	cmd := &cobra.Command{
		Use:   "top [NAMESPACE/WORKLOAD]",
		Short: "Show what the requests are now, busiest first",
		Long: `Top counts live requests by route, edge, path or endpoint and shows the busiest
anew every second. It is made of tapped requests: while more match than --limit
lets through, rates are scaled up and marked with ~, and errors, which are kept
first, weigh more than they should. sidelight edges has exact rates.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.check(args); err != nil {
				return err
			}
			return runTop(cmd, &c, out, opts)
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&opts.where, "where", "w", "", "filter expression, as of sidelight tap; without one, requests as clients' sidecars saw them")
	flags.StringVar(&opts.by, "by", "route", "what is counted apart: route, edge, path or endpoint")
	flags.StringVar(&opts.sort, "sort", "rate", "what stands first: rate, errors or time")
	flags.IntVar(&opts.limit, "limit", 1000, "requests a second that are looked at, at most")
	flags.DurationVar(&opts.every, "every", time.Second, "how often the table is made anew")
	flags.DurationVar(&opts.duration, "duration", 0, "end after this time, at most an hour; 0 = at Ctrl-C")
	flags.IntVarP(&opts.rounds, "rounds", "n", 0, "end after so many tables; 0 = no limit")
	flags.IntVar(&opts.rows, "rows", 20, "rows of a table, at most")
	return cmd
}

func (o *topOptions) check(args []string) error {
	switch {
	case !slices.Contains([]string{"route", "edge", "path", "endpoint"}, o.by):
		return usageError{fmt.Errorf("--by %s: want route, edge, path or endpoint", o.by)}
	case !slices.Contains([]string{"rate", "errors", "time"}, o.sort):
		return usageError{fmt.Errorf("--sort %s: want rate, errors or time", o.sort)}
	case o.every < 100*time.Millisecond:
		return usageError{fmt.Errorf("--every %s: want at least 100ms", o.every)}
	case o.rounds < 0 || o.rows < 1:
		return usageError{fmt.Errorf("--rounds %d, --rows %d: want 0 or more rounds, and at least one row", o.rounds, o.rows)}
	}
	if o.where == "" {
		o.where = "direction = outbound" // else each request is counted by both of its sidecars
	}
	return o.tapOptions.check(args)
}

func runTop(cmd *cobra.Command, c *client, out output, opts topOptions) error {
	w := cmd.OutOrStdout()
	redraw := !out.json() && isTerminal(w)
	round := newTopRound(time.Now(), mesh.TapLedger{})
	shown := 0
	return followTap(cmd, c, opts.tapOptions, func(frame *tapFrame) (bool, error) {
		for i := range frame.Data.Events {
			round.add(&frame.Data.Events[i], opts.by)
		}
		now := time.Now()
		if now.Sub(round.begun) < opts.every {
			return false, nil
		}
		table := round.end(now, frame.Data.Ledger, opts.sort, opts.rows)
		round = newTopRound(now, frame.Data.Ledger)
		if redraw {
			fmt.Fprint(w, "\x1b[H\x1b[2J")
		}
		if out.json() {
			if err := out.writeJSON(w, table); err != nil {
				return true, err
			}
		} else if err := writeTop(w, table, frame.Data.Sidecars); err != nil {
			return true, err
		}
		shown++
		return shown == opts.rounds, nil
	})
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// topRound counts the requests of one table.
type topRound struct {
	begun  time.Time
	before mesh.TapLedger
	rows   map[[2]string]*topSum
}

type topSum struct {
	requests, errors, attempts int
	durations                  []float64 // ms
	last                       string
}

func newTopRound(now time.Time, before mesh.TapLedger) *topRound {
	return &topRound{begun: now, before: before, rows: map[[2]string]*topSum{}}
}

func (r *topRound) add(ev *mesh.TapEvent, by string) {
	key := [2]string{ends(*ev), ""}
	path, _, _ := strings.Cut(ev.Path, "?")
	switch by {
	case "route":
		key[1] = strings.TrimSpace(ev.Method + " " + cmp.Or(ev.Route, path))
	case "path":
		key[1] = strings.TrimSpace(ev.Method + " " + path)
	case "endpoint":
		if n := len(ev.Attempts); n > 0 {
			key[1] = ev.Attempts[n-1].Endpoint
		}
	}
	sum := r.rows[key]
	if sum == nil {
		sum = &topSum{}
		r.rows[key] = sum
	}
	sum.requests++
	sum.attempts += len(ev.Attempts)
	if ev.Protocol != mesh.TCP && (ev.Status == 0 || ev.Status >= 500) || ev.GRPCStatus != "" && ev.GRPCStatus != "0" {
		sum.errors++
		sum.last = statusName(*ev)
	} else if sum.last == "" {
		sum.last = statusName(*ev)
	}
	sum.durations = append(sum.durations, ev.DurationMS)
}

// topTable is one table, for people and as JSON.
type topTable struct {
	At      time.Time `json:"at"`
	Sampled bool      `json:"sampled"` // rates are scaled up
	RPS     float64   `json:"rps"`     // of all that matched
	Rows    []topRow  `json:"rows"`
	Left    int       `json:"left_out"` // rows over the limit
}

type topRow struct {
	Edge       string  `json:"edge"`
	Name       string  `json:"name"`
	RPS        float64 `json:"rps"`
	ErrorRatio float64 `json:"error_ratio"`
	Attempts   float64 `json:"attempts_per_request"`
	P50MS      float64 `json:"p50_ms"`
	P95MS      float64 `json:"p95_ms"`
	MaxMS      float64 `json:"max_ms"`
	Last       string  `json:"last"` // status of the newest failure, else of any
}

func (r *topRound) end(now time.Time, ledger mesh.TapLedger, by string, most int) topTable {
	seconds := now.Sub(r.begun).Seconds()
	matched, delivered := float64(ledger.Matched-r.before.Matched), float64(ledger.Delivered-r.before.Delivered)
	scale := 1.0
	if delivered > 0 && matched > delivered {
		scale = matched / delivered
	}
	t := topTable{At: now, Sampled: ledger.Lost() > r.before.Lost(), RPS: matched / seconds, Rows: []topRow{}}
	for key, sum := range r.rows {
		slices.Sort(sum.durations)
		at := func(q float64) float64 { return sum.durations[int(q*float64(len(sum.durations)-1)+0.5)] }
		n := float64(sum.requests)
		t.Rows = append(t.Rows, topRow{
			Edge: key[0], Name: key[1], RPS: n * scale / seconds, ErrorRatio: float64(sum.errors) / n, Attempts: float64(sum.attempts) / n,
			P50MS: at(0.5), P95MS: at(0.95), MaxMS: at(1), Last: sum.last,
		})
	}
	slices.SortFunc(t.Rows, func(a, b topRow) int {
		first := map[string]int{
			"rate": cmp.Compare(b.RPS, a.RPS), "errors": cmp.Compare(b.RPS*b.ErrorRatio, a.RPS*a.ErrorRatio), "time": cmp.Compare(b.P95MS, a.P95MS),
		}[by]
		return cmp.Or(first, cmp.Compare(b.RPS, a.RPS), strings.Compare(a.Edge+a.Name, b.Edge+b.Name))
	})
	t.Left = max(0, len(t.Rows)-most)
	t.Rows = t.Rows[:min(len(t.Rows), most)]
	return t
}

func writeTop(w io.Writer, t topTable, sidecars int) error {
	about := ""
	if t.Sampled {
		about = "~"
	}
	fmt.Fprintf(w, "%s  %s requests a second match, seen by %d sidecars", t.At.Local().Format("15:04:05"), perSecond(t.RPS), sidecars)
	if t.Sampled {
		fmt.Fprint(w, "; more than the limit, so rates are scaled up and errors weigh more")
	}
	fmt.Fprintln(w)
	out := newTable("FROM → TO", "WHAT", "RPS>", "ERRORS>", "TRIES>", "P50>", "P95>", "MAX>", "LAST")
	for _, r := range t.Rows {
		out.add(fit(printable(r.Edge), 48), fit(printable(r.Name), 34), about+perSecond(r.RPS), percentOf(r.ErrorRatio), strconv.FormatFloat(r.Attempts, 'f', 2, 64),
			millis(&r.P50MS), millis(&r.P95MS), millis(&r.MaxMS), printable(r.Last))
	}
	if err := out.write(w); err != nil {
		return err
	}
	if t.Left > 0 {
		fmt.Fprintf(w, "and %d more; --rows shows them\n", t.Left)
	}
	_, err := fmt.Fprintln(w)
	return err
}
