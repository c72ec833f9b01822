// Escape sequences of terminals in log lines: colours become classes, the rest is dropped.

export interface Span {
  text: string
  /** Names of classes: `red`, `bold`, … */
  style: string
}

// CSI sequences, OSC sequences up to BEL or ST, and two-character escapes.
// eslint-disable-next-line no-control-regex
const ESCAPE = /\u001b(?:\[([0-9;:?<=>]*)([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\^_])/g
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/g

const COLOURS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white']

export function hasEscapes(text: string): boolean {
  return text.includes('\u001b')
}

/** The text alone, for finding and copying. */
export function plain(text: string): string {
  return (hasEscapes(text) ? text.replace(ESCAPE, '') : text).replace(CONTROL, '')
}

interface Pen {
  colour: string
  bold: boolean
  dim: boolean
  underline: boolean
}

function apply(pen: Pen, codes: number[]): void {
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i] as number
    if (code === 0) Object.assign(pen, { colour: '', bold: false, dim: false, underline: false })
    else if (code === 1) pen.bold = true
    else if (code === 2) pen.dim = true
    else if (code === 4) pen.underline = true
    else if (code === 22) pen.bold = pen.dim = false
    else if (code === 24) pen.underline = false
    else if (code >= 30 && code <= 37) pen.colour = COLOURS[code - 30] as string
    else if (code >= 90 && code <= 97) pen.colour = COLOURS[code - 90] as string
    else if (code === 39) pen.colour = ''
    else if (code === 38 || code === 48) {
      // 256 colours: the first 16 are ours; others have no contrast that we could promise.
      if (codes[i + 1] === 5) {
        const n = codes[i + 2] ?? 0
        if (code === 38) pen.colour = n < 16 ? (COLOURS[n % 8] as string) : ''
        i += 2
      } else if (codes[i + 1] === 2) i += 4
    }
  }
}

/** Splits a line into spans of one style. */
export function spans(text: string): Span[] {
  const pen: Pen = { colour: '', bold: false, dim: false, underline: false }
  const out: Span[] = []
  let at = 0
  const push = (piece: string): void => {
    const clean = piece.replace(CONTROL, '')
    if (!clean) return
    const style = [pen.colour, pen.bold && 'bold', pen.dim && 'dim', pen.underline && 'underline'].filter(Boolean).join(' ')
    const last = out.at(-1)
    if (last && last.style === style) last.text += clean
    else out.push({ text: clean, style })
  }
  for (const match of text.matchAll(ESCAPE)) {
    push(text.slice(at, match.index))
    at = match.index + match[0].length
    if (match[2] === 'm') apply(pen, (match[1] || '0').split(/[;:]/).map(Number))
  }
  push(text.slice(at))
  return out
}
