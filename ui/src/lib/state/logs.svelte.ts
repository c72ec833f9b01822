// One container's output: the newest lines first, older ones on demand, new ones as they come.

import type { ContainerRow } from '../bindings/ContainerRow'
import type { LogBatch } from '../bindings/LogBatch'
import type { LogLine } from '../bindings/LogLine'
import type { Problem } from '../bindings/Problem'
import { plain } from '../ansi'
import { asProblem, ipc, nextNumber } from '../ipc'
import { leadingLevel, levelOf, type Finder, type Level } from '../log-text'

export interface Line {
  /** Counts from the first line read; older ones go below zero. */
  n: number
  /** Unix milliseconds. */
  at: number
  raw: LogLine
  text: string
  level: Level
  /** Not output: the container was started again here. */
  restart: boolean
}

const FIRST = 500
const OLDER = 1_000
/** Lines kept in the page while it follows. */
const RING = 20_000
/** Lines kept while somebody reads further up: what they read must not move away. */
const HELD = 60_000

export class LogSession {
  readonly id: string
  /** Whether somebody reads further up. */
  held = false
  lines = $state.raw<readonly Line[]>([])
  reading = $state(true)
  /** The output has ended. */
  ended = $state(false)
  /** There is nothing older, or no room for it. */
  complete = $state(false)
  problem = $state<Problem | null>(null)
  leveled = $state(false)
  errors = $derived(this.lines.reduce((sum, line) => sum + Number(line.level === 'error'), 0))
  warnings = $derived(this.lines.reduce((sum, line) => sum + Number(line.level === 'warn'), 0))
  #stream = 0
  #since: number | null
  #closed = false
  #next = 0
  #first = 0
  #older = false
  /** After a restart: lines up to this time are here already. */
  #skipUntil: string | null = null

  constructor(row: ContainerRow) {
    this.id = row.id
    this.#since = row.since
    void this.#open()
  }

  async #open(): Promise<void> {
    const stream = nextNumber()
    this.#stream = stream
    this.ended = false
    try {
      await ipc.logsOpen(this.id, FIRST, stream, (batch) => this.#take(stream, batch))
    } catch (error) {
      this.problem = asProblem(error)
      this.reading = false
    }
  }

  #take(stream: number, batch: LogBatch): void {
    if (this.#closed || stream !== this.#stream) return
    let fresh = batch.lines
    const last = this.lines.at(-1)
    if (this.#skipUntil !== null) {
      const until = this.#skipUntil
      fresh = fresh.filter((line) => line.t > until)
    }
    if (fresh.length > 0) {
      const made = fresh.map((raw) => this.#line(raw, (this.#next += 1)))
      if (last && this.#skipUntil !== null) made.unshift(this.#divider(made[0]?.at ?? Date.now()))
      this.#skipUntil = null
      const all = [...this.lines, ...made]
      const room = this.held ? HELD : RING
      this.lines = all.length > room ? all.slice(-room) : all
      if (all.length > room) this.complete = true
      this.leveled ||= made.some((line) => leadingLevel(line.text) !== null)
    }
    this.reading = false
    if (batch.end) this.ended = true
    else requestAnimationFrame(() => void ipc.logsAck(stream, 1))
  }

  #line(raw: LogLine, n: number): Line {
    const text = plain(raw.m)
    const at = Date.parse(raw.t)
    return { n, at: Number.isNaN(at) ? 0 : at, raw, text, level: levelOf(text), restart: false }
  }

  #divider(at: number): Line {
    const raw: LogLine = { t: '', s: 'out', m: '' }
    return { n: (this.#next += 1), at, raw, text: '', level: null, restart: true }
  }

  /** The row has changed: a container that was started again goes on below a divider. */
  update(row: ContainerRow): void {
    if (this.#closed || !this.ended || row.state !== 'running' || row.since === this.#since) return
    this.#since = row.since
    this.#skipUntil = this.lines.at(-1)?.raw.t ?? null
    void this.#open()
  }

  /** Reads a page of older lines. */
  async readOlder(): Promise<void> {
    const first = this.lines[0]
    if (this.#older || this.complete || !first || this.reading) return
    this.#older = true
    try {
      const wanted = Math.min(HELD, this.lines.length + OLDER)
      const all = await ipc.logsBefore(this.id, wanted)
      if (this.#closed) return
      const older = all.filter((line) => line.t < first.raw.t).slice(-OLDER)
      if (older.length === 0 || wanted === HELD) this.complete = true
      this.#first -= older.length
      const from = this.#first
      this.lines = [...older.map((raw, i) => this.#line(raw, from + i)), ...this.lines]
    } catch {
      // The lines that are here stay; the next scroll asks again.
    } finally {
      this.#older = false
    }
  }

  clear(): void {
    this.lines = []
    this.complete = true
  }

  close(): void {
    this.#closed = true
    void ipc.logsClose(this.#stream)
  }
}

export interface LogFilter {
  find: Finder | null
  /** Only lines that match. */
  only: boolean
  errors: boolean
  warnings: boolean
}

/** The lines that pass the filter. */
export function passing(lines: readonly Line[], filter: LogFilter): readonly Line[] {
  const levels = filter.errors || filter.warnings
  if (!levels && !(filter.only && filter.find)) return lines
  return lines.filter((line) => {
    if (levels && !(filter.errors && line.level === 'error') && !(filter.warnings && line.level === 'warn')) return false
    return !(filter.only && filter.find) || filter.find(line.text).length > 0
  })
}

export interface Bar {
  at: number
  n: number
  errors: number
  warnings: number
}

/** Lines per 15 seconds, up to the newest line: always `count` bars, so that a bar is a bar. */
export function volume(lines: readonly Line[], count: number, step = 15_000): Bar[] {
  const last = lines.at(-1)
  if (!last) return []
  const end = Math.floor(last.at / step)
  const begin = end - count + 1
  const bars: Bar[] = Array.from({ length: count }, (_, i) => ({ at: (begin + i) * step, n: 0, errors: 0, warnings: 0 }))
  for (const line of lines) {
    const bar = bars[Math.floor(line.at / step) - begin]
    if (!bar || line.restart) continue
    bar.n += 1
    if (line.level === 'error') bar.errors += 1
    if (line.level === 'warn') bar.warnings += 1
  }
  return bars
}
