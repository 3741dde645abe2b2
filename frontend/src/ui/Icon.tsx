import styles from './Icon.module.css'

/** Our own 16 × 16 line icons: one stroke width, round joints. */
const paths = {
  overview: 'M2.5 13.5v-4h3v4M6.5 13.5v-11h3v11M10.5 13.5v-7h3v7M1.5 13.5h13',
  graph:
    'M5.3 8a1.8 1.8 0 1 1-3.6 0 1.8 1.8 0 0 1 3.6 0zM14.3 3.8a1.8 1.8 0 1 1-3.6 0 1.8 1.8 0 0 1 3.6 0zM14.3 12.2a1.8 1.8 0 1 1-3.6 0 1.8 1.8 0 0 1 3.6 0zM5.2 7.2l5.6-2.6M5.2 8.8l5.6 2.6',
  nodes: 'M2 3.5h12M2 8h12M2 12.5h12M5 2v3M11 6.5v3M7 11v3',
  tap: 'M1.5 8h3l1.6-4.5L9 12.5 10.6 8h3.9',
  traces: 'M2 3.5h8M4.5 8H12M7.5 12.5H14',
  config: 'M4 1.8h5.2L12.5 5v9.2H4zM9 2v3.2h3.3M6.2 8.2h4M6.2 10.8h4',
  services:
    'M3 2.5h10a.8.8 0 0 1 .8.8v3a.8.8 0 0 1-.8.8H3a.8.8 0 0 1-.8-.8v-3a.8.8 0 0 1 .8-.8zM3 8.9h10a.8.8 0 0 1 .8.8v3a.8.8 0 0 1-.8.8H3a.8.8 0 0 1-.8-.8v-3a.8.8 0 0 1 .8-.8zM4.7 4.8h1.5M4.7 11.2h1.5',
  workloads: 'M8 1.8l5.5 3v6.4L8 14.2l-5.5-3V4.8zM2.7 5L8 7.9 13.3 5M8 7.9v6',
  alerts: 'M8 2.2a4 4 0 0 0-4 4v2.6L2.6 11.5h10.8L12 8.8V6.2a4 4 0 0 0-4-4zM6.5 13.5a1.6 1.6 0 0 0 3 0',
  dashboards:
    'M3 2.5h3.2a.7.7 0 0 1 .7.7v4.6a.7.7 0 0 1-.7.7H3a.7.7 0 0 1-.7-.7V3.2a.7.7 0 0 1 .7-.7zM9.8 2.5H13a.7.7 0 0 1 .7.7v1.6a.7.7 0 0 1-.7.7H9.8a.7.7 0 0 1-.7-.7V3.2a.7.7 0 0 1 .7-.7zM9.8 7.5H13a.7.7 0 0 1 .7.7v4.6a.7.7 0 0 1-.7.7H9.8a.7.7 0 0 1-.7-.7V8.2a.7.7 0 0 1 .7-.7zM3 10.5h3.2a.7.7 0 0 1 .7.7v1.6a.7.7 0 0 1-.7.7H3a.7.7 0 0 1-.7-.7v-1.6a.7.7 0 0 1 .7-.7z',
  compare: 'M2.5 3h4v10h-4zM9.5 3h4v10h-4zM11.5 6v4M4.5 8v2',
  help: 'M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0zM6.3 6.3a1.8 1.8 0 1 1 2.7 1.6c-.7.4-1 .8-1 1.5M8 11.3h.01',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  eye: 'M1.5 8S4 3.7 8 3.7 14.5 8 14.5 8 12 12.3 8 12.3 1.5 8 1.5 8zM9.8 8a1.8 1.8 0 1 1-3.6 0 1.8 1.8 0 0 1 3.6 0z',
  focus: 'M9.6 8a1.6 1.6 0 1 1-3.2 0 1.6 1.6 0 0 1 3.2 0zM2.5 5.5v-3h3M13.5 5.5v-3h-3M2.5 10.5v3h3M13.5 10.5v3h-3',
  terminal: 'M3 3h10a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM4.5 6l2 2-2 2M8 10.5h3.5',
  find: 'M11.3 7a4.3 4.3 0 1 1-8.6 0 4.3 4.3 0 0 1 8.6 0zM10.2 10.2l3.6 3.6',
  down: 'M4.5 6.5L8 10l3.5-3.5',
  right: 'M6.5 4.5L10 8l-3.5 3.5',
  left: 'M9.5 4.5L6 8l3.5 3.5',
  up: 'M4.5 9.5L8 6l3.5 3.5',
  close: 'M4 4l8 8M12 4l-8 8',
  link: 'M6.5 9.5l3-3M7.2 4.8l1.3-1.3a2.9 2.9 0 0 1 4 4l-1.3 1.3M8.8 11.2l-1.3 1.3a2.9 2.9 0 0 1-4-4l1.3-1.3',
  lock: 'M4.7 7h6.6a1.2 1.2 0 0 1 1.2 1.2v4.1a1.2 1.2 0 0 1-1.2 1.2H4.7a1.2 1.2 0 0 1-1.2-1.2V8.2A1.2 1.2 0 0 1 4.7 7zM5.5 7V5a2.5 2.5 0 0 1 5 0v2',
  unlock:
    'M4.7 7h6.6a1.2 1.2 0 0 1 1.2 1.2v4.1a1.2 1.2 0 0 1-1.2 1.2H4.7a1.2 1.2 0 0 1-1.2-1.2V8.2A1.2 1.2 0 0 1 4.7 7zM5.5 7V4.6a2.5 2.5 0 0 1 4.8-.9',
  moon: 'M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z',
  sun: 'M10.6 8a2.6 2.6 0 1 1-5.2 0 2.6 2.6 0 0 1 5.2 0zM8 1.6v1.6M8 12.8v1.6M1.6 8h1.6M12.8 8h1.6M3.5 3.5l1.1 1.1M11.4 11.4l1.1 1.1M12.5 3.5l-1.1 1.1M4.6 11.4l-1.1 1.1',
  table: 'M3 3h10a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM2 6.5h12M6.5 6.5V13',
  tidy: 'M2 4h5M2 8h5M2 12h5M10 4h4M10 8h4M10 12h4',
  play: 'M5.2 3.4l7.2 4.6-7.2 4.6z',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  copy: 'M6.5 5.5h6a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1h-6a1 1 0 0 1-1-1v-6a1 1 0 0 1 1-1zM3.5 10.5h-1v-7a1 1 0 0 1 1-1h7v1',
  save: 'M8 2.5V10M5 7l3 3 3-3M2.5 13.5h11',
  pin: 'M8 9.5V14M5 9.5h6L10 7V3H6v4z',
  expand: 'M9.5 2.5h4v4M6.5 13.5h-4v-4M13.5 2.5L9 7M2.5 13.5L7 9',
  plus: 'M8 3.5v9M3.5 8h9',
  minus: 'M3.5 8h9',
  fit: 'M2.5 5.5v-3h3M13.5 5.5v-3h-3M2.5 10.5v3h3M13.5 10.5v3h-3',
  check: 'M3.5 8.5l3 3 6-7',
  keys: 'M2.5 4h11a1 1 0 0 1 1 1v6a1 1 0 0 1-1 1h-11a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1zM4.2 6.6h.01M6.8 6.6h.01M9.4 6.6h.01M12 6.6h.01M5 9.4h6',
  sort: 'M5 3v10M5 13l-2.2-2.4M5 13l2.2-2.4M11 13V3M11 3L8.8 5.4M11 3l2.2 2.4',
  filter: 'M2 3.5h12L9.5 9v4.5l-3-1.5V9z',
  external: 'M9.5 2.5h4v4M13.5 2.5L7.5 8.5M11.5 9.5v4h-9v-9h4',
  clock: 'M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0zM8 4.5V8l2.5 1.5',
  retry: 'M13 8a5 5 0 1 1-1.6-3.7M13.3 2v3h-3',
} as const

