// What the palette offers: objects first, then commands.

import { containerMenu } from './container-menu'
import { catalogues, t, type Key } from './i18n/index.svelte'
import { imageMenu } from './image-menu'
import { show } from './keys'
import { askRestart, askStop } from './state/engine-acts.svelte'
import { phase, showsObjects, startEngine } from './state/engine.svelte'
import { containers } from './state/containers.svelte'
import { imageName, images } from './state/images.svelte'
import type { MenuItem } from './state/menu.svelte'
import { go, nav, openDialog, type SettingsPage } from './state/nav.svelte'
import { choose } from './state/prefs.svelte'
import { score } from './search'
import { shapeOf, type Shape } from './status'

export interface PaletteItem {
  key: string
  label: string
  detail: string
  shape?: Shape
  image?: boolean
  keys?: string
  /** Words in both languages that find it. */
  words: string[]
  run: () => void
  more?: () => MenuItem[]
}

/** A command is found by its words in both languages. */
function command(key: Key, run: () => void, keys?: string, values: Record<string, string> = {}): PaletteItem {
  const words = [catalogues.en[key], catalogues.ko[key]].map((text) => text.replace(/\{x[^}]*\}/, values['x'] ?? ''))
  return { key: `c:${key}${values['x'] ?? ''}`, label: t(key, values), detail: '', words, run, ...(keys ? { keys: show(keys) } : {}) }
}

function settings(page: SettingsPage): void {
  nav.settingsPage = page
  go('settings')
}

export function commands(): PaletteItem[] {
  const list: PaletteItem[] = []
  const state = phase()
  if (showsObjects()) {
    list.push(
      command('run_title', () => openDialog({ kind: 'run', image: '' }), 'Mod+N'),
      command('pull_title', () => openDialog({ kind: 'pull' }), 'Mod+D'),
      command('stop_engine', askStop),
      command('restart_engine', askRestart),
    )
  }
  if (state === 'off' || state === 'failed') list.push(command('start_engine', () => void startEngine()))
  list.push(
    command('containers', () => go('containers'), 'Mod+1'),
    command('images', () => go('images'), 'Mod+2'),
    command('settings', () => go('settings'), 'Mod+,'),
    command('set_appearance', () => settings('appearance')),
    command('set_diagnostics', () => settings('diagnostics')),
    command('theme_cmd', () => choose('theme', 'light'), undefined, { x: t('theme_light') }),
    command('theme_cmd', () => choose('theme', 'dark'), undefined, { x: t('theme_dark') }),
    command('theme_cmd', () => choose('theme', 'system'), undefined, { x: t('theme_system') }),
    command('language_cmd', () => choose('language', 'en'), undefined, { x: 'English' }),
    command('language_cmd', () => choose('language', 'ko'), undefined, { x: '한국어' }),
    command('keys_title', () => openDialog({ kind: 'keys' }), '?'),
  )
  return list
}

export function objects(): PaletteItem[] {
  if (!showsObjects()) return []
  const rows = containers.all.map(
    (row): PaletteItem => ({
      key: row.id,
      label: row.name,
      detail: row.image,
      shape: shapeOf(row, containers.busy.get(row.id)),
      words: [row.name, row.image],
      run: () => {
        containers.clearFilter()
        containers.expect(row.id)
        nav.detailOpen = true
        go('containers')
      },
      more: () => containerMenu([row]),
    }),
  )
  const pictures = images.rows.map(
    (image): PaletteItem => ({
      key: image.id,
      label: imageName(image),
      detail: t('images'),
      image: true,
      words: [imageName(image)],
      run: () => {
        images.clearFilter()
        images.active = image.id
        nav.detailOpen = true
        go('images')
      },
      more: () => imageMenu(image),
    }),
  )
  return [...rows, ...pictures]
}

const MOST = 50

/** The best items for a query, best first. */
export function search(items: readonly PaletteItem[], query: string): PaletteItem[] {
  if (!query.trim()) return items.slice(0, MOST)
  const found: { item: PaletteItem; points: number }[] = []
  for (const item of items) {
    let best: number | null = null
    for (const word of item.words) {
      const points = score(word, query)
      if (points !== null && (best === null || points > best)) best = points
    }
    if (best !== null) found.push({ item, points: best })
  }
  return found
    .sort((a, b) => b.points - a.points)
    .slice(0, MOST)
    .map((one) => one.item)
}
