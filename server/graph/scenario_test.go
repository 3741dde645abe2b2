package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/expr"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

var update = flag.Bool("update", false, "write the views into testdata")

// day is second 0 of all scenarios.
var day = time.Date(2026, 11, 3, 3, 0, 0, 0, time.UTC)

// after is a moment of a scenario.
func after(s float64) time.Time { return day.Add(time.Duration(math.Round(s * float64(time.Second)))) }

// TestScenarios plays testdata/*.txtar. The first file of each, "mesh", says
// what happens, a line each; times are seconds, rates are per second:
//
//	service HOST NAMESPACE/NAME [external] [workloads=ID,ID]
//	workload ID [app=A] [version=V] [meshed] [gateway] [config=STATE:REVISION:BEHIND] [reason=TEXT]
//	split HOST ID=WEIGHT ...
//	mirror HOST ID ...
//	objective HOST [tolerance=5xx=1%,5%] [latency=p95<300ms] [availability=99.9%]
//	ejected NODE CALLER HOST ENDPOINTS [subset=S]
//	breaker NODE CALLER HOST LIMIT [subset=S]
//	limit [edges=N] [outcomes=N] [buckets=N]
//	target ADDRESS ID every=1 offset=0.3 [from=0] [to=60] [down=40-50]
//	traffic FROM-TO ADDRESS source|destination ID > ID HOST PROTOCOL [mtls] ANSWER=RATE ... [latency=MS] [attempts=RATE] ...
//	forget AT ADDRESS
//	view NAME at=SECONDS [group=G] [window=30] [ns=A,B] [find=EXPR]
//	sketch NAME at=SECONDS … [max=N] [expand=ID,ID] [focus=ID] [hops=N] [services] [hide=EXPR] [filter=EXPR]
//	timeline NAME at=SECONDS window=60
//	stats NAME at=SECONDS
//
// Where the time of day was set, until=SECONDS says up to when scrapes have come,
// and at what the time of day is then. Scenarios that begin with samples have
// their scrapes in the file "batches", which collector/scrape makes of them.
// A sketch is a view in short: a line for each node and edge.
//
// ANSWER is CODE[/FLAGS[/upstream|proxy[/DETAILS[/OBJECT]]]], gRPC CODE as
// 200:14. Each view or timeline is the archive's file of that name.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := readScenario(t, string(archive.Files[0].Data))
			got := &txtar.Archive{Comment: archive.Comment}
			for _, f := range archive.Files { // what is not an answer
				if !slices.ContainsFunc(s.asks, func(q ask) bool { return q.name == f.Name }) {
					got.Files = append(got.Files, f)
				}
				if f.Name == "batches" {
					s.batches = readBatches(t, string(f.Data))
				}
			}
			for _, q := range s.asks {
				got.Files = append(got.Files, txtar.File{Name: q.name, Data: s.play(t, q)})
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(got))); d != "" {
				t.Errorf("%s differs (-want +got); -update writes it:\n%s", file, d)
			}
		})
	}
}

type scenario struct {
	options Options
	facts   Facts
	batches []scrapedAt // instead of targets and flows
	targets []*scenarioTarget
	flows   []flow
	forgets map[string]float64
	asks    []ask
}

type scenarioTarget struct {
	address            string
	workload           mesh.Workload
	every, offset      float64
	from, to           float64
	downFrom, downTill float64
	last               float64
}

// flow is steady traffic that one target counts.
type flow struct {
	from, to float64
	target   string
	rates    mesh.EdgeDelta // per second
}

// scrapedAt is a batch and when it came.
type scrapedAt struct {
	at    float64
	batch mesh.EdgeBatch
}

// readBatches reads "1m30s {…}", a line each.
func readBatches(t *testing.T, text string) []scrapedAt {
	t.Helper()
	var out []scrapedAt
	for line := range strings.Lines(text) {
		when, message, _ := strings.Cut(line, " ")
		at, err := time.ParseDuration(when)
		var b meshv1.EdgeBatch
		if err = errors.Join(err, protojson.Unmarshal([]byte(message), &b)); err != nil {
			t.Fatalf("batch %q: %v", line, err)
		}
		out = append(out, scrapedAt{at.Seconds(), b.Mesh()})
	}
	return out
}

type ask struct {
	name     string
	at       float64
	until    float64 // scrapes have come
	stats    bool
	query    Query
	short    bool
	timeline time.Duration
}

func readScenario(t *testing.T, text string) *scenario {
	t.Helper()
	s := &scenario{forgets: map[string]float64{}}
	s.facts.Services, s.facts.Workloads = map[string]ServiceFacts{}, map[string]WorkloadFacts{}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := s.read(words); err != nil {
			t.Fatalf("line %d: %q: %v", i+1, line, err)
		}
	}
	return s
}

