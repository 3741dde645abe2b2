import { modifier } from '@/lib/keys'
import { IconButton } from '@/ui/Button'
import { Dialog } from '@/ui/Dialog'
import { useFrame } from './frame'
import styles from './KeysSheet.module.css'
import { isAt, pages } from './pages'

type Keys = readonly (readonly [string, string])[]

const everywhere: Keys = [
  ['/', 'find or filter'],
  [`${modifier()}K`, 'jump to a thing, an action or a page'],
  ['L', 'back to live'],
  ['← →', 'paused: a step back or on'],
  ['[', 'rail with names or icons'],
  ['?', 'this sheet'],
  ['Esc', 'leave the field, close the panel'],
]

const perPage: Record<string, Keys> = {
  '/graph': [
    ['T', 'graph or table'],
    ['→ ←', 'walk along edges, from the selected service'],
    ['↑ ↓', 'between the edges of a service, or services'],
    ['Enter', 'open the panel'],
    ['Z', 'fold the namespace, or open it'],
    ['F', 'fit everything'],
    ['+ −', 'nearer, farther'],
  ],
  '/nodes': [
    ['↑ ↓', 'rows'],
    ['→ ←', 'open, close'],
  ],
  '/tap': [
    ['Space', 'pause, go on'],
    ['↑ ↓', 'rows'],
    ['→ ←', 'open, close'],
    ['Y', 'copy as a command'],
  ],
}

/** Every shortcut there is, those of this page first. */
export function KeysSheet({ path }: { path: string }) {
  const setKeys = useFrame((s) => s.setKeys)
  const close = () => setKeys(false)
  const page = pages.find((p) => isAt(p.match, path))
  const own = page ? perPage[page.match] : undefined
  return (
    <Dialog open onClose={close} label="Shortcuts">
      <header className={styles.head}>
        <h2>Shortcuts</h2>
        <IconButton icon="close" label="Close" onClick={close} />
      </header>
      <div className={styles.columns}>
        {own && page ? <List title={`On ${page.name}`} keys={own} /> : null}
        <List title="Everywhere" keys={everywhere} />
        <List title="Go to" keys={pages.map((p) => [`G ${p.key.toUpperCase()}`, p.name] as const)} />
      </div>
    </Dialog>
  )
}

function List({ title, keys }: { title: string; keys: Keys }) {
  return (
    <section>
      <h3>{title}</h3>
      <dl className={styles.list}>
        {keys.map(([key, what]) => (
          <div key={key}>
            <dt>
              {key.split(' ').map((k) => (
                <kbd key={k}>{k}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}
