/**
 * The colours that canvas painters use. A canvas cannot read CSS variables, so
 * the tokens are resolved once per theme and handed to each painter.
 */

const NAMES = [
  'canvas', 'bar', 'card', 'raised', 'well', 'hair', 'line', 'line-strong',
  'text', 'text-2', 'text-3',
  'ok', 'ok-quiet', 'ok-text', 'warn', 'warn-text', 'warn-wash', 'fail', 'fail-text', 'fail-wash',
  'idle', 'idle-text', 'idle-wash', 'info', 'info-text', 'info-wash',
  'data-1', 'data-2', 'data-3', 'data-4',
] as const

export type ColourName = (typeof NAMES)[number]
export type Palette = Readonly<Record<ColourName, string>> & { readonly sans: string; readonly mono: string }

export function readPalette(root: Element): Palette {
  const style = getComputedStyle(root)
  const read = (name: string) => style.getPropertyValue(`--${name}`).trim()
  const colours = Object.fromEntries(NAMES.map((n) => [n, read(n) || '#888']))
  return { ...(colours as Record<ColourName, string>), sans: read('sans') || 'sans-serif', mono: read('mono') || 'monospace' }
}

type Listener = () => void

/**
 * paletteSource watches the theme of one document root. The observer lives
 * while somebody listens.
 */
export function paletteSource(root: Element) {
  let current: Palette | null = null
  let observer: MutationObserver | null = null
  const listeners = new Set<Listener>()
  const dark = matchMedia('(prefers-color-scheme: dark)')

  const changed = () => {
    current = null
    for (const l of listeners) l()
  }
  return {
    get: (): Palette => (current ??= readPalette(root)),
    subscribe(listener: Listener): () => void {
      if (listeners.size === 0) {
        current = null // the theme may have changed while nobody looked
        observer = new MutationObserver(changed)
        observer.observe(root, { attributes: true, attributeFilter: ['data-theme', 'class', 'style'] })
        dark.addEventListener('change', changed)
      }
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
        if (listeners.size > 0) return
        observer?.disconnect()
        observer = null
        dark.removeEventListener('change', changed)
      }
    },
  }
}
