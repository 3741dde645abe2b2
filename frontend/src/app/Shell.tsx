import { Outlet, useRouterState } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useState } from 'react'
import { useShell } from '@/lib/shell'
import { useTheme } from '@/lib/theme'
import '@/lib/density'
import { Foot } from './Foot'
import { useConnectionNews } from './useConnectionNews'
import { useFrame } from './frame'
import { isAt, pages } from './pages'
import { Rail } from './Rail'
import styles from './Shell.module.css'
import { TimeBar } from './timebar/TimeBar'
import { TopBar } from './TopBar'
import { useShellKeys } from './useShellKeys'

const Palette = lazy(() => import('./Palette').then((m) => ({ default: m.Palette })))
const FirstLook = lazy(() => import('./FirstLook').then((m) => ({ default: m.FirstLook })))
const SignIn = lazy(() => import('./SignIn').then((m) => ({ default: m.SignIn })))
const KeysSheet = lazy(() => import('./KeysSheet').then((m) => ({ default: m.KeysSheet })))

/** The frame around every page: rail, top bar, time bar, page, foot. */
export function Shell() {
  const path = useRouterState({ select: (s) => s.location.pathname })
  const look = useRouterState({ select: (s) => Boolean((s.location.search as { look?: string }).look) })
  const { rail, palette, keys } = useFrame()
  const signIn = useShell((s) => s.signIn)
  const wide = useMedia('(min-width: 1200px)')
  // The graph needs the width, so there the rail folds by itself.
  const open = rail === 'auto' ? wide && path !== '/graph' : rail === 'open'
  useShellKeys(open)
  useSystemTheme()
  useTitle(path)
  return (
    <div className={styles.app} data-rail={open ? 'open' : 'closed'}>
      <a
        className={styles.skip}
        href="#main"
        onClick={(e) => {
          e.preventDefault() // <base> would lead the fragment to the mount point
          document.getElementById('main')?.focus()
        }}
      >
        Skip to the page
      </a>
      <Rail open={open} path={path} />
      <TopBar />
      <TimeBar />
      <main id="main" className={styles.main} tabIndex={-1}>
        <Suspense>
          <Outlet />
        </Suspense>
      </main>
      <Foot />
      <Announcer />
      <Suspense>
        {palette ? <Palette /> : null}
        {keys ? <KeysSheet path={path} /> : null}
        {look ? <FirstLook /> : null}
        {signIn ? <SignIn /> : null}
      </Suspense>
    </div>
  )
}

function useTitle(path: string): void {
  useEffect(() => {
    const page = pages.find((p) => isAt(p.match, path))
    document.title = page ? `${page.name} · Sidelight` : 'Sidelight'
  }, [path])
}

function Announcer() {
  useConnectionNews()
  const text = useShell((s) => s.announcement)
  return (
    <div className="sr-only" role="status" aria-live="polite">
      {text}
    </div>
  )
}

export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches)
  useEffect(() => {
    const list = matchMedia(query)
    const follow = () => setMatches(list.matches)
    follow()
    list.addEventListener('change', follow)
    return () => list.removeEventListener('change', follow)
  }, [query])
  return matches
}

function useSystemTheme(): void {
  const follow = useTheme((s) => s.follow)
  useEffect(() => {
    const list = matchMedia('(prefers-color-scheme: light)')
    list.addEventListener('change', follow)
    return () => list.removeEventListener('change', follow)
  }, [follow])
}