export type IconName = keyof typeof paths
/** Every icon there is. */
export const icons = Object.keys(paths) as IconName[]

const heavy: ReadonlySet<IconName> = new Set(['traces', 'nodes', 'pause'])

/** Decorative by default; give a label when the icon stands alone. */
export function Icon({ name, size = 16, label }: { name: IconName; size?: number; label?: string }) {
  return (
    <svg
      className={styles.icon}
      viewBox="0 0 16 16"
      width={size}
      height={size}
      strokeWidth={heavy.has(name) ? 1.8 : size <= 12 ? 1.6 : 1.4}
      role={label ? 'img' : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : true}
    >
      <path d={paths[name]} />
    </svg>
  )
}

/** The mark: a ship's side and the arc its lamp lights. */
export function Mark({ size = 20 }: { size?: number }) {
  return (
    <svg viewBox="0 0 16 16" width={size} height={size} aria-hidden="true">
      <rect x="2" y="1" width="2.5" height="14" rx="1" fill="currentColor" />
      <path
        fill="var(--info)"
        d="M6 1.6a.6.6 0 0 1 .66-.6A8.4 8.4 0 0 1 14.3 11.6a.6.6 0 0 1-.8.33L6.4 9.2a.6.6 0 0 1-.4-.56Z"
      />
    </svg>
  )
}
