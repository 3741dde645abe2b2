import { useState } from 'react'
import { useNow } from '@/api/live-context'
import { useRevisionDiff, useRevisions } from '@/api/config'
import type { FieldDiff, ObjectDiff, Revision } from '@/api/types'
import { count, plural, span } from '@/lib/format'
import { useFoot } from '@/lib/shell'
import { secondsSince, stamp } from '@/lib/time'
import { useUrlState } from '@/lib/url'
import { EmptyState } from '@/ui/EmptyState'
import { Section } from '@/ui/Panel'
import { Skeleton } from '@/ui/Skeleton'
import { Trouble } from '@/ui/Trouble'
import styles from './index.module.css'
import { ObjectLink } from './ObjectLink'
import { Rollback } from './Rollback'
import { diffSearch } from './url'
import { firstLine, Yaml } from './Yaml'

/** Who changed what and when, newest first; and how two revisions differ. */
export function Revisions() {
  const { data, error, refetch } = useRevisions()
  const [search, setSearch] = useUrlState(diffSearch)
  const now = useNow(1000)
  useFoot('', '')
  if (!data) {
    if (!error) return <Skeleton rows={14} label="Loading the revisions" />
    return <Trouble title="The revisions cannot be shown" error={error} retry={refetch} />
  }
  const newest = data[0]
  if (!newest) return <EmptyState title="No revision yet" why="The first is made when the folder is read." />
  const to = Number(search.to) || newest.number
  const from = Number(search.from) || Math.max(1, to - 1)
  return (
    <div className={styles.halves}>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div className={styles.list} role="region" aria-label="Revisions" tabIndex={0}>
        <ol className={styles.revisions}>
          {data.map((r) => (
            <li key={r.number} data-on={r.number === to || undefined} data-from={r.number === from || undefined}>
              <button type="button" aria-pressed={r.number === to} onClick={() => setSearch({ to: String(r.number), from: String(Math.max(1, r.number - 1)) })}>
                <span className={styles.revision}>
                  <b>{r.number}</b>
                  <span className="t3" title={stamp(r.at)}>
                    {span(secondsSince(r.at, now))} ago by {r.by}
                  </span>
                </span>
                <span className={styles.summary}>{r.summary}</span>
                <span className="t3">{r.source}</span>
              </button>
              {r.number < to && r.number !== from ? (
                <button type="button" className={styles.against} onClick={() => setSearch({ from: String(r.number), to: String(to) })}>
                  compare with {to}
                </button>
              ) : null}
            </li>
          ))}
        </ol>
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div className={styles.main} role="region" aria-label="What differs" tabIndex={0}>
        <Diff from={from} to={to} newest={newest} onNewest={() => setSearch({ from: '', to: '' })} />
      </div>
    </div>
  )
}

function Diff({ from, to, newest, onNewest }: { from: number; to: number; newest: Revision; onNewest: () => void }) {
  const { data, error } = useRevisionDiff(from, to)
  if (from === to) return <EmptyState title={`Revision ${to} is the first`} why="There is none before it to compare it with." />
  if (error) return <Trouble title={`Revisions ${from} and ${to} cannot be compared`} error={error} />
  if (!data) return <Skeleton rows={8} label="Comparing" />
  return (
    <>
      <header className={styles.diffHead}>
        <h2>
          {data.objects.length === 0 ? 'Nothing differs' : `${plural(data.objects.length, 'object')} differ${data.objects.length === 1 ? 's' : ''}`} between revision {from} and {to}
        </h2>
        {to === newest.number && from < to && data.objects.length > 0 ? (
          <p className={styles.rollback}>
            <Rollback to={from} newest={newest.number} objects={data.objects.length} onDone={onNewest} />
            <code className={styles.command}>sidelight config rollback {from}</code>
          </p>
        ) : null}
      </header>
      {data.objects.slice(0, 200).map((d, i) => (
        <ObjectChange key={`${d.op} ${d.kind} ${d.namespace}/${d.name}`} diff={d} open={i < openFirst} />
      ))}
      {data.objects.length > 200 ? <p className={styles.more}>{count(data.objects.length - 200)} more objects differ: sidelight config diff {from} {to}</p> : null}
    </>
  )
}

/** So many documents of whole objects stand open; a folder read for the first time has hundreds. */
const openFirst = 20

const SIGN = { added: '+', removed: '−', changed: '~', moved: '↕' } as const

function ObjectChange({ diff: d, open }: { diff: ObjectDiff; open: boolean }) {
  const name = `${d.kind} ${d.namespace}/${d.name}`
  const place = d.after ?? d.before
  return (
    <Section
      title={
        <>
          <span className={styles.sign} data-op={d.op}>
            {SIGN[d.op]}
          </span>{' '}
          {d.after ? <ObjectLink object={name}>{name}</ObjectLink> : name} <span className="t3">{d.op}</span>
        </>
      }
      note={place ? `${place.file}:${place.line}` : ''}
    >
      {d.op === 'changed' && d.fields.length === 0 ? <p className="t3">Written otherwise, means the same.</p> : null}
      <ul className={styles.fields}>
        {d.fields.map((f) => (
          <Field key={`${f.op} ${f.path} ${f.before_line}`} field={f} />
        ))}
      </ul>
      {d.yaml && place ? <Whole text={d.yaml} line={place.line} op={d.op} open={open} /> : null}
    </Section>
  )
}

/** All of an object that only one of the two revisions has. */
function Whole({ text, line, op, open: atFirst }: { text: string; line: number; op: ObjectDiff['op']; open: boolean }) {
  const [open, setOpen] = useState(atFirst)
  return (
    <details className={styles.whole} data-op={op} open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>{plural(text.trimEnd().split('\n').length, 'line')}</summary>
      {open ? <Yaml text={text} first={firstLine(text, line)} problems={[]} line={0} /> : null}
    </details>
  )
}

function Field({ field: f }: { field: FieldDiff }) {
  const short = !`${f.before}${f.after}`.includes('\n')
  const lines = [f.before_line, f.after_line].filter((n) => n > 0)
  return (
    <li>
      <span className={styles.path}>
        <span className={styles.sign} data-op={f.op}>
          {SIGN[f.op]}
        </span>
        <span className="mono">{f.path}</span>
        <span className="t3">{lines.length === 0 ? '' : `line ${[...new Set(lines)].join(' → ')}`}</span>
      </span>
      {short ? (
        <span className={styles.values}>
          {f.before === '' ? null : <del>{f.before}</del>}
          {f.before !== '' && f.after !== '' ? ' → ' : ''}
          {f.after === '' ? null : <ins>{f.after}</ins>}
        </span>
      ) : (
        <>
          {f.before === '' ? null : <pre className={styles.block} data-op="removed">{f.before}</pre>}
          {f.after === '' ? null : <pre className={styles.block} data-op="added">{f.after}</pre>}
        </>
      )}
    </li>
  )
}
