package main

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
	"github.com/sidelight-mesh/sidelight/server/alert"
	serverapp "github.com/sidelight-mesh/sidelight/server/app"
)

// alertFlags say which rules a process evaluates and who is told.
type alertFlags struct {
	every                          time.Duration
	files, alertmanagers, webhooks []string
	externalURL                    string
}

func (a *alertFlags) bind(flags *pflag.FlagSet) {
	flags.DurationVar(&a.every, "rules-interval", 5*time.Second, "how often alerting and recording rules are evaluated that do not say")
	flags.StringSliceVar(&a.files, "rules", nil, "files of further rules, in Prometheus' format; may hold *")
	flags.StringSliceVar(&a.alertmanagers, "alertmanager", nil, "base URLs of Alertmanagers that are told of alerts")
	flags.StringSliceVar(&a.webhooks, "alert-webhook", nil, "URLs that alerts are posted to, in the form of Alertmanager's webhooks")
	flags.StringVar(&a.externalURL, "external-url", "", "URL of the UI as others reach it, for links in notifications")
}

// validate says what cannot be meant, naming the flag.
func (a *alertFlags) validate() error {
	if a.every < time.Second {
		return usageError{fmt.Errorf("--rules-interval %s: want at least 1s", a.every)}
	}
	for flag, list := range map[string][]string{"alertmanager": a.alertmanagers, "alert-webhook": a.webhooks, "external-url": {cmp.Or(a.externalURL, "http://x")}} {
		for _, text := range list {
			if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
				return usageError{fmt.Errorf("--%s: want a URL like http://127.0.0.1:9093", flag)}
			}
		}
	}
	return nil
}

func (a *alertFlags) options(store *metrics.Store) *serverapp.Alerts {
	return &serverapp.Alerts{
		Engine: store.Rules, Every: a.every, Files: a.files, Alertmanagers: a.alertmanagers, Webhooks: a.webhooks, ExternalURL: a.externalURL,
	}
}

func alertsCommand() *cobra.Command {
	var (
		c     client
		out   output
		check bool
		past  bool
	)
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "Show what fires, and what fired",
		Long: `Alerts shows the alerts that fire or are about to, of the rules that come with
Sidelight and of --rules: worst first, with what is known of their cause now.

With --check the exit code is 1 when any alert fires.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var view alert.View
			if err := c.get(cmd.Context(), "/api/v1/alerts", nil, &view); err != nil {
				return err
			}
			var err error
			if out.json() {
				err = out.writeJSON(cmd.OutOrStdout(), view)
			} else {
				err = writeAlerts(cmd.OutOrStdout(), view, past, out.wide())
			}
			if err == nil && check && view.Counts.Firing > 0 {
				err = fmt.Errorf("%d alerts fire, %d of them critical", view.Counts.Firing, view.Counts.Critical)
			}
			return err
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	cmd.Flags().BoolVar(&check, "check", false, "exit with 1 when an alert fires")
	cmd.Flags().BoolVar(&past, "past", false, "show those that are over, too")
	return cmd
}

func writeAlerts(w io.Writer, v alert.View, past, wide bool) error {
	fmt.Fprintf(w, "%d firing (%d critical), %d pending; %d rules\n", v.Counts.Firing, v.Counts.Critical, v.Counts.Pending, len(v.Rules))
	for _, p := range v.Problems {
		fmt.Fprintf(w, "problem: %s\n", printable(p))
	}
	for _, r := range v.Receivers {
		if r.Error != "" || r.Dropped > 0 {
			fmt.Fprintf(w, "%s %s: %d sent, %d waiting, %d dropped: %s\n", r.Kind, printable(r.Name), r.Sent, r.Waiting, r.Dropped, printable(r.Error))
		}
	}
	list := v.Alerts
	if past {
		list = append(list, v.Past...)
	}
	if len(list) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	head := []string{"STATE", "SEVERITY", "FOR>", "ABOUT", "WHAT", "KNOWN NOW"}
	if wide {
		head = append(head, "RULE", "VALUE>", "SINCE")
	}
	t := newTable(head...)
	for _, a := range list {
		about, end := "", v.At
		if a.About != nil {
			about = a.About.Kind + " " + a.About.ID
		}
		if !a.ResolvedAt.IsZero() {
			end = a.ResolvedAt
		}
		row := []string{a.State, dash(a.Severity), age(end.Sub(a.ActiveAt).Seconds()), dash(printable(about)), printable(a.Summary), dash(printable(a.Detail))}
		if wide {
			row = append(row, a.Rule, fmt.Sprintf("%.4g", a.Value), a.ActiveAt.Local().Format("2006-01-02 15:04:05"))
		}
		t.add(row...)
	}
	if err := t.write(w); err != nil {
		return err
	}
	writeAdvice(w, v.Alerts)
	return nil
}

// writeAdvice says what each rule that speaks means and where to read on: once,
// however many alerts it has.
func writeAdvice(w io.Writer, alerts []alert.Alert) {
	said := map[string]bool{}
	for _, a := range alerts {
		if said[a.Rule] || a.Description == "" {
			continue
		}
		said[a.Rule] = true
		fmt.Fprintf(w, "\n%s: %s\n", printable(a.Rule), printable(a.Description))
		if a.Runbook != "" {
			fmt.Fprintf(w, "  see %s\n", printable(a.Runbook))
		}
	}
}
