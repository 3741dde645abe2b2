package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Options says how to run a demo.
type Options struct {
	Scenario Scenario
	Duration time.Duration // 0 = until ctx ends
	Port     int           // of the UI and API; 0 = the first free one from 8430 on
	Rate     float64       // visitors a second; default 20

	Program string // the sidelight binary
	Sidecar string // the sidelight-proxy binary; "" = Program with "proxy"

	// LoadStats is a file that the load generator adds its own counts to.
	LoadStats string

	Counts bool              // take a tap session, too, and give the counts of all at the end
	Ready  func(url string)  // called when the graph is live
	Say    func(text string) // one line about what goes on
	Logger *slog.Logger
}

// Times of the demo's life.
const (
	liveWithin = 90 * time.Second // until the graph must be whole
	stopWithin = 2500 * time.Millisecond
)

// Run plays the demo until its duration or ctx ends, and gives the counts that
// the server reached when opts.Counts asks for them. Whatever happens, when it
// returns no process of the demo runs and its folder is gone.
func Run(ctx context.Context, opts Options) (_ *Counts, err error) {
	if opts.Rate == 0 {
		opts.Rate = 20
	}
	begin := time.Now()
	d := &run{opts: opts, instances: append(cinema(), opts.Scenario.Adds...), ports: newPortSource()}
	if err := d.choosePorts(); err != nil {
		return nil, err
	}
	if err := d.makeFolder(); err != nil {
		return nil, err
	}
	d.group = newGroup(d.folder("logs"))
	defer func() {
		d.group.stop(stopWithin)
		err = errors.Join(err, removeFolder(d.dir), d.janitor.Close())
	}()
	if err := d.startAll(ctx); err != nil {
		return nil, err
	}
	if err := d.awaitLive(ctx); err != nil {
		return nil, err
	}
	opts.Say(fmt.Sprintf("graph is live after %.1f s", time.Since(begin).Seconds()))
	opts.Ready(d.url())
	return d.playOut(ctx)
}

type run struct {
	opts      Options
	instances []*Instance
	ports     *portSource
	dir       string
	group     *group
	janitor   io.Closer

	api, admin, grpc, grpcTLS, otlpGRPC, otlpHTTP int
	nobody                                        int // where nothing listens
}

func (d *run) url() string { return "http://" + loopback(d.api) }

func (d *run) folder(name string) string { return filepath.Join(d.dir, name) }

func (d *run) choosePorts() error {
	if err := d.chooseAPIPort(); err != nil {
		return err
	}
	for _, port := range []*int{&d.admin, &d.grpc, &d.grpcTLS, &d.otlpGRPC, &d.otlpHTTP, &d.nobody} {
		var err error
		if *port, err = d.ports.take(); err != nil {
			return err
		}
	}
	return d.ports.assign(d.instances)
}

// chooseAPIPort takes the port that was asked for or says who could be in the
// way; without a wish, the first free one from the default on.
func (d *run) chooseAPIPort() error {
	if d.opts.Port != 0 {
		if !portFree(d.opts.Port) {
			return fmt.Errorf("--port %d: something else listens there; choose another port, or leave the flag out to get a free one", d.opts.Port)
		}
		d.api = d.opts.Port
		return nil
	}
	const first, tries = 8430, 50
	for port := first; port < first+tries; port++ {
		if !portFree(port) {
			continue
		}
		if port != first {
			d.opts.Say(fmt.Sprintf("port %d is taken, using %d", first, port))
		}
		d.api = port
		return nil
	}
	return fmt.Errorf("no free port between %d and %d; name one with --port", first, first+tries-1)
}

