import { useNavigate, useRouterState } from '@tanstack/react-router'
import { useState } from 'react'
import { modifier } from '@/lib/keys'
import { announce } from '@/lib/shell'
import { sharedSearch, useUrlState } from '@/lib/url'
import { Button } from '@/ui/Button'
import { FindField } from './find/FindField'
import { useFrame } from './frame'
import { copyLink, meshName } from './link'
import { NamespaceFilter } from './NamespaceFilter'
import styles from './TopBar.module.css'

/** Which mesh, which namespaces, find, and the ways out: link and palette. */
export function TopBar() {
  const setPalette = useFrame((s) => s.setPalette)
  return (
    <header className={styles.top}>
      <b className={styles.mesh} title="This mesh">
        {meshName()}
      </b>
      <NamespaceFilter />
      <FindField />
      <Compare />
      <CopyLink />
      <Button kind="quiet" className={styles.jump} onClick={() => setPalette(true)}>
        Jump to <kbd>{modifier()}K</kbd>
      </Button>
    </header>
  )
}

const comparedMs = 5 * 60_000

/** The graph against an earlier one; from elsewhere it leads there. */
function Compare() {
  const [{ at, vs, ns }, setUrl] = useUrlState(sharedSearch)
  const path = useRouterState({ select: (s) => s.location.pathname })
  const navigate = useNavigate()
  const on = vs !== '' && path === '/graph'
  const toggle = () => {
    const then = new Date((at === '' ? Date.now() : Date.parse(at)) - comparedMs).toISOString()
    if (path === '/graph') setUrl({ vs: on ? '' : then })
    else void navigate({ to: '/graph', search: { ...(ns === '' ? {} : { ns }), ...(at === '' ? {} : { at }), vs: then } as never })
  }
  return (
    <Button icon="compare" className={styles.copy} aria-pressed={on} title={on ? 'End the comparison' : 'What changed in the last 5 minutes'} onClick={toggle}>
      <span>Compare</span>
    </Button>
  )
}

/** A link to what is seen now: live views are frozen to absolute time. */
function CopyLink() {
  const [copied, setCopied] = useState(false)
  const copy = async () => {
    const done = await copyLink()
    setCopied(done)
    announce(done ? 'Link copied, frozen to this moment' : 'The browser allows no copying; take the link from the address')
    setTimeout(() => setCopied(false), 1600)
  }
  return (
    <Button icon={copied ? 'check' : 'link'} className={styles.copy} title="Copy a link frozen to this moment" onClick={() => void copy()}>
      <span>{copied ? 'Copied' : 'Copy link'}</span>
    </Button>
  )
}
