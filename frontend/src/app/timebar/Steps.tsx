import { useEffect, useRef, useState } from 'react'
import { isTyping } from '@/lib/keys'
import { IconButton } from '@/ui/Button'
import styles from './TimeBar.module.css'

const playEveryMs = 700

/** While paused: one frame back or on, and playing from here until now is reached. */
export function Steps({ at, frame, now, onGo }: { at: number; frame: number; now: number; onGo: (ms: number | null) => void }) {
  const [playing, setPlaying] = useState(false)
  const go = (by: number) => {
    const next = at + by * frame
    onGo(next >= now - frame ? null : next)
  }
  // Keys and clock act on what is shown when they fire, not when they were set.
  const latest = useRef(go)
  useEffect(() => {
    latest.current = go
  })
  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      if (e.defaultPrevented || e.metaKey || e.ctrlKey || e.altKey || isTyping(e.target) || document.querySelector('dialog[open]')) return
      // Where arrows walk (graph, tables, tabs), they walk.
      if (e.target instanceof Element && e.target.closest('[role=toolbar],[role=treegrid],[role=grid],[role=slider],[role=menu],[role=tablist],[role=listbox]')) return
      if (e.key === 'ArrowLeft') latest.current(-1)
      else if (e.key === 'ArrowRight') latest.current(1)
      else return
      e.preventDefault()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
  useEffect(() => {
    if (!playing) return
    const timer = setInterval(() => latest.current(1), playEveryMs)
    return () => clearInterval(timer)
  }, [playing])
  return (
    <span className={styles.steps} role="group" aria-label="Step">
      <IconButton icon="left" size={24} label="One step back (←)" onClick={() => go(-1)} />
      <IconButton icon={playing ? 'pause' : 'play'} size={24} label={playing ? 'Stop playing' : 'Play from here'} onClick={() => setPlaying(!playing)} />
      <IconButton icon="right" size={24} label="One step on (→)" onClick={() => go(1)} />
    </span>
  )
}
