// The images on the screen: rows, filter, selection, and who uses them.

import { SvelteSet } from 'svelte/reactivity'
import type { ContainerRow } from '../bindings/ContainerRow'
import type { ImageRow } from '../bindings/ImageRow'
import type { WindowEvent } from '../bindings/WindowEvent'
import { containers } from './containers.svelte'

export type UseFilter = 'all' | 'used' | 'unused'

const collator = new Intl.Collator('en', { numeric: true })

export function imageName(image: ImageRow): string {
  return image.tags[0] ?? shortId(image.id)
}

export function shortId(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12)
}

class Images {
  rows = $state.raw<ImageRow[]>([])
  known = $state(false)
  query = $state('')
  use = $state<UseFilter>('all')
  active = $state<string | null>(null)
  /** Tags and ids that wait for their removal. */
  leaving = new SvelteSet<string>()

  users: ReadonlyMap<string, ContainerRow[]> = $derived.by(() => {
    const users = new Map<string, ContainerRow[]>()
    for (const row of containers.all) {
      const known = users.get(row.imageId)
      if (known) known.push(row)
      else users.set(row.imageId, [row])
    }
    return users
  })
  shown: ImageRow[] = $derived.by(() => {
    const wanted = this.query.trim().toLowerCase()
    return this.rows
      .filter((image) => {
        if (this.use !== 'all' && (this.users.has(image.id) ? 'used' : 'unused') !== this.use) return false
        return !wanted || [...image.tags, shortId(image.id)].some((name) => name.toLowerCase().includes(wanted))
      })
      .sort((a, b) => Number(!a.tags.length) - Number(!b.tags.length) || collator.compare(imageName(a), imageName(b)))
  })
  size = $derived(this.rows.reduce((sum, image) => sum + image.size, 0))
  current: ImageRow | null = $derived(this.rows.find((image) => image.id === this.active) ?? null)

  take(event: WindowEvent): void {
    if (event.kind !== 'images') return
    this.rows = event.images
    this.known = true
    if (this.active !== null && !this.current) this.active = null
  }

  forget(): void {
    this.rows = []
    this.known = false
  }

  usersOf(image: ImageRow): ContainerRow[] {
    return this.users.get(image.id) ?? []
  }

  clearFilter(): void {
    this.query = ''
    this.use = 'all'
  }
}

export const images = new Images()
