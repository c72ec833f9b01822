import { describe, expect, it } from 'vitest'
import { plain, spans } from './ansi'
import { hintFor } from './hints'
import { sentence } from './ipc'
import { highlight } from './json-text'
import { letter, show } from './keys'
import { finder, leadingLevel, levelOf, pieces } from './log-text'
import { quote, runLine, splitWords } from './run-line'
import { initials, score } from './search'

describe('run line', () => {
  it('can be pasted into a shell', () => {
    const ports = [
      { host: '5432', container: '5432/tcp' },
      { host: '', container: '53/udp' },
    ]
    expect(runLine({ image: 'postgres:17', name: 'db', command: ['sh', '-c', 'echo "$HOME"'], env: ["P=it's"], ports, volumes: ['data:/var/lib/my data'] })).toBe(
      `docker run -d --name db -p 5432:5432 -p 53/udp -v 'data:/var/lib/my data' -e 'P=it'\\''s' postgres:17 sh -c 'echo "$HOME"'`,
    )
    expect(quote('')).toBe("''")
  })

  it.each([
    ['', []],
    ['  sh   -c ', ['sh', '-c']],
    [`sh -c 'a b' "c \\"d\\"" e\\ f`, ['sh', '-c', 'a b', 'c "d"', 'e f']],
    [`a'b'c ""`, ['abc', '']],
    [`'open`, null],
    ['end\\', null],
  ])('splits %j', (line, words) => expect(splitWords(line)).toEqual(words))

  it('reads back what it quotes', () => {
    const words = ['a b', "it's", '', '"', '\\', '$x', 'é한']
    expect(splitWords(words.map(quote).join(' '))).toEqual(words)
  })
})

describe('hints', () => {
  it('are for words of the engine that leave it open what to do', () => {
    expect(hintFor('failed to bind host port 0.0.0.0:80/tcp: address already in use: nginx (process 7) listens there')).toBe('Choose another port, or stop what has this one.')
    expect(hintFor('something else')).toBeNull()
  })
})

describe('escape sequences', () => {
  it('become styles', () => {
    expect(spans('\u001b[31mred\u001b[0m plain \u001b[1;32mok')).toEqual([
      { text: 'red', style: 'red' },
      { text: ' plain ', style: '' },
      { text: 'ok', style: 'green bold' },
    ])
  })

  it('leave the text alone', () => {
    expect(plain('\u001b]0;title\u0007a\u001b[2Kb\u001b[38;5;196mc\u001b[38;2;1;2;3md\u001b[0m\u0008')).toBe('abcd')
    expect(plain('no escapes [31m')).toBe('no escapes [31m')
  })
})

describe('log lines', () => {
  it.each([
    ['ERROR it broke', 'error'],
    ['2026-01-01 WARN slow', 'warn'],
    ['level=error msg=x', 'error'],
    ['{"level":"warn"}', 'warn'],
    ['time=1 level=info msg="no error here"', 'info'],
    ['there was no error', null],
    ['hello', null],
  ])('%s', (text, level) => expect(levelOf(text)).toBe(level))

  it('give a leading level a column of its own', () => {
    expect(leadingLevel('[WARN]: x')).toBe('WARN')
    expect(leadingLevel('x WARN')).toBeNull()
    expect(pieces('INFO a=1 b', null, 5).map((piece) => [piece.text, piece.style])).toEqual([
      ['a', 'key'],
      ['=', ''],
      ['1', 'value'],
      [' b', ''],
    ])
  })

  it('are searched through styles', () => {
    const found = pieces('\u001b[31mche\u001b[0mckout x checkout', finder('CHECKOUT'))
    expect(found.filter((piece) => piece.hit !== undefined).map((piece) => piece.text)).toEqual(['che', 'ckout', 'checkout'])
    expect(found.map((piece) => piece.text).join('')).toBe('checkout x checkout')
  })

  it('are searched by expressions', () => {
    expect(finder('/a.c/')?.('abc aXc')).toEqual([[0, 3], [4, 7]])
    expect(finder('a.c')?.('abc a.c')).toEqual([[4, 7]])
    expect(finder('/(/')?.('(')).toEqual([])
    expect(finder('')).toBeNull()
  })
})

describe('palette search', () => {
  it('finds Korean by initial consonants', () => {
    expect(initials('컨테이너')).toBe('ㅋㅌㅇㄴ')
    expect(score('컨테이너', 'ㅋㅌ')).not.toBeNull()
    expect(score('이미지', 'ㅋㅌ')).toBeNull()
  })

  it('prefers beginnings to gaps', () => {
    const points = ['api', 'harbor-api', 'capital'].map((text) => score(text, 'api') ?? 0)
    expect(points).toEqual([...points].sort((a, b) => b - a))
    expect(score('abc', 'x')).toBeNull()
  })
})

describe('keys', () => {
  const press = (init: KeyboardEventInit): KeyboardEvent => new KeyboardEvent('keydown', init)

  it('work with the Korean layout on', () => {
    expect(letter(press({ key: 'ㄱ', code: 'KeyR' }))).toBe('r')
    expect(letter(press({ key: 'Process', code: 'KeyS' }))).toBe('s')
    expect(letter(press({ key: 'R', code: 'KeyR' }))).toBe('r')
    expect(letter(press({ key: 'r', code: 'KeyO' }))).toBe('r')
  })

  it('are written as the system does', () => {
    expect(show('Mod+Shift+C', false)).toBe('Ctrl+Shift+C')
    expect(show('Mod+Shift+C', true)).toBe('⇧⌘C')
    expect(show('Delete', true)).toBe('⌫')
  })
})

describe('problems', () => {
  it.each([
    ['the program slipwayd was not found', 'The program slipwayd was not found.'],
    ['run `slipwayd` in a terminal', 'Run `slipwayd` in a terminal.'],
    ['No such image: x:latest', 'No such image: x:latest.'],
    ['registry.acme.io wants a sign-in.', 'registry.acme.io wants a sign-in.'],
    ['연결하지 못했어요.', '연결하지 못했어요.'],
  ])('%s', (said, shown) => expect(sentence(said)).toBe(shown))
})

describe('json', () => {
  it('keeps every character', () => {
    const json = JSON.stringify({ a: 'x "y"', b: [1, -2.5e3, null, true] }, null, 2)
    const tokens = highlight(json)
    expect(tokens.map((token) => token.text).join('')).toBe(json)
    expect(tokens.filter((token) => token.style === 'key').map((token) => token.text)).toEqual(['"a":', '"b":'])
  })
})
