import styles from './Skeleton.module.css'

/** Hairlines in the place of rows; appears only after 200 ms, so that quick answers do not flicker. */
export function Skeleton({ rows = 6, label = 'Loading' }: { rows?: number; label?: string }) {
  return (
    <div className={styles.skeleton} role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, i) => (
        <i key={i} style={{ width: `${88 - ((i * 37) % 46)}%` }} />
      ))}
    </div>
  )
}
