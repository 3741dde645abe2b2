import { useState } from 'react'
import type { HealthState } from '@/api/types'
import { useDensity } from '@/lib/density'
import { bytes, duration, figure, percent, rate } from '@/lib/format'
import { useTheme } from '@/lib/theme'
import { Button, IconButton } from '@/ui/Button'
import { Signals } from '@/ui/charts/Signals'
import { Chip, ChipButton } from '@/ui/Chip'
import { Confirm } from '@/ui/Confirm'
import { Dialog } from '@/ui/Dialog'
import { EjectionTimeline } from '@/ui/EjectionTimeline'
import { EmptyState } from '@/ui/EmptyState'
import { Figure } from '@/ui/Figure'
import { HealthGlyph, healthWord } from '@/ui/Health'
import { Help } from '@/ui/Help'
import { Icon, type IconName, icons } from '@/ui/Icon'
import { Menu, MenuCheck, MenuItem } from '@/ui/Menu'
import { Section } from '@/ui/Panel'
import { Segmented } from '@/ui/Segmented'
import { Skeleton } from '@/ui/Skeleton'
import { Sparkline } from '@/ui/Sparkline'
import { StaleNote } from '@/ui/Stale'
import { type Sort, SortHead, tableClass } from '@/ui/Table'
import { Trouble } from '@/ui/Trouble'
import styles from './index.module.css'

const surfaces = ['canvas', 'bar', 'card', 'raised', 'well']
const lines = ['hair', 'line', 'line-strong']
const texts = ['text', 'text-2', 'text-3']
const healthTokens = ['ok', 'warn', 'fail', 'idle', 'info'].flatMap((n) => [n, `${n}-text`, `${n}-wash`])
const data = ['data-1', 'data-2', 'data-3', 'data-4', 'ok-quiet']
const sizes = [11, 12, 13, 15, 20, 28]
const states: HealthState[] = ['ok', 'warn', 'fail', 'idle', 'unknown']
const wave = Array.from({ length: 60 }, (_, i) => 40 + 20 * Math.sin(i / 5) + (i > 40 ? 30 : 0))

/** Tokens, type and every control on one page, in the theme and density chosen. In development only. */
export function DesignPage() {
  const { theme, toggle } = useTheme()
  const { density, toggle: toggleDensity } = useDensity()
  return (
    <div className={styles.page}>
      <header className={styles.head}>
        <h1>What the interface is built from</h1>
        <Button small onClick={toggle}>
          {theme === 'dark' ? 'Light theme' : 'Dark theme'}
        </Button>
        <Button small onClick={toggleDensity}>
          {density === 'compact' ? 'Comfortable rows' : 'Compact rows'}
        </Button>
      </header>
      <Tokens title="Surfaces" names={surfaces} />
      <Tokens title="Lines" names={lines} />
      <Tokens title="Text" names={texts} />
      <Tokens title="Health and information: mark, words, wash" names={healthTokens} />
      <Tokens title="Data without a verdict" names={data} />
      <Contrast key={theme} />
      <Section title="Type" note="system faces; weights 400, 500, 600; tabular numerals">
        {sizes.map((size) => (
          <p key={size} style={{ fontSize: size, lineHeight: 1.35 }}>
            {size} px <b className="strong">Rev 4 128 runs on 97.6 % of nodes</b> 0123456789
          </p>
        ))}
        <p className="mono">payments.booking:8080 5c2f9e10, mono for what is typed or compared by eye</p>
      </Section>
      <Section title="Health" note="shape, glyph, colour and a word: never colour alone">
        <div className={styles.row}>
          {states.map((s) => (
            <span key={s} className={styles.pair}>
              <HealthGlyph state={s} decorative /> {healthWord[s]}
            </span>
          ))}
        </div>
      </Section>
      <Controls />
      <Icons />
      <Figures />
      <Rows />
      <OverTime />
      <Section title="Empty, failed, not permitted, loading, stale">
        <div className={styles.states}>
          <EmptyState title="No taps matched in 40 s" why="3 sidecars listen. Widen the filter.">
            <Button>Clear the filter</Button>
          </EmptyState>
          <Trouble title="The graph cannot be shown" error={{ message: 'The server does not answer.', hint: 'Is sidelight running?' }} retry={() => undefined} />
          <Trouble title="" error={{ code: 'forbidden', message: 'tap is not permitted for petra', hint: 'Ask those who run this server for a rule in its --access file.' }} />
          <div>
            <Skeleton rows={4} label="Loading" />
            <StaleNote ageSeconds={14} />
          </div>
        </div>
      </Section>
    </div>
  )
}

