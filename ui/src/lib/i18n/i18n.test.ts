import { describe, expect, it } from 'vitest'
import { ago, bytes, duration, memory } from './format'
import { catalogues, fill, setLang, systemLang, t, type Key } from './index.svelte'
import { josa } from './josa'
import { usableLanguage } from './language'

const keys = Object.keys(catalogues.en) as Key[]
const names = (text: string): string[] => [...new Set([...text.matchAll(/\{(\w+)/g)].map((match) => match[1] as string))].sort()

describe('catalogues', () => {
  it('have the same keys', () => {
    expect(Object.keys(catalogues.ko).sort()).toEqual([...keys].sort())
  })

  it('use values that exist in both', () => {
    for (const key of keys) {
      const english = names(catalogues.en[key])
      for (const name of names(catalogues.ko[key])) expect(english, key).toContain(name)
    }
  })

  it('have no key that nobody uses', () => {
    const sources = import.meta.glob<string>(['../../**/*.{svelte,ts}', '!../../**/*.test.ts', '!./en.ts', '!./ko.ts'], {
      query: '?raw',
      import: 'default',
      eager: true,
    })
    const all = Object.values(sources).join('\n')
    expect(Object.keys(sources).length).toBeGreaterThan(50)
    expect(keys.filter((key) => !new RegExp(`'${key}'`).test(all))).toEqual([])
  })

  it('keep the Korean rules', () => {
    for (const key of keys) {
      const text = catalogues.ko[key]
      expect(text, key).not.toMatch(/[을를은는이가]\([을를은는이가]\)|하시겠습니까|되었습니다|쉘/)
      expect(text, key).not.toMatch(/!$/)
    }
  })
})

describe('fill', () => {
  it('chooses words by number', () => {
    expect(fill('{n} {n#line/lines}', { n: 1 }, 'en')).toBe('1 line')
    expect(fill('{n} {n#line/lines}', { n: 12_480 }, 'en')).toBe('12,480 lines')
    expect(fill('{n#It runs./{n} of them run.}', { n: 3 }, 'en')).toBe('3 of them run.')
  })

  it('chooses particles by sound', () => {
    expect(fill('{x:을/를} 삭제했어요.', { x: 'worker' }, 'ko')).toBe('worker를 삭제했어요.')
    expect(fill('{x:을/를} 삭제했어요.', { x: '로그' }, 'ko')).toBe('로그를 삭제했어요.')
  })
})

describe('josa', () => {
  it.each([
    ['컨테이너', '을/를', '컨테이너를'],
    ['볼륨', '을/를', '볼륨을'],
    ['api', '은/는', 'api는'],
    ['redis', '이/가', 'redis가'],
    ['nginx:1', '을/를', 'nginx:1을'],
    ['postgres:17', '을/를', 'postgres:17을'],
    ['node:22', '을/를', 'node:22를'],
    ['web', '을/를', 'web을'],
    ['mail', '을/를', 'mail을'],
  ])('%s %s', (word, pair, wanted) => expect(josa(word, pair)).toBe(wanted))
})

describe('sizes and times', () => {
  it('in English', () => {
    setLang('en')
    expect(bytes(812_000)).toBe('812 kB')
    expect(bytes(1_900_000_000)).toBe('1.9 GB')
    expect(bytes(999_999_999)).toBe('1.0 GB')
    expect(bytes(0)).toBe('0 B')
    expect(memory(768 * 1024 ** 2)).toBe('768 MB')
    expect(memory(4 * 1024 ** 3)).toBe('4.0 GB')
    expect(duration(2 * 3_600_000 + 14 * 60_000)).toBe('2 h 14 min')
    expect(ago(3 * 3_600_000)).toBe('3 h ago')
    expect(ago(25 * 3_600_000)).toBe('1 day ago')
  })

  it('in Korean', () => {
    setLang('ko')
    expect(duration(2 * 3_600_000 + 14 * 60_000)).toBe('2시간 14분')
    expect(t('st_exited_ago', { ago: ago(3 * 3_600_000), code: 0 })).toBe('3시간 전 종료 (0)')
    expect(t('silent_title', { time: duration(6_000) })).toBe('엔진이 6초째 응답하지 않아요.')
  })
})

describe('the system’s language', () => {
  it('is the first that we have', () => {
    expect(systemLang(['ko-KR', 'en'])).toBe('ko')
    expect(systemLang(['fr', 'ko'])).toBe('ko')
    expect(systemLang(['fr'])).toBe('en')
    expect(systemLang([])).toBe('en')
  })

  it('is made safe for Intl', () => {
    for (const bad of ['C', 'POSIX', 'C.UTF-8', '', undefined, 'not a tag!']) expect(usableLanguage(bad)).toBe('en-US')
    expect(usableLanguage('ko-KR')).toBe('ko-KR')
    expect(usableLanguage('ca')).toBe('ca')
  })
})
