package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Scenario is a story that the demo plays: faults that sidecars start with,
// changes of the configuration while it runs, and where to look.
type Scenario struct {
	Name   string
	Story  string
	Look   string
	Faults map[string]string // node ID -> the sidecar's --fault
	Broken string            // instance whose application answers 503 to everything
	Loses  string            // role whose HTTP client does not pass trace headers on
	Phones string            // role with a library that calls its vendor, outside of the mesh
	Adds   []*Instance       // instances besides the cinema's
	Lost   string            // node ID whose sidecar has the address of nobody for its server's
	Server []string          // further flags of the server
	Steps  []Step            // repeated until the demo ends, the last step's pause included

	beside [][]Step // steps of the stories that are played at the same time
}

// Step waits and then replaces one file of the watched directory, or stops or
// starts one sidecar.
type Step struct {
	After time.Duration
	File  string
	YAML  string
	Stop  string // instance whose sidecar is stopped
	Start string // instance whose sidecar is started again
	Says  string
}

// Scenarios gives all stories by name.
func Scenarios() map[string]Scenario {
	all := []Scenario{
		canary(), skew(), nack(), slowPlane(), neverConnected(), drift(), mixedBuilds(),
		denied(), lostTrace(), breaker(), mirror(), retryStorm(), egress(), restart(),
	}
	byName := make(map[string]Scenario, len(all))
	for _, s := range all {
		byName[s.Name] = s
	}
	return byName
}

// FindScenario gives the story of that name, or those of several names with
// commas between them, played at the same time; the empty name is the plain
// mesh.
func FindScenario(name string) (Scenario, error) {
	if name == "" {
		return Scenario{
			Story: "the mesh as it is: the bank refuses some cards, and catalog v2 is slow now and then",
			Look:  "Graph: the edge payments → api.bank.example, its retries and who answered",
		}, nil
	}
	all := Scenarios()
	var out Scenario
	for part := range strings.SplitSeq(name, ",") {
		s, ok := all[part]
		if !ok {
			return Scenario{}, fmt.Errorf("--scenario %s: there is no such scenario; choose one of %s", part, strings.Join(ScenarioNames(), ", "))
		}
		if out.Name == "" {
			out = s
			continue
		}
		if what := out.meets(s); what != "" {
			return Scenario{}, fmt.Errorf("--scenario %s: %s and %s both change %s; play them one after the other", name, out.Name, s.Name, what)
		}
		out = out.with(s)
	}
	return out, nil
}

// meets names what two stories would both change, or is empty.
func (s Scenario) meets(other Scenario) string {
	for node := range s.Faults {
		if _, ok := other.Faults[node]; ok {
			return "the sidecar of " + node
		}
	}
	for _, role := range []struct{ mine, theirs, what string }{
		{s.Broken, other.Broken, "an application that is broken"},
		{s.Loses, other.Loses, "an application that loses traces"},
		{s.Phones, other.Phones, "an application that calls its vendor"},
		{s.Lost, other.Lost, "a sidecar that finds no server"},
	} {
		if role.mine != "" && role.theirs != "" {
			return role.what
		}
	}
	mine := map[string]bool{}
	for _, step := range slices.Concat(append(s.beside, s.Steps)...) {
		mine[step.File+step.Stop+step.Start] = true
	}
	for _, step := range slices.Concat(append(other.beside, other.Steps)...) {
		if what := step.File + step.Stop + step.Start; mine[what] {
			return what
		}
	}
	return ""
}

// with is both stories at the same time; they change nothing in common.
func (s Scenario) with(other Scenario) Scenario {
	faults := maps.Clone(s.Faults)
	if faults == nil {
		faults = map[string]string{}
	}
	maps.Copy(faults, other.Faults)
	return Scenario{
		Name:   s.Name + "," + other.Name,
		Story:  s.Story + "; and " + other.Story,
		Look:   s.Look + "; " + other.Look,
		Faults: faults,
		Broken: s.Broken + other.Broken,
		Loses:  s.Loses + other.Loses,
		Phones: s.Phones + other.Phones,
		Lost:   s.Lost + other.Lost,
		Adds:   slices.Concat(s.Adds, other.Adds),
		Server: slices.Concat(s.Server, other.Server),
		Steps:  s.Steps,
		beside: append(slices.Clone(s.beside), other.Steps),
	}
}

// ScenarioNames lists the stories.
func ScenarioNames() []string { return slices.Sorted(maps.Keys(Scenarios())) }

func canary() Scenario {
	s := Scenario{
		Name:  "canary",
		Story: "catalog moves from v1 to v2 in steps of the route's weights",
		Look:  "Graph: the split web → catalog v1 and v2, configured against actual; Nodes: each step reaching every sidecar",
	}
	for _, v2 := range []int{25, 50, 75, 100, 10} {
		s.Steps = append(s.Steps, Step{
			After: 8 * time.Second,
			File:  "catalog.yaml",
			YAML:  catalogSplit(v2),
			Says:  fmt.Sprintf("catalog v2 now gets %d %%", v2),
		})
	}
	return s
}

