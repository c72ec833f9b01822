// Fuzzy search for the palette, in English and Korean, initial consonants included.

const INITIALS = 'ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ'

/** The initial consonants of Korean syllables: 컨테이너 -> ㅋㅌㅇㄴ. */
export function initials(text: string): string {
  let out = ''
  for (const c of text) {
    const code = c.charCodeAt(0) - 0xac00
    out += code >= 0 && code <= 11171 ? INITIALS[Math.floor(code / 588)] : c
  }
  return out
}

/** How well a text answers a query; `null` when it does not. Whole words at a word's start count
 * most, then anywhere, then letters in order. */
export function score(text: string, query: string): number | null {
  const hay = text.toLowerCase()
  const needle = query.toLowerCase().trim()
  if (!needle) return 0
  const at = hay.indexOf(needle)
  if (at === 0) return 100 - hay.length / 100
  if (at > 0) return (/[\s/:_.-]/.test(hay[at - 1] as string) ? 80 : 60) - hay.length / 100
  if (/^[ㄱ-ㅎ]+$/.test(needle) && initials(hay).includes(needle)) return 50
  let from = 0
  let gaps = 0
  for (const c of needle) {
    const found = hay.indexOf(c, from)
    if (found < 0) return null
    gaps += found - from
    from = found + 1
  }
  return Math.max(1, 40 - gaps)
}
