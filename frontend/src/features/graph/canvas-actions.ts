import { useSyncExternalStore } from 'react'
import { Store } from '@/lib/store'

/** What the toolbar may ask of the canvas that is mounted, if one is. */
export type CanvasActions = { tidy: () => void; fit: () => void; zoom: (factor: number) => void; svg: (() => string) | null; added: number }

const none: CanvasActions = { tidy: () => undefined, fit: () => undefined, zoom: () => undefined, svg: null, added: 0 }

export const canvasActions = new Store<CanvasActions>(none)

export function resetCanvasActions(): void {
  canvasActions.set(none)
}

export function useCanvasActions(): CanvasActions {
  return useSyncExternalStore(canvasActions.subscribe, canvasActions.get)
}
