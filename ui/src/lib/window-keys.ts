// Keys that work wherever the focus is, unless a dialog is open or text is being typed.

import { letter, mac, main, typing } from './keys'
import { undoLast } from './state/acts.svelte'
import { showsObjects } from './state/engine.svelte'
import { menu } from './state/menu.svelte'
import { back, forward, go, nav, openDialog, overlay } from './state/nav.svelte'
import { zoomBy } from './state/prefs.svelte'
import { question } from './state/acts.svelte'

function focus(id: string): boolean {
  const el = document.getElementById(id)
  el?.focus()
  if (el instanceof HTMLInputElement) el.select()
  return el !== null
}

/** The next of sidebar, list and details. */
function nextPane(): boolean {
  const panes = ['nav', 'list', 'detail'].map((id) => document.getElementById(id)).filter((el) => el?.offsetParent)
  const at = panes.findIndex((el) => el?.contains(document.activeElement))
  const next = panes[(at + 1) % panes.length]
  if (!next) return false
  const inside = next.tabIndex >= 0 ? next : next.querySelector<HTMLElement>('[aria-current=page], [role=tab][tabindex="0"], button, [tabindex="0"]')
  inside?.focus()
  return true
}

function withMain(event: KeyboardEvent, key: string): boolean {
  if (key === 'k' && !event.shiftKey) openDialog({ kind: 'palette', commandsOnly: false })
  else if (key === 'p' && event.shiftKey) openDialog({ kind: 'palette', commandsOnly: true })
  else if (key === '1') go('containers')
  else if (key === '2') go('images')
  else if (key === ',') go('settings')
  else if (mac && key === '[') back()
  else if (mac && key === ']') forward()
  else if (event.altKey && (key === 'f' || event.code === 'KeyF')) return focus('filter')
  else if (key === 'n' && !event.shiftKey) return showsObjects() && (openDialog({ kind: 'run', image: '' }), true)
  else if (key === 'd' && !event.shiftKey) return showsObjects() && (go('images'), openDialog({ kind: 'pull' }), true)
  else if (key === '0') zoomBy(0)
  else if (key === '=' || key === '+') zoomBy(0.1)
  else if (key === '-') zoomBy(-0.1)
  else if (key === 'z' && !event.shiftKey && !typing(event.target)) undoLast()
  else return false
  return true
}

function handle(event: KeyboardEvent): boolean {
  const key = letter(event)
  if (main(event)) return withMain(event, key)
  if (!mac && event.altKey && event.key === 'ArrowLeft') return back(), true
  if (!mac && event.altKey && event.key === 'ArrowRight') return forward(), true
  if (event.key === 'F6') return nextPane()
  if (event.key === 'F1') return openDialog({ kind: 'keys' }), true
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return false
  if (key === '/') return focus('filter')
  if (key === '?') return openDialog({ kind: 'keys' }), true
  return event.key === 'Escape' && nav.detailOpen && ((nav.detailOpen = false), true)
}

export function windowKeys(event: KeyboardEvent): void {
  if (event.defaultPrevented || overlay.dialog || question.open || menu.open) return
  if (handle(event)) event.preventDefault()
}
