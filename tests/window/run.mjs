// Does with the real window what a person does first: starts the engine, runs slipway/hello by
// clicking, reads its output on the screen. Fails with a sentence and a picture.
//
//   SLIPWAY_DESKTOP_BIN=… SLIPWAY_HOME=… node tests/window/run.mjs [folder for pictures]
import { mkdirSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { display, openWindow, until } from './webdriver.mjs'

const binary = process.env.SLIPWAY_DESKTOP_BIN ?? process.env.SLIPWAY_DESKTOP
const home = process.env.SLIPWAY_HOME
if (!binary || !home) {
  console.error('set SLIPWAY_DESKTOP_BIN to the window and SLIPWAY_HOME to a folder')
  process.exit(2)
}
const pictures = process.argv[2] ?? process.env.SLIPWAY_PICTURES ?? join(home, 'pictures')
mkdirSync(pictures, { recursive: true })

const NAME = `hello-${process.pid}`
const ROW = `[data-testid=container-row][data-name="${NAME}"]`
const BOOT = 180
let shots = 0
let window

const snap = async (name) => window.picture(join(pictures, `${String((shots += 1)).padStart(2, '0')}-${name}.png`))
const phase = () => window.script('return document.querySelector("[data-testid=engine-state]")?.dataset.phase ?? ""')
const reach = (wanted, seconds) =>
  until(`the engine is ${wanted}`, seconds, async () => {
    const now = await phase()
    if (now === 'failed' && wanted !== 'failed') throw new Error(`the engine failed: ${await window.text('[data-testid=problem]')}`)
    return now === wanted
  })
const menuItem = (label) => window.script('[...document.querySelectorAll("[role=menuitem]")].find((item) => item.innerText.includes(arguments[0])).click()', label)

function ping() {
  return new Promise((resolve) => {
    const asked = request({ socketPath: join(home, 'run', 'docker.sock'), path: '/_ping' }, (answer) => resolve(answer.statusCode))
    asked.on('error', (error) => resolve(error.message))
    asked.end()
  })
}

async function steps() {
  console.log('the window opens and starts the engine by itself')
  await window.visible('[data-testid=engine-state]', 60)
  await reach('running', BOOT)
  await window.visible('[data-testid=run-open]')
  await snap('running')

  console.log('stop by the menu, start by the button')
  await window.click('[data-testid=engine-state]')
  await window.visible('[role=menu]')
  await menuItem('Stop engine')
  if (await window.exists('[data-testid=question-confirm]')) await window.click('[data-testid=question-confirm]')
  await reach('off', 60)
  await snap('off')
  await window.click('[data-testid=start-engine]')
  await window.visible('[data-testid=steps] li')
  await snap('starting')
  await reach('running', BOOT)

  console.log('run slipway/hello')
  await window.click('[data-testid=run-open]')
  await window.type('[data-testid=run-image]', 'slipway/hello')
  await window.type('[data-testid=run-name]', NAME)
  const line = await window.text('[data-testid=run-line]')
  if (line !== `docker run -d --name ${NAME} slipway/hello`) throw new Error(`the run sheet shows: ${line}`)
  await snap('run-sheet')
  await window.click('[data-testid=run-confirm]')
  await window.visible(ROW, 60)

  console.log('read its output')
  await window.click(ROW)
  await window.click('#tab-logs')
  const said = await until('the output of slipway/hello is on the screen', 30, async () => {
    const text = await window.script('return [...document.querySelectorAll("[data-testid=log-line] .text")].map((line) => line.innerText).join("\\n")')
    return /slipway/i.test(text) && text
  })
  console.log(said.replace(/^/gm, '    '))
  await until('the row says that it has ended', 30, () => window.exists(`${ROW}[data-state=exited]`))
  await snap('output')

  console.log('look inside')
  await window.click('#tab-overview')
  await window.visible('#panel dl')
  await snap('overview')
  await window.click('#tab-inspect')
  await until('the JSON names the container', 15, async () => (await window.text('#panel pre')).includes(NAME))
}

const screen = await display()
try {
  window = await openWindow(binary, { DISPLAY: screen.name, LANG: process.env.LANG ?? 'en_US.UTF-8', NO_AT_BRIDGE: '1' })
  await steps()
  await window.close()
  window = undefined
  console.log('the engine outlives the window')
  const answer = await ping()
  if (answer !== 200) throw new Error(`after closing the window, /_ping answers ${answer}`)
  console.log(`ok, ${shots} pictures in ${pictures}`)
} catch (error) {
  console.error(`failed: ${error.message}`)
  if (window) await snap('failed').catch(() => undefined)
  process.exitCode = 1
} finally {
  await window?.close()
  screen.close()
}
