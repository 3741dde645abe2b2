import { useRouter } from '@tanstack/react-router'
import type { MouseEvent, ReactNode } from 'react'
import { basePath } from '@/lib/base'

/** A link to an address that the server wrote, as "/graph?edge=…": it goes there without loading the page anew. */
export function AppLink({ to, className, title, children }: { to: string; className?: string; title?: string; children: ReactNode }) {
  const router = useRouter()
  // Only addresses of this page: what a server finds is no place to send a browser elsewhere.
  const local = to.startsWith('/') && !to.startsWith('//') ? to : '/'
  const href = `${basePath()}${local}`
  const go = (e: MouseEvent) => {
    if (e.metaKey || e.ctrlKey || e.shiftKey || e.button !== 0) return
    e.preventDefault()
    router.history.push(href)
  }
  return (
    <a href={href} className={className} title={title} onClick={go}>
      {children}
    </a>
  )
}
