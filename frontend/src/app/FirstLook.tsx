import { useNavigate, useRouterState, useSearch } from '@tanstack/react-router'
import { useEffect } from 'react'
import type { Search } from '@/lib/url'
import { Button, IconButton } from '@/ui/Button'
import styles from './FirstLook.module.css'
import { kept } from './pages'

type Step = { to: '/' | '/graph' | '/services/{-$host}' | '/nodes/{-$nodeId}' | '/tap' | '/traces/{-$traceId}'; path: string; title: string; text: string; search?: Search }

/** A walk through the pages in the order in which a question comes up. */
const steps: readonly Step[] = [
  { to: '/', path: '/', title: 'Is anything wrong?', text: 'The first line answers it. Below stand the findings, the worst first; each leads to where it is seen.' },
  { to: '/graph', path: '/graph', title: 'Who talks to whom?', text: 'Edges tell rate by width and health by colour and dash. Press one: the panel says who answered the errors, the service or a proxy, and which object made it so.' },
  { to: '/services/{-$host}', path: '/services', title: 'What stands behind it?', text: 'Any service or workload has a page: callers, endpoints, what is ejected, its sidecars and its traces.' },
  { to: '/nodes/{-$nodeId}', path: '/nodes', title: 'Which configuration runs where?', text: 'Every sidecar compared with the desired revision, by content. Open a row to see what it lacks and why, in its own words.' },
  { to: '/tap', path: '/tap', title: 'What is in the traffic, right now?', text: 'A filter on request and response runs in the sidecars. Try status >= 500, then open a row.' },
  { to: '/traces/{-$traceId}', path: '/traces', title: 'Where did the time go?', text: 'Search or press a dot; the waterfall shows the critical path and where trace headers were lost.' },
]

/** The walk's card, while the address names a step. */
export function FirstLook() {
  const search = useSearch({ strict: false }) as Search
  const path = useRouterState({ select: (s) => s.location.pathname })
  const navigate = useNavigate()
  const at = Number(search.look)
  const step = Number.isInteger(at) ? steps[at - 1] : undefined
  const go = (n: number) => {
    const next = steps[n - 1]
    if (next) void navigate({ to: next.to, params: {}, search: { ...kept(search), ...next.search, look: String(n) } as never })
  }
  const end = () => void navigate({ to: '.', search: ((s: Search) => ({ ...s, look: undefined })) as never })
  const away = step !== undefined && !(step.path === '/' ? path === '/' : path.startsWith(step.path))
  useEffect(() => {
    if (step && !away) document.title = `${step.title} · Sidelight`
  }, [step, away])
  if (!step || away) return null
  return (
    <section className={styles.card} aria-label={`First look, ${at} of ${steps.length}`}>
      <header>
        <h2>{step.title}</h2>
        <span className="t3">
          {at} of {steps.length}
        </span>
        <IconButton icon="close" size={24} label="End the first look" onClick={end} />
      </header>
      <p>{step.text}</p>
      <footer>
        {at > 1 ? (
          <Button small onClick={() => go(at - 1)}>
            Back
          </Button>
        ) : null}
        <Button small kind="primary" onClick={() => (at < steps.length ? go(at + 1) : end())}>
          {at < steps.length ? 'Next' : 'Done'}
        </Button>
      </footer>
    </section>
  )
}
