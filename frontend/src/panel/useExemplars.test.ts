import { describe, expect, it } from 'vitest'
import { latencyOf, slowest } from './useExemplars'

describe('exemplars', () => {
  it('are asked for by the ends that are known', () => {
    expect(latencyOf({ source: 'front/web', target: 'booking/tickets' })).toBe(
      '{__name__=~"istio_request_duration_milliseconds(_bucket)?",reporter="source",source_workload_namespace="front",source_workload="web",destination_workload_namespace="booking",destination_workload="tickets"}',
    )
    expect(latencyOf({ target: 'a/b"c' })).toContain('reporter="destination",destination_workload_namespace="a",destination_workload="b\\"c"')
  })
  it('come slowest first, each trace once, with the status of their series', () => {
    const found = slowest(
      [
        { seriesLabels: { response_code: '200' }, exemplars: [{ labels: { trace_id: 'a' }, value: '12', timestamp: 1 }, { labels: { trace_id: 'b' }, value: '900.5', timestamp: 2 }, { labels: {}, value: '5000', timestamp: 3 }] },
        { seriesLabels: { response_code: '503' }, exemplars: [{ labels: { trace_id: 'a' }, value: '40', timestamp: 1.5 }, { labels: { trace_id: 'c' }, value: 'NaN', timestamp: 4 }] },
      ],
      5,
    )
    expect(found).toEqual([
      { traceId: 'b', at: 2000, ms: 900.5, code: '200' },
      { traceId: 'a', at: 1500, ms: 40, code: '503' },
    ])
  })
})
