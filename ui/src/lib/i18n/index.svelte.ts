// Chooses the catalogue and fills in values. Every string on the screen comes from here.

import { en, type Key } from './en'
import { josa } from './josa'
import { ko } from './ko'

export type Lang = 'en' | 'ko'
export type { Key }
export const catalogues: Record<Lang, Record<Key, string>> = { en, ko }

const current = $state<{ lang: Lang }>({ lang: 'en' })

export function lang(): Lang {
  return current.lang
}

export function setLang(next: Lang): void {
  current.lang = next
  document.documentElement.lang = next
}

/** The language that the system asks for, if we have it. */
export function systemLang(languages: readonly string[] = navigator.languages): Lang {
  for (const tag of languages) {
    if (/^ko\b/i.test(tag)) return 'ko'
    if (/^en\b/i.test(tag)) return 'en'
  }
  return 'en'
}

export type Values = Record<string, string | number>

/** Fills a template: `{x}`, `{x:을/를}` and `{n#one/many}`. */
export function fill(template: string, values: Values, locale: Lang): string {
  const shown = (name: string): string => {
    const value = values[name]
    return typeof value === 'number' ? value.toLocaleString(locale) : String(value ?? '')
  }
  return template
    .replace(/\{(\w+)#((?:[^{}]|\{\w+\})*)\}/g, (_, name: string, words: string) => {
      const [one = '', many = ''] = words.split('/')
      return Number(values[name]) === 1 ? one : many
    })
    .replace(/\{(\w+):([^}/]+\/[^}]+)\}/g, (_, name: string, pair: string) => josa(shown(name), pair))
    .replace(/\{(\w+)\}/g, (_, name: string) => shown(name))
}

/** The text for a key in the current language. */
export function t(key: Key, values: Values = {}): string {
  return fill(catalogues[current.lang][key], values, current.lang)
}
