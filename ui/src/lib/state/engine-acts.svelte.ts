// Stopping and restarting the engine: asks first when containers would stop.

import { t } from '../i18n/index.svelte'
import { labelOf } from '../groups'
import { isRunning } from '../status'
import { question } from './acts.svelte'
import { containers } from './containers.svelte'
import { restartEngine, stopEngine } from './engine.svelte'

function ask(title: string, confirm: string, act: () => Promise<void>): void {
  const running = containers.all.filter(isRunning)
  if (running.length === 0) return void act()
  question.open = {
    title,
    text: t('stop_engine_text', { n: running.length }),
    things: running.map(labelOf),
    confirm,
    danger: false,
    act: () => void act(),
  }
}

export function askStop(): void {
  ask(t('stop_engine_ask'), t('stop_engine_n', { n: containers.running }), stopEngine)
}

export function askRestart(): void {
  ask(t('restart_engine_ask'), t('restart_engine_n'), restartEngine)
}
