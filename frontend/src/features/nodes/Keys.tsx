import styles from './Keys.module.css'

/** What the strips' fills mean; it stands in the section's head, once. */
export function StripKey() {
  return (
    <span className={styles.key} role="gridcell">
      <span><i className={styles.applied} />applied</span>
      <span><i className={styles.late} />slow or stale</span>
      <span><i className="hatch-warn" />drifted</span>
      <span><i className="hatch-fail" />rejected</span>
      <span><i className={styles.gone} />disconnected</span>
      <span><i className={styles.never} />never connected</span>
    </span>
  )
}

export function ToneKey() {
  return (
    <span className={styles.key} role="gridcell">
      stronger tone = newer revision
    </span>
  )
}
