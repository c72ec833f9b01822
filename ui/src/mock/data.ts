// A made-up but realistic set of containers, images and output, as in the design's picture.

import type { ContainerDetail } from '../lib/bindings/ContainerDetail'
import type { ContainerRow } from '../lib/bindings/ContainerRow'
import type { ImageRow } from '../lib/bindings/ImageRow'
import type { LogLine } from '../lib/bindings/LogLine'
import type { Machine } from '../lib/bindings/Machine'

const NOW = Date.now()
const MIN = 60_000
const HOUR = 60 * MIN

function hex(seed: string, length = 64): string {
  let hash = 2166136261
  let out = ''
  while (out.length < length) {
    for (const c of `${seed}${out.length}`) hash = Math.imul(hash ^ c.charCodeAt(0), 16777619)
    out += (hash >>> 0).toString(16).padStart(8, '0')
  }
  return out.slice(0, length)
}

const imageId = (name: string): string => `sha256:${hex(name)}`

type Some = Partial<ContainerRow> & { port?: number }

function row(name: string, image: string, project: string | null, more: Some = {}): ContainerRow {
  const { port, ...rest } = more
  return {
    id: hex(`container ${project ?? ''} ${name}`),
    name: project ? `${project}-${name}-1` : name,
    image,
    imageId: imageId(image),
    command: 'docker-entrypoint.sh',
    created: Math.floor((NOW - 26 * HOUR) / 1000),
    state: 'running',
    health: null,
    exitCode: null,
    since: NOW - 2 * HOUR - 14 * MIN,
    outOfMemory: false,
    attempt: null,
    project,
    projectDir: project ? `/home/mina/code/${project}` : null,
    service: project ? name : null,
    ports: port ? [{ host: port, container: port, protocol: 'tcp' }] : [],
    ...rest,
  }
}

const exited = (exitCode: number, ago: number): Some => ({ state: 'exited', exitCode, since: NOW - ago })

export const containers: ContainerRow[] = [
  row('api', 'harbor/api:1.8.2', 'harbor-shop', { health: 'healthy', port: 8080 }),
  row('web', 'node:22-slim', 'harbor-shop', { port: 3000 }),
  row('worker', 'harbor/worker:1.8.2', 'harbor-shop', { state: 'restarting', exitCode: 1, attempt: 4, since: NOW - 3_000 }),
  row('postgres', 'postgres:17', 'harbor-shop', { health: 'healthy', port: 5432 }),
  row('redis', 'redis:7-alpine', 'harbor-shop', { health: 'healthy', port: 6379 }),
  row('gateway', 'caddy:2', 'billing', { port: 8443, since: NOW - 44 * MIN }),
  row('ledger', 'billing/ledger:dev', 'billing', { port: 9000, health: 'unhealthy', since: NOW - 44 * MIN }),
  row('mailpit', 'axllent/mailpit', 'billing', { port: 8025, since: NOW - 44 * MIN }),
  row('reports', 'billing/reports:dev', 'billing', { ...exited(137, 12 * MIN), outOfMemory: true }),
  row('site', 'docs/site:latest', 'docs-site', exited(0, 26 * HOUR)),
  row('search', 'docs/search:latest', 'docs-site', exited(0, 26 * HOUR)),
  row('registry', 'registry:3', null, { port: 5001, since: NOW - 9 * 24 * HOUR }),
  row('scratch', 'debian:trixie', null, { state: 'paused', since: NOW - 3 * HOUR }),
  row('migrate-once', 'harbor/api:1.8.2', null, exited(0, 3 * HOUR)),
  row('seed', 'harbor/api:1.8.1', null, exited(1, 5 * HOUR)),
  row('bench', 'debian:trixie', null, { state: 'created', since: null }),
]

const LONG =
  'registry.internal.example-corporation.com/platform-engineering/very-long-team-name/an-image-name-that-does-not-end:2026.11.23-build.48211-linux-amd64'

export const longContainers: ContainerRow[] = [
  row('a-service-with-a-really-long-name-that-somebody-generated-from-a-branch-feature-JIRA-48211', LONG, 'a-project-whose-name-is-long-as-well-because-of-the-branch', { port: 18080, health: 'healthy' }),
  row('엄청나게-긴-이름을-가진-컨테이너-서비스-결제-승인-처리기', LONG, '한글-프로젝트-이름', exited(139, 3 * HOUR)),
  row('x', 'a:b', null, { port: 65535 }),
]

export function manyContainers(count: number): ContainerRow[] {
  return Array.from({ length: count }, (_, i) =>
    row(`job-${i + 1}`, 'harbor/worker:1.8.2', i % 25 === 24 ? null : `batch-${String(Math.floor(i / 25) + 1).padStart(2, '0')}`, i % 7 === 3 ? exited(0, i * MIN) : i % 31 === 5 ? exited(2, i * MIN) : { port: 20000 + i }),
  )
}

const image = (tags: string[], size: number, days: number): ImageRow => ({
  id: imageId(tags[0] ?? `dangling ${size}`),
  tags,
  digests: tags[0] ? [`${tags[0].replace(/:[^:/]*$/, '')}@sha256:${hex(`digest ${tags[0]}`)}`] : [],
  created: Math.floor((NOW - days * 24 * HOUR) / 1000),
  size,
})

