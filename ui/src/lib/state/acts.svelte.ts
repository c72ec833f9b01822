// What can be done to containers and images, with the three levels of destructive acts.

import type { ContainerRow } from '../bindings/ContainerRow'
import type { ImageRow } from '../bindings/ImageRow'
import type { Removal } from '../bindings/Removal'
import { t, type Key } from '../i18n/index.svelte'
import { asProblem, ipc, nextNumber } from '../ipc'
import { labelOf } from '../groups'
import { isRunning, type Busy } from '../status'
import { runLine } from '../run-line'
import { containers } from './containers.svelte'
import { imageName, images } from './images.svelte'
import { go } from './nav.svelte'
import { dismiss, toast } from './toasts.svelte'

/** How long a removal can be undone. */
const UNDO = 10_000

export interface Question {
  title: string
  text: string
  /** Names of what is about to go. */
  things: string[]
  confirm: string
  danger: boolean
  act: () => void
  milder?: { label: string; act: () => void }
}

export const question = $state<{ open: Question | null }>({ open: null })

async function each(rows: ContainerRow[], busy: Busy, send: (id: string) => Promise<void>, failed: Key): Promise<void> {
  await Promise.all(
    rows.map(async (row) => {
      if (containers.busy.has(row.id)) return
      containers.busy.set(row.id, busy)
      try {
        await send(row.id)
      } catch (error) {
        toast(t(failed, { x: labelOf(row) }), { problem: asProblem(error) })
      } finally {
        containers.busy.delete(row.id)
      }
    }),
  )
}

export function start(rows: ContainerRow[]): Promise<void> {
  const off = rows.filter((row) => !isRunning(row))
  return each(off, 'starting', ipc.containerStart, 'action_failed_start')
}

export function stop(rows: ContainerRow[]): Promise<void> {
  return each(rows.filter(isRunning), 'stopping', ipc.containerStop, 'action_failed_stop')
}

export function restart(rows: ContainerRow[]): Promise<void> {
  return each(rows, 'restarting', ipc.containerRestart, 'action_failed_restart')
}

/** Stops what runs; starts all when nothing does. */
export function startOrStop(rows: ContainerRow[]): void {
  void (rows.some(isRunning) ? stop(rows) : start(rows))
}

let lastTicket: number | null = null

/** Sends a removal, after a while in which it can be undone. */
async function removeSoon(things: Removal[], name: string, mark: (gone: boolean) => void, delay: number): Promise<void> {
  const ticket = nextNumber()
  const many = things.length > 1
  mark(true)
  let message: number | undefined
  if (delay > 0) {
    lastTicket = ticket
    message = toast(many ? t('deleted_n', { n: things.length }) : t('deleted_x', { x: name }), {
      stay: delay,
      action: { label: t('undo'), run: () => void undo(ticket, name, things.length) },
    })
  }
  try {
    const done = await ipc.remove(ticket, things, delay)
    if (done === null) return mark(false)
    const bad = done.find((one) => one.problem)
    if (bad?.problem) toast(t('delete_failed', { x: many ? `${name} …` : name }), { problem: bad.problem })
    // A row that is gone leaves with the next reading; one that stays must look alive again.
    if (bad) mark(false)
  } catch (error) {
    mark(false)
    toast(t('delete_failed', { x: name }), { problem: asProblem(error) })
  } finally {
    if (lastTicket === ticket) lastTicket = null
    if (message !== undefined) dismiss(message)
  }
}

async function undo(ticket: number, name: string, n: number): Promise<void> {
  if (await ipc.undo(ticket)) toast(n > 1 ? t('undone_n', { n }) : t('undone', { x: name }))
}

export function undoLast(): void {
  if (lastTicket === null) return
  const ticket = lastTicket
  lastTicket = null
  void ipc.undo(ticket)
}

