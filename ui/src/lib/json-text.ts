// Indented JSON cut into tokens of one colour.

export interface Token {
  text: string
  style: '' | 'key' | 'string' | 'other'
}

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

export function highlight(json: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  for (const match of json.matchAll(TOKEN)) {
    if (match.index > at) tokens.push({ text: json.slice(at, match.index), style: '' })
    tokens.push({ text: match[0], style: match[2] ? 'key' : match[1] ? 'string' : 'other' })
    at = match.index + match[0].length
  }
  if (at < json.length) tokens.push({ text: json.slice(at), style: '' })
  return tokens
}
