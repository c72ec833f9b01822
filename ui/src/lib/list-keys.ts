// The keys of the list of containers. Single letters can be switched off in the settings.

import { letter, main, mac } from './keys'
import { copy, copyRunLine, deleteContainers, openPort, restart, startOrStop } from './state/acts.svelte'
import { containers } from './state/containers.svelte'
import { nav, turnTab } from './state/nav.svelte'
import { prefs } from './state/prefs.svelte'

function move(step: number | 'first' | 'last', extend: boolean): void {
  const items = containers.items
  const at = items.findIndex((item) => item.key === containers.active)
  const to = step === 'first' ? 0 : step === 'last' ? items.length - 1 : at < 0 ? 0 : Math.min(items.length - 1, Math.max(0, at + step))
  const next = items[to]
  if (!next) return
  if (extend) containers.extendTo(next.key)
  else containers.selectOnly(next.key)
}

function fold(close: boolean): void {
  const item = containers.items.find((one) => one.key === containers.active)
  if (!item) return
  const folded = prefs.collapsed.includes(item.group.key)
  if (item.kind === 'row' && close) containers.selectOnly(`g:${item.group.key}`)
  else if (item.kind === 'group' && folded === close && !close) move(1, false)
  else containers.fold(item.group.key, close)
}

/** Puts the focus into the details. */
export function intoDetail(): void {
  nav.detailOpen = true
  requestAnimationFrame(() => document.querySelector<HTMLElement>('#detail [role=tab][aria-selected=true], #detail [role=region]')?.focus())
}

/** Shows the details of what was pressed. Where they cover the list, the keys go with them. */
export function showDetail(): void {
  nav.detailOpen = true
  if (document.getElementById('list')?.offsetParent === null || matchMedia('(max-width: 859px)').matches) intoDetail()
}

/** Puts the focus into the list. */
export function toList(): void {
  nav.detailOpen = false
  requestAnimationFrame(() => document.getElementById('list')?.focus())
}

/** Keys for what is selected; they work in the list and in the details. True when it was one. */
export function objectKeys(event: KeyboardEvent): boolean {
  const rows = containers.targets()
  const [one] = rows
  const key = letter(event)
  if (event.key === 'Delete' || (mac && event.key === 'Backspace')) {
    deleteContainers(rows)
    return true
  }
  if (main(event) && key === 'c' && one) {
    if (String(getSelection() ?? '')) return false
    if (event.altKey) void copy(one.id)
    else if (event.shiftKey) void copyRunLine(one)
    else void copy(rows.map((row) => row.name).join('\n'))
    return true
  }
  if (main(event) && event.key === 'Enter') return openFirst()
  if (event.ctrlKey || event.metaKey || event.altKey || !prefs.letters) return false
  switch (key) {
    case 's':
      startOrStop(rows)
      return true
    case 'r':
      void restart(rows)
      return true
    case 'w':
      return openFirst()
    case 'l':
      nav.tab = 'logs'
      return true
    case 'i':
      nav.tab = 'inspect'
      return true
    case 'o':
      nav.tab = 'overview'
      return true
    case '[':
      turnTab(-1)
      return true
    case ']':
      turnTab(1)
      return true
    default:
      return false
  }
}

function openFirst(): boolean {
  const port = containers.current?.ports.find((one) => one.host !== null)?.host
  if (port) openPort(port)
  return true
}

export function listKeys(event: KeyboardEvent, menu: () => void): void {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey
  const letters = plain && prefs.letters
  const key = letter(event)
  let done = true
  if (plain && (event.key === 'ArrowDown' || (letters && key === 'j'))) move(1, event.shiftKey)
  else if (plain && (event.key === 'ArrowUp' || (letters && key === 'k'))) move(-1, event.shiftKey)
  else if (plain && event.key === 'PageDown') move(12, event.shiftKey)
  else if (plain && event.key === 'PageUp') move(-12, event.shiftKey)
  else if (plain && event.key === 'Home') move('first', event.shiftKey)
  else if (plain && event.key === 'End') move('last', event.shiftKey)
  else if (plain && event.key === 'ArrowLeft') fold(true)
  else if (plain && event.key === 'ArrowRight') fold(false)
  else if (plain && event.key === 'Enter') intoDetail()
  else if (main(event) && key === 'a') containers.selectAll()
  else if (event.key === 'ContextMenu' || (event.shiftKey && event.key === 'F10')) menu()
  else if (event.key === 'Escape' && containers.selected.size > 1) containers.selectOnly(containers.active)
  else done = objectKeys(event)
  if (done) {
    event.preventDefault()
    event.stopPropagation()
  }
}
