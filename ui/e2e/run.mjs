// Opens every scene in both languages and themes, at the usual and the smallest size, takes a
// picture, and lets axe-core look for what keeps people out. Any violation fails.
//
//   node e2e/run.mjs [scene…]      OUT=dir for pictures, CHROMIUM=program
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { scenes } from './scenes.mjs'
import { serve } from './serve.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const out = process.env.OUT ?? join(here, '../../target/window-pictures')
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const wanted = process.argv.slice(2)
const sizes = [
  { name: '1280', width: 1280, height: 820 },
  { name: '760', width: 760, height: 520 },
]
const only = (list, variable) => (process.env[variable] ? list.filter((one) => process.env[variable].split(',').includes(one.name ?? one)) : list)
const found = []
let pictures = 0

async function judge(page, label) {
  await page.evaluate(axe)
  const result = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }))
  for (const violation of result.violations) {
    for (const node of violation.nodes.slice(0, 3)) {
      found.push(`${label}: ${violation.id}: ${node.target.join(' ')}\n    ${node.html.slice(0, 160)}\n    ${(node.failureSummary ?? '').split('\n').slice(1, 3).join(' ').trim()}`)
    }
  }
}

async function look(page, scene, lang, size) {
  const label = `${scene.name} ${lang} ${size.name}`
  const errors = []
  page.on('pageerror', (error) => errors.push(error.message))
  await page.addInitScript(
    ([language, autostart]) => localStorage.setItem('slipway.prefs', JSON.stringify({ language, theme: 'light', autostart })),
    [lang, !scene.manual],
  )
  await page.goto(`${server.url}?state=${scene.state ?? 'running'}`)
  try {
    if (scene.name !== 'boom') await page.waitForSelector('[data-testid=engine-state]:not([data-phase=unknown])', { timeout: 15_000 })
    if (scene.act) await scene.act(page)
    await page.waitForSelector(scene.see, { state: 'visible', timeout: 15_000 })
  } catch (error) {
    found.push(`${label}: ${error.message.split('\n')[0]}`)
  }
  await page.evaluate(() => document.fonts.ready)
  for (const theme of only(['light', 'dark'], 'THEME')) {
    await page.evaluate((value) => (document.documentElement.dataset.theme = value), theme)
    await page.waitForTimeout(250)
    await page.screenshot({ path: join(out, `${scene.name}-${lang}-${theme}-${size.name}.png`) })
    pictures += 1
    await judge(page, `${label} ${theme}`)
  }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth || document.documentElement.scrollHeight > innerHeight)
  if (wide) found.push(`${label}: the page is larger than the window`)
  if (scene.name !== 'boom') for (const error of errors) found.push(`${label}: ${error}`)
}

mkdirSync(out, { recursive: true })
const server = await serve(join(here, '../dist-mock'))
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
const work = []
for (const lang of only(['en', 'ko'], 'LANGS')) {
  for (const size of only(sizes, 'SIZE')) {
    for (const scene of scenes.filter((one) => wanted.length === 0 || wanted.includes(one.name))) work.push({ scene, lang, size })
  }
}
async function worker() {
  for (let next = work.shift(); next; next = work.shift()) {
    const { scene, lang, size } = next
    const context = await browser.newContext({ viewport: { width: size.width, height: size.height }, reducedMotion: 'reduce' })
    try {
      await look(await context.newPage(), scene, lang, size)
    } finally {
      await context.close()
    }
  }
}
await Promise.all([worker(), worker()])
await browser.close()
server.close()
for (const one of found) console.error(one)
console.log(`${pictures} pictures in ${out}, ${found.length} problems`)
process.exit(found.length === 0 ? 0 : 1)
