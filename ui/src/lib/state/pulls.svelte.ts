// Pulls that are going on: layers folded into one total with rate and time left.

import type { LayerProgress } from '../bindings/LayerProgress'
import type { Problem } from '../bindings/Problem'
import { t } from '../i18n/index.svelte'
import { asProblem, ipc, nextNumber } from '../ipc'
import { toast } from './toasts.svelte'

export interface Pull {
  id: number
  reference: string
  layers: LayerProgress[]
  note: string | null
  began: number
  problem: Problem | null
  open: boolean
}

export interface Total {
  current: number
  total: number
  done: number
}

const FINISHED = /^(Pull complete|Already exists)/
const FETCHED = /^(Download complete|Verifying Checksum|Extracting|Pull complete|Already exists)/

/** Bytes fetched of bytes known, and how many layers are complete. */
export function totalOf(layers: readonly LayerProgress[], sizes: Map<string, number>): Total {
  const sum: Total = { current: 0, total: 0, done: 0 }
  for (const layer of layers) {
    if (layer.total) sizes.set(layer.id, Math.max(layer.total, sizes.get(layer.id) ?? 0))
    const size = sizes.get(layer.id) ?? 0
    sum.total += size
    if (FETCHED.test(layer.phase)) sum.current += size
    else sum.current += Math.min(size, layer.current ?? 0)
    if (FINISHED.test(layer.phase)) sum.done += 1
  }
  return sum
}

export const pulls = $state<{ list: Pull[] }>({ list: [] })
const sizes = new Map<number, Map<string, number>>()

export function total(pull: Pull): Total {
  let known = sizes.get(pull.id)
  if (!known) sizes.set(pull.id, (known = new Map()))
  return totalOf(pull.layers, known)
}

function drop(id: number): void {
  pulls.list = pulls.list.filter((pull) => pull.id !== id)
  sizes.delete(id)
}

/** Pulls an image; true when it is there afterwards. */
export async function startPull(reference: string, quiet = false): Promise<boolean> {
  const id = nextNumber()
  pulls.list.push({ id, reference, layers: [], note: null, began: Date.now(), problem: null, open: false })
  const find = (): Pull | undefined => pulls.list.find((pull) => pull.id === id)
  return new Promise((resolve) => {
    const fail = (problem: Problem): void => {
      const pull = find()
      if (pull) pull.problem = problem
      resolve(false)
    }
    ipc
      .imagePull(reference, id, (event) => {
        const pull = find()
        if (event.kind === 'progress' && pull) {
          pull.layers = event.layers
          pull.note = event.note
        } else if (event.kind === 'done') {
          drop(id)
          if (!quiet) toast(t('pulled', { x: reference }))
          resolve(true)
        } else if (event.kind === 'cancelled') {
          drop(id)
          resolve(false)
        } else if (event.kind === 'failed') {
          fail(event.problem)
        }
      })
      .catch((error: unknown) => fail(asProblem(error)))
  })
}

/** Gives a pull up, or clears away one that failed. */
export function endPull(pull: Pull): void {
  if (pull.problem) drop(pull.id)
  else void ipc.imagePullCancel(pull.id)
}

/** Problem of the last pull of a name, if it failed; taken out of the list. */
export function takeFailure(reference: string): Problem | null {
  const failed = pulls.list.find((pull) => pull.reference === reference && pull.problem)
  if (!failed) return null
  drop(failed.id)
  return failed.problem
}
