// Everything about one container, read again whenever its row changes.

import type { ContainerDetail } from '../bindings/ContainerDetail'
import type { ContainerRow } from '../bindings/ContainerRow'
import type { Problem } from '../bindings/Problem'
import { untrack } from 'svelte'
import { asProblem, ipc } from '../ipc'

class Detail {
  value = $state.raw<ContainerDetail | null>(null)
  problem = $state.raw<Problem | null>(null)
  #wanted = ''

  /** Reads the details of a row; those of another one are forgotten at once. */
  async read(row: ContainerRow): Promise<void> {
    const wanted = row.id
    // The effect that calls this depends on the row, not on what is read here.
    untrack(() => {
      if (this.value?.id !== wanted) this.value = null
    })
    this.#wanted = wanted
    try {
      const value = await ipc.containerInspect(wanted)
      if (this.#wanted !== wanted) return
      this.value = value
      this.problem = null
    } catch (error) {
      if (this.#wanted === wanted) this.problem = asProblem(error)
    }
  }
}

export const detail = new Detail()
