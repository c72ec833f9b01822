// Short messages about results that cannot be seen elsewhere.

import type { Problem } from '../bindings/Problem'

export interface Toast {
  id: number
  text: string
  problem?: Problem
  action?: { label: string; run: () => void }
  /** Milliseconds until it goes. */
  stay: number
}

const MOST = 3

export const toasts = $state<{ list: Toast[] }>({ list: [] })
let last = 0

export function toast(text: string, more: Partial<Omit<Toast, 'id' | 'text'>> = {}): number {
  last += 1
  const made: Toast = { id: last, text, stay: more.problem ? 12_000 : 6_000, ...more }
  toasts.list = [...toasts.list, made].slice(-MOST)
  return made.id
}

export function dismiss(id: number): void {
  toasts.list = toasts.list.filter((one) => one.id !== id)
}
