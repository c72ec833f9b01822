// The run sheet: what was filled in, checked, and carried out (pulling first when needed).

import type { Problem } from '../bindings/Problem'
import { t } from '../i18n/index.svelte'
import { asProblem, ipc } from '../ipc'
import { runLine, splitWords } from '../run-line'
import { containers } from './containers.svelte'
import { closeDialog, go, nav } from './nav.svelte'
import { startPull, takeFailure } from './pulls.svelte'

export class RunForm {
  image = $state('')
  name = $state('')
  command = $state('')
  env = $state<{ name: string; value: string }[]>([])
  step = $state<'edit' | 'pull' | 'start'>('edit')
  problem = $state<Problem | null>(null)
  /** What the problem is with. */
  problemTitle = $state('')
  /** Show what is missing only after the first try. */
  tried = $state(false)
  #closed = false

  words = $derived(splitWords(this.command))
  variables = $derived(this.env.filter((one) => one.name || one.value))
  imageError = $derived(this.image.trim() ? null : t('run_image_needed'))
  nameError = $derived(!this.name || /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(this.name) ? null : t('run_name_bad'))
  commandError = $derived(this.words === null ? t('run_command_bad') : null)
  envError = $derived(this.variables.some((one) => !one.name) ? t('run_env_bad') : null)
  line = $derived(
    runLine({
      image: this.image.trim() || 'IMAGE',
      name: this.name || null,
      command: this.words ?? [],
      env: this.variables.map((one) => `${one.name}=${one.value}`),
    }),
  )

  constructor(image: string) {
    this.image = image
  }

  async run(): Promise<void> {
    this.tried = true
    if (this.imageError || this.nameError || this.commandError || this.envError || this.step !== 'edit') return
    const image = this.image.trim()
    const spec = {
      image,
      name: this.name || null,
      command: this.words ?? [],
      env: this.variables.map((one) => `${one.name}=${one.value}`),
    }
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

  async #pullAndRun(spec: Parameters<typeof ipc.containerRun>[0]): Promise<void> {
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
