import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { type ExplainQuery, useExplanation } from '@/api/config'
import { useWorkloads } from '@/api/inventory'
import type { ExplainAccount, Explanation, ExplainStep } from '@/api/types'
import { cx } from '@/lib/cx'
import { count, plural } from '@/lib/format'
import { useFoot } from '@/lib/shell'
import { useUrlState } from '@/lib/url'
import { Button } from '@/ui/Button'
import { Chip } from '@/ui/Chip'
import { EmptyState } from '@/ui/EmptyState'
import { HealthGlyph } from '@/ui/Health'
import { Segmented } from '@/ui/Segmented'
import { Skeleton } from '@/ui/Skeleton'
import { Trouble } from '@/ui/Trouble'
import styles from './index.module.css'
import { ObjectLink } from './ObjectLink'
import { explainSearch } from './url'

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'] as const

/** What becomes of a request, step by step, with the line behind each. */
export function Explain() {
  const [search] = useUrlState(explainSearch)
  const asked: ExplainQuery | null =
    search.url && (search.caller || search.node)
      ? {
          method: search.method, url: search.url, from: search.caller, node: search.node, revision: search.rev,
          headers: search.headers.split('\n').map((h) => h.trim()).filter(Boolean),
        }
      : null
  const { data, error } = useExplanation(asked)
  useFoot('', 'Enter explains')
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className={styles.scroll} role="region" aria-label="Explain a request" tabIndex={0}>
      <Form />
      {asked === null ? (
        <EmptyState title="Ask about a request" why="Who sends it decides what its sidecar does with it: choose the workload, and give the URL as its app calls it. A tapped request and an edge of the graph lead here with both filled in." />
      ) : error ? (
        <Trouble title="There is no answer" error={error} />
      ) : data ? (
        <Answer explanation={data} />
      ) : (
        <Skeleton rows={10} label="Explaining" />
      )}
    </div>
  )
}

function Form() {
  const [search, setSearch] = useUrlState(explainSearch)
  const [draft, setDraft] = useState({ ...search })
  const workloads = useWorkloads().data?.items ?? []
  const field = (name: 'method' | 'url' | 'caller' | 'headers' | 'rev') => ({
    value: draft[name],
    onChange: (e: { target: { value: string } }) => setDraft({ ...draft, [name]: e.target.value }),
  })
  return (
    <form
      className={styles.form}
      onSubmit={(e) => {
        e.preventDefault()
        const url = draft.url !== '' && !draft.url.includes('://') ? `http://${draft.url}` : draft.url
        setDraft({ ...draft, url })
        setSearch({ method: draft.method, url, caller: draft.caller, headers: draft.headers, rev: draft.rev, node: draft.caller === search.caller ? search.node : '' }, { push: true })
      }}
    >
      <label>
        From
        <input list="explain-workloads" placeholder="namespace/workload" autoComplete="off" spellCheck={false} {...field('caller')} />
        <datalist id="explain-workloads">
          {workloads.filter((w) => w.meshed).map((w) => (
            <option key={w.id} value={`${w.namespace}/${w.name}`} />
          ))}
        </datalist>
      </label>
      <label className={styles.method}>
        Method
        <select {...field('method')}>
          {METHODS.map((m) => (
            <option key={m}>{m}</option>
          ))}
        </select>
      </label>
      <label className={styles.url}>
        URL
        <input placeholder="http://catalog/movies" autoComplete="off" spellCheck={false} {...field('url')} />
      </label>
      <label className={styles.headers}>
        Headers
        <textarea rows={1} placeholder="x-tester: yes" spellCheck={false} {...field('headers')} />
      </label>
      <label className={styles.rev}>
        Revision
        <input placeholder="newest" inputMode="numeric" {...field('rev')} />
      </label>
      <button type="submit" className={styles.submit}>
        Explain
      </button>
    </form>
  )
}

