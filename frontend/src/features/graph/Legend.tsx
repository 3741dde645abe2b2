import { useState } from 'react'
import type { HealthState } from '@/api/types'
import { edgeWidth } from '@/graph/scene'
import { HealthGlyph, healthWord } from '@/ui/Health'
import { Icon } from '@/ui/Icon'
import styles from './Legend.module.css'

const key = 'sidelight.legend'
const states: HealthState[] = ['ok', 'warn', 'fail', 'idle', 'unknown']

/** What lines, widths and shapes mean; folds to a word, and stays folded. */
export function Legend() {
  const [open, setOpen] = useState(() => localStorage.getItem(key) !== 'closed')
  const toggle = () => {
    localStorage.setItem(key, open ? 'closed' : 'open')
    setOpen(!open)
  }
  return (
    <div className={styles.legend} data-open={open}>
      <button type="button" className={styles.toggle} aria-expanded={open} onClick={toggle}>
        <Icon name={open ? 'down' : 'right'} size={12} />
        Legend
      </button>
      {open ? (
        <div className={styles.columns}>
          <div>
            <h4>Edge</h4>
            <Line word="healthy" stroke="var(--ok-quiet)" width={2.5} />
            <Line word="degraded" stroke="var(--warn)" width={2.5} dash="11 5" />
            <Line word="failing" stroke="var(--fail)" width={3} dash="4 3.5" />
            <Line word="idle or plaintext" stroke="var(--idle)" width={1} />
            <Line word="mirrored" stroke="var(--data-3)" width={2.5} dash="1.5 4" />
          </div>
          <div>
            <h4>Rate, width</h4>
            {[1, 10, 100, 1000].map((rps) => (
              <div key={rps} className={styles.row}>
                <svg width="40" height="10">
                  <path d="M0 5H40" stroke="var(--ok-quiet)" strokeWidth={edgeWidth(rps)} />
                </svg>
                {rps === 1000 ? '1\u202f000' : rps} rps
              </div>
            ))}
            <div className={styles.row}>
              <svg width="40" height="10">
                <path d="M0 5H40" stroke="var(--ok-quiet)" strokeWidth="2.2" />
                <path d="M13 5l5-4.5 5 4.5-5 4.5z" fill="var(--bar)" stroke="var(--ok-quiet)" strokeWidth="1.4" />
              </svg>
              weighted split
            </div>
          </div>
          <div>
            <h4>Workload</h4>
            {states.map((state) => (
              <div key={state} className={styles.row}>
                <HealthGlyph state={state} size={13} decorative />
                {state === 'unknown' ? 'no data from its side' : healthWord[state]}
              </div>
            ))}
          </div>
        </div>
      ) : null}
    </div>
  )
}

function Line({ word, stroke, width, dash }: { word: string; stroke: string; width: number; dash?: string }) {
  return (
    <div className={styles.row}>
      <svg width="40" height="10">
        <path d="M0 5H33" stroke={stroke} strokeWidth={width} strokeDasharray={dash} />
        <path d="M40 5l-7-3.4v6.8z" fill={stroke} />
      </svg>
      {word}
    </div>
  )
}
