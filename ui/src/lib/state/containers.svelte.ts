// The containers on the screen: rows, filter, selection, what is being done to them.

import { SvelteMap, SvelteSet } from 'svelte/reactivity'
import type { ContainerRow } from '../bindings/ContainerRow'
import type { WindowEvent } from '../bindings/WindowEvent'
import { filterRows, flatten, groupRows, type Group, type Item, type Which } from '../groups'
import type { Busy } from '../status'
import { isRunning } from '../status'
import { choose, prefs } from './prefs.svelte'

class Containers {
  /** Rows by id; replaced as a whole with each batch. */
  rows = $state.raw<ReadonlyMap<string, ContainerRow>>(new Map())
  /** Whether the list has been read at all. */
  known = $state(false)
  query = $state('')
  which = $state<Which>('all')
  /** Limits the list to one project. */
  project = $state<string | null>(null)
  busy = new SvelteMap<string, Busy>()
  /** Keys of selected rows: container ids, or `g:project`. */
  selected = new SvelteSet<string>()
  /** The row that keys act on. */
  active = $state<string | null>(null)
  #anchor: string | null = null
  /** A container that was just made and will be in one of the next readings. */
  #expected: string | null = null

  all = $derived([...this.rows.values()])
  running = $derived(this.all.filter(isRunning).length)
  shown: Group[] = $derived(
    groupRows(
      filterRows(
        this.project === null ? this.all : this.all.filter((row) => row.project === this.project),
        this.query,
        this.which,
      ),
    ),
  )
  /** All projects, for the sidebar. */
  projects: Group[] = $derived(groupRows(this.all).filter((group) => group.key !== ''))
  items: Item[] = $derived(flatten(this.shown, this.query ? [] : prefs.collapsed))
  current: ContainerRow | null = $derived(this.active === null ? null : (this.rows.get(this.active) ?? null))

  take(event: WindowEvent): void {
    if (event.kind !== 'containers') return
    const next = event.all ? new Map<string, ContainerRow>() : new Map(this.rows)
    for (const row of event.changed) next.set(row.id, row)
    for (const id of event.gone) next.delete(id)
    this.rows = next
    this.known = true
    if (this.#expected !== null && next.has(this.#expected)) this.expect(this.#expected)
    for (const id of [...this.selected]) if (!id.startsWith('g:') && !next.has(id)) this.selected.delete(id)
    for (const id of [...this.busy.keys()]) if (!next.has(id)) this.busy.delete(id)
    if (this.active !== null && !this.active.startsWith('g:') && !next.has(this.active)) this.active = null
  }

  /** Selects a container, now or as soon as it is in the list. */
  expect(id: string): void {
    this.#expected = null
    const row = this.rows.get(id)
    if (!row) {
      this.#expected = id
      return
    }
    if (prefs.collapsed.includes(row.project ?? '')) this.fold(row.project ?? '', false)
    this.selectOnly(id)
  }

  /** The engine went away: what it said is no longer true. */
  forget(): void {
    this.rows = new Map()
    this.known = false
    this.busy.clear()
  }

  selectOnly(key: string | null): void {
    this.selected.clear()
    if (key !== null) this.selected.add(key)
    this.active = key
    this.#anchor = key
  }

  toggle(key: string): void {
    if (this.selected.has(key)) this.selected.delete(key)
    else this.selected.add(key)
    this.active = key
    this.#anchor = key
  }

  /** From the last plainly selected row to this one. */
  extendTo(key: string): void {
    const from = this.items.findIndex((item) => item.key === this.#anchor)
    const to = this.items.findIndex((item) => item.key === key)
    if (to < 0) return
    if (from < 0) return this.selectOnly(key)
    this.selected.clear()
    for (const item of this.items.slice(Math.min(from, to), Math.max(from, to) + 1)) {
      if (item.kind === 'row') this.selected.add(item.key)
    }
    this.active = key
  }

  selectAll(): void {
    for (const item of this.items) if (item.kind === 'row') this.selected.add(item.key)
  }

  /** The rows that an action is about: the selection, or the active row, or its project. */
  targets(): ContainerRow[] {
    const keys = this.selected.size > 0 ? this.selected : new Set(this.active === null ? [] : [this.active])
    const found = new Map<string, ContainerRow>()
    for (const key of keys) {
      if (key.startsWith('g:')) {
        const group = this.shown.find((one) => `g:${one.key}` === key)
        for (const row of group?.rows ?? []) found.set(row.id, row)
      } else {
        const row = this.rows.get(key)
        if (row) found.set(row.id, row)
      }
    }
    return [...found.values()]
  }

  /** Folding a group takes the selection to its row, so that nothing unseen is selected. */
  fold(key: string, fold: boolean): void {
    const rest = prefs.collapsed.filter((one) => one !== key)
    choose('collapsed', fold ? [...rest, key] : rest)
    const inside = this.current && (this.current.project ?? '') === key
    if (fold && inside) this.selectOnly(`g:${key}`)
  }

  clearFilter(): void {
    this.query = ''
    this.which = 'all'
    this.project = null
  }
}

export const containers = new Containers()
