import { create } from 'zustand'

/** Light or dark: the system's choice until somebody chooses here. */
export type Theme = 'dark' | 'light'
type ThemeStore = { theme: Theme; chosen: boolean; toggle: () => void; follow: () => void }

const key = 'sidelight.theme'

function stored(): Theme | null {
  try {
    const value = localStorage.getItem(key)
    return value === 'dark' || value === 'light' ? value : null
  } catch {
    return null
  }
}

function system(): Theme {
  return matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark'
}

function apply(theme: Theme): Theme {
  document.documentElement.dataset.theme = theme
  return theme
}

export const useTheme = create<ThemeStore>()((set, get) => ({
  theme: apply(stored() ?? system()),
  chosen: stored() !== null,
  toggle: () => {
    const theme = apply(get().theme === 'dark' ? 'light' : 'dark')
    try {
      localStorage.setItem(key, theme)
    } catch {
      // then it lasts until the reload
    }
    set({ theme, chosen: true })
  },
  /** The system changed its mind; heeded while nobody chose here. */
  follow: () => {
    if (!get().chosen) set({ theme: apply(system()) })
  },
}))
