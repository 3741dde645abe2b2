package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/app"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
	"github.com/sidelight-mesh/sidelight/proxy/xds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// freePort gives an address that was free a moment ago, for static listeners.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// options are those of a sidecar before an app, all ports chosen by the system
// but those that the static configuration names.
func options(t *testing.T, h http.HandlerFunc) app.Options {
	t.Helper()
	backend := httptest.NewServer(h)
	t.Cleanup(backend.Close)
	appAddress := backend.Listener.Addr().String()
	outbound, inbound := freePort(t), freePort(t)
	everything := func(name, to string) *route.Table {
		table, err := route.New(route.Config{Name: name, VirtualHosts: []route.VirtualHost{{
			Name: "catalog", Domains: []string{"catalog.cinema.svc.cluster.local", "catalog", outbound, inbound},
			Routes: []route.Route{{
				Name: "all", Object: "VirtualService cinema/catalog",
				Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: to}}},
			}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	service := []mesh.Service{{Host: "catalog.cinema.svc.cluster.local", Namespace: "cinema", Name: "catalog"}}
	return app.Options{
		NodeID: "catalog-1", Workload: mesh.Workload{Namespace: "cinema", Name: "catalog", App: "catalog", Version: "v1"},
		Build: "test", Outbound: outbound, Sampling: 1, DrainTime: 2 * time.Second,
		Inbound: []xds.Inbound{{Address: inbound, App: appAddress, Protocol: mesh.HTTP, ServicePort: 8080}},
		Admin:   "127.0.0.1:0", Metrics: "127.0.0.1:0", Health: "127.0.0.1:0",
		Static: &forward.Snapshot{
			Revision: 5,
			Routes:   []*route.Table{everything("outbound", "catalog")},
			Listeners: []listen.Config{
				{Name: "outbound", Address: outbound, Direction: listen.Outbound, RouteName: "outbound"},
				{Name: "inbound", Address: inbound, Direction: listen.Inbound, Routes: everything("inbound", "app")},
			},
			Clusters: []cluster.Config{
				{Name: "catalog", Services: service, Endpoints: []cluster.Endpoint{{Address: inbound}}},
				{Name: "app", Services: service, Endpoints: []cluster.Endpoint{{Address: appAddress}}},
			},
		},
	}
}

// start runs a sidecar until the test ends, or stop is called.
func start(t *testing.T, o app.Options) (*app.App, func() error) {
	t.Helper()
	a, err := app.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stopped := false
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(10 * time.Second):
			t.Fatal("the sidecar does not stop")
			return nil
		}
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("run: %v", err)
		}
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	eventually(t, "ready", func() bool { return status(get(t, "http://"+a.Addrs().Health+"/healthz/ready")) == 200 })
	return a, stop
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 300 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never %s", what)
}

func get(t *testing.T, url string, kv ...string) *http.Response {
	t.Helper()
	return send(t, "GET", url, kv...)
}

func send(t *testing.T, method, url string, kv ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(kv); i += 2 {
		if kv[i] == "Host" {
			req.Host = kv[i+1]
		}
		req.Header.Set(kv[i], kv[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return &http.Response{Status: err.Error(), Body: http.NoBody}
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(b))
	return res
}

func status(r *http.Response) int { return r.StatusCode }

func text(r *http.Response) string {
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

func hello(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }

func TestServes(t *testing.T) {
	a, _ := start(t, options(t, hello))
	for range 3 {
		if got := text(get(t, "http://"+a.Addrs().Outbound, "Host", "catalog")); got != "hello" {
			t.Fatalf("got %q", got)
		}
	}
	for _, path := range []string{"/metrics", "/stats/prometheus"} {
		m := text(get(t, "http://"+a.Addrs().Metrics+path))
		for _, want := range []string{
			`istio_requests_total{connection_security_policy="none"`, `istio_requests_total{connection_security_policy="unknown"`,
			`destination_workload="catalog"`, `source_workload="catalog"`, `istio_build{component="proxy",tag="test"} 1`,
			`sidelight_node_info{build="test",namespace="cinema",node="catalog-1",revision="5",workload="catalog"} 1`,
			`sidelight_responses_total`, `response_code_details="via_upstream"`, "go_goroutines", "process_resident_memory_bytes",
			"sidelight_downstream_connections_accepted_total",
		} {
			if !strings.Contains(m, want) {
				t.Errorf("%s has no %s", path, want)
			}
		}
	}
	if ct := get(t, "http://"+a.Addrs().Metrics+"/metrics", "Accept", "application/openmetrics-text;version=1.0.0").Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/openmetrics-text") {
		t.Errorf("OpenMetrics gives %s", ct)
	}
	if enc := get(t, "http://"+a.Addrs().Metrics+"/metrics", "Accept-Encoding", "gzip, zstd").Header.Get("Content-Encoding"); enc != "" {
		t.Errorf("the metrics are compressed by %s: that costs more memory than all else that lives in a sidecar", enc)
	}
	res := get(t, "http://"+a.Addrs().Metrics+"/metrics", "Accept", string(expfmt.NewFormat(expfmt.TypeProtoDelim)))
	dec := expfmt.NewDecoder(res.Body, expfmt.ResponseFormat(res.Header))
	native := false
	for {
		var f dto.MetricFamily
		if err := dec.Decode(&f); err != nil {
			break
		}
		if f.GetName() == mesh.MetricDuration {
			h := f.GetMetric()[0].GetHistogram()
			native = h.GetSchema() == 3 && len(h.GetPositiveSpan()) > 0 && h.GetSampleCount() == 3
		}
	}
	if !native {
		t.Error("the protobuf scrape has no native histogram")
	}
}

func TestReadiness(t *testing.T) {
	o := options(t, hello)
	o.Inbound[0].App = freePort(t) // an app that is not there yet
	a, err := app.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	defer func() {
		cancel()
		<-done
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	}()
	base := "http://" + a.Addrs().Health
	eventually(t, "live", func() bool { return status(get(t, base+"/healthz/live")) == 200 })
	if r := get(t, base+"/healthz/ready"); status(r) != 503 || !strings.Contains(text(r), o.Inbound[0].App) {
		t.Errorf("ready without its app: %d", status(r))
	}
	ln, err := net.Listen("tcp", o.Inbound[0].App)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if r := get(t, base+"/healthz/ready"); status(r) != 200 {
		t.Errorf("not ready with its app: %s", text(r))
	}
}

func TestAdmin(t *testing.T) {
	o := options(t, hello)
	o.Level = new(slog.LevelVar)
	a, _ := start(t, o)
	get(t, "http://"+a.Addrs().Outbound, "Host", "catalog")
	base := "http://" + a.Addrs().Admin
	var dump struct {
		Revision  uint64
		Listeners []struct{ Name, Routes string }
		Routes    []struct {
			VirtualHosts []struct{ Routes []struct{ Object string } } `json:"virtual_hosts"`
		}
		Clusters []struct {
			Name      string
			Endpoints []struct{ Address string }
		}
	}
	if err := json.Unmarshal([]byte(text(get(t, base+"/running"))), &dump); err != nil {
		t.Fatal(err)
	}
	if dump.Revision != 5 || len(dump.Listeners) != 2 || len(dump.Clusters) != 2 || dump.Routes[0].VirtualHosts[0].Routes[0].Object != "VirtualService cinema/catalog" {
		t.Errorf("dump %+v", dump)
	}
	if got := text(get(t, base+"/config_dump")); !strings.Contains(got, "envoy.admin.v3.BootstrapConfigDump") {
		t.Errorf("config_dump:\n%s", got)
	}
	if got := text(get(t, base+"/clusters?format=json")); !strings.Contains(got, `"name": "app"`) || !strings.Contains(got, `"eds_health_status": "HEALTHY"`) {
		t.Errorf("clusters as JSON:\n%s", got)
	}
	if got := text(get(t, base+"/listeners?format=json")); !strings.Contains(got, `"name": "inbound"`) {
		t.Errorf("listeners as JSON:\n%s", got)
	}
	if got := text(get(t, base+"/stats?format=json&usedonly&filter=^istio_requests_total")); strings.Count(got, `"name"`) != 2 {
		t.Errorf("filtered stats:\n%s", got)
	}
	if got := text(get(t, base+"/stats?format=prometheus")); !strings.Contains(got, "# TYPE istio_requests_total counter") {
		t.Errorf("stats for Prometheus:\n%.300s", got)
	}
	if got := text(get(t, base+"/ready")); got != "LIVE\n" {
		t.Errorf("ready %q", got)
	}
	if got := text(get(t, base+"/clusters")); !strings.Contains(got, "app::"+o.Inbound[0].App+"::health_flags::healthy") {
		t.Errorf("clusters:\n%s", got)
	}
	if got := text(get(t, base+"/stats")); !strings.Contains(got, "istio_requests_total{") {
		t.Errorf("stats:\n%.300s", got)
	}
	if got := text(get(t, base+"/server_info")); !strings.Contains(got, `"state": "LIVE"`) {
		t.Errorf("server_info %s", got)
	}
	for _, tt := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/logging?level=debug", 405},
		{"POST", "/logging?level=loud", 400},
		{"POST", "/logging?level=debug", 200},
		{"GET", "/quitquitquit", 405},
		{"GET", "/drain", 405},
		{"POST", "/logging?paths=http:debug", 400},
		{"POST", "/logging?level=warning", 200},
		{"POST", "/logging?level=debug", 200},
		{"GET", "/nothing", 404},
		{"POST", "/heapprofiler?enable=y", 501},
		{"GET", "/runtime", 501},
		{"GET", "/clusters?format=xml", 400},
		{"GET", "/stats?format=prometheus&filter=x", 400},
		{"GET", "/stats?histogram_buckets=detailed", 400},
		{"GET", "/config_dump?mask=x", 400},
		{"GET", "/certs", 200},
	} {
		if got := status(send(t, tt.method, base+tt.path)); got != tt.want {
			t.Errorf("%s %s: got %d, want %d", tt.method, tt.path, got, tt.want)
		}
	}
	conn, err := grpc.NewClient(a.Addrs().Admin, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reply := &emptypb.Empty{} // what is in it is proxy/xds's business; the fields are unknown ones here
	if err := conn.Invoke(t.Context(), "/envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus", &emptypb.Empty{}, reply); err != nil || len(reply.ProtoReflect().GetUnknown()) == 0 {
		t.Errorf("CSDS: %v", err)
	}
	if o.Level.Level() != slog.LevelDebug {
		t.Errorf("level %s", o.Level.Level())
	}
	if got := status(get(t, base+"/config_dump", "Host", "evil.example")); got != 403 {
		t.Errorf("another name got %d", got)
	}
}

func TestDrainFinishesWhatIsUnderWay(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	o := options(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		io.WriteString(w, "finished")
	})
	a, stop := start(t, o)
	answer := make(chan string, 1)
	go func() { answer <- text(get(t, "http://"+a.Addrs().Outbound, "Host", "catalog")) }()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	eventually(t, "not ready", func() bool { return status(get(t, "http://"+a.Addrs().Health+"/healthz/ready")) == 503 })
	close(release)
	if got := <-answer; got != "finished" {
		t.Errorf("got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestQuit(t *testing.T) {
	a, err := app.New(options(t, hello))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(context.Background()) }()
	admin := "http://" + a.Addrs().Admin
	eventually(t, "up", func() bool { return status(get(t, admin+"/")) == 200 })
	if got := status(send(t, "POST", admin+"/drain")); got != 200 {
		t.Errorf("drain: %d", got)
	}
	if got := status(get(t, "http://"+a.Addrs().Outbound, "Host", "catalog")); got != 0 {
		t.Errorf("a drained sidecar answers %d", got)
	}
	send(t, "POST", admin+"/quitquitquit")
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("still running")
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestGarbageOnEveryPort(t *testing.T) {
	o := options(t, hello)
	a, _ := start(t, o)
	addrs := a.Addrs()
	for _, address := range []string{addrs.Outbound, addrs.Inbound[0], addrs.Admin, addrs.Metrics, addrs.Health} {
		for _, garbage := range []string{"\x00\x01\x02\xff", "GET\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\xff\xff\xff\xff\xff\xff\xff", strings.Repeat("A", 200_000)} {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatalf("%s: %v", address, err)
			}
			io.WriteString(c, garbage)
			c.Close()
		}
	}
	if got := text(get(t, "http://"+addrs.Outbound, "Host", "catalog")); got != "hello" {
		t.Errorf("got %q", got)
	}
	for _, url := range []string{"http://" + addrs.Metrics + "/metrics", "http://" + addrs.Health + "/healthz/live", "http://" + addrs.Admin + "/"} {
		if got := status(get(t, url)); got != 200 {
			t.Errorf("%s: %d", url, got)
		}
	}
}

func TestNewNamesTheFlag(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	used := taken.Addr().String()
	tests := []struct {
		name string
		set  func(*app.Options)
		want string
	}{
		{"node", func(o *app.Options) { o.NodeID = "" }, "--node-id"},
		{"workload", func(o *app.Options) { o.Workload.Name = "" }, "--workload"},
		{"namespace", func(o *app.Options) { o.Workload.Namespace = "" }, "--namespace"},
		{"server", func(o *app.Options) { o.Static = nil }, "--server"},
		{"sampling", func(o *app.Options) { o.Sampling = 2 }, "--sampling"},
		{"drain", func(o *app.Options) { o.DrainTime = -1 }, "--drain-time"},
		{"no port", func(o *app.Options) { o.Outbound = "localhost" }, "--outbound"},
		{"bad port", func(o *app.Options) { o.Metrics = "127.0.0.1:http" }, "--metrics"},
		{"collector", func(o *app.Options) { o.Collector = "x" }, "--collector"},
		{"collector over TLS", func(o *app.Options) { o.Collector = "https://x" }, "--collector"},
		{"roots for a plain collector", func(o *app.Options) { o.Collector, o.CollectorRoots = "127.0.0.1:4317", "roots.pem" }, "--collector-roots-file: is for TLS: write --collector https://HOST:PORT"},
		{"metrics over TLS by nobody", func(o *app.Options) { o.MetricsTLS = true }, "--metrics-tls: needs a certificate"},
		{"no roots", func(o *app.Options) { o.Collector, o.CollectorRoots = "https://127.0.0.1:4317", "/nonexistent" }, "--collector-roots-file"},
		{"open admin", func(o *app.Options) { o.Admin = "0.0.0.0:0" }, "--admin"},
		{"outbound in use", func(o *app.Options) { o.Outbound = used }, "--outbound: listen on " + used + ": the port is in use"},
		{"inbound in use", func(o *app.Options) { o.Inbound[0].Address = used }, "--inbound: listen on " + used},
		{"tcp in use", func(o *app.Options) { o.TCPOutbound = []xds.TCPOutbound{{Address: used, Host: "h", Port: 1}} }, "--tcp-outbound"},
		{"metrics in use", func(o *app.Options) { o.Metrics = used }, "--metrics: listen on " + used},
		{"health in use", func(o *app.Options) { o.Health = used }, "--health"},
		{"admin in use", func(o *app.Options) { o.Admin = used }, "--admin"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t, hello)
			tt.set(&o)
			_, err := app.New(o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestLeavesWithItsParent(t *testing.T) {
	parent := exec.Command("sleep", "60")
	if err := parent.Start(); err != nil {
		t.Skipf("no process to watch: %v", err)
	}
	o := options(t, hello)
	o.ParentPID = parent.Process.Pid
	a, err := app.New(o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(context.Background()) }()
	eventually(t, "live", func() bool { return status(get(t, "http://"+a.Addrs().Health+"/healthz/live")) == 200 })
	parent.Process.Kill()
	parent.Wait()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
		t.Fatal("it outlives its parent")
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestWithoutControlPlaneAndCollector(t *testing.T) {
	o := options(t, hello)
	o.Servers, o.Collector = []string{freePort(t)}, freePort(t)
	a, stop := start(t, o)
	begin := time.Now()
	for range 20 {
		if got := text(get(t, "http://"+a.Addrs().Outbound, "Host", "catalog")); got != "hello" {
			t.Fatalf("got %q", got)
		}
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("20 requests took %s", took)
	}
	begin = time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("stopping took %s", took)
	}
}

// A token from the environment is not told by --help.
func TestHelpKeepsTheToken(t *testing.T) {
	t.Setenv("SIDELIGHT_JOIN_TOKEN", "sl1.secret")
	cmd := app.Command("test")
	if token := cmd.Flags().Lookup("join-token").Value.String(); token != "sl1.secret" {
		t.Errorf("the token is %q", token)
	}
	if help := cmd.UsageString(); strings.Contains(help, "sl1.secret") {
		t.Errorf("--help tells the token:\n%s", help)
	}
}

func TestCommand(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"--bogus", "unknown flag: --bogus"},
		{"extra", "unknown command"},
		{"--node-id a --workload w --inbound 127.0.0.1:1", "--inbound"},
		{"--node-id a --workload w --inbound 127.0.0.1:1=127.0.0.1:2/udp", `protocol "udp"`},
		{"--node-id a --workload w --inbound 127.0.0.1:1=127.0.0.1:2/http/x", "service port"},
		{"--node-id a --workload w --tcp-outbound 127.0.0.1:1", "--tcp-outbound"},
		{"--node-id a --workload w --fault maybe", "--fault"},
		{"--node-id a --workload w --fault nack=[", "--fault"},
		{"--node-id a --workload w --log-level loud", "--log-level"},
		{"--node-id a --workload w --xds-protocol push", "--xds-protocol"},
		{"--node-id a --workload w --xds-protocol rest --pull-interval 10ms", "--pull-interval"},
		{"--node-id a --workload w --access-log /nonexistent/dir/log", "--access-log"},
		{"--node-id a --workload w --drain-time soon", "--drain-time"},
		{"--workload w", "--node-id"},
	} {
		cmd := app.Command("test")
		cmd.SetArgs(strings.Fields(tt.args))
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // what is not refused would run on
		err := cmd.ExecuteContext(ctx)
		cancel()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.args, err, tt.want)
		}
	}
}