// makeFolder makes the demo's one folder, writes the configuration, and starts
// the janitor, which removes the folder should this process be killed.
func (d *run) makeFolder() error {
	dir, err := os.MkdirTemp("", "sidelight-demo-")
	if err != nil {
		return fmt.Errorf("make the demo's folder: %w", err)
	}
	d.dir = dir
	if err := os.WriteFile(d.folder(marker), nil, 0o600); err != nil {
		return fmt.Errorf("make the demo's folder: %w", err)
	}
	for _, name := range []string{"config", "data", "logs", "state"} {
		if err := os.Mkdir(d.folder(name), 0o700); err != nil {
			return errors.Join(fmt.Errorf("make the demo's folder: %w", err), removeFolder(dir))
		}
	}
	if d.janitor, err = startJanitor(d.opts.Program, dir); err != nil {
		return errors.Join(err, removeFolder(dir))
	}
	return writeConfig(d.folder("config"), d.instances)
}

// startAll starts who is called before who calls: a sidecar that is not ready
// yet turns connections away. An application starts after its sidecar serves:
// what it called before would go nowhere.
func (d *run) startAll(ctx context.Context) error {
	if err := d.startServer(); err != nil {
		return err
	}
	for _, i := range d.instances {
		if i.Meshed {
			if err := d.makeToken(ctx, i); err != nil {
				return err
			}
			if err := d.startSidecar(i); err != nil {
				return err
			}
		}
	}
	if err := d.awaitSidecars(ctx, "the sidecars do not serve", "/healthz/serving"); err != nil {
		return err
	}
	if err := d.startApplications(false); err != nil {
		return err
	}
	if err := d.awaitSidecars(ctx, "the sidecars are not ready", "/healthz/ready"); err != nil {
		return err
	}
	return d.startApplications(true)
}

// startApplications starts those that are called, or those that only call.
func (d *run) startApplications(callers bool) error {
	for _, i := range d.instances {
		calls := i.Role == "load" || i.Role == "recommendations" || i.Role == "report-cron"
		if calls != callers {
			continue
		}
		if err := d.startApplication(i); err != nil {
			return err
		}
	}
	return nil
}

const serverName = "sidelight"

func (d *run) startServer() error {
	args := []string{
		"run",
		"--config-dir", d.folder("config"),
		"--data-dir", d.folder("data"),
		"--api", loopback(d.api),
		"--admin", loopback(d.admin),
		"--grpc", loopback(d.grpc),
		"--grpc-tls", loopback(d.grpcTLS),
		"--otlp-grpc", loopback(d.otlpGRPC),
		"--otlp-http", loopback(d.otlpHTTP),
		"--scrape-interval", "1s",
		"--mode-name", "demo",
		"--parent-pid", strconv.Itoa(os.Getpid()),
	}
	return d.group.start(serverName, d.opts.Program, append(args, d.opts.Scenario.Server...)...)
}

func (d *run) tokenFile(i *Instance) string {
	return filepath.Join(d.folder("state"), i.Name()+".token")
}

