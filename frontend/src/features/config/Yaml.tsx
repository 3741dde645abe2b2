import { useEffect, useRef } from 'react'
import type { Problem } from '@/api/types'
import styles from './Yaml.module.css'

/** The number of a document's first line, of which the object itself begins below comments. */
export function firstLine(text: string, objectLine: number): number {
  const lines = text.split('\n')
  const above = lines.findIndex((l) => l.trim() !== '' && !/^(#|%|---)/.test(l))
  return objectLine - Math.max(above, 0)
}

/** YAML with the line numbers of its file; problems stand below their lines. */
export function Yaml({ text, first, problems, line }: { text: string; first: number; problems: readonly Problem[]; line: number }) {
  const marked = useRef<HTMLSpanElement>(null)
  useEffect(() => {
    if (line > 0) marked.current?.scrollIntoView?.({ block: 'center' })
  }, [line])
  const lines = text.replace(/\n$/, '').split('\n')
  return (
    // What scrolls is reached by the keyboard.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <pre className={styles.yaml} tabIndex={0} aria-label="YAML">
      {lines.map((content, i) => {
        const number = first + i
        const here = problems.filter((p) => p.line === number)
        const worst = here.some((p) => p.severity === 'error') ? 'fail' : here.length > 0 ? 'warn' : undefined
        return (
          // Lines have no identity but their number.
          // oxlint-disable-next-line react/no-array-index-key
          <span key={i} ref={number === line ? marked : undefined} className={styles.line} data-on={number === line || undefined} data-problem={worst}>
            <span className={styles.number}>{number}</span>
            <Content text={content} />
            {'\n'}
            {here.map((p) => (
              <span key={`${p.code} ${p.path}`} className={styles.note} data-severity={p.severity}>
                {p.code} {p.message}
                {p.hint ? `; ${p.hint}` : ''}
                {'\n'}
              </span>
            ))}
          </span>
        )
      })}
    </pre>
  )
}

/** One line: what is a key, what a comment, and the rest. */
export function tokens(line: string): { text: string; is: 'plain' | 'key' | 'comment' }[] {
  const comment = /(^|\s)#/.exec(line)
  const quotes = comment ? line.slice(0, comment.index).match(/["']/g)?.length ?? 0 : 0
  const cut = comment && quotes % 2 === 0 ? comment.index : line.length
  const body = line.slice(0, cut)
  const out: { text: string; is: 'plain' | 'key' | 'comment' }[] = []
  let at = 0
  for (const m of body.matchAll(/(^|[\s{,-])([A-Za-z0-9_./-]+|"[^"]*")(?=:(\s|$))/g)) {
    const start = m.index + (m[1] ?? '').length
    if (start > at) out.push({ text: body.slice(at, start), is: 'plain' })
    out.push({ text: m[2] ?? '', is: 'key' })
    at = start + (m[2] ?? '').length
  }
  if (at < body.length) out.push({ text: body.slice(at), is: 'plain' })
  if (cut < line.length) out.push({ text: line.slice(cut), is: 'comment' })
  return out
}

function Content({ text }: { text: string }) {
  return tokens(text).map((t, i) => (
    // oxlint-disable-next-line react/no-array-index-key
    <span key={i} className={t.is === 'plain' ? undefined : styles[t.is]}>
      {t.text}
    </span>
  ))
}