func (s *scenario) read(w []string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	opt := options(w)
	switch w[0] {
	case "service":
		ns, name, _ := strings.Cut(w[2], "/")
		f := ServiceFacts{Service: mesh.Service{Host: w[1], Namespace: ns, Name: name}, External: slices.Contains(w, "external")}
		if ids := opt["workloads"]; ids != "" {
			f.Workloads = strings.Split(ids, ",")
		}
		s.facts.Services[w[1]] = f
	case "workload":
		f := WorkloadFacts{Workload: workloadOf(w[1]), Meshed: slices.Contains(w, "meshed"), ConfigReason: strings.ReplaceAll(opt["reason"], "_", " ")}
		f.Workload.App, f.Workload.Version, f.Gateway = opt["app"], opt["version"], slices.Contains(w, "gateway")
		if c := strings.Split(opt["config"], ":"); len(c) == 3 {
			f.Config = &ConfigState{State: c[0], Revision: uint64(float(c[1])), Behind: int(float(c[2])), Nodes: 1}
			f.ConfigSince = day
		}
		s.facts.Workloads[w[1]] = f
	case "split":
		split := Split{Host: w[1]}
		for id, weight := range options(w) {
			split.Shares = append(split.Shares, Share{Workloads: []string{id}, Weight: float(weight)})
		}
		s.facts.Splits = append(s.facts.Splits, split)
	case "mirror":
		s.facts.Mirrors = append(s.facts.Mirrors, Mirror{Host: w[1], Workloads: w[2:]})
	case "objective":
		return s.objective(w[1], opt)
	case "ejected":
		s.facts.Outliers = append(s.facts.Outliers, Outlier{Node: w[1], Caller: w[2], Host: w[3], Ejected: int(float(w[4])), Subset: opt["subset"]})
	case "breaker":
		s.facts.Outliers = append(s.facts.Outliers, Outlier{Node: w[1], Caller: w[2], Host: w[3], Breaker: w[4], Subset: opt["subset"]})
	case "limit":
		for name, into := range map[string]*int{"edges": &s.options.MaxEdges, "outcomes": &s.options.MaxOutcomes, "buckets": &s.options.MaxBuckets} {
			if opt[name] != "" {
				*into = int(float(opt[name]))
			}
		}
	case "proxy": // collector/scrape reads it
	case "target":
		t := &scenarioTarget{address: w[1], workload: workloadOf(w[2]), every: float(opt["every"]), offset: float(opt["offset"]), to: math.Inf(1)}
		if opt["from"] != "" {
			t.from = float(opt["from"])
		}
		if opt["to"] != "" {
			t.to = float(opt["to"])
		}
		t.downFrom, t.downTill = pairOf(opt["down"])
		s.targets = append(s.targets, t)
	case "traffic":
		s.flows = append(s.flows, flowOf(w, opt))
	case "forget":
		s.forgets[w[2]] = float(w[1])
	case "view", "sketch", "timeline", "stats":
		q := ask{name: w[1], at: float(opt["at"]), short: w[0] == "sketch", stats: w[0] == "stats"}
		q.until = q.at
		if opt["until"] != "" {
			q.until = float(opt["until"])
		}
		q.query.Group = Group(opt["group"])
		if opt["window"] != "" {
			q.query.Window = time.Duration(float(opt["window"]) * float64(time.Second))
		}
		if opt["ns"] != "" {
			q.query.Namespaces = strings.Split(opt["ns"], ",")
		}
		if w[0] == "timeline" {
			q.timeline = q.query.Window
		}
		if find := opt["find"]; find != "" {
			q.query.Find, err = ParseFind(strings.ReplaceAll(find, "_", " "))
		}
		err = errors.Join(err, shapeOf(&q.query, w, opt))
		s.asks = append(s.asks, q)
	default:
		return fmt.Errorf("no such statement")
	}
	return err
}

func (s *scenario) objective(host string, opt map[string]string) (err error) {
	o := Objective{Host: host, Object: "ServiceEntry " + host}
	if text := opt["tolerance"]; text != "" {
		o.Tolerances, err = ParseTolerances(text)
	}
	if text := opt["latency"]; text != "" {
		var wrong error
		o.Quantile, o.LatencyMS, wrong = ParseLatency(text)
		err = errors.Join(err, wrong)
	}
	if text := opt["availability"]; text != "" {
		var wrong error
		o.Availability, wrong = ParseAvailability(text)
		err = errors.Join(err, wrong)
	}
	if s.facts.Objectives == nil {
		s.facts.Objectives = map[string]Objective{}
	}
	s.facts.Objectives[host] = o
	return err
}

