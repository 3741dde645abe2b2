import { useEffect } from 'react'
import { isTyping } from '@/lib/keys'
import { canvasActions } from './canvas-actions'
import type { GraphSearch } from './url'

/** The page's own keys; the arrows belong to the mirror of the canvas. */
export function useGraphKeys(url: GraphSearch, setUrl: (patch: Partial<GraphSearch>) => void): void {
  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      if (e.defaultPrevented || e.metaKey || e.ctrlKey || e.altKey || isTyping(e.target)) return
      switch (e.key) {
        case 't':
        case 'T':
          setUrl({ view: url.view === 'table' ? 'canvas' : 'table' })
          break
        case 'f':
          canvasActions.get().fit()
          break
        case '+':
        case '=':
          canvasActions.get().zoom(1.25)
          break
        case '-':
          canvasActions.get().zoom(0.8)
          break
        case 'Escape':
          if (url.sel === '' || document.querySelector('dialog[open]')) return
          setUrl({ sel: '' })
          break
        default:
          return
      }
      e.preventDefault()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [url.view, url.sel, setUrl])
}
