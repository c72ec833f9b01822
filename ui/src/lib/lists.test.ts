import { describe, expect, it } from 'vitest'
import type { ContainerRow } from './bindings/ContainerRow'
import { filterRows, flatten, groupRows, matches, shortDir } from './groups'
import { setLang } from './i18n/index.svelte'
import { passing, volume, type Line } from './state/logs.svelte'
import { totalOf } from './state/pulls.svelte'
import { blockOf, noteOf, shapeOf, stateText } from './status'

function row(more: Partial<ContainerRow>): ContainerRow {
  return {
    id: more.name ?? 'x',
    name: 'x',
    image: 'a:1',
    imageId: 'sha256:0',
    command: '',
    created: 0,
    state: 'running',
    health: null,
    exitCode: null,
    since: 0,
    outOfMemory: false,
    attempt: null,
    project: null,
    projectDir: null,
    service: null,
    ports: [],
    ...more,
  }
}

describe('groups', () => {
  const rows = [
    row({ name: 'b2', project: 'b' }),
    row({ name: 'alone' }),
    row({ name: 'a10', project: 'a', state: 'exited', exitCode: 1 }),
    row({ name: 'a9', project: 'a' }),
  ]

  it('come by name, the rest last', () => {
    const groups = groupRows(rows)
    expect(groups.map((group) => group.key)).toEqual(['a', 'b', ''])
    expect(groups[0]?.rows.map((one) => one.name)).toEqual(['a9', 'a10'])
    expect(groups[0]?.running).toBe(1)
  })

  it('hide their rows when collapsed', () => {
    expect(flatten(groupRows(rows), ['a']).map((item) => item.key)).toEqual(['g:a', 'g:b', 'b2', 'g:', 'alone'])
  })

  it('are filtered by name, image, project, port and state', () => {
    const web = row({ name: 'web', image: 'nginx:1', project: 'shop', ports: [{ host: 8080, container: 80, protocol: 'tcp' }] })
    for (const query of ['WEB', 'nginx', 'shop', ':808', '8080', '']) expect(matches(web, query), query).toBe(true)
    for (const query of ['redis', ':81']) expect(matches(web, query), query).toBe(false)
    expect(filterRows(rows, '', 'stopped').map((one) => one.name)).toEqual(['a10'])
  })

  it('shorten the home folder', () => {
    expect(shortDir('/home/mina/code')).toBe('~/code')
    expect(shortDir('/homework')).toBe('/homework')
  })
})

describe('states', () => {
  it('have a shape and words', () => {
    setLang('en')
    const now = 3 * 3_600_000
    const cases: [Partial<ContainerRow>, string, string, string][] = [
      [{}, 'running', 'Running', 'full'],
      [{ health: 'healthy' }, 'healthy', 'Healthy', 'full'],
      [{ health: 'unhealthy' }, 'unhealthy', 'Unhealthy', 'split'],
      [{ state: 'restarting', attempt: 4 }, 'restarting', 'Restarting, attempt 4', 'split'],
      [{ state: 'paused' }, 'paused', 'Paused', 'hollow'],
      [{ state: 'created' }, 'created', 'Created', 'hollow'],
      [{ state: 'exited', exitCode: 0 }, 'exited', 'Exited 0, 3 h ago', 'hollow'],
      [{ state: 'exited', exitCode: 143 }, 'exited', 'Exited 143, 3 h ago', 'hollow'],
      [{ state: 'exited', exitCode: 1 }, 'failed', 'Exited 1', 'tall'],
      [{ state: 'exited', exitCode: 137, outOfMemory: true }, 'failed', 'Exited 137, out of memory', 'tall'],
      [{ state: 'dead' }, 'failed', 'Broken', 'tall'],
    ]
    for (const [more, shape, text, block] of cases) {
      const one = row(more)
      expect([shapeOf(one), stateText(one, now), blockOf(one)]).toEqual([shape, text, block])
    }
    expect(noteOf(row({}), now)).toBeNull()
    expect(shapeOf(row({}), 'stopping')).toBe('busy')
  })
})

describe('pulls', () => {
  it('fold layers into one total', () => {
    const sizes = new Map<string, number>()
    totalOf([{ id: 'a', phase: 'Downloading', current: 10, total: 100 }], sizes)
    const sum = totalOf(
      [
        { id: 'a', phase: 'Extracting', current: 5, total: null },
        { id: 'b', phase: 'Downloading', current: 20, total: 50 },
        { id: 'c', phase: 'Already exists', current: null, total: null },
      ],
      sizes,
    )
    expect(sum).toEqual({ current: 120, total: 150, done: 1 })
  })
})

describe('logs', () => {
  const line = (n: number, at: number, level: Line['level'] = null): Line => ({ n, at, raw: { t: '', s: 'out', m: '' }, text: `line ${n}`, level, restart: false })

  it('are filtered by level and text', () => {
    const lines = [line(1, 0, 'error'), line(2, 0, 'warn'), line(3, 0)]
    const off = { find: null, only: false, errors: false, warnings: false }
    expect(passing(lines, off)).toBe(lines)
    expect(passing(lines, { ...off, errors: true, warnings: true }).length).toBe(2)
    const find = (text: string): [number, number][] => (text.endsWith('3') ? [[0, 1]] : [])
    expect(passing(lines, { ...off, find, only: true }).map((one) => one.n)).toEqual([3])
    expect(passing(lines, { ...off, find }).length).toBe(3)
  })

  it('are counted per 15 seconds', () => {
    const bars = volume([line(1, 0, 'error'), line(2, 14_999), line(3, 45_000, 'warn')], 4)
    expect(bars.map((bar) => [bar.n, bar.errors, bar.warnings])).toEqual([[2, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 1]])
    expect(volume([line(1, 0), line(2, 600_000)], 3).map((bar) => bar.n)).toEqual([0, 0, 1])
  })
})
