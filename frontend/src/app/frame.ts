import { create } from 'zustand'

/** The frame's own state: what is open. Only the rail outlives a visit. */
type Frame = {
  rail: 'open' | 'closed' | 'auto'
  palette: boolean
  /** What was typed for the palette before its code had come. */
  ahead: string
  keys: boolean
  toggleRail: (isOpen: boolean) => void
  setPalette: (open: boolean) => void
  typeAhead: (letter: string) => void
  setKeys: (open: boolean) => void
}

const key = 'sidelight.rail'

function stored(): Frame['rail'] {
  try {
    const value = localStorage.getItem(key)
    return value === 'open' || value === 'closed' ? value : 'auto'
  } catch {
    return 'auto'
  }
}

export const useFrame = create<Frame>()((set) => ({
  rail: stored(),
  palette: false,
  ahead: '',
  keys: false,
  toggleRail: (isOpen) => {
    const rail = isOpen ? 'closed' : 'open'
    try {
      localStorage.setItem(key, rail)
    } catch {
      // then it lasts until the reload
    }
    set({ rail })
  },
  setPalette: (palette) => set({ palette, ahead: '' }),
  typeAhead: (letter) => set((s) => ({ ahead: s.ahead + letter })),
  setKeys: (keys) => set({ keys }),
}))
