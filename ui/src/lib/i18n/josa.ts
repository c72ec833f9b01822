// Korean particles change with the sound that the word before them ends in.

const FIRST = 0xac00
const LAST = 0xd7a3
// Final sounds of the digits as read in Korean (영 일 이 삼 사 오 육 칠 팔 구).
const DIGIT_HAS_FINAL = [true, true, false, true, false, false, true, true, true, false]
// How Latin words usually end in Korean: mail 메일, web 웹, but worker 워커, redis 레디스, test 테스트.
const LATIN_HAS_FINAL = /(?:[lmn]|ng|[aeiou](?:b|c|k|ck|p|pp|t|tt))$/i

function hasFinal(word: string): boolean {
  const bare = word.replace(/[^\p{L}\p{N}]+$/u, '')
  const last = bare.at(-1)
  if (last === undefined) return false
  const code = last.codePointAt(0) ?? 0
  if (code >= FIRST && code <= LAST) return (code - FIRST) % 28 !== 0
  if (/[0-9]/.test(last)) return DIGIT_HAS_FINAL[Number(last)] ?? false
  return LATIN_HAS_FINAL.test(bare)
}

/** The word with the particle that fits: `josa('api', '을/를')`. The pair names the one after a
 * final consonant first. */
export function josa(word: string, pair: string): string {
  const [closed = '', open = ''] = pair.split('/')
  return word + (hasFinal(word) ? closed : open)
}
