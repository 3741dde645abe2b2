import { useNavigate } from '@tanstack/react-router'
import { useEffect } from 'react'
import { isTyping } from '@/lib/keys'
import type { Search } from '@/lib/url'
import { useFrame } from './frame'
import { kept, pages } from './pages'

const chordMs = 900

/** The keys that work on every page; the sheet behind `?` lists them. */
export function useShellKeys(railOpen: boolean): void {
  const navigate = useNavigate()
  const { toggleRail, setPalette, typeAhead, setKeys } = useFrame()
  useEffect(() => {
    let goAt = 0
    const live = () => {
      const without = ((s: Search) => {
        const { at: _, ...rest } = s
        return rest
      }) as never
      void navigate({ to: '.', search: without })
    }
    const onKey = (e: KeyboardEvent) => {
      if (e.defaultPrevented) return
      if ((e.metaKey || e.ctrlKey) && e.key.toLowerCase() === 'k') {
        e.preventDefault()
        setPalette(true)
        return
      }
      if (useFrame.getState().palette && !document.querySelector('dialog[open]') && e.key.length === 1) {
        e.preventDefault()
        typeAhead(e.key)
        return
      }
      if (e.metaKey || e.ctrlKey || e.altKey || isTyping(e.target) || document.querySelector('dialog[open]')) return
      const page = Date.now() - goAt < chordMs ? pages.find((p) => p.key === e.key) : undefined
      goAt = 0
      if (page) void navigate({ to: page.to, params: {}, search: ((s: Search) => kept(s)) as never })
      else if (e.key === 'g') goAt = Date.now()
      else if (e.key === '/') document.querySelector<HTMLInputElement>('[data-find]')?.focus()
      else if (e.key === '[') toggleRail(railOpen)
      else if (e.key === '?') setKeys(true)
      else if (e.key === 'L' || e.key === 'l') live()
      else return
      e.preventDefault()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [navigate, railOpen, toggleRail, setPalette, typeAhead, setKeys])
}
