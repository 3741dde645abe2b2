import { useNamespaces } from '@/api/inventory'
import { namespacesOf, sharedSearch, useUrlState } from '@/lib/url'
import { figure } from '@/lib/format'
import { Button } from '@/ui/Button'
import { HealthGlyph } from '@/ui/Health'
import { Icon } from '@/ui/Icon'
import { Menu, MenuCheck, MenuItem, MenuLine } from '@/ui/Menu'
import styles from './NamespaceFilter.module.css'

/** Which namespaces all pages speak of; none chosen is all. */
export function NamespaceFilter() {
  const [{ ns }, setUrl] = useUrlState(sharedSearch)
  const { data, error } = useNamespaces()
  const chosen = namespacesOf(ns)
  const all = data?.items ?? []
  const names = [...new Set([...all.map((n) => n.name), ...chosen])].sort()
  const words = chosen.length === 0 ? 'all' : chosen.length === 1 ? chosen[0] : `${chosen.length} of ${names.length}`
  const toggle = (name: string, on: boolean) => {
    const next = on ? [...chosen, name] : chosen.filter((n) => n !== name)
    setUrl({ ns: next.length === names.length ? '' : next.sort().join(',') })
  }
  return (
    <Menu
      trigger={
        <Button className={styles.trigger}>
          <span>Namespaces</span> <b>{words}</b>
          <Icon name="down" size={12} />
        </Button>
      }
    >
      <MenuItem onSelect={() => setUrl({ ns: '' })}>All namespaces</MenuItem>
      <MenuLine />
      {names.length === 0 ? <p className={styles.none}>{error ? 'The server does not answer.' : 'None seen yet.'}</p> : null}
      {names.map((name) => {
        const item = all.find((n) => n.name === name)
        return (
          <MenuCheck
            key={name}
            keepOpen
            checked={chosen.includes(name)}
            onChange={(on) => toggle(name, on)}
            hint={item ? `${figure(item.rps)} rps` : 'not seen'}
          >
            <HealthGlyph state={item?.health.state ?? 'unknown'} size={12} />
            {name}
          </MenuCheck>
        )
      })}
    </Menu>
  )
}
