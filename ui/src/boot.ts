// The first code of the page. Puts right what would keep it white, then loads the rest; if that
// fails, says so instead of showing nothing.

import './app.css'
import { usableLanguage } from './lib/i18n/language'

// With LANG=C the web view calls its language "C", and every Intl call with it throws.
const language = usableLanguage(navigator.language)
if (language !== navigator.language || navigator.languages.length === 0) {
  const languages = navigator.languages.filter((tag) => usableLanguage(tag) === tag)
  Object.defineProperty(navigator, 'language', { configurable: true, value: language })
  Object.defineProperty(navigator, 'languages', { configurable: true, value: languages.length > 0 ? languages : [language] })
}

function show(error: unknown): void {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
  const main = document.createElement('main')
  main.className = 'h-full'
  const box = document.createElement('div')
  box.className = 'grid h-full place-content-center gap-2 p-8 text-center'
  box.setAttribute('role', 'alert')
  const title = document.createElement('h1')
  title.textContent = 'The window could not be drawn. / 창을 그리지 못했어요.'
  const text = document.createElement('p')
  text.className = 'text-ink2'
  text.textContent = 'The engine is not affected. Try again, or use the slipway command. / 엔진에는 영향이 없어요.'
  const pre = document.createElement('pre')
  pre.className = 'selectable mono mx-auto max-w-full overflow-auto rounded-control bg-hover p-3 text-left text-[12px]'
  pre.textContent = detail
  const again = document.createElement('button')
  again.className = 'btn justify-self-center'
  again.textContent = 'Try again / 다시 시도'
  again.onclick = () => location.reload()
  box.append(title, text, pre, again)
  main.append(box)
  document.getElementById('app')?.replaceChildren(main)
}

async function boot(): Promise<void> {
  if (import.meta.env.MODE === 'mock') await (await import('./mock/install')).install()
  await import('./main')
}

boot().catch(show)
