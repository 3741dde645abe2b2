import { useTimeline } from '@/api/graph'
import { likelyCause } from '@/graph/words'
import { sharedSearch, useUrlState } from '@/lib/url'
import styles from './Cause.module.css'

/** What changed shortly before it began, with the way to that moment. */
export function Cause({ since }: { since: string | undefined }) {
  const [{ window }, setUrl] = useUrlState(sharedSearch)
  const { data } = useTimeline(window, null)
  const cause = data ? likelyCause(data, since) : null
  if (!cause) return null
  return (
    <>
      {cause.text}{' '}
      <button
        type="button"
        className={styles.moment}
        title="Show the moment before"
        onClick={() => setUrl({ at: new Date(Date.parse(cause.marker.at) - 1000).toISOString() }, { push: true })}
      >
        {cause.marker.text}
      </button>
      .
    </>
  )
}
