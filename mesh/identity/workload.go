package identity

import (
	"context"
	"log/slog"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// WorkloadAPI takes certificates from a SPIFFE Workload API, as SPIRE's agent
// serves it on a socket.
type WorkloadAPI struct {
	Address string // "unix:///run/spire/agent.sock"
	Logger  *slog.Logger
}

// Run implements Provider. The client connects again by itself.
func (w *WorkloadAPI) Run(ctx context.Context, into *Source) {
	watcher := &workloadWatcher{log: w.Logger, into: into, remedy: w.remedy()}
	for sleep(ctx, 0) {
		err := workloadapi.WatchX509Context(ctx, watcher, workloadapi.WithAddr(w.Address))
		if ctx.Err() != nil {
			return
		}
		into.Fail(NoAgent, w.remedy(), err)
		w.Logger.Warn("SPIFFE Workload API", "address", w.Address, "error", err, "retry_in", lastRetry)
		if !sleep(ctx, lastRetry) {
			return
		}
	}
}

func (w *WorkloadAPI) remedy() string {
	return "check that the SPIFFE agent runs at " + w.Address + ", and that this workload is registered with it"
}

type workloadWatcher struct {
	log    *slog.Logger
	into   *Source
	remedy string
}

// OnX509ContextUpdate takes the default identity of the workload.
func (w *workloadWatcher) OnX509ContextUpdate(update *workloadapi.X509Context) {
	svid := update.DefaultSVID()
	bundle, err := update.Bundles.GetX509BundleForTrustDomain(svid.ID.TrustDomain())
	if err == nil {
		var c *Certificate
		if c, err = NewCertificate(svid, bundle, time.Now()); err == nil {
			w.into.Set(c)
			w.log.Info("certificate", "principal", c.Principal(), "serial", c.Serial(), "valid_until", c.NotAfter())
			return
		}
	}
	w.into.Fail(NoAgent, w.remedy, err)
	w.log.Warn("certificate of the SPIFFE Workload API is not used", "error", err)
}

// OnX509ContextWatchError is told of each lost connection.
func (w *workloadWatcher) OnX509ContextWatchError(err error) {
	w.into.Fail(NoAgent, w.remedy, err)
	w.log.Warn("SPIFFE Workload API", "error", err, "valid_until", validUntil(w.into))
}
