// The `docker run` line that does what the run sheet does, and reading a command line.

import type { RunSpec } from './bindings/RunSpec'

/** A word as a POSIX shell would read it back. */
export function quote(word: string): string {
  return word !== '' && /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

export function runLine(parts: RunSpec): string {
  const words = ['docker', 'run', '-d']
  if (parts.name) words.push('--name', parts.name)
  for (const { host, container } of parts.ports) words.push('-p', (host && `${host}:`) + container.replace('/tcp', ''))
  for (const one of parts.volumes) words.push('-v', one)
  for (const one of parts.env) words.push('-e', one)
  words.push(parts.image, ...parts.command)
  return words.map(quote).join(' ')
}

/** Splits a line into words as a POSIX shell does, without expansion; `null` when a quote is not
 * closed. */
export function splitWords(line: string): string[] | null {
  const words: string[] = []
  let word: string | null = null
  let inside: '"' | "'" | null = null
  for (let i = 0; i < line.length; i += 1) {
    const c = line[i] as string
    if (inside === "'") {
      if (c === "'") inside = null
      else word += c
    } else if (inside === '"') {
      if (c === '"') inside = null
      else if (c === '\\' && /["\\$`]/.test(line[i + 1] ?? '')) word += line[(i += 1)] as string
      else word += c
    } else if (c === "'" || c === '"') {
      inside = c
      word ??= ''
    } else if (c === '\\') {
      if (i + 1 >= line.length) return null
      word = (word ?? '') + (line[(i += 1)] as string)
    } else if (/\s/.test(c)) {
      if (word !== null) words.push(word)
      word = null
    } else {
      word = (word ?? '') + c
    }
  }
  if (inside) return null
  if (word !== null) words.push(word)
  return words
}
