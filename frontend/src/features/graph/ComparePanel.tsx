import type { Change, Comparison } from '@/graph/compare'
import { count } from '@/lib/format'
import { clock } from '@/lib/time'
import { IconButton } from '@/ui/Button'
import { Chip } from '@/ui/Chip'
import { Icon } from '@/ui/Icon'
import { Section } from '@/ui/Panel'
import { Skeleton } from '@/ui/Skeleton'
import styles from './ComparePanel.module.css'

const word: Record<Change, string> = { added: 'new', removed: 'gone', changed: 'changed' }
const shownMost = 200

/** What is not as it was: the worst first, each with the way to it. */
export function ComparePanel({
  comparison,
  error,
  vs,
  at,
  onSelect,
  onClose,
}: {
  comparison: Comparison | null
  error: string
  vs: string
  /** Empty is now. */
  at: string
  onSelect: (id: string) => void
  onClose: () => void
}) {
  return (
    <aside className={styles.panel} aria-label="What changed">
      <header className={styles.head}>
        <div className={styles.title}>
          <Icon name="compare" />
          <h2>{comparison ? finding(comparison) : 'Comparing'}</h2>
          <IconButton icon="close" label="End the comparison" size={24} onClick={onClose} />
        </div>
        <p className="t2">
          From {clock(vs)} to {at === '' ? 'now' : clock(at)}. Hold Shift on the time bar to choose another moment to compare with.
        </p>
      </header>
      <div className={styles.body}>
        {error === '' ? null : <p className={styles.error}>That moment cannot be shown: {error}</p>}
        {!comparison && error === '' ? <Skeleton rows={8} label="Loading that moment" /> : null}
        {comparison && comparison.lines.length === 0 ? (
          <Section>
            <p className="t2">Nothing came, went or changed by more than chance explains: no health, no split, no rate by a third, no error ratio by two points, no p95 by half.</p>
          </Section>
        ) : null}
        {comparison && comparison.lines.length > 0 ? (
          <ul className={styles.lines}>
            {comparison.lines.slice(0, shownMost).map((line) => (
              <li key={line.id}>
                <button type="button" onClick={() => onSelect(line.id)}>
                  <Chip kind={line.change === 'changed' ? 'plain' : 'info'}>{word[line.change]}</Chip>
                  <b className="cut">{line.name}</b>
                  <span className={styles.text}>{line.text}</span>
                </button>
              </li>
            ))}
          </ul>
        ) : null}
        {comparison && comparison.lines.length > shownMost ? <p className={styles.error}>{count(comparison.lines.length - shownMost)} smaller changes are not listed.</p> : null}
      </div>
    </aside>
  )
}

function finding({ counts }: Comparison): string {
  const parts = [
    counts.added > 0 ? `${count(counts.added)} new` : '',
    counts.removed > 0 ? `${count(counts.removed)} gone` : '',
    counts.changed > 0 ? `${count(counts.changed)} changed` : '',
  ].filter(Boolean)
  return parts.length === 0 ? 'Nothing changed' : parts.join(', ')
}
