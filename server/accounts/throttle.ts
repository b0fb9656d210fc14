/**
 * How often something may be tried from one address, counted in this process's memory. An attempt is counted before it is made, so
 * that a thousand at once are not a thousand password checks, and forgiven when it succeeds.
 */
import type { WireClock } from '../platform/clock.ts'

const ADDRESSES_MAX = 10_000

export type Throttle = ReturnType<typeof createThrottle>

export function createThrottle(settings: { attemptsMax: number; windowSeconds: number; clock: WireClock }) {
  const windows = new Map<string, { attempts: number; endsAt: number }>()

  return {
    /** False: too many for now. */
    attempt(address: string): boolean {
      const now = settings.clock.now().getTime()
      const key = networkOf(address)
      let window = windows.get(key)
      if (!window || window.endsAt <= now) {
        // At the end of the map, so that the first of it is the one that began longest ago.
        windows.delete(key)
        window = { attempts: 0, endsAt: now + settings.windowSeconds * 1000 }
        windows.set(key, window)
        if (windows.size > ADDRESSES_MAX) windows.delete(windows.keys().next().value!)
      }
      if (window.attempts >= settings.attemptsMax) return false
      window.attempts++
      return true
    },

    forgive(address: string): void {
      const window = windows.get(networkOf(address))
      if (window && window.attempts > 0) window.attempts--
    },
  }
}

/** Who has an IPv6 address has 2^64 of them: a /64 counts as one. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.startsWith('::ffff:')) return address
  const [left = '', right] = address.split('::')
  const groups = left.split(':').filter((group) => group !== '')
  const missing = right === undefined ? 0 : 8 - groups.length - right.split(':').filter((group) => group !== '').length
  return [...groups, ...Array<string>(Math.max(0, missing)).fill('0')].slice(0, 4).join(':')
}