function Answer({ explanation: x }: { explanation: Explanation }) {
  const [which, setWhich] = useState<'runs' | 'desired'>('runs')
  const [, setSearch] = useUrlState(explainSearch)
  const runs = x.runs
  const account = runs && which === 'runs' ? runs : x.desired
  const others = x.nodes.filter((n) => !n.same && n.id !== x.node)
  return (
    <div className={styles.answer}>
      <header>
        <h2>
          <HealthGlyph state={x.same ? 'ok' : 'warn'} decorative />
          {account.outcome}
        </h2>
        <p className="t2">
          {x.node === '' ? (
            `As a sidecar of ${x.from} would be told by revision ${x.desired.revision}.`
          ) : (
            <>
              <Link to="/nodes/{-$nodeId}" params={{ nodeId: x.node }}>
                {x.node}
              </Link>{' '}
              is {x.state}; for this request it {x.same ? 'runs' : 'does not run'} what revision {x.desired.revision} desires.
            </>
          )}
        </p>
        {x.notes.map((n) => (
          <p key={n} className="warn-t">
            {n}
          </p>
        ))}
        {runs && !x.same ? (
          <>
            <ul className={styles.differences}>
              {x.differences.map((d) => (
                <li key={d}>{d}</li>
              ))}
            </ul>
            <Segmented
              label="Which"
              value={which}
              onChange={setWhich}
              options={[
                { value: 'runs', label: `Runs now, revision ${runs.revision}` },
                { value: 'desired', label: `Desired, revision ${x.desired.revision}` },
              ]}
            />
          </>
        ) : null}
        {others.length > 0 ? (
          <p className="t2">
            Not at the desired content:{' '}
            {others.slice(0, 8).map((n, i) => (
              <span key={n.id}>
                {i > 0 ? ', ' : ''}
                <Button kind="quiet" small onClick={() => setSearch({ node: n.id })}>
                  {n.id}
                </Button>
              </span>
            ))}
            {others.length > 8 ? ` and ${count(others.length - 8)} more` : ''}
          </p>
        ) : null}
      </header>
      <Steps account={account} />
    </div>
  )
}

const NAMES: Record<ExplainStep['kind'], string> = {
  listener: 'Listener', virtual_host: 'Virtual host', route: 'Route', split: 'Split', cluster: 'Cluster', endpoints: 'Endpoints',
  inbound: 'Arrival', authorization: 'Authorization',
}

function Steps({ account }: { account: ExplainAccount }) {
  return (
    <ol className={styles.steps} aria-label="Steps">
      {account.steps.map((s, i) => (
        // Steps have no identity but their place.
        // oxlint-disable-next-line react/no-array-index-key
        <li key={i} data-differs={s.differs || undefined}>
          <div className={styles.kind}>
            {NAMES[s.kind]}
            {s.node ? (
              <Link className={styles.at} to="/nodes/{-$nodeId}" params={{ nodeId: s.node }}>
                {s.node}
              </Link>
            ) : null}
          </div>
          <div className={styles.step}>
            <p className={cx('strong', styles.stepTitle)}>
              {s.title} {s.differs ? <Chip kind="warn">differs</Chip> : null} <Place of={s} />
            </p>
            {s.skipped.length > 0 ? (
              <details open={s.skipped.length <= 5}>
                <summary>{s.kind === 'authorization' ? `${plural(s.skipped.length, 'rule')} not for it` : `${plural(s.skipped.length, 'earlier route')} did not take it`}</summary>
                <ul className={styles.skipped}>
                  {s.skipped.map((k, j) => (
                    // oxlint-disable-next-line react/no-array-index-key
                    <li key={j}>
                      <span className="t2">{k.name}</span> {k.why} <Place of={k} short />
                    </li>
                  ))}
                </ul>
              </details>
            ) : null}
            {s.facts.length > 0 ? (
              <dl className={styles.facts}>
                {s.facts.map((f, j) => (
                  // oxlint-disable-next-line react/no-array-index-key
                  <div key={j} data-default={f.default || undefined}>
                    <dt>{f.name}</dt>
                    <dd>
                      {f.value} {f.default ? <span className="t3">default</span> : <Place of={f} short={f.object === s.object} />}
                    </dd>
                  </div>
                ))}
              </dl>
            ) : null}
          </div>
        </li>
      ))}
    </ol>
  )
}

function Place({ of, short = false }: { of: { object: string; file: string; line: number }; short?: boolean }) {
  if (of.object === '') return null
  return (
    <span className={styles.place}>
      <ObjectLink object={of.object} line={of.line}>
        {short ? '' : `${of.object}, `}
        {of.file}:{of.line}
      </ObjectLink>
    </span>
  )
}