function Tokens({ title, names }: { title: string; names: readonly string[] }) {
  return (
    <Section title={title}>
      <ul className={styles.tokens}>
        {names.map((name) => (
          <li key={name}>
            <i style={{ background: `var(--${name})` }} />
            <span className="mono">--{name}</span>
          </li>
        ))}
      </ul>
    </Section>
  )
}

const pairs = [
  ['text', 'canvas'], ['text-2', 'bar'], ['text-3', 'raised'], ['ok-text', 'ok-wash'], ['warn-text', 'warn-wash'], ['fail-text', 'fail-wash'], ['info-text', 'info-wash'], ['on-info', 'info'],
] as const

/** Contrast as this browser paints it, so that a changed token shows at once. */
function Contrast() {
  const [ratios] = useState(() => {
    const style = getComputedStyle(document.documentElement)
    const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
    const light = (name: string) => {
      if (!context) return 0
      context.fillStyle = style.getPropertyValue(`--${name}`).trim()
      context.fillRect(0, 0, 1, 1)
      const [r = 0, g = 0, b = 0] = context.getImageData(0, 0, 1, 1).data
      const linear = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4))
      return 0.2126 * linear[0]! + 0.7152 * linear[1]! + 0.0722 * linear[2]!
    }
    return pairs.map(([a, b]) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05))
  })
  return (
    <Section title="Contrast" note="WCAG AA wants 4.5 for words">
      <div className={styles.row}>
        {pairs.map(([a, b], i) => (
          <span key={`${a} ${b}`} className={styles.sample} style={{ color: `var(--${a})`, background: `var(--${b})` }}>
            {a} on {b} {ratios[i]?.toFixed(1)}
          </span>
        ))}
      </div>
    </Section>
  )
}

function Controls() {
  const [level, setLevel] = useState<'service' | 'workload'>('service')
  const [pressed, setPressed] = useState(true)
  const [open, setOpen] = useState(false)
  const [asking, setAsking] = useState(false)
  return (
    <Section title="Controls">
      <div className={styles.row}>
        <Button kind="primary">Primary</Button>
        <Button icon="link">With an icon</Button>
        <Button kind="quiet">Quiet</Button>
        <Button small>Small</Button>
        <Button disabled>Disabled</Button>
        <IconButton icon="fit" label="Icon alone" />
        <Segmented label="Level" value={level} options={[{ value: 'service', label: 'Service' }, { value: 'workload', label: 'Workload' }]} onChange={setLevel} />
        <Menu trigger={<Button small>Menu</Button>}>
          <MenuItem onSelect={() => undefined}>An item</MenuItem>
          <MenuCheck checked onChange={() => undefined}>
            One that is on
          </MenuCheck>
        </Menu>
        <Button small onClick={() => setOpen(true)}>
          Dialog
        </Button>
        <Button small onClick={() => setAsking(true)}>
          Confirm
        </Button>
        <Help of="signals" about="the figures" />
      </div>
      <div className={styles.row}>
        <Chip>plain</Chip>
        <Chip kind="ok">ok</Chip>
        <Chip kind="warn">1 rev behind</Chip>
        <Chip kind="fail">NACK</Chip>
        <Chip kind="info">new</Chip>
        <ChipButton pressed={pressed} onClick={() => setPressed(!pressed)}>
          filters when pressed
        </ChipButton>
        <kbd>⌘K</kbd>
      </div>
      <Dialog open={open} onClose={() => setOpen(false)} label="A dialog">
        <p className={styles.dialog}>The browser&rsquo;s own: focus stays in, Escape closes.</p>
      </Dialog>
      {asking ? (
        <Confirm
          title="Hold revision 42?"
          go="Hold"
          change={{ error: new Error('change is not permitted for eve.'), isPending: false }}
          onGo={() => setAsking(false)}
          onClose={() => setAsking(false)}
        >
          <p>What is about to change, and how to undo it. What the server refuses stands below.</p>
        </Confirm>
      ) : null}
    </Section>
  )
}