func skew() Scenario {
	return Scenario{
		Name:   "skew",
		Story:  "the sidecar of tickets-2 has stopped taking configuration; the others follow every change",
		Look:   "Nodes: tickets-2.booking lags, by how much and since when; `sidelight nodes`",
		Faults: map[string]string{"tickets-2.booking": "stall-config"},
		Steps:  timeoutSteps(8 * time.Second),
	}
}

func nack() Scenario {
	return Scenario{
		Name:   "nack",
		Story:  "the sidecar of tickets-2 refuses what it is sent for payments; its last good configuration runs on",
		Look:   "Nodes: tickets-2.booking is rejected, with the sidecar's own words; `sidelight nodes`",
		Faults: map[string]string{"tickets-2.booking": `nack=^outbound\|8080\|canary\|payments`},
		Steps: []Step{
			{After: 6 * time.Second, File: "payments-subsets.yaml", YAML: paymentSubsets, Says: "payments gets a subset that tickets-2 refuses"},
			{After: 3600 * time.Second, File: "payments-subsets.yaml", YAML: paymentSubsets},
		},
	}
}

func slowPlane() Scenario {
	return Scenario{
		Name: "slow-plane",
		Story: "the control plane sends each change to one sidecar after the other, 700 ms apart; " +
			"the sidecar of tickets-2 takes 3 s more by itself",
		Look: "Nodes: who lags, and whether the change still waits in the control plane or for the node; " +
			"the alert SidelightControlPlaneSlow; `sidelight nodes`",
		Faults: map[string]string{"tickets-2.booking": "slow-config=3s"},
		Server: []string{"--slow-push", "700ms"},
		Steps:  timeoutSteps(12 * time.Second),
	}
}

func neverConnected() Scenario {
	third := &Instance{
		Role: "tickets", Namespace: "booking", Workload: "tickets", App: "tickets", Version: "v1", Index: 3,
		Meshed: true, Port: servicePort, Proto: "http", TCPTo: hostNotifications,
	}
	return Scenario{
		Name:  "never-connected",
		Story: "tickets got a third instance, whose sidecar was given a wrong address of the control plane",
		Look: "Nodes: expected~booking/tickets@… has never connected; Graph: web → tickets has more attempts than requests, " +
			"since the registry has the instance already; `sidelight nodes`",
		Adds: []*Instance{third},
		Lost: third.NodeID(),
	}
}

func drift() Scenario {
	return Scenario{
		Name:   "drift",
		Story:  "the sidecar of tickets-2 acknowledges every change of its routes, and goes on with those that it had",
		Look:   "Nodes: tickets-2.booking has drifted: what it acknowledged and what it runs, side by side; `sidelight nodes tickets-2.booking`",
		Faults: map[string]string{"tickets-2.booking": "drift=^outbound$"},
		Steps:  timeoutSteps(8 * time.Second),
	}
}

func mixedBuilds() Scenario {
	const old = "old-build=v0.0.9,envoy.config.route.v3.RouteAction.hash_policy"
	return Scenario{
		Name:   "mixed-builds",
		Story:  "during an upgrade tickets-2 and posters-1 still run an older sidecar, which knows no hash policies; then reviews gets one",
		Look:   "Nodes, by build: the two on v0.0.9 cannot run the newest revision, and say which field; `sidelight nodes`",
		Faults: map[string]string{"tickets-2.booking": old, "posters-1.catalog": old},
		Steps: []Step{
			{After: 6 * time.Second, File: "reviews.yaml", YAML: reviewsHash, Says: "reviews are found by the visitor's hash, which v0.0.9 does not know"},
			{After: 3600 * time.Second, File: "reviews.yaml", YAML: reviewsHash},
		},
	}
}

func restart() Scenario {
	const who = "posters-1"
	return Scenario{
		Name:  "restart",
		Story: "the sidecar of posters-1 is restarted by itself every 25 s, beside an application that goes on",
		Look: "Nodes: posters-1.catalog, starts and stops: its application was ready before its sidecar, and went on after it; " +
			"the time bar; `sidelight nodes posters-1.catalog`",
		Steps: []Step{
			{After: 5 * time.Second, Stop: who, Says: "the sidecar of posters-1 is stopped"},
			{After: 2 * time.Second, Start: who, Says: "and started again"},
			{After: 18 * time.Second},
		},
	}
}

func lostTrace() Scenario {
	return Scenario{
		Name:  "lost-trace",
		Story: "tickets got a new HTTP client that does not pass trace headers on; its gRPC client still does",
		Look:  "Traces: tickets loses what it calls payments for; `sidelight trace propagation`",
		Loses: "tickets",
	}
}