// shapeOf reads what a sketch asks for beyond a plain view.
func shapeOf(q *Query, w []string, opt map[string]string) (err error) {
	if opt["max"] != "" {
		q.Most = int(float(opt["max"]))
	}
	if opt["expand"] != "" {
		q.Expand = strings.Split(opt["expand"], ",")
	}
	if opt["hops"] != "" {
		q.Hops = int(float(opt["hops"]))
	}
	q.Focus, q.ServiceNodes = opt["focus"], slices.Contains(w, "services")
	for name, into := range map[string]**expr.Expr{"hide": &q.Hide, "filter": &q.Filter} {
		if opt[name] != "" {
			*into, err = ParseFind(strings.ReplaceAll(opt[name], "_", " "))
		}
	}
	return err
}

func options(words []string) map[string]string {
	out := map[string]string{}
	for _, w := range words {
		if k, v, ok := strings.Cut(w, "="); ok {
			out[k] = v
		}
	}
	return out
}

func float(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return f
}

func pairOf(s string) (float64, float64) {
	a, b, ok := strings.Cut(s, "-")
	if !ok {
		return math.Inf(1), math.Inf(1)
	}
	return float(a), float(b)
}

func workloadOf(id string) mesh.Workload {
	ns, name, ok := strings.Cut(id, "/")
	if !ok {
		return mesh.Workload{}
	}
	cluster := ""
	if rest, last, three := strings.Cut(name, "/"); three {
		cluster, ns, name = ns, rest, last
	}
	w := mesh.Workload{Cluster: cluster, Namespace: ns, Name: name, App: name}
	if app, version, ok := strings.Cut(name, "-v"); ok {
		w.App, w.Version = app, "v"+version
	}
	return w
}

func flowOf(w []string, opt map[string]string) flow {
	f := flow{target: w[2]}
	f.from, f.to = pairOf(w[1])
	d := &f.rates
	d.Key = mesh.EdgeKey{Reporter: mesh.Reporter(w[3]), Source: workloadOf(w[4]), Target: workloadOf(w[6]), Protocol: mesh.Protocol(w[8]), Security: "unknown"}
	if host := w[7]; host != "-" {
		d.Key.Service = mesh.Service{Host: host}
		if parts := strings.Split(host, "."); len(parts) > 2 && parts[2] == "svc" {
			d.Key.Service.Name, d.Key.Service.Namespace = parts[0], parts[1]
		}
	}
	if d.Key.Reporter == mesh.FromDestination {
		d.Key.Security = "none"
	}
	if slices.Contains(w, "mtls") {
		d.Key.Security = "mutual_tls"
	}
	d.Requests, d.Responses = map[mesh.Outcome]float64{}, map[mesh.Outcome]float64{}
	plain := map[string]*float64{
		"attempts": &d.Attempts, "conns": &d.NewConnections, "opened": &d.TCPOpened, "closed": &d.TCPClosed,
		"sent": &d.SentBytes, "received": &d.ReceivedBytes, "active": &d.ActiveConnections,
	}
	for k, v := range opt {
		switch field := plain[k]; {
		case field != nil:
			*field = float(v)
		case k == "latency":
			ms := float(v)
			d.Latency = mesh.Histogram{Buckets: []mesh.Bucket{{Lower: ms / 2, Upper: ms, Count: 9}, {Lower: ms, Upper: ms * 2, Count: 1}}}
		default:
			o := outcomeOf(k)
			d.Requests[mesh.Outcome{Code: o.Code, GRPC: o.GRPC, Flags: o.Flags}] += float(v)
			if o.AnsweredBy != "" || len(d.Responses) > 0 {
				d.Responses[o] += float(v)
			}
		}
	}
	return f
}

func outcomeOf(s string) mesh.Outcome {
	parts := append(strings.SplitN(s, "/", 5), "", "", "", "")
	code, grpc, _ := strings.Cut(parts[0], ":")
	o := mesh.Outcome{Code: int(float(code)), GRPC: grpc, Flags: parts[1], AnsweredBy: parts[2], Details: parts[3], Object: strings.ReplaceAll(parts[4], "_", " ")}
	if o.Flags == "" {
		o.Flags = "-"
	}
	return o
}

