import { createContext, useContext } from 'react'
import { now } from './clock.ts'
import { minutes, momentWords } from './times.ts'

const Zone = createContext('UTC')

/** The IANA zone in which everything below writes its times. */
export const TimeZone = Zone.Provider
export function useZone(): string {
  return useContext(Zone)
}

/** An instant: its time, and its day when that is not today. `precision` bare: the minutes alone, under a heading that says the day. */
export function Time({ at, precision = 'seconds' }: { at: string; precision?: 'minutes' | 'seconds' | 'bare' }) {
  const zone = useZone()
  return (
    <time dateTime={at} className="whitespace-nowrap">
      {precision === 'bare' ? minutes(at, zone) : momentWords(at, zone, now(), precision)}
    </time>
  )
}