function removeContainers(rows: ContainerRow[], force: boolean): void {
  const things = rows.map((row): Removal => ({ kind: 'container', id: row.id, force }))
  const mark = (gone: boolean): void => {
    for (const row of rows) {
      if (gone) containers.busy.set(row.id, 'deleting')
      else containers.busy.delete(row.id)
    }
  }
  void removeSoon(things, rows[0] ? labelOf(rows[0]) : '', mark, force ? 0 : UNDO)
}

/** Level 1 for what is stopped, level 2 when something runs: one question for all. */
export function deleteContainers(rows: ContainerRow[]): void {
  const fresh = rows.filter((row) => containers.busy.get(row.id) !== 'deleting')
  const running = fresh.filter(isRunning)
  const [first] = fresh
  if (!first) return
  if (running.length === 0) return removeContainers(fresh, false)
  const one = fresh.length === 1
  question.open = {
    title: one ? t('delete_running_one', { x: labelOf(first) }) : t('delete_running_many', { n: fresh.length }),
    text: t('delete_running_text', { n: running.length }),
    things: one ? [] : fresh.map((row) => row.name),
    confirm: one ? t('delete_x', { x: labelOf(first) }) : t('delete_button_n', { n: fresh.length }),
    danger: true,
    act: () => removeContainers(fresh, true),
    milder: { label: t('stop_instead'), act: () => void stop(running) },
  }
}

/** Level 1 for an unused image or one tag of several, level 2 when containers use it. */
export function deleteImage(image: ImageRow, tag?: string): void {
  const names = tag ? [tag] : image.tags.length > 0 ? image.tags : [image.id]
  const whole = names.length >= image.tags.length
  const users = images.usersOf(image)
  const name = tag ?? imageName(image)
  const send = (force: boolean, delay: number): void => {
    const things = names.map((id): Removal => ({ kind: 'image', id, force }))
    const mark = (gone: boolean): void => names.forEach((id) => (gone ? images.leaving.add(id) : images.leaving.delete(id)))
    void removeSoon(things, name, mark, delay)
  }
  if (!whole || users.length === 0) return send(false, UNDO)
  const running = users.filter(isRunning)
  if (running.length > 0) {
    // The engine never removes an image from under a running container.
    question.open = {
      title: t('image_in_use', { x: name }),
      text: t('image_in_use_text', { n: running.length }),
      things: running.map((row) => row.name),
      confirm: t('show_place', { place: t('containers').toLowerCase() }),
      danger: false,
      act: () => {
        containers.clearFilter()
        containers.query = name
        go('containers')
      },
    }
    return
  }
  question.open = {
    title: t('delete_image_used', { x: name }),
    text: t('delete_image_used_text', { n: users.length }),
    things: users.map((row) => row.name),
    confirm: t('delete_x', { x: name }),
    danger: true,
    act: () => send(true, 0),
    milder: { label: t('keep_image'), act: () => undefined },
  }
}

export async function copy(text: string): Promise<void> {
  try {
    await ipc.copyText(text)
    toast(t('copied'), { stay: 2_000 })
  } catch (error) {
    toast(asProblem(error).message)
  }
}

/** Copies the `docker run` line that would make such a container. */
export async function copyRunLine(row: ContainerRow): Promise<void> {
  try {
    const { command, env, mounts } = await ipc.containerInspect(row.id)
    const ports = row.ports.flatMap((one) => (one.host === null ? [] : [{ host: `${one.host}`, container: `${one.container}/${one.protocol}` }]))
    const kept = mounts.filter((one) => one.kind === 'volume' || one.kind === 'bind')
    // A volume that nobody named gets another name.
    const volumes = kept.map((one) => (/^[0-9a-f]{64}$/.test(one.source) ? '' : `${one.source}:`) + one.target + (one.writable ? '' : ':ro'))
    await copy(runLine({ image: row.image, name: row.name, command, env, ports, volumes }))
  } catch (error) {
    toast(asProblem(error).message)
  }
}

export function openPort(port: number): void {
  ipc.openPort(port).catch((error: unknown) => toast(asProblem(error).message))
}
