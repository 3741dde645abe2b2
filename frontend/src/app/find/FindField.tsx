import { useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect, useId, useMemo, useRef, useState } from 'react'
import { readExpression } from '@/lib/expr/read'
import { announce, plainFind, useShell } from '@/lib/shell'
import type { Search } from '@/lib/url'
import { IconButton } from '@/ui/Button'
import { Icon } from '@/ui/Icon'
import { Completion } from './Completion'
import styles from './FindField.module.css'
import { none, type Offer, offersAt } from './offers'
import { Pieces } from './Pieces'

const settleMs = 350
/** Until the page has counted what an expression matches. */
const countedMs = 1000

/**
 * The page's expression: coloured as it is typed, underlined where it is
 * wrong, written to the address once it is right. The input is a real one,
 * its text transparent over the coloured pieces.
 */
export function FindField() {
  const slot = useShell((s) => s.find)
  const param = slot.param ?? 'q'
  const search = useSearch({ strict: false }) as Search
  const navigate = useNavigate()
  const applied = search[param] ?? ''
  const [text, setText] = useState(applied)
  const [seenApplied, setSeenApplied] = useState(applied)
  const [caret, setCaret] = useState(0)
  const [open, setOpen] = useState(false)
  const input = useRef<HTMLInputElement>(null)
  const pieces = useRef<HTMLDivElement>(null)
  const id = useId()
  // The address may change by itself: Back, a link, a cleared filter.
  if (applied !== seenApplied) {
    setSeenApplied(applied)
    setText(applied)
  }

  const reading = useMemo(() => readExpression(text, slot.fields), [text, slot.fields])
  const apply = (value: string) => {
    if (value === applied) return
    void navigate({
      to: '.',
      replace: true,
      search: ((before: Search) => {
        const { [param]: _, ...rest } = before
        return value === '' ? rest : { ...rest, [param]: value }
      }) as never,
    })
  }
  useEffect(() => {
    if (slot.onEnter || reading.error || text === applied) return
    const timer = setTimeout(() => apply(text.trim()), settleMs)
    return () => clearTimeout(timer)
    // apply closes over what is listed here.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [text, applied, param, slot.onEnter, reading.error])

  useEffect(() => {
    // A filter that starts something is told of by the page that starts it.
    if (applied === '' || slot.onEnter) return
    const timer = setTimeout(() => {
      const { note } = useShell.getState().find
      if (note !== '') announce(note)
    }, countedMs)
    return () => clearTimeout(timer)
  }, [applied, param, slot.onEnter])

  const offer = useMemo(() => (open ? offersAt(text, caret, slot.fields, slot.presets ?? []) : none), [open, text, caret, slot.fields, slot.presets])
  const options = offer.options
  const [active, setActive] = useState(0)
  // Enter applies what is typed, unless somebody went into the list.
  const [moved, setMoved] = useState(false)
  const chosen = Math.min(active, options.length - 1)
  const complete = (option: Offer) => {
    const next = `${text.slice(0, offer.start)}${option.insert}${text.slice(caret)}`
    const at = offer.start + option.insert.length
    setText(next)
    setCaret(at)
    setActive(0)
    input.current?.focus()
    requestAnimationFrame(() => input.current?.setSelectionRange(at, at))
  }
  const onKeyDown = (e: React.KeyboardEvent) => {
    if (options.length > 0 && (e.key === 'ArrowDown' || e.key === 'ArrowUp')) {
      e.preventDefault()
      setMoved(true)
      setActive(moved ? (chosen + (e.key === 'ArrowDown' ? 1 : options.length - 1)) % options.length : e.key === 'ArrowDown' ? 0 : options.length - 1)
    } else if (e.key === 'Tab' && !e.shiftKey && options[chosen] && (offer.typed !== '' || moved)) {
      e.preventDefault()
      complete(options[chosen])
    } else if (e.key === 'Enter' && moved && options[chosen]) {
      e.preventDefault()
      complete(options[chosen])
      setMoved(false)
    } else if (e.key === 'Enter') {
      setOpen(false)
      if (!reading.error) apply(text.trim())
    } else if (e.key === 'Escape') {
      if (open && options.length > 0) setOpen(false)
      else input.current?.blur()
      e.preventDefault()
    }
  }
  // The server's words begin with the parameter, which nobody typed.
  const error = reading.error?.message ?? slot.error.replace(`${param}: `, '')
  const shownError = error !== '' && text !== ''
  const place = (e: React.SyntheticEvent<HTMLInputElement>) => {
    setCaret(e.currentTarget.selectionStart ?? 0)
    if (pieces.current) pieces.current.scrollLeft = e.currentTarget.scrollLeft
  }
  return (
    <div className={styles.find} role="search" data-unused={slot === plainFind || undefined} data-error={shownError || undefined}>
      <Icon name="find" />
      <label htmlFor={id} className={styles.label}>
        {slot.label}
      </label>
      <div className={styles.field}>
        <div className={styles.pieces} ref={pieces} aria-hidden="true">
          <Pieces reading={reading} />
        </div>
        <input
          ref={input}
          id={id}
          data-find
          className={styles.input}
          value={text}
          placeholder={slot.placeholder === '' ? 'errors > 1 %' : slot.placeholder}
          spellCheck={false}
          autoComplete="off"
          autoCapitalize="off"
          role="combobox"
          aria-expanded={options.length > 0}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={options.length > 0 ? `${id}-${chosen}` : undefined}
          aria-invalid={shownError || undefined}
          aria-describedby={shownError ? `${id}-error` : undefined}
          onChange={(e) => {
            setText(e.target.value)
            setOpen(true)
            setActive(0)
            setMoved(false)
            place(e)
          }}
          onSelect={place}
          onScroll={place}
          onKeyDown={onKeyDown}
          onFocus={() => setOpen(true)}
          onBlur={() => setOpen(false)}
        />
      </div>
      {shownError ? (
        <span className={styles.error} id={`${id}-error`} title={error}>
          {error}
        </span>
      ) : (
        <span className={styles.note}>{slot.note}</span>
      )}
      {text === '' ? (
        <kbd className={styles.key}>/</kbd>
      ) : (
        <IconButton
          icon="close"
          size={20}
          label="Clear the expression"
          onClick={() => {
            setText('')
            apply('')
          }}
        />
      )}
      {options.length > 0 ? <Completion id={id} options={options} active={chosen} onPick={complete} /> : null}
    </div>
  )
}
