import { useNavigate, useSearch } from '@tanstack/react-router'
import { Command } from 'cmdk'
import { useState } from 'react'
import { useServices, useWorkloads } from '@/api/inventory'
import { signOut, useSession } from '@/api/session'
import type { HealthState } from '@/api/types'
import { useDensity } from '@/lib/density'
import { figure } from '@/lib/format'
import { announce } from '@/lib/shell'
import { useTheme } from '@/lib/theme'
import type { Search } from '@/lib/url'
import { Dialog } from '@/ui/Dialog'
import { HealthGlyph, healthRank } from '@/ui/Health'
import { Icon, type IconName } from '@/ui/Icon'
import { useFrame } from './frame'
import { copyLink } from './link'
import styles from './Palette.module.css'
import { kept, pages } from './pages'

/** Jump to anything: things first, then actions, then pages. */
export function Palette() {
  const { setPalette, setKeys } = useFrame()
  const [typed, setTyped] = useState(() => useFrame.getState().ahead)
  const { theme, toggle } = useTheme()
  const { density, toggle: toggleDensity } = useDensity()
  const navigate = useNavigate()
  const search = useSearch({ strict: false }) as Search
  const session = useSession().data
  const workloads = worstFirst(useWorkloads().data?.items)
  const services = worstFirst(useServices().data?.items)
  const close = () => setPalette(false)
  const run = (action: () => void) => () => {
    close()
    action()
  }
  const live = search.at === undefined || search.at === ''
  const setAt = (at: string | undefined) => void navigate({ to: '.', search: ((s: Search) => ({ ...s, at })) as never })
  const actions: { name: string; icon: IconName; hint?: string; run: () => void }[] = [
    live
      ? { name: 'Pause here', icon: 'pause', run: () => setAt(new Date().toISOString()) }
      : { name: 'Back to live', icon: 'play', hint: 'L', run: () => setAt(undefined) },
    { name: 'Copy a link to this moment', icon: 'link', run: () => void copyLink().then((ok) => announce(ok ? 'Link copied' : 'Copying is not allowed')) },
    { name: theme === 'dark' ? 'Light theme' : 'Dark theme', icon: theme === 'dark' ? 'sun' : 'moon', run: toggle },
    { name: density === 'compact' ? 'Comfortable rows' : 'Compact rows', icon: 'table', run: toggleDensity },
    { name: 'First look: a walk through the mesh', icon: 'help', run: () => void navigate({ to: '/', search: { ...kept(search), look: '1' } as never }) },
    { name: 'Compare with 5 minutes ago', icon: 'compare', run: () => void navigate({ to: '/graph', search: { ...kept(search), vs: new Date(Date.now() - 300_000).toISOString() } as never }) },
    ...(session?.by_token ? [{ name: `Sign out ${session.user}`, icon: 'close' as const, run: () => void signOut().then(() => location.reload()) }] : []),
    { name: 'Shortcuts', icon: 'keys', hint: '?', run: () => setKeys(true) },
  ]
  return (
    <Dialog open onClose={close} label="Jump to">
      <Command className={styles.palette} label="Jump to" loop>
        <div className={styles.input}>
          <Icon name="find" />
          {/* The palette was asked for by a key: the cursor belongs here. */}
          {/* oxlint-disable-next-line jsx-a11y/no-autofocus */}
          <Command.Input autoFocus value={typed} onValueChange={setTyped} placeholder="A workload, an action, a page" />
          <kbd>esc</kbd>
        </div>
        <Command.List className={styles.list}>
          <Command.Empty className={styles.empty}>Nothing of that name. The graph lists all that has traffic.</Command.Empty>
          <Command.Group heading="Workloads">
            {workloads.map((w) => (
              <Command.Item
                key={w.id}
                value={`${w.name} ${w.namespace}`}
                onSelect={run(() => void navigate({ to: '/graph', search: { ...kept(search), sel: w.id } as never }))}
              >
                <HealthGlyph state={w.health.state} size={12} />
                {w.name} <span className="t3">{w.namespace}</span>
                <span className={styles.hint}>{w.in.rps === 0 && w.out.rps > 0 ? `${figure(w.out.rps)} rps out` : `${figure(w.in.rps)} rps`}</span>
              </Command.Item>
            ))}
          </Command.Group>
          <Command.Group heading="Services">
            {services.map((s) => (
              <Command.Item key={s.host} value={`${s.name} service ${s.namespace} ${s.host}`} onSelect={run(() => void navigate({ to: '/services/{-$host}', params: { host: s.host }, search: kept(search) as never }))}>
                <HealthGlyph state={s.health.state} size={12} />
                {s.name} <span className="t3">{s.namespace}</span>
                <span className={styles.hint}>{s.external ? 'outside' : 'service'}</span>
              </Command.Item>
            ))}
          </Command.Group>
          <Command.Group heading="Actions">
            {actions.map((a) => (
              <Command.Item key={a.name} value={a.name} onSelect={run(a.run)}>
                <Icon name={a.icon} />
                {a.name}
                {a.hint ? <kbd className={styles.hint}>{a.hint}</kbd> : null}
              </Command.Item>
            ))}
          </Command.Group>
          <Command.Group heading="Pages">
            {pages.map((p) => (
              <Command.Item key={p.to} value={p.name} onSelect={run(() => void navigate({ to: p.to, params: {}, search: kept(search) as never }))}>
                <Icon name={p.icon} />
                {p.name}
                <kbd className={styles.hint}>G {p.key.toUpperCase()}</kbd>
              </Command.Item>
            ))}
          </Command.Group>
        </Command.List>
      </Command>
    </Dialog>
  )
}

/** What one looks for at night stands first; the rest as the server lists it. */
function worstFirst<T extends { health: { state: HealthState } }>(items: readonly T[] | undefined): readonly T[] {
  return (items ?? []).toSorted((a, b) => healthRank[a.health.state] - healthRank[b.health.state])
}
