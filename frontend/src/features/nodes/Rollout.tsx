import { useState } from 'react'
import { useRollout, useRolloutAction } from '@/api/config'
import type { RolloutState } from '@/api/types'
import { count, percent, plural, span, text } from '@/lib/format'
import { secondsSince } from '@/lib/time'
import { Button } from '@/ui/Button'
import { Confirm } from '@/ui/Confirm'
import { HealthGlyph } from '@/ui/Health'
import styles from './Rollout.module.css'

/** The roll-out of the newest revision, while not every node may have it. */
export function Rollout({ now }: { now: number }) {
  const { data } = useRollout()
  const [asking, setAsking] = useState<'hold' | 'resume' | null>(null)
  if (!data || !(data.paused || data.phase === 'canary' || data.phase === 'held')) return null
  const stopped = data.paused || data.phase === 'held'
  return (
    <section className={styles.rollout} aria-label="Roll-out" data-stopped={stopped || undefined}>
      <HealthGlyph state={stopped ? 'warn' : 'idle'} size={15} decorative />
      <p className={styles.what}>
        <b>{headline(data)}</b> <span className="t2">{data.reason}</span>
      </p>
      <p className={styles.figures}>{figures(data, now)}</p>
      <span className={styles.buttons}>
        {data.paused ? null : (
          <Button small onClick={() => setAsking('hold')}>
            Hold it here
          </Button>
        )}
        <Button small onClick={() => setAsking('resume')}>
          {data.phase === 'done' ? 'Let changes through' : `Let all nodes have ${count(data.target)}`}
        </Button>
      </span>
      {asking ? <Ask action={asking} state={data} onClose={() => setAsking(null)} /> : null}
    </section>
  )
}

/** headline says how far the revision has gone and what the others keep. */
export function headline(s: RolloutState): string {
  if (s.phase === 'done') return 'Changes are held: the next revision goes no further than the canary.'
  if (s.canary.length === 0) return `Revision ${s.target} is held: nodes keep ${s.base}.`
  const how = s.phase === 'held' || s.paused ? 'held at' : 'tried on'
  return `Revision ${s.target} is ${how} ${plural(s.canary.length, 'canary node')}; the others keep ${s.base}.`
}

/** figures compares errors of the canary, and says how long it is watched yet. */
export function figures(s: RolloutState, now: number): string {
  if (s.phase === 'done' || s.canary.length === 0) return ''
  const ratios = [
    ['canary', s.error_ratio_now],
    ['before', s.error_ratio_before],
    ['others', s.error_ratio_others],
  ].flatMap(([who, of]) => (typeof of === 'number' ? [`${who} ${text(percent(of))}`] : []))
  const errors = ratios.length === 0 ? 'too little traffic to compare errors' : `errors: ${ratios.join(', ')}`
  if (s.phase !== 'canary' || s.paused || !s.well_since) return errors
  return `${errors}; watched for ${span(secondsSince(s.well_since, now))} of ${span(s.watch_s)}`
}

function Ask({ action, state, onClose }: { action: 'hold' | 'resume'; state: RolloutState; onClose: () => void }) {
  const act = useRolloutAction(action)
  const [why, setWhy] = useState('')
  const title = action === 'hold' ? `Hold revision ${state.target}?` : state.phase === 'done' ? 'Let changes through?' : `Let all nodes have revision ${state.target}?`
  return (
    <Confirm title={title} go={action === 'hold' ? 'Hold' : 'Let it go on'} change={act} onGo={() => act.mutate(why.trim(), { onSuccess: onClose })} onClose={onClose}>
      {action === 'hold' ? (
        <>
          <p>Nodes beyond the canary keep revision {state.base}. Later revisions go no further than the canary, either, until somebody lets them through.</p>
          <label>
            Why, for those who look at it
            <input value={why} maxLength={200} onChange={(e) => setWhy(e.target.value)} />
          </label>
        </>
      ) : (
        <p>
          {state.phase === 'done' ? 'The next revision goes its usual way.' : `All nodes get revision ${state.target}${state.canary.length > 0 ? ', whatever the canary shows' : ''}.`} Why it waits: {state.reason}.
        </p>
      )}
    </Confirm>
  )
}
