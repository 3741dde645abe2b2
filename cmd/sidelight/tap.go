package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/expr"
)

// tapOptions are the flags of `sidelight tap`.
type tapOptions struct {
	workload string // the one asked for; "" for all
	where    string
	limit    int
	headers  bool
	duration time.Duration
	count    int
}

func tapCommand() *cobra.Command {
	var (
		c    client
		out  output
		opts tapOptions
	)
	cmd := &cobra.Command{
		Use:   "tap [NAMESPACE/WORKLOAD]",
		Short: "Show live requests as the sidecars see them end",
		Long: `Tap shows live requests. The filter is decided in the sidecars when the response
ends, so it can speak of the response, too:

  sidelight tap booking/tickets --where 'status >= 500 or duration > 400ms'

Both sidecars of a request report it: SEEN BY says which of them this line is
from. Credentials are redacted and query values hashed. At the end it says what
was matched, shown and lost.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.check(args); err != nil {
				return err
			}
			return runTap(cmd, &c, out, opts)
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&opts.where, "where", "w", "", "filter expression; all traffic without it")
	flags.IntVar(&opts.limit, "limit", 50, "requests a second at most, over all sidecars")
	flags.BoolVar(&opts.headers, "headers", false, "show headers, redacted (with -o json)")
	flags.DurationVar(&opts.duration, "duration", 0, "end after this time, at most an hour; 0 = at Ctrl-C")
	flags.IntVarP(&opts.count, "count", "n", 0, "end after so many requests; 0 = no limit")
	cmd.AddCommand(tapSessionsCommand(), tapStopCommand())
	return cmd
}

// check says what cannot be meant, and takes over the workload.
func (o *tapOptions) check(args []string) error {
	switch {
	case o.count < 0:
		return usageError{fmt.Errorf("--count %d: want a number of requests, or 0 for no limit", o.count)}
	case o.limit < 1:
		return usageError{fmt.Errorf("--limit %d: want at least 1 request a second", o.limit)}
	case o.duration < 0 || o.duration > longestTap:
		return usageError{fmt.Errorf("--duration %s: want a time of at most %s, or 0 to end at Ctrl-C", o.duration, longestTap)}
	}
	if len(args) == 1 {
		namespace, name, ok := strings.Cut(args[0], "/")
		if !ok || namespace == "" || name == "" {
			return usageError{fmt.Errorf("%q is not NAMESPACE/WORKLOAD; sidelight stat lists them", args[0])}
		}
		o.workload = args[0]
		o.where = narrow(args[0], o.where)
	}
	if _, err := expr.Parse(o.where, expr.TapSchema()); err != nil {
		return usageError{fmt.Errorf("--where %s: %w", o.where, err)}
	}
	return nil
}

// narrow restricts a filter to what goes out of or into one workload.
func narrow(workload, where string) string {
	side := fmt.Sprintf("(from = %q or to = %q)", workload, workload)
	if where == "" {
		return side
	}
	return side + " and (" + where + ")"
}

// tapFrame is one message of the live socket, as far as tap needs it.
type tapFrame struct {
	Type string `json:"type"`
	Data struct {
		Events   []mesh.TapEvent `json:"events"`
		Ledger   mesh.TapLedger  `json:"ledger"`
		Sidecars int             `json:"sidecars"`
	} `json:"data"`
	Reason string `json:"reason"`
	Error  struct {
		Message string `json:"message"`
		Hint    string `json:"hint"`
	} `json:"error"`
}

func runTap(cmd *cobra.Command, c *client, out output, opts tapOptions) error {
	printer := tapPrinter{w: cmd.OutOrStdout(), json: out.json(), wide: out.wide()}
	shown := 0
	var last *tapFrame
	err := followTap(cmd, c, opts, func(frame *tapFrame) (bool, error) {
		last = frame
		for _, ev := range frame.Data.Events {
			if err := printer.print(ev); err != nil {
				return true, err
			}
			if shown++; shown == opts.count {
				return true, nil
			}
		}
		return false, nil
	})
	if !out.json() && last != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), ledgerLine(last.Data.Ledger, last.Data.Sidecars))
	}
	return err
}

// longestTap is how long a session may live; then the server ends it.
const longestTap = time.Hour

// session is what the server is asked for. It ends with the connection, so it
// may live for as long as there may be one.
func (o *tapOptions) session() map[string]any {
	return map[string]any{"filter": o.where, "limit_per_s": o.limit, "headers": o.headers, "ttl_s": longestTap.Seconds()}
}

// followTap opens a session and gives what comes to take, until it is done, the
// time is over, or the stream ends.
func followTap(cmd *cobra.Command, c *client, opts tapOptions, take func(*tapFrame) (done bool, err error)) error {
	ctx := cmd.Context()
	if opts.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, opts.duration)
		defer cancel()
	}
	conn, err := c.live(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	hangUp := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer hangUp()
	err = conn.WriteJSON(map[string]any{"op": "subscribe", "id": "tap", "channel": "tap", "params": opts.session()})
	if err != nil {
		return fmt.Errorf("start the tap: %w", err)
	}
	warnUnknown(cmd, c, opts.workload)
	err = readTap(conn, take)
	if ctx.Err() != nil {
		err = nil
	}
	return err
}

// warnUnknown says when nobody knows the workload that is tapped: it may yet
// start, or its name may be wrong.
func warnUnknown(cmd *cobra.Command, c *client, workload string) {
	if workload == "" {
		return
	}
	var known struct {
		Items []struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"items"`
	}
	if err := c.get(cmd.Context(), "/api/v1/workloads", nil, &known); err != nil {
		return // the tap itself says what is wrong
	}
	for _, w := range known.Items {
		if w.Namespace+"/"+w.Name == workload {
			return
		}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "no workload %s is known now; waiting for it (sidelight stat lists those that are)\n", workload)
}

