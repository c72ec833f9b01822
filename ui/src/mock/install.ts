// Answers every command inside the page, so that the window can be worked on and tested without
// an engine. `?state=` chooses a situation; see e2e/run.mjs for the list.

import { mockIPC } from '@tauri-apps/api/mocks'
import type { LogBatch } from '../lib/bindings/LogBatch'
import type { Machine } from '../lib/bindings/Machine'
import type { Problem } from '../lib/bindings/Problem'
import type { PullEvent } from '../lib/bindings/PullEvent'
import type { Removal } from '../lib/bindings/Removal'
import type { RunSpec } from '../lib/bindings/RunSpec'
import type { WindowEvent } from '../lib/bindings/WindowEvent'
import { containers, detail, images, logLines, longContainers, machine, manyContainers } from './data'

interface Channel<T> {
  onmessage: (message: T) => void
}

const situation = new URLSearchParams(location.search).get('state') ?? 'running'
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

let rows = new Map(
  (situation === 'many' ? manyContainers(1000) : situation === 'long' ? longContainers : situation === 'empty' ? [] : containers).map((row) => [row.id, row]),
)
let pictures = situation === 'empty' ? [] : [...images]
let state: Machine['state'] = 'running'
let tell: (event: WindowEvent) => void = () => undefined
const waiting = new Map<number, (undone: boolean) => void>()

const PROBLEM: Problem = {
  message: 'The machine stopped while Linux was starting.',
  cause: 'QEMU ended with status 1: could not open /home/mina/.local/share/slipway/machine/data.raw: Permission denied',
  hint: 'Give your account access to that file, then start the engine again.',
  console: ['[    0.412] virtio_blk virtio0: [vda] no medium', 'slipway: failed the data disk /dev/vda did not appear within 10 s'],
  status: null,
}

function sendRows(): void {
  tell({ kind: 'containers', all: true, changed: [...rows.values()], gone: [], at: Date.now() })
}

function sendMachine(more: Partial<Machine> = {}): void {
  tell({ kind: 'machine', machine: machine({ state, ...more }) })
}

function sendAll(): void {
  sendMachine()
  sendRows()
  tell({ kind: 'images', images: pictures })
}

async function startMachine(): Promise<void> {
  state = 'starting'
  const names = ['prepare', 'linux', 'storage', 'engine', 'api']
  const times = [180, 1_210, 310, 420, 140]
  for (let i = 0; i <= names.length; i += 1) {
    sendMachine({ steps: names.slice(0, i + 1).map((name, at) => ({ name, ms: at < i ? (times[at] ?? 0) : null })) })
    if (i === 2 && (situation === 'starting' || situation === 'slow')) return new Promise(() => undefined)
    if (i < names.length) await pause(times[i] ?? 0)
  }
  if (situation === 'failing') {
    state = 'failed'
    sendMachine({ error: PROBLEM })
    throw PROBLEM
  }
  state = 'running'
  sendAll()
}

function begin(): void {
  switch (situation) {
    case 'off':
      state = 'stopped'
      return sendMachine()
    case 'starting':
    case 'slow':
      void startMachine()
      return
    case 'failed':
      state = 'failed'
      return sendMachine({ error: PROBLEM })
    case 'stopping':
      state = 'stopping'
      return sendMachine()
    case 'noservice':
      return tell({ kind: 'noService', problem: { ...PROBLEM, message: 'cannot connect to slipwayd', console: [] } })
    case 'silent':
      sendAll()
      return tell({ kind: 'contact', answering: false, last: Date.now() - 6_000 })
    case 'loading':
      return sendMachine()
    default:
      sendAll()
  }
}

function change(id: string, more: Partial<(typeof containers)[number]>): void {
  const row = rows.get(id)
  if (!row) return
  const next = { ...row, ...more }
  rows = new Map(rows).set(id, next)
  tell({ kind: 'containers', all: false, changed: [next], gone: [], at: Date.now() })
}

async function pull(reference: string, channel: Channel<PullEvent>): Promise<void> {
  const ids = ['4f4fb700ef54', 'a2abf6c4d29d', '8c1f2b9d3e70', '0b6f3a1c77de']
  const sizes = [29_100_000, 84_300_000, 12_200_000, 1_900]
  if (reference.includes('private')) {
    await pause(300)
    return channel.onmessage({ kind: 'failed', problem: { ...PROBLEM, message: 'registry.acme.io wants a sign-in.', cause: null, hint: 'Sign in with `docker login registry.acme.io`.', console: [], status: 401 } })
  }
  for (let step = 0; step <= 20; step += 1) {
    await pause(situation === 'pulling' ? 60 : 40)
    channel.onmessage({
      kind: 'progress',
      note: null,
      layers: ids.map((id, i) => {
        const total = sizes[i] ?? 0
        const current = Math.min(total, (total * step * (i + 1)) / 24)
        return { id, phase: current >= total ? 'Pull complete' : 'Downloading', current, total }
      }),
    })
    if (situation === 'pulling' && step === 9) return new Promise(() => undefined)
  }
  pictures = [...pictures, { id: `sha256:${'f'.repeat(60)}${pictures.length}`, tags: [reference], digests: [], created: Math.floor(Date.now() / 1000), size: 127_000_000 }]
  tell({ kind: 'images', images: pictures })
  channel.onmessage({ kind: 'done' })
}

