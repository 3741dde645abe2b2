import { type ReactNode, useEffect, useState } from 'react'
import { apiURL } from '@/lib/base'
import { useTheme } from '@/lib/theme'
import type { PanelModel } from './model'
import styles from './Panel.module.css'
import { type Choices, grafanaSearch, type Range } from './query'
import { frames } from './turns'

/** How long a frame may take to load before we draw the panel ourselves. */
const patience = 15_000

/**
 * A panel of Grafana in a frame. At most six stand at once; those in view that
 * find no place, and those that stay silent, are drawn by us: the children.
 */
export function Embedded({
  uid,
  panel,
  choices,
  range,
  visible,
  onSilence,
  children,
}: {
  uid: string
  panel: PanelModel
  choices: Choices
  range: Range
  visible: boolean
  onSilence: () => void
  children: ReactNode
}) {
  const placed = usePlace(visible)
  const theme = useTheme((s) => s.theme)
  const [loaded, setLoaded] = useState(false)
  // A live panel moves by itself: only what was chosen makes a new address.
  const search = grafanaSearch(choices, range, theme, panel.id)
  useEffect(() => {
    if (!placed || loaded) return
    const timer = setTimeout(onSilence, patience)
    return () => clearTimeout(timer)
  }, [placed, loaded, onSilence])
  if (!placed) return children
  return (
    <iframe
      className={styles.frame}
      title={`${panel.title}, drawn by Grafana`}
      src={apiURL(`grafana/d-solo/${uid}/_?${search}`)}
      // No wall between two of one origin, but it keeps Grafana from leading our page elsewhere.
      // oxlint-disable-next-line react/iframe-missing-sandbox
      sandbox="allow-scripts allow-same-origin allow-forms allow-popups allow-popups-to-escape-sandbox allow-downloads"
      onLoad={() => setLoaded(true)}
    />
  )
}

/** A place among the frames while wanted; it is given up when not. */
function usePlace(wanted: boolean): boolean {
  const [placed, setPlaced] = useState(false)
  useEffect(() => {
    if (!wanted) return
    const leave = frames.want(() => setPlaced(true))
    return () => {
      leave()
      setPlaced(false)
    }
  }, [wanted])
  return placed
}
