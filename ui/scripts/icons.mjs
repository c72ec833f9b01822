// Renders src-tauri/icons/slipway.svg to the PNG and ICO files that Tauri embeds.
// Run by hand after changing the drawing: node scripts/icons.mjs
import { readFileSync, writeFileSync } from 'node:fs'
import { chromium } from 'playwright-core'

const dir = new URL('../../src-tauri/icons/', import.meta.url)
const svg = readFileSync(new URL('slipway.svg', dir), 'utf8')
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
const page = await (await browser.newContext()).newPage()

async function png(size) {
  await page.setViewportSize({ width: size, height: size })
  await page.setContent(`<style>*{margin:0}svg{display:block;width:${size}px;height:${size}px}</style>${svg}`)
  return page.screenshot({ omitBackground: true })
}

// An ICO file may hold PNG images: a header, one 16-byte entry an image, then the images.
function ico(images) {
  const head = Buffer.alloc(6 + 16 * images.length)
  head.writeUInt16LE(1, 2)
  head.writeUInt16LE(images.length, 4)
  let offset = head.length
  images.forEach(({ size, data }, i) => {
    const at = 6 + 16 * i
    head.writeUInt8(size % 256, at)
    head.writeUInt8(size % 256, at + 1)
    head.writeUInt16LE(1, at + 4)
    head.writeUInt16LE(32, at + 6)
    head.writeUInt32LE(data.length, at + 8)
    head.writeUInt32LE(offset, at + 12)
    offset += data.length
  })
  return Buffer.concat([head, ...images.map(({ data }) => data)])
}

for (const [name, size] of [['32x32', 32], ['128x128', 128], ['icon', 512]]) {
  writeFileSync(new URL(`${name}.png`, dir), await png(size))
}
const sizes = [16, 32, 48, 256]
const images = []
for (const size of sizes) images.push({ size, data: await png(size) })
writeFileSync(new URL('icon.ico', dir), ico(images))
await browser.close()
