import { useId, useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { useTraceOperations, useTraceServices } from '@/api/traces'
import { Button } from '@/ui/Button'
import { ChipButton } from '@/ui/Chip'
import styles from './SearchForm.module.css'
import { narrowed } from './url'
import type { TracesSearch } from './url'

type Patch = Partial<TracesSearch>

/** Asks for traces by what a person knows: who, what, how it ended, how long it took. */
export function SearchForm({ search, onChange }: { search: TracesSearch; onChange: (patch: Patch) => void }) {
  const services = useTraceServices()
  const operations = useTraceOperations(search.service)
  // Edges and tags come by links from other pages; they are shown as chips and can be taken off.
  const linked = narrowed(search).filter((n) => !['service', 'operation', 'status', 'errors', 'min_ms', 'max_ms'].includes(n.key))
  const any = narrowed(search).length > 0
  return (
    <form className={styles.form} role="search" aria-label="Search traces" onSubmit={(e: FormEvent) => e.preventDefault()}>
      <Field label="Service">
        {(id) => (
          <select id={id} value={search.service} onChange={(e) => onChange({ service: e.target.value, operation: '' })}>
            <option value="">any</option>
            {withOwn(services.data ?? [], search.service).map((s) => (
              <option key={s}>{s}</option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Operation">
        {(id) => (
          <select id={id} value={search.operation} disabled={!search.service} onChange={(e) => onChange({ operation: e.target.value })}>
            <option value="">{search.service ? 'any' : 'choose a service first'}</option>
            {withOwn(operations.data ?? [], search.operation).map((o) => (
              <option key={o}>{o}</option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Status">{(id) => <Text id={id} value={search.status} placeholder="5xx, 503" width={68} pattern="[1-5]xx|\d{3}" onCommit={(status) => onChange({ status })} />}</Field>
      <Field label="Duration, ms">
        {(id) => (
          <span className={styles.range}>
            <Text id={id} value={search.min_ms} placeholder="from" width={52} pattern="\d*\.?\d*" onCommit={(min_ms) => onChange({ min_ms })} />
            <Text label="Duration at most, ms" value={search.max_ms} placeholder="to" width={52} pattern="\d*\.?\d*" onCommit={(max_ms) => onChange({ max_ms })} />
          </span>
        )}
      </Field>
      <ChipButton kind={search.errors === '1' ? 'fail' : 'plain'} pressed={search.errors === '1'} onClick={() => onChange({ errors: search.errors === '1' ? '' : '1' })}>
        with errors
      </ChipButton>
      {linked.map((n) => (
        <ChipButton key={n.key} kind="info" pressed onClick={() => onChange(n.key === 'from' || n.key === 'to' ? { from: '', to: '' } : { [n.key]: '' })}>
          {n.text} ×
        </ChipButton>
      ))}
      {any ? (
        <Button small kind="quiet" onClick={() => onChange(NOTHING)}>
          Clear
        </Button>
      ) : null}
    </form>
  )
}

export const NOTHING: Patch = { service: '', operation: '', workload: '', source: '', target: '', route: '', status: '', tag: '', errors: '', min_ms: '', max_ms: '', from: '', to: '' }

const withOwn = (list: readonly string[], own: string): readonly string[] => (own && !list.includes(own) ? [own, ...list] : list)

function Field({ label, children }: { label: string; children: (id: string) => ReactNode }) {
  const id = useId()
  return (
    <span className={styles.field}>
      <label htmlFor={id}>{label}</label>
      {children(id)}
    </span>
  )
}

/** A text that is committed by Enter or by leaving it, so that half a number searches nothing. */
function Text({ id, label, value, placeholder, width, pattern, onCommit }: { id?: string; label?: string; value: string; placeholder: string; width: number; pattern: string; onCommit: (v: string) => void }) {
  const [draft, setDraft] = useState(value)
  const [seen, setSeen] = useState(value)
  // The address may change by itself: Back, a brush on the chart, a cleared search.
  if (value !== seen) {
    setSeen(value)
    setDraft(value)
  }
  const valid = draft === '' || new RegExp(`^(?:${pattern})$`).test(draft)
  const commit = () => valid && draft !== value && onCommit(draft)
  return (
    <input
      id={id}
      aria-label={label}
      value={draft}
      placeholder={placeholder}
      style={{ width }}
      aria-invalid={!valid || undefined}
      onChange={(e) => setDraft(e.target.value.trim())}
      onBlur={commit}
      onKeyDown={(e) => e.key === 'Enter' && commit()}
    />
  )
}
