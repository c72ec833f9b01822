// What can be read out of a log line: its level, its key=value pairs, where the search hits.

import { hasEscapes, plain, spans, type Span } from './ansi'

export type Level = 'error' | 'warn' | 'info' | 'debug' | null

const LEVEL = /\b(?:(FATAL|PANIC|CRITICAL|ERROR|ERR)|(WARN(?:ING)?)|(INFO|NOTICE)|(DEBUG|TRACE))\b|\blevel=(?:"?)(?:(error|fatal|panic)|(warn(?:ing)?)|(info)|(debug|trace))|"(?:level|severity)":\s*"(?:(error|fatal|panic|critical)|(warn(?:ing)?)|(info|notice)|(debug|trace))"/i

/** The level that a line names near its start. Plain words count in capitals only: prose may
 * speak of errors. */
export function levelOf(text: string): Level {
  const match = LEVEL.exec(text.slice(0, 160))
  if (!match) return null
  if (match.index > 80) return null
  if (match[0] === match[0].toLowerCase() && !/[=:]/.test(match[0])) return null
  const group = match.slice(1).findIndex((part) => part !== undefined) % 4
  return (['error', 'warn', 'info', 'debug'] as const)[group] ?? null
}

/** A level word at the very start of the line, which gets a column of its own. */
const LEADING = /^\[?(FATAL|PANIC|CRITICAL|ERROR|ERR|WARN(?:ING)?|INFO|NOTICE|DEBUG|TRACE)\]?:?\s+/

export function leadingLevel(text: string): string | null {
  return LEADING.exec(text)?.[1] ?? null
}

export interface Piece extends Span {
  /** Which hit of the search this is in the line, from 0; absent when it is none. */
  hit?: number
}

const PAIR = /(^|\s)([A-Za-z_][\w.]*)(=)("[^"]*"|[^\s"]+)/g

function pairs(text: string): Span[] {
  const out: Span[] = []
  let at = 0
  for (const match of text.matchAll(PAIR)) {
    const key = match.index + (match[1] as string).length
    if (key > at) out.push({ text: text.slice(at, key), style: '' })
    out.push({ text: match[2] as string, style: 'key' }, { text: '=', style: '' }, { text: match[4] as string, style: 'value' })
    at = match.index + match[0].length
  }
  if (at < text.length) out.push({ text: text.slice(at), style: '' })
  return out
}

export type Finder = (text: string) => [number, number][]

/** Finds a word, or a regular expression written as `/re/`. `null` for nothing to find. */
export function finder(query: string): Finder | null {
  if (!query) return null
  const source = /^\/(.+)\/(i?)$/.exec(query)
  let expression: RegExp
  try {
    expression = source
      ? new RegExp(source[1] as string, `g${source[2]}`)
      : new RegExp(query.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'), 'gi')
  } catch {
    // An expression that is not finished yet finds nothing.
    return () => []
  }
  return (text) => {
    const hits: [number, number][] = []
    for (const match of text.matchAll(expression)) {
      if (match[0]) hits.push([match.index, match.index + match[0].length])
    }
    return hits
  }
}

/** The pieces that a line is drawn from. */
export function pieces(raw: string, find: Finder | null, skip = 0): Piece[] {
  const styled = hasEscapes(raw) ? spans(raw) : pairs(plain(raw))
  const text = styled.map((span) => span.text).join('')
  const hits = find ? find(text) : []
  const out: Piece[] = []
  let at = 0
  let hit = 0
  for (const span of styled) {
    let from = at
    const end = at + span.text.length
    while (from < end) {
      while (hit < hits.length && (hits[hit] as [number, number])[1] <= from) hit += 1
      const next = hits[hit]
      const inside = next !== undefined && next[0] <= from
      const to = next === undefined ? end : Math.min(end, inside ? next[1] : next[0])
      if (to > skip) {
        const piece: Piece = { text: text.slice(Math.max(from, skip), to), style: span.style }
        if (inside) piece.hit = hit
        out.push(piece)
      }
      from = to
    }
    at = end
  }
  return out
}
