import { useEffect, useState } from 'react'
import { announce } from '@/lib/shell'
import { Button } from '@/ui/Button'

/** Copies a text and says so in its own place. */
export function CopyButton({ text, label, plain = false }: { text: () => string; label: string; plain?: boolean }) {
  const [state, setState] = useState<'idle' | 'done' | 'failed'>('idle')
  useEffect(() => {
    if (state === 'idle') return
    const timer = setTimeout(() => setState('idle'), 1600)
    return () => clearTimeout(timer)
  }, [state])
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text())
      setState('done')
      announce('Copied')
    } catch {
      setState('failed') // the browser gives the clipboard to secure pages only
    }
  }
  const words = state === 'done' ? 'Copied' : state === 'failed' ? 'The browser refused' : label
  if (plain) {
    return (
      <button type="button" className="info-t t11" onClick={() => void copy()}>
        {words}
      </button>
    )
  }
  return (
    <Button small icon={state === 'done' ? 'check' : 'copy'} onClick={() => void copy()}>
      {words}
    </Button>
  )
}
