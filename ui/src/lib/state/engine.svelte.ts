// What the window knows of the engine, and starting and stopping it.

import type { Machine } from '../bindings/Machine'
import type { Problem } from '../bindings/Problem'
import type { WindowEvent } from '../bindings/WindowEvent'
import { asProblem, ipc } from '../ipc'
import { t } from '../i18n/index.svelte'
import { prefs } from './prefs.svelte'
import { toast } from './toasts.svelte'

export type Phase = 'unknown' | 'off' | 'starting' | 'running' | 'silent' | 'stopping' | 'failed'

interface Engine {
  machine: Machine | null
  /** slipwayd does not answer, and why. */
  service: Problem | null
  /** When the engine last answered, if it has gone silent. */
  silentSince: number | null
  /** What the person asked for and what has not come about yet. */
  asked: 'start' | 'stop' | null
  /** When the current start began. */
  startedAt: number | null
  /** Why the last request failed. */
  problem: Problem | null
}

export const engine = $state<Engine>({
  machine: null,
  service: null,
  silentSince: null,
  asked: null,
  startedAt: null,
  problem: null,
})

let autostarted = false

export function phase(): Phase {
  const machine = engine.machine
  if (engine.asked === 'start' && machine?.state !== 'running') return 'starting'
  if (engine.service) return engine.problem ? 'failed' : 'off'
  switch (machine?.state) {
    case undefined:
      return 'unknown'
    case 'running':
      return engine.asked === 'stop' ? 'stopping' : engine.silentSince !== null ? 'silent' : 'running'
    case 'starting':
    case 'creating':
      return 'starting'
    case 'stopping':
      return 'stopping'
    case 'failed':
      return 'failed'
    default:
      return engine.problem ? 'failed' : 'off'
  }
}

/** Whether lists can be trusted to be the engine's, or the last it said. */
export function showsObjects(): boolean {
  return phase() === 'running' || phase() === 'silent'
}

/** Why the engine is not there. */
export function failure(): Problem | null {
  return engine.problem ?? engine.machine?.error ?? engine.service
}

export function takeEngineEvent(event: WindowEvent): void {
  if (event.kind === 'machine') {
    const before = engine.machine?.state
    engine.machine = event.machine
    engine.service = null
    if (event.machine.state !== 'running') engine.silentSince = null
    const starting = event.machine.state === 'starting' || event.machine.state === 'creating'
    if (starting && before !== event.machine.state) engine.startedAt ??= Date.now()
    if (event.machine.state === 'running') {
      engine.problem = null
      engine.startedAt = null
    }
    if (event.machine.state === 'stopped' || event.machine.state === 'absent') autostart()
    else autostarted = true
  } else if (event.kind === 'noService') {
    engine.service = event.problem
    engine.machine = null
    autostart()
  } else if (event.kind === 'contact') {
    engine.silentSince = event.answering ? null : event.last
  }
}

/** Once, when the window opens and finds the engine off. */
function autostart(): void {
  if (autostarted) return
  autostarted = true
  if (prefs.autostart) void startEngine()
}

async function ask(what: 'start' | 'stop', send: () => Promise<void>): Promise<void> {
  engine.asked = what
  engine.problem = null
  engine.startedAt = what === 'start' ? Date.now() : null
  try {
    await send()
  } catch (error) {
    const problem = asProblem(error)
    // An engine that goes on running shows its lists: the reason needs a place of its own.
    if (engine.machine?.state === 'running') toast(t(what === 'stop' ? 'stop_failed' : 'start_failed'), { problem })
    else engine.problem = problem
  } finally {
    engine.asked = null
    engine.startedAt = null
  }
}

export function startEngine(): Promise<void> {
  return ask('start', ipc.machineStart)
}

export function stopEngine(): Promise<void> {
  return ask('stop', ipc.machineStop)
}

export function restartEngine(): Promise<void> {
  return ask('start', ipc.machineRestart)
}
