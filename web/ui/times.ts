/** How instants are written. Everything takes an IANA time zone, because people read times where they are, not where the server is. */

const formats = new Map<string, Intl.DateTimeFormat>()

function format(zone: string, name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${zone} ${name}`
  let made = formats.get(key)
  if (!made) {
    made = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: zone, hourCycle: 'h23' })
    formats.set(key, made)
  }
  return made
}

type Instant = string | number
const date = (at: Instant) => new Date(at)

/** `14:02` */
export function minutes(at: Instant, zone: string): string {
  return format(zone, 'minutes', { hour: '2-digit', minute: '2-digit' }).format(date(at))
}

/** `14:02:41` */
export function seconds(at: Instant, zone: string): string {
  return format(zone, 'seconds', { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(date(at))
}

/** `22 November 2026` */
export function longDay(at: Instant, zone: string): string {
  return format(zone, 'longDay', { day: 'numeric', month: 'long', year: 'numeric' }).format(date(at))
}

/** `22 Nov` */
export function shortDay(at: Instant, zone: string): string {
  return format(zone, 'shortDay', { day: 'numeric', month: 'short' }).format(date(at))
}

/** `2026-11-22`: the same for all instants of one day in that zone. */
export function dayKey(at: Instant, zone: string): string {
  const parts = format(zone, 'dayKey', { year: 'numeric', month: '2-digit', day: '2-digit' }).formatToParts(date(at))
  const part = (type: string) => parts.find((candidate) => candidate.type === type)?.value ?? ''
  return `${part('year').padStart(4, '0')}-${part('month')}-${part('day')}`
}

/** `America/New York`: a time zone as one reads it. */
export function zoneWords(zone: string): string {
  return zone.replaceAll('_', ' ')
}

/** The time alone when it is today (by `today`), else with its day: `22 Nov, 14:02:41`. */
export function momentWords(at: Instant, zone: string, today: number, precision: 'minutes' | 'seconds'): string {
  const time = precision === 'minutes' ? minutes(at, zone) : seconds(at, zone)
  return dayKey(at, zone) === dayKey(today, zone) ? time : `${shortDay(at, zone)}, ${time}`
}

/** What is left of a countdown, in words; whole minutes until the last two. */
export function untilWords(leftMs: number): string {
  const left = Math.ceil(leftMs / 1000)
  if (left <= 0) return 'time is up'
  const wholeMinutes = Math.floor(left / 60)
  if (wholeMinutes >= 2) return `${wholeMinutes} minutes left`
  const rest = left % 60
  const secondWords = `${rest} ${rest === 1 ? 'second' : 'seconds'}`
  if (wholeMinutes === 1) return rest === 0 ? '1 minute left' : `1 minute ${secondWords} left`
  return `${secondWords} left`
}

const READ_OUT_MS = [300_000, 60_000]

/** What a screen reader is told of a countdown: only at five minutes and at one minute, for the ten seconds after. */
export function readOut(leftMs: number): string {
  for (const mark of READ_OUT_MS) {
    if (leftMs <= mark && leftMs > mark - 10_000)
      return mark === 60_000 ? '1 minute left' : `${mark / 60_000} minutes left`
  }
  return ''
}
