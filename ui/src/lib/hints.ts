// What the person can do about words of the engine that don't say it themselves.

import { t, type Key } from './i18n/index.svelte'

const HINTS: [string, Key][] = [
  ['address already in use', 'hint_port'],
  ['port is already allocated', 'hint_port'],
  ['is already in use by container', 'hint_name'],
  ['no space left on device', 'hint_space'],
  ['no such host', 'hint_host'],
  ['connect: connection refused', 'hint_refused'],
  ['verification failed for digest', 'hint_damaged'],
  ['manifest unknown', 'hint_manifest'],
  ['pull access denied', 'hint_access'],
  ['no basic auth credentials', 'hint_access'],
  ['toomanyrequests', 'hint_limit'],
  ['server gave HTTP response to HTTPS client', 'hint_plain'],
  ['executable file not found', 'hint_command'],
]

export function hintFor(message: string): string | null {
  const found = HINTS.find(([words]) => message.includes(words))
  return found ? t(found[1]) : null
}
