// The run sheet: what was filled in, checked, and carried out (pulling first when needed).

import type { Problem } from '../bindings/Problem'
import type { PublishSpec } from '../bindings/PublishSpec'
import type { RunSpec } from '../bindings/RunSpec'
import { t } from '../i18n/index.svelte'
import { asProblem, ipc } from '../ipc'
import { runLine, splitWords } from '../run-line'
import { containers } from './containers.svelte'
import { closeDialog, go, nav } from './nav.svelte'
import { startPull, takeFailure } from './pulls.svelte'

/** Two fields of a row. */
export interface Pair {
  left: string
  right: string
}

const isPort = (text: string): boolean => /^\d{1,5}$/.test(text) && +text > 0 && +text < 65536

/** What is published for a row, `null` when it is not a port. */
function publish({ left, right }: Pair): PublishSpec | null {
  const [port = '', protocol = 'tcp', more] = right.trim().toLowerCase().split('/')
  const host = left.trim()
  if (!isPort(port) || (host && !isPort(host)) || !['tcp', 'udp'].includes(protocol) || more !== undefined) return null
  return { host: host && `${+host}`, container: `${+port}/${protocol}` }
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/
const filled = (pairs: Pair[]): Pair[] => pairs.filter((one) => one.left.trim() || one.right.trim())

export class RunForm {
  image = $state('')
  name = $state('')
  command = $state('')
  ports = $state<Pair[]>([])
  volumes = $state<Pair[]>([])
  env = $state<Pair[]>([])
  step = $state<'edit' | 'pull' | 'start'>('edit')
  problem = $state<Problem | null>(null)
  /** What the problem is with. */
  problemTitle = $state('')
  /** Show what is missing only after the first try. */
  tried = $state(false)
  #closed = false

  words = $derived(splitWords(this.command))
  variables = $derived(filled(this.env))
  published = $derived(filled(this.ports).map(publish))
  mounted = $derived(filled(this.volumes).map(({ left, right }) => ({ name: left.trim(), path: right.trim() })))
  imageError = $derived(this.image.trim() ? null : t('run_image_needed'))
  nameError = $derived(!this.name || NAME.test(this.name) ? null : t('run_name_bad'))
  commandError = $derived(this.words === null ? t('run_command_bad') : null)
  portError = $derived(this.published.includes(null) ? t('run_ports_bad') : null)
  volumeError = $derived(this.mounted.every(({ name, path }) => NAME.test(name) && /^\/[^:]+$/.test(path)) ? null : t('run_volumes_bad'))
  envError = $derived(this.variables.some((one) => !one.left.trim()) ? t('run_env_bad') : null)
  spec = $derived<RunSpec>({
    image: this.image.trim(),
    name: this.name || null,
    command: this.words ?? [],
    env: this.variables.map((one) => `${one.left.trim()}=${one.right}`),
    ports: this.published.filter((one) => one !== null),
    volumes: this.mounted.map(({ name, path }) => `${name}:${path}`),
  })
  line = $derived(runLine({ ...this.spec, image: this.spec.image || 'IMAGE' }))
  wrong = $derived(this.imageError ?? this.nameError ?? this.commandError ?? this.portError ?? this.volumeError ?? this.envError)

  constructor(image: string) {
    this.image = image
  }

  async run(): Promise<void> {
    this.tried = true
    if (this.wrong || this.step !== 'edit') return
    const spec = $state.snapshot(this.spec)
    this.problem = null
    this.step = 'start'
    try {
      this.#show(await ipc.containerRun(spec))
    } catch (error) {
      const problem = asProblem(error)
      if (problem.status === 404 && /no such image/i.test(problem.message)) await this.#pullAndRun(spec)
      else this.#fail(t('run_failed'), problem)
    }
  }

  async #pullAndRun(spec: RunSpec): Promise<void> {
    this.step = 'pull'
    if (!(await startPull(spec.image, true))) {
      const problem = this.#closed ? null : takeFailure(spec.image)
      if (problem) this.#fail(t('pull_failed'), problem)
      this.step = 'edit'
      return
    }
    this.step = 'start'
    try {
      this.#show(await ipc.containerRun(spec))
    } catch (error) {
      this.#fail(t('run_failed'), asProblem(error))
    }
  }

  #fail(title: string, problem: Problem): void {
    this.step = 'edit'
    this.problemTitle = title
    this.problem = problem
  }

  /** The new container, with its logs open. */
  #show(id: string): void {
    this.step = 'edit'
    if (this.#closed) return
    closeDialog()
    containers.clearFilter()
    containers.expect(id)
    nav.tab = 'logs'
    nav.detailOpen = true
    go('containers')
  }

  /** The sheet was closed: a pull goes on, the container is started when it is done. */
  close(): void {
    this.#closed = true
  }
}
