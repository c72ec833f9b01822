// Keys as the person's system writes them, and as the page matches them.

const platform = typeof navigator === 'undefined' ? '' : navigator.platform
export const mac = /^(Mac|iP)/.test(platform)

/** The letter that was pressed, whatever the layout: with the Korean one on, the code counts. */
export function letter(event: KeyboardEvent): string {
  const key = event.key
  if (/^[ -~]$/.test(key)) return key.toLowerCase()
  if (key === 'Process' || event.keyCode === 229 || /^[\u3131-\u318e\uac00-\ud7a3]$/.test(key)) {
    const code = /^(?:Key([A-Z])|Digit(\d))$/.exec(event.code)
    const named: Record<string, string> = { BracketLeft: '[', BracketRight: ']', Slash: event.shiftKey ? '?' : '/' }
    return (code?.[1] ?? code?.[2] ?? named[event.code] ?? '').toLowerCase()
  }
  return key
}

/** ⌘ on macOS, Ctrl elsewhere. */
export function main(event: KeyboardEvent): boolean {
  return mac ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey
}

/** Whether the Enter or letter belongs to a word that is still being composed. */
let composed = 0
export function noteComposition(): void {
  composed = performance.now()
}
export function composing(event: KeyboardEvent): boolean {
  return event.isComposing || event.keyCode === 229 || performance.now() - composed < 100
}

export function typing(target: EventTarget | null): boolean {
  const el = target as HTMLElement | null
  return !!el && (el.tagName === 'INPUT' || el.tagName === 'TEXTAREA' || el.tagName === 'SELECT' || el.isContentEditable)
}

const GLYPHS: Record<string, [string, string]> = {
  Mod: ['⌘', 'Ctrl'],
  Shift: ['⇧', 'Shift'],
  Alt: ['⌥', 'Alt'],
  Delete: ['⌫', 'Del'],
  Left: ['←', '←'],
  Right: ['→', '→'],
  Up: ['↑', '↑'],
  Down: ['↓', '↓'],
}

/** `Mod+Shift+C` as this system writes it: ⇧⌘C or Ctrl+Shift+C. */
export function show(keys: string, onMac = mac): string {
  const parts = keys.split('+').map((part) => GLYPHS[part]?.[onMac ? 0 : 1] ?? part)
  if (!onMac) return parts.join('+')
  const key = parts.pop() ?? ''
  const order = '⌃⌥⇧⌘'
  return parts.sort((a, b) => order.indexOf(a) - order.indexOf(b)).join('') + key
}
