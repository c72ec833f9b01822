// The typed commands of the Rust side, one function each. The page has no other way out.

import { Channel, invoke } from '@tauri-apps/api/core'
import type { About } from './bindings/About'
import type { ContainerDetail } from './bindings/ContainerDetail'
import type { LogBatch } from './bindings/LogBatch'
import type { LogLine } from './bindings/LogLine'
import type { Problem } from './bindings/Problem'
import type { PullEvent } from './bindings/PullEvent'
import type { Removal } from './bindings/Removal'
import type { Removed } from './bindings/Removed'
import type { RunSpec } from './bindings/RunSpec'
import type { WindowEvent } from './bindings/WindowEvent'

function channel<T>(take: (event: T) => void): Channel<T> {
  const made = new Channel<T>()
  made.onmessage = take
  return made
}

export const ipc = {
  about: () => invoke<About>('about'),
  watch: (take: (event: WindowEvent) => void) => invoke<void>('watch', { channel: channel(take) }),
  setVisible: (visible: boolean) => invoke<void>('set_visible', { visible }),
  setZoom: (factor: number) => invoke<void>('set_zoom', { factor }),
  copyText: (text: string) => invoke<void>('copy_text', { text }),
  openPort: (port: number) => invoke<void>('open_port', { port }),

  machineStart: () => invoke<void>('machine_start'),
  machineStop: () => invoke<void>('machine_stop'),
  machineRestart: () => invoke<void>('machine_restart'),
  machineConsole: (tail: number) => invoke<string[]>('machine_console', { tail }),
  diagnose: () => invoke<string>('diagnose'),

  containerRun: (spec: RunSpec) => invoke<string>('container_run', { spec }),
  containerStart: (id: string) => invoke<void>('container_start', { id }),
  containerStop: (id: string) => invoke<void>('container_stop', { id }),
  containerRestart: (id: string) => invoke<void>('container_restart', { id }),
  containerInspect: (id: string) => invoke<ContainerDetail>('container_inspect', { id }),

  imagePull: (reference: string, pull: number, take: (event: PullEvent) => void) =>
    invoke<void>('image_pull', { reference, pull, channel: channel(take) }),
  imagePullCancel: (pull: number) => invoke<void>('image_pull_cancel', { pull }),

  remove: (ticket: number, things: Removal[], delayMs: number) =>
    invoke<Removed[] | null>('remove', { ticket, things, delayMs }),
  undo: (ticket: number) => invoke<boolean>('undo', { ticket }),

  logsOpen: (id: string, tail: number, stream: number, take: (batch: LogBatch) => void) =>
    invoke<void>('logs_open', { id, tail, stream, channel: channel(take) }),
  logsAck: (stream: number, batches: number) => invoke<void>('logs_ack', { stream, batches }),
  logsClose: (stream: number) => invoke<void>('logs_close', { stream }),
  logsBefore: (id: string, tail: number) => invoke<LogLine[]>('logs_before', { id, tail }),
}

/** Whatever a command was refused with, as a problem. */
export function asProblem(error: unknown): Problem {
  if (typeof error === 'object' && error !== null && 'message' in error) {
    return { cause: null, hint: null, console: [], status: null, ...(error as Partial<Problem> & { message: string }) }
  }
  return { message: String(error), cause: null, hint: null, console: [], status: null }
}

/** What programs say (`cannot open x`), written as a sentence for people. */
export function sentence(text: string): string {
  const begun = /^[a-z]+[ ,']/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text
  return /[\w)\]`"']$/.test(begun) ? `${begun}.` : begun
}

/** A problem as plain text, for "Copy details". */
export function problemText(problem: Problem): string {
  return [problem.message, problem.cause, problem.hint, ...problem.console].filter(Boolean).join('\n')
}

let last = 0
/** A number for a stream, a pull or a ticket; never the same twice in one page. */
export function nextNumber(): number {
  last += 1
  return last
}