async function run(spec: RunSpec): Promise<string> {
  await pause(200)
  const found = pictures.find((image) => image.tags.some((tag) => tag === spec.image || tag === `${spec.image}:latest`))
  if (!found) throw { ...PROBLEM, message: `No such image: ${spec.image}`, cause: null, hint: null, console: [], status: 404 }
  const made = { ...(containers[1] as (typeof containers)[number]) }
  const id = Array.from({ length: 64 }, (_, i) => ((i * 7 + rows.size) % 16).toString(16)).join('')
  rows = new Map(rows).set(id, { ...made, id, name: spec.name ?? 'brave_dijkstra', image: spec.image, imageId: found.id, project: null, projectDir: null, service: null, ports: [], since: Date.now() })
  sendRows()
  return id
}

async function remove(ticket: number, things: Removal[], delayMs: number): Promise<unknown> {
  const undone = await Promise.race([
    pause(delayMs).then(() => false),
    new Promise<boolean>((resolve) => waiting.set(ticket, resolve)),
  ])
  waiting.delete(ticket)
  if (undone) return null
  for (const thing of things) {
    if (thing.kind === 'container') rows.delete(thing.id)
    else pictures = pictures.map((image) => ({ ...image, tags: image.tags.filter((tag) => tag !== thing.id) })).filter((image) => image.tags.length > 0 && image.id !== thing.id)
  }
  sendRows()
  tell({ kind: 'images', images: pictures })
  return things.map((thing) => ({ id: thing.id, problem: null }))
}

function logs(id: string, channel: Channel<LogBatch>): void {
  const row = rows.get(id)
  if (situation === 'loading' || row?.state === 'created') return channel.onmessage({ lines: [], end: row?.state === 'created' })
  channel.onmessage({ lines: logLines(row?.state === 'running' ? 500 : 40, row?.state === 'running' ? Date.now() : (row?.since ?? Date.now())), end: row?.state !== 'running' })
}

export async function install(): Promise<void> {
  if (situation === 'boom') throw new Error('a test of the boot-error screen')
  mockIPC(async (command, payload) => {
    const arg = <T>(name: string): T => ((payload ?? {}) as Record<string, unknown>)[name] as T
    switch (command) {
      case 'watch':
        tell = (event) => arg<Channel<WindowEvent>>('channel').onmessage(event)
        return setTimeout(begin, 0)
      case 'about':
        return { version: '0.1.0', os: 'linux', home: '/home/mina/.local/share/slipway' }
      case 'machine_start':
      case 'machine_restart':
        return startMachine()
      case 'machine_stop':
        state = 'stopping'
        sendMachine()
        await pause(600)
        state = 'stopped'
        return sendMachine()
      case 'machine_console':
        return ['[    0.000] Linux version 6.12.48-cloud-amd64', 'slipway: step linux 1210', 'slipway: step storage 1520']
      case 'diagnose':
        return 'Slipway 0.1.0\nmachine: running (qemu, kvm)\napi: unix:///home/mina/.local/share/slipway/run/docker.sock\nkernel: 6.12.48'
      case 'container_inspect': {
        const row = rows.get(arg('id'))
        if (!row) throw { ...PROBLEM, message: `No such container: ${arg<string>('id')}`, status: 404 }
        return detail(row)
      }
      case 'container_start':
        await pause(400)
        return change(arg('id'), { state: 'running', exitCode: null, since: Date.now() })
      case 'container_stop':
        await pause(700)
        return change(arg('id'), { state: 'exited', exitCode: 0, since: Date.now() })
      case 'container_restart':
        await pause(900)
        return change(arg('id'), { state: 'running', exitCode: null, since: Date.now() })
      case 'container_run':
        return run(arg('spec'))
      case 'image_pull':
        return pull(arg('reference'), arg('channel'))
      case 'remove':
        return remove(arg('ticket'), arg('things'), arg('delayMs'))
      case 'undo':
        waiting.get(arg('ticket'))?.(true)
        return true
      case 'logs_open':
        return logs(arg('id'), arg('channel'))
      case 'logs_before':
        return logLines(arg('tail'))
      default:
        return null
    }
  })
}
