import type { GraphEdge } from '@/api/types'
import type { Model } from '@/graph/model'
import { shortName } from '@/graph/words'
import { duration, percent, rate, text } from '@/lib/format'
import { Figure } from '@/ui/Figure'
import { HealthGlyph } from '@/ui/Health'
import { Section } from '@/ui/Panel'
import styles from './NodePanel.module.css'

/** What this caller sends to each version behind the same service: share, as configured and as it is, errors, latency. */
export function Versions({ edge, model, onSelect }: { edge: GraphEdge; model: Model; onSelect: (id: string) => void }) {
  const host = edge.service?.host
  const siblings = (model.outgoing.get(edge.source) ?? []).filter((e) => e.id === edge.id || (host !== undefined && e.service?.host === host && e.protocol === edge.protocol))
  const sorted = siblings.toSorted((a, b) => b.rps - a.rps)
  const total = sorted.reduce((sum, e) => sum + (e.mirrored ? 0 : e.rps), 0)
  return (
    <Section title={host ?? 'Versions'} help="split" note="share as it is, as configured">
      <table className={styles.edges}>
        <tbody>
          {sorted.map((e) => {
            const node = model.nodes.get(e.target)
            const { name, version } = node ? shortName(node) : { name: e.target, version: '' }
            return (
              <tr key={e.id}>
                <td className={styles.peer}>
                  <HealthGlyph state={e.health.state} size={12} />
                  {e.id === edge.id ? (
                    <b className="cut">{[name, version].filter(Boolean).join(' ')}</b>
                  ) : (
                    <button type="button" className="cut" onClick={() => onSelect(e.id)}>
                      {[name, version].filter(Boolean).join(' ')}
                    </button>
                  )}
                </td>
                <td className="num">
                  {e.mirrored ? <span className="t3">mirror</span> : <Figure of={percent(e.weight?.actual ?? (total > 0 ? e.rps / total : 0))} />}
                </td>
                <td className="num t3">{e.weight ? `set ${text(percent(e.weight.configured)).replace('.0', '')}` : ''}</td>
                <td className="num">
                  <Figure of={rate(e.rps)} />
                </td>
                <td className={e.error_ratio >= 0.005 ? `num strong ${e.health.state}-t` : 'num t2'}>
                  <Figure of={percent(e.error_ratio)} />
                </td>
                <td className="num">
                  <Figure of={duration(e.p95_ms)} />
                </td>
              </tr>
            )
          })}
        </tbody>
      </table>
      {sorted.length === 1 ? <p className="t3">All that this caller sends goes to one version.</p> : null}
    </Section>
  )
}