// engine plays the scrapes up to a moment.
func (s *scenario) engine(until float64) *Engine {
	s.options.Epoch = "e1"
	e := New(s.options)
	e.SetFacts(s.facts)
	for _, b := range s.batches {
		if b.at <= until {
			e.Add(b.batch)
		}
	}
	type scrape struct {
		at float64
		t  *scenarioTarget
	}
	var scrapes []scrape
	for _, t := range s.targets {
		t.last = math.NaN()
		for at := t.offset; at <= until; at += t.every {
			if at >= t.from && at <= t.to {
				scrapes = append(scrapes, scrape{at, t})
			}
		}
	}
	slices.SortStableFunc(scrapes, func(a, b scrape) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	for _, sc := range scrapes {
		e.Add(s.scrape(sc.t, sc.at))
	}
	for address, at := range s.forgets {
		if at <= until {
			e.ForgetTarget(address)
		}
	}
	return e
}

func (s *scenario) scrape(t *scenarioTarget, at float64) mesh.EdgeBatch {
	b := mesh.EdgeBatch{Target: t.address, Node: t.address + "-node", Workload: t.workload, At: after(at), Up: true}
	if at >= t.downFrom && at < t.downTill {
		b.Up, b.Error = false, "connection refused"
		return b
	}
	if !math.IsNaN(t.last) {
		b.Interval = after(at).Sub(after(t.last))
		for _, f := range s.flows {
			if covers := min(at, f.to) - max(t.last, f.from); f.target == t.address && covers > 0 {
				b.Deltas = append(b.Deltas, scaled(f.rates, covers))
			}
		}
	}
	t.last = at
	return b
}

// scaled gives what a flow counts in some seconds. Connections stay a level.
func scaled(d mesh.EdgeDelta, by float64) mesh.EdgeDelta {
	out := d
	out.Requests, out.Responses = map[mesh.Outcome]float64{}, map[mesh.Outcome]float64{}
	for o, n := range d.Requests {
		out.Requests[o] = n * by
	}
	for o, n := range d.Responses {
		out.Responses[o] = n * by
	}
	out.Latency = d.Latency.Clone()
	for i := range out.Latency.Buckets {
		out.Latency.Buckets[i].Count *= by
	}
	for _, v := range []*float64{&out.Attempts, &out.NewConnections, &out.TCPOpened, &out.TCPClosed, &out.SentBytes, &out.ReceivedBytes} {
		*v *= by
	}
	return out
}

func (s *scenario) play(t *testing.T, q ask) []byte {
	e := s.engine(q.until)
	if q.stats {
		return fmt.Appendf(nil, "%+v\n", e.Stats())
	}
	if q.timeline > 0 {
		return encode(t, e.Timeline(q.timeline, after(q.at), nil))
	}
	v := e.View(q.query, after(q.at))
	v.Seq = 0
	if q.short {
		return sketch(v)
	}
	return byLine(t, v)
}

// sketch tells of a view what folding, focus and the like decide.
func sketch(v View) []byte {
	var b bytes.Buffer
	for _, n := range v.Nodes {
		fmt.Fprintf(&b, "%s: %s, in %g, out %g", n.ID, n.Health.State, n.In.RPS, n.Out.RPS)
		if f := n.Folded; f != nil {
			fmt.Fprintf(&b, ", folded %d namespaces, %d workloads, %d failing", f.Namespaces, f.Workloads, f.Failing)
		}
		b.WriteString("\n")
	}
	for _, e := range v.Edges {
		fmt.Fprintf(&b, "%s: %g rps, %g errors\n", e.ID, e.RPS, e.ErrorRatio)
	}
	fmt.Fprintf(&b, "total %g rps; folded %+v", v.Totals.RPS, v.Folded)
	if v.Hidden != nil {
		fmt.Fprintf(&b, "; hidden %+v", *v.Hidden)
	}
	return append(b.Bytes(), '\n')
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return append(body, '\n')
}

// byLine is a view's JSON with one element a line, so that goldens can be read
// and their changes reviewed.
func byLine(t *testing.T, v View) []byte {
	var b bytes.Buffer
	nodes, edges := v.Nodes, v.Edges
	v.Nodes, v.Edges = nil, nil
	head := encode(t, v)
	head = bytes.Replace(head, []byte(`"nodes":null,"edges":null,`), nil, 1)
	b.WriteString("{\"nodes\":[")
	for i := range nodes {
		separate(&b, i, encode(t, nodes[i]))
	}
	b.WriteString("\n],\"edges\":[")
	for i := range edges {
		separate(&b, i, encode(t, edges[i]))
	}
	b.WriteString("\n],\n")
	b.Write(bytes.TrimPrefix(head, []byte("{")))
	return b.Bytes()
}

func separate(b *bytes.Buffer, i int, line []byte) {
	if i > 0 {
		b.WriteByte(',')
	}
	b.WriteByte('\n')
	b.Write(bytes.TrimSuffix(line, []byte("\n")))
}