export const images: ImageRow[] = [
  image(['harbor/api:1.8.2', 'harbor/api:latest', 'registry.harbor.dev/api:1.8.2'], 212_400_000, 1),
  image(['harbor/api:1.8.1'], 211_900_000, 9),
  image(['harbor/worker:1.8.2'], 198_700_000, 1),
  image(['node:22-slim'], 226_100_000, 12),
  image(['postgres:17'], 438_300_000, 20),
  image(['redis:7-alpine'], 41_200_000, 33),
  image(['caddy:2'], 50_300_000, 15),
  image(['billing/ledger:dev'], 92_800_000, 0.1),
  image(['billing/reports:dev'], 361_000_000, 0.1),
  image(['axllent/mailpit'], 28_400_000, 40),
  image(['docs/site:latest'], 64_000_000, 3),
  image(['docs/search:latest'], 118_500_000, 3),
  image(['registry:3'], 57_600_000, 70),
  image(['debian:trixie'], 120_900_000, 18),
  image(['slipway/hello:latest'], 812_000, 2),
  image([], 187_000_000, 4),
]

export function machine(more: Partial<Machine> = {}): Machine {
  return {
    state: 'running',
    driver: 'qemu',
    accelerator: 'kvm',
    acceleratorNote: null,
    bootMs: 2_310,
    steps: [],
    cpus: 4,
    memoryBytes: 4 * 1024 ** 3,
    diskBytes: 64_000_000_000,
    diskUsedBytes: 28_300_000_000,
    warnings: [],
    error: null,
    endpoint: 'unix:///home/mina/.local/share/slipway/run/docker.sock',
    version: '0.1.0',
    ...more,
  }
}

const SAMPLES = [
  'INFO GET /v1/catalog/items status=200 dur=7.9ms bytes=18,204',
  'INFO session started user=u_5521 region=eu',
  'DEBUG cache miss key=price:kr:1187',
  'INFO GET /v1/catalog/items/1187 status=200 dur=14ms',
  'INFO PUT /v1/cart/9f3c status=200 dur=9.2ms items=3',
  'INFO GET /healthz status=200 dur=0.5ms',
  'INFO shipping quote carrier=hanjin eta=2d dur=38ms',
  'DEBUG cache hit key=price:eu:4471 ttl=52s',
  'INFO POST /v1/checkout status=201 dur=61ms order=A-20417',
  'INFO event published topic=order.created partition=3',
  'WARN slow query dur=412ms rows=1,904 table=order_lines',
  'INFO 주문 접수 완료 order=A-20418 region=kr dur=44ms',
  'INFO \u001b[32mready\u001b[0m in \u001b[1m212 ms\u001b[0m on \u001b[36mhttp://0.0.0.0:8080\u001b[0m',
  'INFO retry scheduled order=A-20419 in=500ms',
]

export function logLines(count: number, end = NOW): LogLine[] {
  let at = end - count * 1_900
  return Array.from({ length: count }, (_, i) => {
    at += 700 + ((i * 7919) % 2400)
    const last = count - i
    const text =
      last === 9 || i % 173 === 60
        ? 'ERROR POST /v1/checkout status=502 dur=3,004ms error="upstream timed out after 3 s"'
        : i % 61 === 17
          ? (SAMPLES[10] as string)
          : (SAMPLES[i % SAMPLES.length] as string)
    return { t: new Date(Math.min(at, end)).toISOString().replace('Z', '000000Z'), s: text.startsWith('ERROR') ? 'err' : 'out', m: text }
  })
}

export function detail(of: ContainerRow): ContainerDetail {
  const started = new Date(of.since ?? NOW).toISOString()
  const value = {
    id: of.id,
    argv: ['docker-entrypoint.sh', 'node', 'server.js', '--port', String(of.ports[0]?.container ?? 8080)],
    command: ['node', 'server.js', '--port', String(of.ports[0]?.container ?? 8080)],
    workingDir: '/app',
    user: '1000:1000',
    hostname: of.id.slice(0, 12),
    env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'NODE_ENV=production', 'DATABASE_URL=postgres://api@postgres:5432/harbor', 'LANG=ko_KR.UTF-8'],
    labels: of.project ? ([['com.docker.compose.project', of.project], ['com.docker.compose.service', of.service ?? '']] as [string, string][]) : [],
    created: new Date(of.created * 1000).toISOString(),
    started,
    finished: of.state === 'exited' ? started : null,
    error: null,
    pid: of.state === 'running' ? 4312 : null,
    restarts: of.attempt ?? 0,
    restartPolicy: 'unless-stopped',
    memoryLimit: of.outOfMemory ? 512 * 1024 ** 2 : null,
    tty: false,
    mounts: [
      { kind: 'volume', source: `${of.project ?? 'local'}_data`, target: '/var/lib/data', writable: true },
      { kind: 'bind', source: `${of.projectDir ?? '/home/mina'}/config`, target: '/app/config', writable: false },
    ],
    networks: [{ network: of.project ? `${of.project}_default` : 'bridge', address: of.state === 'running' ? '172.20.0.3' : '' }],
  }
  const json = JSON.stringify({ Id: of.id, Name: `/${of.name}`, Image: of.imageId, State: { Status: of.state, ExitCode: of.exitCode ?? 0, Running: of.state === 'running' }, Config: { Env: value.env, Cmd: value.command, WorkingDir: '/app' }, Mounts: value.mounts }, null, 2)
  return { ...value, json }
}