func denied() Scenario {
	return Scenario{
		Name:  "denied",
		Story: "catalog takes mutual TLS only, and lets web alone read the films",
		Look: "Graph: recommendations → catalog gets 403, and unknown → catalog (report-cron, which has no sidecar) is cut off: " +
			"answered by the proxy, with the policy's name; `sidelight tap -w 'status = 403'`",
		Steps: []Step{
			{After: 6 * time.Second, File: "catalog-security.yaml", YAML: catalogSecurity, Says: "catalog is closed to all but web"},
			{After: 3600 * time.Second, File: "catalog-security.yaml", YAML: catalogSecurity},
		},
	}
}

const catalogSecurity = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: catalog-strict
  namespace: catalog
spec:
  selector:
    matchLabels:
      app: catalog
  mtls:
    mode: STRICT
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: films-for-web
  namespace: catalog
spec:
  selector:
    matchLabels:
      app: catalog
  action: ALLOW
  rules:
  - from:
    - source:
        serviceAccounts: ["front/web"]
    to:
    - operation:
        methods: ["GET"]
        paths: ["/v1/films"]
`

func breaker() Scenario {
	const after = time.Second
	return Scenario{
		Name:   "breaker",
		Story:  "tickets-2 answers 503 to everything; its callers retry at the other instance, and take it out for 15 s at a time",
		Look:   "Graph: web → tickets has more attempts than requests; Tap: attempts > 1; Services: tickets, what is ejected and by whom",
		Broken: "tickets-2",
		Steps: []Step{
			{After: after, File: "tickets-breaker.yaml", YAML: ticketsBreaker, Says: "tickets gets outlier detection and retries"},
			{After: 3600 * time.Second, File: "tickets-breaker.yaml", YAML: ticketsBreaker},
		},
	}
}

const ticketsBreaker = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: tickets
  namespace: booking
spec:
  host: tickets
  trafficPolicy:
    outlierDetection:
      consecutive5xxErrors: 3
      interval: 1s
      baseEjectionTime: 15s
      maxEjectionPercent: 50
    connectionPool:
      tcp: {maxConnections: 64}
      http: {http1MaxPendingRequests: 32}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: tickets
  namespace: booking
spec:
  hosts:
  - tickets
  http:
  - name: all
    route:
    - destination:
        host: tickets
    timeout: 2s
    retries:
      attempts: 2
      perTryTimeout: 1s
      retryOn: 5xx,reset,connect-failure
`

// timeoutSteps changes the timeout of tickets back and forth, so that there
// is always something new to lag behind.
func timeoutSteps(every time.Duration) []Step {
	var steps []Step
	for _, timeout := range []string{"1500ms", "2500ms", "2s"} {
		steps = append(steps, Step{
			After: every,
			File:  "tickets-timeout.yaml",
			YAML:  ticketsTimeout(timeout),
			Says:  "tickets may now take " + timeout,
		})
	}
	return steps
}

func ticketsTimeout(timeout string) string {
	return fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: tickets
  namespace: booking
spec:
  hosts:
  - tickets
  http:
  - name: all
    route:
    - destination:
        host: tickets
    timeout: %s
`, timeout)
}

const reviewsHash = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: reviews
  namespace: catalog
spec:
  host: reviews
  trafficPolicy:
    loadBalancer:
      consistentHash:
        httpHeaderName: x-visitor
`

const paymentSubsets = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: payments
  namespace: booking
spec:
  host: payments
  subsets:
  - name: canary
    labels:
      version: v1
`

func catalogSplit(v2 int) string {
	content, err := configFiles.ReadFile("config/catalog.yaml")
	if err != nil {
		panic("BUG: embedded file is missing: " + err.Error())
	}
	return strings.NewReplacer(
		"weight: 90", fmt.Sprintf("weight: %d", 100-v2),
		"weight: 10", fmt.Sprintf("weight: %d", v2),
	).Replace(string(content))
}

// bankPort stands in a step's YAML for the port of the bank's process.
const bankPort = "$BANK_PORT"

// play repeats the steps of each story until ctx ends.
func (s Scenario) play(ctx context.Context, take func(Step) error, say func(string)) error {
	stories := append(slices.Clone(s.beside), s.Steps)
	ended := make(chan error, len(stories))
	for _, steps := range stories {
		go func() { ended <- playSteps(ctx, steps, take, say) }()
	}
	var failed error
	for range stories {
		failed = errors.Join(failed, <-ended)
	}
	return failed
}

func playSteps(ctx context.Context, steps []Step, take func(Step) error, say func(string)) error {
	for len(steps) > 0 {
		for _, step := range steps {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(step.After):
			}
			if err := take(step); err != nil {
				return err
			}
			if step.Says != "" {
				say(step.Says)
			}
		}
	}
	<-ctx.Done()
	return nil
}
