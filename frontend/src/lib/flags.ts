/** What Envoy's response flags mean; the words are those of mesh/flags.go. */
export const flagMeanings: Record<string, string> = {
  UH: 'no healthy endpoint',
  UF: 'could not connect',
  UO: 'circuit breaker: pool or queue full',
  NR: 'no route matched',
  NC: 'route names an unknown cluster',
  URX: 'retries used up',
  UT: 'no answer in time',
  UC: 'upstream closed the connection',
  UR: 'upstream reset the stream',
  UPE: 'upstream broke the protocol',
  DC: 'client went away',
  DPE: 'client broke the protocol',
  DI: 'delay injected',
  FI: 'fault injected',
  RL: 'rate limited',
  LR: 'reset by this proxy',
  SI: 'stream idle too long',
  DT: 'connection too old',
  DF: 'name did not resolve',
  UAEX: 'denied by external authorization',
  OM: 'proxy overloaded',
  RLSE: 'rate limit service failed',
}

/** flagWord is what several flags mean together; an unknown one stands as it is. */
export function flagWord(flags: string): string {
  return flags
    .split(',')
    .filter((f) => f !== '' && f !== '-')
    .map((f) => flagMeanings[f] ?? f)
    .join(', ')
}

/** whyAnswered says why a proxy answered or cut a caller off, as mesh.WhyAnswered does; '' where the flags say nothing. */
export function whyAnswered(flags: string, details: string, object: string): string {
  if (details === 'filter_chain_not_found') {
    return object.startsWith('PeerAuthentication ') ? 'mutual TLS is required' : 'nothing takes this connection'
  }
  return flags.split(',').map((f) => flagMeanings[f]).find(Boolean) ?? ''
}
