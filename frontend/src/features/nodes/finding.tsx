import type { ReactNode } from 'react'
import type { NodesView } from '@/api/types'
import { count, middle, plural, span } from '@/lib/format'
import { secondsSince } from '@/lib/time'
import { isOdd, STATES, worstFirst } from './states'

/** finding is the sentence beside the big number: how many run it, and who does worst. */
export function finding(view: NodesView, now: number, openNode: (id: string) => void): ReactNode {
  const { summary, desired } = view
  if (summary.nodes === 0) return 'No node is known yet.'
  if (!desired) return `${plural(summary.nodes, 'node')} ${summary.nodes === 1 ? 'waits' : 'wait'} for a first configuration.`
  const worst = view.nodes.filter(isOdd).sort(worstFirst)[0]
  // A roll-out may keep nodes at an earlier revision: they are synced with that.
  const kept = view.nodes.some((n) => n.state === 'synced' && n.revision < desired.number)
  const it = kept ? (summary.nodes === 1 ? 'what it should' : 'what they should') : 'it'
  if (!worst) return summary.nodes === 1 ? `The one node runs ${it}, compared by content.` : `All ${count(summary.nodes)} nodes run ${it}, compared by content.`
  return (
    <>
      {count(summary.synced)} of {plural(summary.nodes, 'node')} {summary.nodes === 1 ? 'runs' : 'run'} {it}.{' '}
      <button type="button" className="info-t" title={worst.reason} onClick={() => openNode(worst.id)}>
        {middle(worst.id, 18)}
      </button>{' '}
      {STATES[worst.state].verb.replace('{t}', roughly(worst.lag_s > 0 ? worst.lag_s : secondsSince(worst.since, now)))}.{waiting(view)}
    </>
  )
}

/** Who is late, the plane or the nodes: only said where the plane is, for else it is the nodes. */
function waiting(view: NodesView): string {
  const plane = view.nodes.filter((n) => n.waits_on === 'control-plane').length
  const node = view.nodes.filter((n) => n.waits_on === 'node').length
  if (plane === 0) return ''
  return ` ${count(plane)} ${plane === 1 ? 'waits' : 'wait'} for the control plane to send${node > 0 ? `, ${count(node)} ${node === 1 ? 'has it and is late itself' : 'have it and are late themselves'}` : ''}.`
}

/** The largest unit says enough in a sentence; the row below has it to the second. */
const roughly = (seconds: number) => span(seconds).split(' ')[0]!
