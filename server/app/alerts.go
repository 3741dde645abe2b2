package app

import (
	"cmp"
	"fmt"
	"time"

	"github.com/sidelight-mesh/sidelight/dashboards"
	"github.com/sidelight-mesh/sidelight/server/alert"
	"github.com/sidelight-mesh/sidelight/server/statefile"
)

// openAlerts makes the evaluation of rules, where there is a store.
func (a *App) openAlerts() error {
	o := a.opts.Alerts
	if o == nil {
		return nil
	}
	rules, err := dashboards.Rules()
	if err != nil {
		return fmt.Errorf("open alerts: %w", err)
	}
	a.alerts, err = alert.New(alert.Options{
		Engine: o.Engine, Builtin: rules, Files: o.Files, Every: o.Every,
		Alertmanagers: o.Alertmanagers, Webhooks: o.Webhooks,
		ExternalURL: cmp.Or(o.ExternalURL, "http://"+a.listeners.addrs().API),
		Explain:     a.explainAlert, State: statefile.At(subdir(a.opts.StateDir, "alerts"), "past.json"),
		Logger: a.opts.Logger.With("part", "alert"), Registerer: a.opts.Registerer,
	})
	if err != nil {
		return fmt.Errorf("open alerts: %w", err)
	}
	return nil
}

// explainAlert says what a node says now, which no metric can.
func (a *App) explainAlert(about *alert.About) string {
	if about.Kind != "node" {
		return ""
	}
	n, ok := a.tracker.Node(about.ID, time.Now())
	if !ok {
		return "the node is not known any more"
	}
	return fmt.Sprintf("%s: %s", n.State, n.Reason)
}
