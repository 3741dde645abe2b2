package demo

import (
	"fmt"
	"time"
)

// mirror tries a version with copies of real requests before it gets any.
func mirror() Scenario {
	return Scenario{
		Name:  "mirror",
		Story: "all visitors get catalog v1; catalog v2 gets a copy of every request, and its answers are thrown away",
		Look:  "Graph: web → catalog-v2 is mirrored traffic, slow as ever, and web waits for v1 alone; `sidelight edges`",
		Steps: once("catalog.yaml", catalogMirror, "catalog v2 now gets copies only"),
	}
}

const catalogMirror = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: catalog
  namespace: catalog
spec:
  hosts:
  - catalog
  http:
  - name: v1-and-a-copy
    route:
    - destination:
        host: catalog
        subset: v1
    mirrors:
    - destination:
        host: catalog
        subset: v2
      percentage:
        value: 100
    timeout: 3s
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: catalog
  namespace: catalog
spec:
  host: catalog
  subsets:
  - name: v1
    labels:
      version: v1
  - name: v2
    labels:
      version: v2
`

// retryStorm lets each tier try again what the tier below has tried already.
func retryStorm() Scenario {
	return Scenario{
		Name:  "retry-storm",
		Story: "the bank is slow and every tier retries: a card that it refuses is asked for up to 4 × 6 × 3 times, until a retry budget ends it",
		Look: "Graph: attempts per request on web → tickets and tickets → payments, while most purchases succeed; " +
			"Tap: attempts > 3; then, with the budget, flag UO where a retry was not made",
		Steps: []Step{
			{After: 2 * time.Second, File: "payments.yaml", YAML: stormPayments},
			{After: time.Second, File: "storm.yaml", YAML: stormTickets, Says: "web and tickets now retry whatever fails"},
			{After: 40 * time.Second, File: "storm-budget.yaml", YAML: stormBudget("0.5", 1), Says: "retries are bounded by a budget"},
			{After: 40 * time.Second, File: "storm-budget.yaml", YAML: stormBudget("100", 1000), Says: "the budget is gone"},
		},
	}
}

const stormTickets = `apiVersion: networking.istio.io/v1
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
    retries:
      attempts: 3
      retryOn: 5xx
`

const stormPayments = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: payments
  namespace: booking
spec:
  hosts:
  - payments
  http:
  - name: charges
    route:
    - destination:
        host: payments
    retries:
      attempts: 5
      retryOn: 5xx
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: bank
  namespace: booking
spec:
  hosts:
  - api.bank.example
  http:
  - name: transfer
    fault:
      delay:
        percentage:
          value: 100
        fixedDelay: 400ms
    route:
    - destination:
        host: api.bank.example
    retries:
      attempts: 2
      retryOn: 5xx,reset,connect-failure
`

// A budget counts retries that are under way, each with its back-off and its
// answer: the slower the answers, the fewer it lets through.
func stormBudget(percent string, least int) string {
	yaml := ""
	for _, host := range []string{"tickets", "payments"} {
		if yaml != "" {
			yaml += "---\n"
		}
		yaml += fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: %[1]s
  namespace: booking
spec:
  host: %[1]s
  trafficPolicy:
    retryBudget:
      percent: %[2]s
      minRetryConcurrency: %[3]d
`, host, percent, least)
	}
	return yaml
}

// egress keeps a library that calls its maker from leaving the mesh, until
// somebody says that it may.
func egress() Scenario {
	return Scenario{
		Name:   "egress",
		Story:  "payments has a library that reports to its vendor: nothing leaves the mesh but what an object names, and after a while one does",
		Look:   "Graph: payments → BlackHoleCluster, answered 502 by the proxy because of Sidecar booking/default; then payments → vendor.example; `sidelight tap -w 'status = 502'`",
		Phones: "payments",
		Steps: []Step{
			{After: 3 * time.Second, File: "egress.yaml", YAML: egressClosed, Says: "the namespace booking is closed to what no object names"},
			{After: 40 * time.Second, File: "egress.yaml", YAML: egressClosed + egressVendor, Says: "vendor.example is made known"},
			{After: 40 * time.Second, File: "egress.yaml", YAML: egressClosed, Says: "vendor.example is unknown again"},
		},
	}
}

const egressClosed = `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata:
  name: default
  namespace: booking
spec:
  outboundTrafficPolicy:
    mode: REGISTRY_ONLY
`

// egressVendor leads to the bank's process, which plays the vendor as well.
const egressVendor = `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: vendor
  namespace: booking
spec:
  hosts:
  - vendor.example
  location: MESH_EXTERNAL
  resolution: STATIC
  ports:
  - number: 80
    name: http
    protocol: HTTP
    targetPort: ` + bankPort + `
  endpoints:
  - address: 127.0.0.1
`

// once writes a file and lets it be.
func once(file, yaml, says string) []Step {
	return []Step{
		{After: 3 * time.Second, File: file, YAML: yaml, Says: says},
		{After: time.Hour, File: file, YAML: yaml},
	}
}
