// What the person has chosen; kept in the page's storage, inside Slipway's home.

import { ipc } from '../ipc'
import { setLang, systemLang, type Lang } from '../i18n/index.svelte'

export type Theme = 'system' | 'light' | 'dark'
export type Density = 'compact' | 'normal' | 'relaxed'

interface Prefs {
  theme: Theme
  /** `null`: the system's. */
  language: Lang | null
  density: Density
  zoom: number
  autostart: boolean
  letters: boolean
  hints: boolean
  listWidth: number
  collapsed: string[]
  logTime: boolean
  logWrap: boolean
}

const KEY = 'slipway.prefs'
const DEFAULTS: Prefs = {
  theme: 'system',
  language: null,
  density: 'normal',
  zoom: 1,
  autostart: true,
  letters: true,
  hints: true,
  listWidth: 456,
  collapsed: [],
  logTime: true,
  logWrap: false,
}

function read(): Prefs {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Prefs>) }
  } catch {
    // Damaged storage must not keep the window from opening.
    return { ...DEFAULTS }
  }
}

export const prefs = $state<Prefs>(read())

export function applyPrefs(): void {
  const root = document.documentElement
  if (prefs.theme === 'system') delete root.dataset['theme']
  else root.dataset['theme'] = prefs.theme
  root.dataset['density'] = prefs.density
  setLang(prefs.language ?? systemLang())
}

/** Changes a choice; it takes effect at once and is remembered. */
export function choose<K extends keyof Prefs>(name: K, value: Prefs[K]): void {
  prefs[name] = value
  localStorage.setItem(KEY, JSON.stringify(prefs))
  if (name === 'zoom') void ipc.setZoom(prefs.zoom)
  applyPrefs()
}

/** Zooms by a step within 80–150 %; 0 resets. */
export function zoomBy(step: number): void {
  const next = step === 0 ? 1 : Math.round((prefs.zoom + step) * 10) / 10
  choose('zoom', Math.min(1.5, Math.max(0.8, next)))
}
