import { useSyncExternalStore } from 'react'

/**
 * The server's clock, as the pages follow it: the browser's clock plus an offset in ms, set from what the server says. Countdowns
 * and "today" run by it, since the reader's own clock may be wrong and the sandbox's clock can be moved.
 */
let offsetMs = 0
const listeners = new Set<() => void>()

/** `time` is RFC 3339, as the server just said it. The way here is not measured: it is far below a second. */
export function setClock(time: string): void {
  offsetMs = Date.parse(time) - Date.now()
  for (const listener of listeners) listener()
}

/** Milliseconds since 1970, by the server's clock. */
export function now(): number {
  return Date.now() + offsetMs
}

const TICK_MS = 250

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  const timer = setInterval(listener, TICK_MS)
  return () => {
    listeners.delete(listener)
    clearInterval(timer)
  }
}

/** The current second by the server's clock, in ms; the component is drawn again when it changes. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => Math.floor(now() / 1000) * 1000)
}
