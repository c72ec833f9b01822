// A client of WebKitWebDriver, as small as the window's test needs it.
import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'

const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const inPath = (name) =>
  (process.env.PATH ?? '').split(delimiter).map((dir) => join(dir, name)).find((path) => existsSync(path))

/** Asks `look` again and again until it answers; says what was waited for when it never does. */
export async function until(what, seconds, look) {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const found = await look()
    if (found) return found
    if (Date.now() > end) throw new Error(`after ${seconds} s there is still not: ${what}`)
    await pause(100)
  }
}

/** A display of our own, unless there is one. */
export async function display() {
  if (process.env.DISPLAY) return { name: process.env.DISPLAY, close() {} }
  const server = spawn('Xvfb', ['-displayfd', '1', '-screen', '0', '1280x900x24', '-nolisten', 'tcp', '-noreset'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const number = await new Promise((resolve, reject) => {
    server.on('error', () => reject(new Error('Xvfb (package xvfb) is not installed')))
    server.on('exit', () => reject(new Error('Xvfb does not start')))
    server.stdout.once('data', (data) => resolve(String(data).trim()))
  })
  server.removeAllListeners('exit')
  return { name: `:${number}`, close: () => server.kill() }
}

async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Opens the window `binary` under WebKitWebDriver. */
export async function openWindow(binary, env) {
  const port = await freePort()
  const program = inPath('WebKitWebDriver')
  if (!program) throw new Error('WebKitWebDriver (package webkit2gtk-driver) is not installed')
  // The driver and its window get a message bus of their own, so that no other window answers.
  const bus = inPath('dbus-run-session')
  const command = [...(bus ? [bus, '--'] : []), program, `--port=${port}`, '--host=127.0.0.1']
  const driver = spawn(command[0], command.slice(1), {
    env: { ...process.env, ...env, TAURI_AUTOMATION: 'true', TAURI_WEBVIEW_AUTOMATION: 'true' },
    stdio: 'ignore',
    detached: true,
  })
  const base = `http://127.0.0.1:${port}`
  const call = async (method, path, body) => {
    const response = await fetch(base + path, { method, body: body === undefined ? undefined : JSON.stringify(body) })
    const { value } = await response.json()
    if (value?.error) throw new Error(`${value.error}: ${value.message}`)
    return value
  }
  await until('WebKitWebDriver answers', 20, () => call('GET', '/status').then(() => true, () => false))
  const session = await call('POST', '/session', {
    capabilities: { alwaysMatch: { 'webkitgtk:browserOptions': { binary, args: [] } } },
  })
  const at = `/session/${session.sessionId}`
  const find = (selector) => call('POST', `${at}/elements`, { using: 'css selector', value: selector }).then((found) => found.map((one) => one[ELEMENT]))
  const script = (source, ...args) => call('POST', `${at}/execute/sync`, { script: source, args })
  // The page may draw an element anew between finding it and using it: then it is found again.
  const whileItStands = (act) =>
    act().catch((error) => {
      if (!/stale element|no such element/.test(error.message)) throw error
      return null
    })
  const displayed = (selector) =>
    whileItStands(async () => {
      for (const id of await find(selector)) if (await call('GET', `${at}/element/${id}/displayed`)) return id
      return null
    })
  const visible = (selector, seconds = 30) => until(`${selector} is on the screen`, seconds, () => displayed(selector))
  // What is done to an element that is on the screen; the answer is wrapped, for it may be empty.
  const withElement = async (selector, act) => {
    const done = await until(`${selector} is on the screen`, 30, async () => {
      const id = await displayed(selector)
      return id && whileItStands(async () => ({ value: await act(id) }))
    })
    return done.value
  }

  return {
    script,
    visible,
    exists: async (selector) => (await find(selector)).length > 0,
    // The pointer goes to the middle of the element and presses: whatever lies over it gets it.
    click: async (selector, seconds) => {
      await visible(selector, seconds)
      const [x, y] = await script('const box = document.querySelector(arguments[0]).getBoundingClientRect(); return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)]', selector)
      const actions = [{ type: 'pointerMove', duration: 0, origin: 'viewport', x, y }, { type: 'pointerDown', button: 0 }, { type: 'pointerUp', button: 0 }]
      await call('POST', `${at}/actions`, { actions: [{ type: 'pointer', id: 'mouse', parameters: { pointerType: 'mouse' }, actions }] })
    },
    // The driver has lost a key on a busy computer (once in many hundreds): then the field is filled
    // again. What the page makes of a field that is filled right is for the test to judge.
    type: async (selector, text) => {
      for (let left = 3; ; left -= 1) {
        await withElement(selector, (id) => call('POST', `${at}/element/${id}/value`, { text }))
        const typed = await script('return document.querySelector(arguments[0]).value', selector)
        if (typed === text) return
        if (left === 1) throw new Error(`${selector} holds "${typed}" after "${text}" was typed`)
        console.log(`    ${selector} holds "${typed}": typed again`)
        await withElement(selector, (id) => call('POST', `${at}/element/${id}/clear`, {}))
      }
    },
    text: (selector) => withElement(selector, (id) => call('GET', `${at}/element/${id}/text`)),
    picture: async (file) => writeFileSync(file, Buffer.from(await call('GET', `${at}/screenshot`), 'base64')),
    close: async () => {
      await call('DELETE', at).catch(() => undefined)
      try {
        process.kill(-driver.pid)
      } catch {
        // The driver has ended with its window.
      }
    },
  }
}