// makeToken gets a join token for an instance, as `sidelight token create` does.
func (d *run) makeToken(ctx context.Context, i *Instance) error {
	var token string
	err := d.await(ctx, "the server makes no join tokens", func(ctx context.Context) []string {
		var err error
		if token, err = createToken(ctx, d.url(), i.Namespace, i.App); err != nil {
			return []string{err.Error()}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeFile(d.tokenFile(i), token)
}

func (d *run) startSidecar(i *Instance) error {
	server := d.grpcTLS
	if i.NodeID() == d.opts.Scenario.Lost {
		server = d.nobody
	}
	args := []string{
		"--node-id", i.NodeID(),
		"--workload", i.Workload,
		"--namespace", i.Namespace,
		"--app-name", i.App,
		"--version", i.Version,
		"--service-account", i.App,
		"--server", "tls://" + loopback(server),
		"--join-token-file", d.tokenFile(i),
		"--collector", loopback(d.otlpGRPC),
		"--outbound", loopback(i.ports.outbound),
		"--admin", loopback(i.ports.admin),
		"--metrics", loopback(i.ports.metrics),
		"--health", loopback(i.ports.health),
		"--state-dir", filepath.Join(d.folder("state"), i.Name()),
		"--drain-time", "500ms",
		"--parent-pid", strconv.Itoa(os.Getpid()),
	}
	if i.Port != 0 {
		args = append(args, "--inbound", fmt.Sprintf("%s=%s/%s/%d", loopback(i.ports.inbound), loopback(i.ports.app), i.Proto, i.Port))
	}
	if i.TCPTo != "" {
		args = append(args, "--tcp-outbound", fmt.Sprintf("%s=%s:%d", loopback(i.ports.tcpOutbound), i.TCPTo, notificationsPort))
	}
	if fault := d.opts.Scenario.Faults[i.NodeID()]; fault != "" {
		args = append(args, "--fault", fault)
	}
	if d.opts.Sidecar == "" {
		return d.group.start(sidecarPrefix+i.Name(), d.opts.Program, append([]string{"proxy"}, args...)...)
	}
	return d.group.start(sidecarPrefix+i.Name(), d.opts.Sidecar, args...)
}

const sidecarPrefix = "sidecar-"

func (d *run) startApplication(i *Instance) error {
	args := []string{
		"demo", "service",
		"--role", i.Role,
		"--version", i.Version,
		"--listen", loopback(i.ports.app),
	}
	if i.Meshed {
		args = append(args, "--sidecar", loopback(i.ports.outbound))
	}
	if i.TCPTo != "" {
		args = append(args, "--tcp", loopback(i.ports.tcpOutbound))
	}
	if i.Name() == d.opts.Scenario.Broken {
		args = append(args, "--broken")
	}
	if i.Role == d.opts.Scenario.Phones {
		args = append(args, "--phone-home")
	}
	if i.Role == d.opts.Scenario.Loses {
		args = append(args, "--lose-trace")
	}
	switch i.Role {
	case "report-cron":
		args = append(args, "--direct", loopback(d.inboundOf("catalog-v1")))
	case "load":
		args = append(args, "--rate", strconv.FormatFloat(d.opts.Rate, 'f', -1, 64))
		if d.opts.LoadStats != "" {
			args = append(args, "--stats", d.opts.LoadStats)
		}
	}
	return d.group.start("app-"+i.Name(), d.opts.Program, args...)
}

func (d *run) inboundOf(workload string) int {
	for _, i := range d.instances {
		if i.Workload == workload {
			return i.ports.inbound
		}
	}
	panic("BUG: the cinema has no workload " + workload)
}

// bank is the port of the bank's process.
func (d *run) bank() int {
	for _, i := range d.instances {
		if i.Role == "bank" {
			return i.ports.app
		}
	}
	panic("BUG: the cinema has no bank")
}

// playOut plays the scenario until the end and then collects the counts.
func (d *run) playOut(ctx context.Context) (*Counts, error) {
	whole := ctx
	if d.opts.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.opts.Duration)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	played := make(chan error, 1)
	go func() { played <- d.opts.Scenario.play(ctx, d.take, d.opts.Say) }()
	tapped := make(chan error, 1)
	if d.opts.Counts {
		go func() { tapped <- watchTap(ctx, d.api) }()
	} else {
		close(tapped)
	}
	ended := d.awaitEnd(ctx)
	var counts *Counts
	if d.opts.Counts && ended == nil && whole.Err() == nil {
		counts, ended = fetchCounts(whole, d.url())
	}
	cancel()
	return counts, errors.Join(ended, <-played, <-tapped)
}

// take does what a step of the story says.
func (d *run) take(s Step) error {
	if s.File != "" {
		return writeFile(filepath.Join(d.folder("config"), s.File), strings.ReplaceAll(s.YAML, bankPort, strconv.Itoa(d.bank())))
	}
	if s.Stop != "" {
		d.group.stopOne(sidecarPrefix+s.Stop, stopWithin)
	}
	if s.Start != "" {
		return d.startSidecar(d.instance(s.Start))
	}
	return nil
}

func (d *run) instance(name string) *Instance {
	for _, i := range d.instances {
		if i.Name() == name {
			return i
		}
	}
	panic("BUG: the cinema has no instance " + name)
}

// awaitEnd waits for ctx, or for the server to end by itself. A sidecar or an
// application that ends is part of the show: a mesh lives on without it.
func (d *run) awaitEnd(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-d.group.ended:
			if e.child == serverName {
				return e.err
			}
			d.opts.Say(e.err.Error())
		}
	}
}
