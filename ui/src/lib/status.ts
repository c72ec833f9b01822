// From a container's state to its shape, colour and words.

import type { ContainerRow } from './bindings/ContainerRow'
import { ago } from './i18n/format'
import { t } from './i18n/index.svelte'

export type Shape =
  | 'running'
  | 'healthy'
  | 'unhealthy'
  | 'restarting'
  | 'busy'
  | 'paused'
  | 'exited'
  | 'created'
  | 'failed'

export type Busy = 'starting' | 'stopping' | 'restarting' | 'deleting'

/** What blocks of a project's bar look like. */
export type Block = 'full' | 'hollow' | 'split' | 'tall'

export function shapeOf(row: ContainerRow, busy?: Busy): Shape {
  if (busy) return 'busy'
  switch (row.state) {
    case 'running':
      return row.health === 'healthy' ? 'healthy' : row.health === 'unhealthy' ? 'unhealthy' : 'running'
    case 'restarting':
      return 'restarting'
    case 'removing':
      return 'busy'
    case 'paused':
      return 'paused'
    case 'created':
      return 'created'
    case 'exited':
      return failed(row) ? 'failed' : 'exited'
    case 'dead':
      return 'failed'
  }
}

/** Ended in a way that nobody asked for. A container that was stopped ends with 143, or 137 when
 * it did not listen. */
export function failed(row: ContainerRow): boolean {
  if (row.outOfMemory) return true
  const code = row.exitCode ?? 0
  return code !== 0 && code !== 143 && code !== 137
}

export function isRunning(row: ContainerRow): boolean {
  return row.state === 'running' || row.state === 'restarting' || row.state === 'paused'
}

export function blockOf(row: ContainerRow): Block {
  const shape = shapeOf(row)
  if (shape === 'failed') return 'tall'
  if (shape === 'restarting' || shape === 'unhealthy') return 'split'
  return row.state === 'running' ? 'full' : 'hollow'
}

const BUSY = {
  starting: 'st_starting',
  stopping: 'st_stopping',
  restarting: 'st_restarting',
  deleting: 'st_deleting',
} as const

/** The state in words, complete: for names, tooltips and the header. */
export function stateText(row: ContainerRow, now: number, busy?: Busy): string {
  if (busy) return t(BUSY[busy])
  switch (row.state) {
    case 'running':
      return row.health === 'healthy' ? t('st_healthy') : row.health === 'unhealthy' ? t('st_unhealthy') : t('st_running')
    case 'restarting':
      return row.attempt ? t('st_restarting_n', { n: row.attempt }) : t('st_restarting')
    case 'removing':
      return t('st_deleting')
    case 'paused':
      return t('st_paused')
    case 'created':
      return t('st_created')
    case 'dead':
      return t('st_dead')
    case 'exited': {
      if (row.exitCode === null) return t('st_exited_plain')
      const code = row.exitCode
      if (row.outOfMemory) return t('st_oom', { code })
      if (failed(row) || row.since === null) return t('st_exited', { code })
      return t('st_exited_ago', { code, ago: ago(now - row.since) })
    }
  }
}

/** The words beside the name in a row; none for one that just runs, there the image stands. */
export function noteOf(row: ContainerRow, now: number, busy?: Busy): { text: string; tone: 'err' | 'warn' | 'plain' } | null {
  const shape = shapeOf(row, busy)
  if (shape === 'running' || shape === 'healthy') return null
  const tone = shape === 'failed' ? 'err' : shape === 'restarting' || shape === 'unhealthy' ? 'warn' : 'plain'
  return { text: stateText(row, now, busy), tone }
}
