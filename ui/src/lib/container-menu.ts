// What can be done with containers, as menu items; the same for rows, projects and details.

import type { ContainerRow } from './bindings/ContainerRow'
import { labelOf } from './groups'
import { t } from './i18n/index.svelte'
import { show } from './keys'
import { copy, copyRunLine, deleteContainers, openPort, restart, start, stop } from './state/acts.svelte'
import type { MenuItem } from './state/menu.svelte'
import { isRunning } from './status'

export function containerMenu(rows: ContainerRow[]): MenuItem[] {
  const [one] = rows
  if (!one) return []
  const items: MenuItem[] = []
  const many = rows.length > 1
  if (rows.some((row) => !isRunning(row))) {
    items.push({ label: t(many ? 'start_all' : 'start'), keys: 'S', run: () => void start(rows) })
  }
  if (rows.some(isRunning)) {
    items.push({ label: t(many ? 'stop_all' : 'stop'), keys: 'S', run: () => void stop(rows) })
    items.push({ label: t('restart'), keys: 'R', run: () => void restart(rows.filter(isRunning)) })
  }
  if (!many) {
    const port = one.ports.find((found) => found.host !== null)?.host
    if (port && isRunning(one)) items.push({ label: t('open_port', { port: String(port) }), keys: 'W', run: () => openPort(port) })
    items.push(
      { label: t('copy_name'), keys: show('Mod+C'), apart: true, run: () => void copy(one.name) },
      { label: t('copy_id'), keys: show('Mod+Alt+C'), run: () => void copy(one.id) },
      { label: t('copy_run'), keys: show('Mod+Shift+C'), run: () => void copyRunLine(one) },
    )
  }
  items.push({
    label: many || rows.some(isRunning) ? t('delete_more') : t('delete'),
    keys: show('Delete'),
    danger: true,
    apart: true,
    run: () => deleteContainers(rows),
  })
  return items
}

/** What a menu of these containers is called. */
export function menuName(rows: ContainerRow[]): string {
  const [one] = rows
  return rows.length === 1 && one ? t('more_x', { x: labelOf(one) }) : t('selected', { n: rows.length })
}
