import { create } from 'zustand'

/** How high rows are: close for many at once, comfortable for reading and touching. */
export type Density = 'compact' | 'comfortable'
type DensityStore = { density: Density; toggle: () => void }

const key = 'sidelight.density'

function stored(): Density {
  try {
    return localStorage.getItem(key) === 'comfortable' ? 'comfortable' : 'compact'
  } catch {
    return 'compact'
  }
}

function apply(density: Density): Density {
  document.documentElement.dataset.density = density
  return density
}

export const useDensity = create<DensityStore>()((set, get) => ({
  density: apply(stored()),
  toggle: () => {
    const density = apply(get().density === 'compact' ? 'comfortable' : 'compact')
    try {
      localStorage.setItem(key, density)
    } catch {
      // then it lasts until the reload
    }
    set({ density })
  },
}))