// readTap gives each frame that carries a ledger to take.
func readTap(conn *websocket.Conn, take func(*tapFrame) (done bool, err error)) error {
	for {
		var frame tapFrame
		if err := conn.ReadJSON(&frame); err != nil {
			return fmt.Errorf("the stream ended: %w: %w", mesh.ErrUnavailable, err)
		}
		switch frame.Type {
		case "error":
			return errors.New(strings.TrimSuffix(frame.Error.Message+"; "+midSentence(frame.Error.Hint), "; "))
		case "end":
			return fmt.Errorf("the session ended: %s", frame.Reason)
		case "event":
			if done, err := take(&frame); done || err != nil {
				return err
			}
		}
	}
}

type tapPrinter struct {
	w          io.Writer
	json, wide bool
	begun      bool
}

func (p *tapPrinter) print(ev mesh.TapEvent) error {
	if p.json {
		return json.NewEncoder(p.w).Encode(ev)
	}
	if !p.begun {
		p.begun = true
		fmt.Fprintf(p.w, "%-12s  %-7s  %-42s  %-34s  %-8s  %-26s  %3s  %8s  %s\n", "TIME", "SEEN BY", "FROM → TO", "REQUEST", "STATUS", "ANSWERED BY", "TRY", "TIME", "TRACE")
	}
	who := ev.AnsweredBy
	if why := mesh.WhyAnswered(ev.Flags, ev.Details, ev.Object); why != "" && ev.AnsweredBy == mesh.AnsweredByProxy {
		who += ": " + why
	}
	_, err := fmt.Fprintf(p.w, "%-12s  %-7s  %-42s  %-34s  %-8s  %-26s  %3d  %8s  %s\n",
		ev.At.Local().Format("15:04:05.000"), sideName(ev),
		fit(printable(ends(ev)), 42),
		fit(printable(requestName(ev)), 34),
		statusName(ev), fit(who, 26), len(ev.Attempts), millis(&ev.DurationMS), ev.TraceID)
	if err != nil || !p.wide {
		return err
	}
	for i, a := range ev.Attempts {
		if _, err := fmt.Fprintf(p.w, "              attempt %d  %s  %s  at +%s for %s%s  %s\n",
			i+1, a.Endpoint, dash(a.Workload), millis(&a.StartMS), millis(&a.DurationMS), attemptWaits(a), attemptResult(a)); err != nil {
			return err
		}
	}
	return nil
}

// sideName says whose sidecar saw the request, as `sidelight edges` does.
func sideName(ev mesh.TapEvent) string {
	if ev.Direction == "inbound" {
		return "server"
	}
	return "client"
}

// attemptWaits tells what a try spent before it was sent, where one would look
// for it.
func attemptWaits(a mesh.Attempt) string {
	var waits []string
	if a.QueueMS >= 0.05 {
		waits = append(waits, "queued "+millis(&a.QueueMS))
	}
	if a.ConnectMS >= 0.05 {
		waits = append(waits, "connected in "+millis(&a.ConnectMS))
	}
	if len(waits) == 0 {
		return ""
	}
	return " (" + strings.Join(waits, ", ") + ")"
}

func attemptResult(a mesh.Attempt) string {
	if a.Status == 0 {
		return printable(a.Flags + " " + a.Reason)
	}
	return printable(fmt.Sprintf("%d %s", a.Status, a.Reason))
}

// ends says who called whom. A caller without a sidecar is unknown; where no
// workload was reached it is the service that was meant.
func ends(ev mesh.TapEvent) string {
	from, to := mesh.Unknown, dash(ev.Service.Host)
	if !ev.Source.IsUnknown() {
		from = ev.Source.ID()
	}
	if !ev.Destination.IsUnknown() {
		to = ev.Destination.ID()
	}
	return from + " → " + to
}

func requestName(ev mesh.TapEvent) string {
	if ev.Protocol == mesh.TCP {
		return "TCP"
	}
	return ev.Method + " " + ev.Path
}

func statusName(ev mesh.TapEvent) string {
	s := fmt.Sprint(ev.Status)
	if ev.Protocol == mesh.TCP {
		s = "closed"
	}
	if ev.GRPCStatus != "" {
		s = "grpc " + ev.GRPCStatus
	}
	if ev.Flags != "-" && ev.Flags != "" {
		s += " " + firstFlag(ev.Flags)
	}
	return s
}

func firstFlag(flags string) string {
	first, _, _ := strings.Cut(flags, ",")
	return first
}

// fit cuts the middle out of a text that is too long: ends tell names apart.
func fit(s string, width int) string {
	runes := []rune(s)
	if len(runes) <= width {
		return s
	}
	head := (width - 1) / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(width-1-head):])
}

func ledgerLine(l mesh.TapLedger, sidecars int) string {
	return fmt.Sprintf("%d sidecars: matched %d = shown %d + over the limit %d + dropped at sidecars %d + at the server %d + on the socket %d",
		sidecars, l.Matched, l.Delivered, l.SampledOut, l.DroppedSidecar, l.DroppedServer, l.DroppedSocket)
}
