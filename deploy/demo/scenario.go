package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"sort"
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
	Steps  []Step            // repeated until the demo ends, the last step's pause included
}

// Step waits and then replaces one file of the watched directory.
type Step struct {
	After time.Duration
	File  string
	YAML  string
	Says  string
}

// Scenarios gives all stories by name.
func Scenarios() map[string]Scenario {
	all := []Scenario{canary(), skew(), nack()}
	byName := make(map[string]Scenario, len(all))
	for _, s := range all {
		byName[s.Name] = s
	}
	return byName
}

// FindScenario gives the story of that name; the empty name is the plain mesh.
func FindScenario(name string) (Scenario, error) {
	if name == "" {
		return Scenario{
			Story: "the mesh as it is: the bank refuses some cards, and catalog v2 is slow now and then",
			Look:  "Graph: the edge payments → api.bank.example, its retries and who answered",
		}, nil
	}
	all := Scenarios()
	if s, ok := all[name]; ok {
		return s, nil
	}
	names := make([]string, 0, len(all))
	for n := range all {
		names = append(names, n)
	}
	sort.Strings(names)
	return Scenario{}, fmt.Errorf("--scenario %s: there is no such scenario; choose one of %s", name, strings.Join(names, ", "))
}

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
		Steps:  timeoutSteps(),
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

// timeoutSteps changes the timeout of tickets back and forth, so that there
// is always something new to lag behind.
func timeoutSteps() []Step {
	var steps []Step
	for _, timeout := range []string{"1500ms", "2500ms", "2s"} {
		steps = append(steps, Step{
			After: 8 * time.Second,
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

// play repeats the steps until ctx ends.
func (s Scenario) play(ctx context.Context, dir string, say func(string)) error {
	for len(s.Steps) > 0 {
		for _, step := range s.Steps {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(step.After):
			}
			if err := writeFile(filepath.Join(dir, step.File), step.YAML); err != nil {
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
