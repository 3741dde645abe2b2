import type { Fold, Live } from './resource'
import { useLiveResource } from './resource'
import type { AlertsView } from './types'

const fold: Fold<AlertsView> = {
  snapshot: (data) => data as AlertsView,
  delta: (_, data) => data as AlertsView,
}

const always = {}

/** What fires and what fired, live. */
export function useAlerts(): Live<AlertsView> {
  return useLiveResource('alerts', always, fold)
}
