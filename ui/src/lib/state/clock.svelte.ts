// The time that ages on the screen are counted from: one timer for all, none while hidden.

const state = $state({ now: Date.now() })
let timer: ReturnType<typeof setInterval> | undefined

/** Now, to about five seconds; texts that read it repaint when it moves. */
export function now(): number {
  return state.now
}

/** Moves the time on: something has just happened. */
export function tick(): void {
  state.now = Date.now()
}

export function runClock(visible: boolean): void {
  clearInterval(timer)
  timer = undefined
  if (!visible) return
  tick()
  timer = setInterval(tick, 5_000)
}
