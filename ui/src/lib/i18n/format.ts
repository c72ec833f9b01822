// Sizes, durations and times in the current language.

import { lang, t } from './index.svelte'

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB']

function scaled(value: number, base: number): string {
  let unit = 0
  let amount = value
  while (amount >= 999.5 && unit < UNITS.length - 1) {
    amount /= base
    unit += 1
  }
  const digits = unit === 0 || amount >= 100 ? 0 : amount >= 10 && unit < 3 ? 0 : 1
  return `${amount.toLocaleString(lang(), { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${UNITS[unit]}`
}

/** Bytes of images and disks, as docker prints them: powers of 1000. */
export function bytes(value: number): string {
  return scaled(value, 1000)
}

/** Bytes of memory: powers of 1024. */
export function memory(value: number): string {
  return scaled(value, 1024)
}

/** A duration of the two largest units: "2 h 14 min". */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  if (minutes < 1) return t('u_s', { n: seconds })
  if (hours < 1) return t('u_min', { n: minutes })
  if (days < 1) {
    const rest = minutes % 60
    return rest && hours < 10
      ? t('u_two', { a: t('u_h', { n: hours }), b: t('u_min', { n: rest }) })
      : t('u_h', { n: hours })
  }
  return t('u_d', { n: days })
}

/** One unit only: "3 h ago". */
export function ago(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  const hours = Math.floor(minutes / 60)
  if (ms < 5_000) return t('u_now')
  const x =
    minutes < 1
      ? t('u_s', { n: Math.floor(ms / 1000) })
      : hours < 1
        ? t('u_min', { n: minutes })
        : hours < 24
          ? t('u_h', { n: hours })
          : t('u_d', { n: Math.floor(hours / 24) })
  return t('u_ago', { x })
}

/** Seconds of a step with one decimal: "1.2 s". */
export function stepTime(ms: number): string {
  const n = (ms / 1000).toLocaleString(lang(), { minimumFractionDigits: 1, maximumFractionDigits: 1 })
  return t('u_s', { n })
}

/** Time of day: "14:17:09", "14시 17분 9초". */
export function clock(ms: number): string {
  const date = new Date(ms)
  if (lang() === 'ko') return `${date.getHours()}시 ${date.getMinutes()}분 ${date.getSeconds()}초`
  return timeOfDay(ms)
}

const two = (value: number): string => String(value).padStart(2, '0')

/** "14:17:09", whatever the language. */
export function timeOfDay(ms: number): string {
  const date = new Date(ms)
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** Date and time in full, for tooltips and the overview. */
export function exact(time: string | number): string {
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return String(time)
  return date.toLocaleString(lang(), { dateStyle: 'medium', timeStyle: 'medium' })
}