function Icons() {
  return (
    <Section title="Icons" note="16 × 16, one stroke">
      <ul className={styles.icons}>
        {icons.map((name: IconName) => (
          <li key={name}>
            <Icon name={name} />
            <span className="t3 t11">{name}</span>
          </li>
        ))}
      </ul>
    </Section>
  )
}

function Figures() {
  return (
    <Section title="Figures" note="the unit in the quieter tone">
      <div className={styles.row}>
        <Figure of={rate(642)} />
        <Figure of={percent(0.214)} />
        <Figure of={duration(1920)} />
        <Figure of={bytes(231e6)} />
        <span>{figure(48_213)}</span>
        <Sparkline values={wave} label="a rate" />
        <Sparkline values={wave} tone="fail" area height={18} label="errors" />
      </div>
    </Section>
  )
}

function Rows() {
  const [sort, setSort] = useState<Sort<'name' | 'rps'>>({ by: 'rps', down: true })
  const rows = [['payments', 38], ['web', 642], ['catalog', 493]] as const
  const shown = rows.toSorted((a, b) => (sort.by === 'rps' ? a[1] - b[1] : a[0].localeCompare(b[0])) * (sort.down ? -1 : 1))
  return (
    <Section title="Table" note="rows of one height; the density sets it">
      <table className={tableClass}>
        <thead>
          <tr>
            <SortHead name="name" sort={sort} onSort={setSort}>
              Service
            </SortHead>
            <SortHead name="rps" sort={sort} onSort={setSort} num>
              Rate
            </SortHead>
          </tr>
        </thead>
        <tbody>
          {shown.map(([name, rps]) => (
            <tr key={name}>
              <td>{name}</td>
              <td className="num">
                <Figure of={rate(rps)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  )
}

const noon = Date.parse('2026-01-02T12:00:00Z')
const out = { node: 'web-1.front', caller: 'front/web', host: 'tickets', subset: '', endpoint: '10.0.0.7:8080', status: 503, out: 1, of: 2, object: 'DestinationRule booking/tickets' }
const ejected = [
  { ...out, at: '2026-01-02T11:52:00Z', returned: false, until: '2026-01-02T11:54:00Z' },
  { ...out, at: '2026-01-02T11:54:00Z', returned: true, out: 0, until: null },
  { ...out, at: '2026-01-02T11:59:20Z', returned: false, until: '2026-01-02T12:00:20Z' },
]

function OverTime() {
  return (
    <>
      <Section title="Signals" note="one time axis; a change crosses all rows">
        <Signals
          now={noon}
          seconds={60}
          markers={[{ at: '2026-01-02T11:59:40Z', kind: 'config', text: 'rev 128' }]}
          rows={[
            { label: 'Rate', now: rate(38), tone: 'data', series: wave, note: 'most 90' },
            { label: 'Errors', now: percent(0.214), tone: 'fail', series: wave.map((v) => v / 400), max: 0.3, note: 'most 22 %' },
          ]}
        />
      </Section>
      <EjectionTimeline log={ejected} now={noon} />
    </>
  )
}
