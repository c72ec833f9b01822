// The list of containers: filtered, grouped by Compose project, flattened to rows.

import type { ContainerRow } from './bindings/ContainerRow'
import { isRunning } from './status'

export type Which = 'all' | 'running' | 'stopped'

export interface Group {
  /** Project name; empty for containers without one. */
  key: string
  dir: string | null
  rows: ContainerRow[]
  running: number
}

export type Item = { kind: 'group'; key: string; group: Group } | { kind: 'row'; key: string; row: ContainerRow; group: Group }

/** Whether a text is found in a container's name, image, project or ports. */
export function matches(row: ContainerRow, query: string): boolean {
  const wanted = query.trim().toLowerCase()
  if (!wanted) return true
  const port = wanted.startsWith(':') ? wanted.slice(1) : wanted
  return (
    row.name.toLowerCase().includes(wanted) ||
    row.image.toLowerCase().includes(wanted) ||
    (row.project ?? '').toLowerCase().includes(wanted) ||
    row.id.startsWith(wanted) ||
    (/^\d+$/.test(port) && row.ports.some((one) => String(one.host ?? one.container).includes(port)))
  )
}

export function filterRows(rows: Iterable<ContainerRow>, query: string, which: Which): ContainerRow[] {
  const kept: ContainerRow[] = []
  for (const row of rows) {
    if (which === 'running' && !isRunning(row)) continue
    if (which === 'stopped' && isRunning(row)) continue
    if (matches(row, query)) kept.push(row)
  }
  return kept
}

const collator = new Intl.Collator('en', { numeric: true })

/** Projects by name, then the rest. Problems are marked, not reordered. */
export function groupRows(rows: ContainerRow[]): Group[] {
  const groups = new Map<string, Group>()
  for (const row of rows) {
    const key = row.project ?? ''
    let group = groups.get(key)
    if (!group) {
      group = { key, dir: row.projectDir, rows: [], running: 0 }
      groups.set(key, group)
    }
    group.dir ??= row.projectDir
    group.rows.push(row)
    if (row.state === 'running' && row.health !== 'unhealthy') group.running += 1
  }
  for (const group of groups.values()) {
    group.rows.sort((a, b) => collator.compare(labelOf(a), labelOf(b)) || collator.compare(a.name, b.name))
  }
  return [...groups.values()].sort((a, b) => Number(a.key === '') - Number(b.key === '') || collator.compare(a.key, b.key))
}

/** Inside its project a container goes by its service. */
export function labelOf(row: ContainerRow): string {
  return (row.project && row.service) || row.name
}

export function flatten(groups: Group[], collapsed: readonly string[]): Item[] {
  const items: Item[] = []
  for (const group of groups) {
    items.push({ kind: 'group', key: `g:${group.key}`, group })
    if (collapsed.includes(group.key)) continue
    for (const row of group.rows) items.push({ kind: 'row', key: row.id, row, group })
  }
  return items
}

/** A project's folder with the home folder shortened. */
export function shortDir(dir: string): string {
  return dir.replace(/^(?:\/home\/[^/]+|\/Users\/[^/]+|\/root)(?=\/|$)/, '~')
}
