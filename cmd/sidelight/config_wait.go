package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/api"
)

// errRefusedByNodes ends a wait that waiting cannot end well: exit code 5.
var errRefusedByNodes = errors.New("refused")

func configWaitCommand() *cobra.Command {
	var (
		c        client
		out      output
		files    []string
		objects  []string
		revision uint64
		share    string
	)
	cmd := &cobra.Command{
		Use:   "wait -f FILE | --object KIND/NAMESPACE/NAME | --revision N",
		Short: "Wait until nodes really run objects or a revision",
		Long: `Wait ends when the objects are in effect in just this form and enough of the
connected nodes that need them run what they became. Nodes that are not connected
are counted apart: they take what they lack when they come back.

  sidelight config wait -f catalog.yaml --timeout 30s
  sidelight config wait --object VirtualService/cinema/catalog --for 95%
  sidelight config wait --revision 42

Exit codes: 0 reached; 1 not in time, with who lacks it and why; 5 refused: by the
server's rules, or by so many nodes that waiting does not help.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			percent, err := strconv.Atoi(strings.TrimSuffix(share, "%"))
			if err != nil || percent < 1 || percent > 100 {
				return usageError{fmt.Errorf("--for %s: want a share like 95%%", share)}
			}
			w := waiting{client: &c, query: url.Values{"for": {strconv.Itoa(percent)}}, method: http.MethodGet}
			switch {
			case len(files) > 0 && len(objects) == 0 && revision == 0:
				input, err := readManifest(files, cmd.InOrStdin())
				if err != nil {
					return err
				}
				w.method, w.body, w.input = http.MethodPost, input.yaml, input
			case len(objects) > 0 && len(files) == 0 && revision == 0:
				w.query.Set("object", strings.Join(objects, ","))
			case revision > 0 && len(files) == 0 && len(objects) == 0:
				w.query.Set("revision", strconv.FormatUint(revision, 10))
			default:
				return usageError{errors.New("say what to wait for: -f FILE, --object KIND/NAMESPACE/NAME or --revision N")}
			}
			limit := 30 * time.Second
			if cmd.Flags().Changed("timeout") {
				limit = c.timeout
			}
			c.timeout = longPoll + 10*time.Second
			answer, err := w.until(cmd.Context(), cmd.ErrOrStderr(), time.Now().Add(limit))
			if err != nil {
				return err
			}
			if out.json() {
				if err := out.writeJSON(cmd.OutOrStdout(), answer); err != nil {
					return err
				}
			} else {
				writeRollout(cmd.OutOrStdout(), answer)
			}
			return verdict(answer, percent, limit)
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	flags := cmd.Flags()
	flags.StringArrayVarP(&files, "filename", "f", nil, "file, folder, or - for standard input; may be given more than once")
	flags.StringArrayVar(&objects, "object", nil, "an object, as VirtualService/cinema/catalog; may be given more than once")
	flags.Uint64Var(&revision, "revision", 0, "a revision")
	flags.StringVar(&share, "for", "100%", "share of the connected nodes that need it")
	flags.Lookup("timeout").Usage = "how long to wait"
	flags.Lookup("timeout").DefValue = "30s"
	return cmd
}

// longPoll is how long one request lets the server wait.
const longPoll = 10 * time.Second

// waiting asks again and again, a little longer than a moment each time.
type waiting struct {
	*client
	method string
	query  url.Values
	body   []byte
	input  *manifest
}

func (w *waiting) until(ctx context.Context, stderr io.Writer, end time.Time) (api.Rollout, error) {
	for {
		left := max(time.Until(end), 0)
		w.query.Set("timeout", min(left, longPoll).Round(time.Millisecond).String())
		var answer api.Rollout
		err := w.do(ctx, w.method, "/api/v1/config/wait", w.query, w.body, &answer)
		if invalid := (problemsError{}); errors.As(err, &invalid) {
			_ = explained(stderr, err, w.input)
			return answer, fmt.Errorf("the objects are not valid: %w", errRefusedByNodes)
		}
		if err != nil || answer.Reached || answer.Refused || time.Until(end) <= 0 {
			return answer, err
		}
	}
}

func verdict(a api.Rollout, percent int, limit time.Duration) error {
	switch {
	case a.Reached:
		return nil
	case a.Refused:
		return fmt.Errorf("nodes refuse it, so that %d%% cannot be reached: %w", percent, errRefusedByNodes)
	}
	for _, o := range a.Objects {
		if !o.InEffect {
			return fmt.Errorf("%s %s/%s is not in effect after %s: %w", o.Kind, o.Namespace, o.Name, limit, mesh.ErrConflict)
		}
	}
	return fmt.Errorf("%d of %d nodes run it after %s", a.Have, a.Need, limit)
}

func writeRollout(w io.Writer, a api.Rollout) {
	for _, o := range a.Objects {
		if o.InEffect {
			fmt.Fprintf(w, "%s %s/%s is in effect since revision %d\n", o.Kind, printable(o.Namespace), printable(o.Name), o.Revision)
		} else {
			fmt.Fprintf(w, "%s %s/%s: %s\n", o.Kind, printable(o.Namespace), printable(o.Name), printable(o.Why))
		}
	}
	switch {
	case a.Need == 0 && len(a.Objects) > 0:
		fmt.Fprintln(w, "no connected node needs it")
	default:
		fmt.Fprintf(w, "%d of %d connected nodes that need it run it\n", a.Have, a.Need)
	}
	if a.NotWaited > 0 {
		fmt.Fprintf(w, "%d more need it and are not connected: not waited for\n", a.NotWaited)
	}
	if len(a.Lacking) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := newTable("NODE", "STATE", "LACKS", "WHY")
	for _, n := range a.Lacking {
		lacks := strings.Join(n.Resources, ", ")
		if len(n.Resources) > 2 {
			lacks = fmt.Sprintf("%s and %d more", n.Resources[0], len(n.Resources)-1)
		}
		t.add(printable(n.ID), string(n.State), printable(lacks), printable(n.Reason))
	}
	_ = t.write(w)
}
