/** How each figure is measured, in one or two sentences: the help beside it. */
export const measures = {
  signals:
    'From the counters and histograms of the sidecars, over the last 30 s. The calling side counts where it reports, because it also sees what never arrived; else the called side. Lines show the last minute, a value a second.',
  errors: 'Failed requests of all: 5xx, no answer at all, or a gRPC status other than OK. A 4xx is the caller’s to mend and does not count.',
  quantiles: 'From histograms merged over all instances, exact to the width of a bucket. Of folded namespaces only the worst edge is known.',
  whoAnswered:
    'Hatched: a proxy gave the answer itself, by its response flags, and the service never saw the request. Plain: the service said so. The object is the configuration that made the proxy answer.',
  attempts:
    'Tries at an endpoint for each request of the caller. Retries can make a failing service look well: the caller sees fewer errors than a single try does. By number: tries of the last minute; hatched failed, by no answer, a 5xx or a gRPC error.',
  limits: 'Limits of the DestinationRule’s connectionPool, each sidecar’s own. Shown is the sidecar that is nearest to each, at the last scrape; short peaks between two scrapes are not seen, but what a full limit refused is counted (UO).',
  split: 'Configured: the weight in the VirtualService. Actual: the share of the requests in this window. Small differences are chance.',
  sides: 'The same requests, counted by the calling and by the called sidecar. What the caller counts and the called side does not, never arrived.',
  keptOut: 'What callers’ sidecars keep out now: endpoints that outlier detection has ejected, and limits of the connection pool that are reached. Read every 5 s.',
  taps: 'Single requests as they end, told by the sidecars. Secrets are redacted there, what is not shown is counted, and who watches is recorded.',
  traces: 'Traces in store that passed here. Only sampled requests leave one, and only where services pass the trace headers on.',
  convergence: 'A node counts when its sidecar has applied what it was sent, compared by content and not by push counters. Times run from the acceptance of the revision.',
  coverage: 'Workloads that were seen in traffic or are registered, and those of them with a sidecar. For the others no policy, no mTLS and no retry holds.',
  cost: 'CPU and memory of the sidecars’ processes; added latency is the time that a request spends in the sidecar itself, up to the first byte.',
  alerts: 'Rules over the stored metrics, evaluated on the server. An alert fires once its condition has held for the time that its rule asks for.',
  endpoints: 'As the registry has them: from ServiceEntry and WorkloadEntry, or from the connected sidecars. Health is that of the workload behind.',
  sidecars: 'Each sidecar compared with the desired revision, by content; its state says what it has acknowledged and applied.',
  errorEdges: 'Edges with most failed requests a second in the last 30 s. Hatched: answered by a proxy; plain: by the service.',
  objectives: 'Requests that failed against those that may, by the annotation sidelight.io/health-availability of a ServiceEntry. At 1 × the budget lasts just as long as it should; 14.4 × over an hour and five minutes fails, 6 × over an hour and half an hour warns.',
  namespaces: 'Worst first. How many workloads have a sidecar, all requests to them, and the share of those that failed.',
} as const

export type MeasureName = keyof typeof measures
