// Does with the real window what a person does first: starts the engine, runs slipway/hello by
// clicking, reads its output on the screen. Fails with a sentence and a picture.
//
//   SLIPWAY_DESKTOP_BIN=… SLIPWAY_HOME=… node tests/window/run.mjs [folder for pictures]
import { mkdirSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
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

/** Asks the engine: the answer's status and text. */
function ask(path) {
  return new Promise((resolve) => {
    const asked = request({ socketPath: join(home, 'run', 'docker.sock'), path }, async (answer) => {
      let text = ''
      for await (const part of answer) text += part
      resolve({ status: answer.statusCode, text })
    })
    asked.on('error', (error) => resolve({ status: error.message, text: '' }))
    asked.end()
  })
}

const containers = async () => JSON.parse((await ask('/containers/json?all=1')).text)

async function shows(line) {
  const shown = await window.text('[data-testid=run-line]')
  if (shown !== line) throw new Error(`the run sheet shows: ${shown}`)
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
  await window.click('[data-testid=run-volumes-add]')
  await window.type('[data-testid=run-volumes-left]', 'kept')
  await window.type('[data-testid=run-volumes-right]', '/data')
  await window.click('[data-testid=run-ports-add]')
  await window.type('[data-testid=run-ports-right]', '80')
  console.log('a port that is taken is told, and what was made for it is gone')
  const taken = createServer()
  await new Promise((resolve) => taken.listen(0, '0.0.0.0', resolve))
  const { port } = taken.address()
  await window.type('[data-testid=run-ports-left]', String(port))
  await shows(`docker run -d --name ${NAME} -p ${port}:80 -v kept:/data slipway/hello`)
  await window.click('[data-testid=run-confirm]')
  const refused = await window.text('[data-testid=problem]')
  if (!refused.includes(`${port}`) || !refused.includes('in use')) throw new Error(`a taken port is told as: ${refused}`)
  await snap('port-taken')
  if ((await containers()).length > 0) throw new Error('a container that did not start is still there')
  taken.close()

  await window.click('[data-testid=run-ports-add]')
  await window.script('document.querySelectorAll("[data-testid=run-ports-left]")[0].closest("div").querySelector("button").click()')
  await window.type('[data-testid=run-ports-right]', '80')
  await shows(`docker run -d --name ${NAME} -p 80 -v kept:/data slipway/hello`)
  await snap('run-sheet')
  await window.click('[data-testid=run-confirm]')
  await window.visible(ROW, 60)
  const [made] = await containers()
  if (made?.Mounts?.[0]?.Name !== 'kept' || made.Mounts[0].Destination !== '/data') throw new Error(`the volume: ${JSON.stringify(made)}`)

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
  const { status } = await ask('/_ping')
  if (status !== 200) throw new Error(`after closing the window, /_ping answers ${status}`)
  console.log(`ok, ${shots} pictures in ${pictures}`)
} catch (error) {
  console.error(`failed: ${error.message}`)
  if (window) await snap('failed').catch(() => undefined)
  process.exitCode = 1
} finally {
  await window?.close()
  screen.close()
}
