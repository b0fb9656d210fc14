import type { QueryClient } from '@tanstack/react-query'
import { useSyncExternalStore } from 'react'
import type { LiveEvents } from '../contract/contract.ts'
import { endpoints } from './paths.ts'
import { orderChanged, topupChanged } from './reads.ts'
import { now, setClock } from './ui/clock.ts'

/**
 * The stream of events, one per browser. The tabs agree on a leader by a Web Lock; the leader holds the EventSource and tells
 * the others over a BroadcastChannel. When it is closed, the lock passes on; when the browser has put it to sleep, a tab in
 * sight takes the lock from it. Without locks (a page outside https and localhost) each tab has a stream of its own.
 */
type EventName = keyof LiveEvents
const eventNames: EventName[] = ['hello', 'balance', 'order', 'topup']

type Told =
  | { kind: 'event'; name: EventName; data: string }
  | { kind: 'lost' }
  | { kind: 'signed_out' }
  | { kind: 'anyone' }
  | { kind: 'here'; open: boolean }

const NAME = 'mobilesms.live'
/** So long a loss stays unsaid: most are over before anyone notices. */
const UNSAID_MS = 5_000
/** How often what is shown is read while the stream is away. */
const READ_WITHOUT_STREAM_MS = 5_000
const RETRY_MS = [1_000, 2_000, 5_000, 10_000]
/** How often a tab in sight asks whether the leader is awake; silence until the next time means that it is not. */
const ASK_LEADER_MS = 4_000

/** `since`: house time in ms when the stream was lost, null while it is there. `said`: it is time to say so. */
type LiveState = { since: number | null; said: boolean }
let state: LiveState = { since: null, said: false }
const listeners = new Set<() => void>()
let retry = () => {}

function setState(next: LiveState) {
  state = next
  for (const listener of listeners) listener()
}

/** Whether the page is told of changes, and since when not; `retry` tries at once. */
export function useLive(): LiveState & { retry: () => void } {
  const current = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => state,
  )
  return { ...current, retry: () => retry() }
}

/** Tells the other tabs that this one has signed out. */
export function tellSignedOut(): void {
  if (typeof BroadcastChannel === 'undefined') return
  const channel = new BroadcastChannel(NAME)
  channel.postMessage({ kind: 'signed_out' } satisfies Told)
  channel.close()
}

type Ear = { hear: (name: EventName, data: string) => void; found: () => void; lost: () => void }

/** Listens, for who is signed in, until the returned function is called. */
export function startLive(cache: QueryClient, whenSignedOut: () => void): () => void {
  const ended = new AbortController()
  let sayTimer: ReturnType<typeof setTimeout> | undefined
  let readTimer: ReturnType<typeof setInterval> | undefined
  const ear: Ear = {
    hear(name, data) {
      ear.found()
      act(cache, name, data)
    },
    found() {
      clearTimeout(sayTimer)
      clearInterval(readTimer)
      if (state.since !== null) setState({ since: null, said: false })
    },
    lost() {
      if (state.since !== null || ended.signal.aborted) return
      setState({ since: now(), said: false })
      sayTimer = setTimeout(() => setState({ ...state, said: true }), UNSAID_MS)
      readTimer = setInterval(() => readAnew(cache), READ_WITHOUT_STREAM_MS)
    },
  }
  ear.lost()
  if (typeof BroadcastChannel === 'undefined' || !navigator.locks) retry = openStream(ended.signal, ear)
  else shareStream(ended.signal, ear, whenSignedOut)
  return () => {
    ended.abort()
    ear.found()
    retry = () => {}
  }
}

function act(cache: QueryClient, name: EventName, data: string) {
  switch (name) {
    case 'hello':
      setClock((JSON.parse(data) as LiveEvents['hello']).now)
      // What happened between the first reading and the stream is in no event.
      readAnew(cache)
      return
    case 'balance':
      void cache.cancelQueries({ queryKey: ['balance'] })
      cache.setQueryData(['balance'], JSON.parse(data))
      return
    case 'order':
      orderChanged(cache, JSON.parse(data))
      return
    case 'topup':
      topupChanged(cache, JSON.parse(data))
      return
  }
}

const lasting = new Set(['site', 'services', 'countries'])
function readAnew(cache: QueryClient) {
  void cache.invalidateQueries({ predicate: (query) => !lasting.has(String(query.queryKey[0])) })
}

function shareStream(ended: AbortSignal, ear: Ear, whenSignedOut: () => void) {
  const channel = new BroadcastChannel(NAME)
  const tell = (told: Told) => channel.postMessage(told)
  let leading: { stop: () => void; reopen: () => void; open: boolean } | null = null
  let queued = false
  let asked = false

  channel.onmessage = ({ data: told }: MessageEvent<Told>) => {
    switch (told.kind) {
      case 'event':
        if (!leading) ear.hear(told.name, told.data)
        return
      case 'lost':
        if (!leading) ear.lost()
        return
      case 'signed_out':
        whenSignedOut()
        return
      case 'anyone':
        if (leading) tell({ kind: 'here', open: leading.open })
        return
      case 'here':
        asked = false
        if (!leading && told.open) ear.found()
        return
    }
  }

  /** Holds the lock, and with it the stream, until the page ends or another tab takes it. */
  const lead = () =>
    new Promise<void>((resolve) => {
      const stopped = new AbortController()
      const leader = { stop: () => stopped.abort(), reopen: () => {}, open: false }
      stopped.signal.addEventListener('abort', () => resolve())
      ended.addEventListener('abort', leader.stop)
      leader.reopen = openStream(stopped.signal, {
        found: ear.found,
        hear(name, data) {
          leader.open = true
          ear.hear(name, data)
          tell({ kind: 'event', name, data })
        },
        lost() {
          leader.open = false
          ear.lost()
          tell({ kind: 'lost' })
        },
      })
      leading = leader
    })

  const queue = () => {
    if (queued || ended.aborted) return
    queued = true
    navigator.locks
      .request(NAME, { signal: ended }, () => {
        queued = false
        return lead()
      })
      .catch(() => {
        queued = false
        overtaken()
      })
  }
  const overtake = () => {
    asked = false
    navigator.locks.request(NAME, { steal: true }, lead).catch(overtaken)
  }
  /** Another tab took the lock while this one slept (or the page ended): close the stream here and queue up again. */
  const overtaken = () => {
    leading?.stop()
    leading = null
    queue()
  }

  queue()
  tell({ kind: 'anyone' })
  const watch = setInterval(() => {
    if (leading || document.hidden) {
      asked = false
      return
    }
    if (asked) {
      overtake()
      return
    }
    asked = true
    tell({ kind: 'anyone' })
  }, ASK_LEADER_MS)
  retry = () => (leading ? leading.reopen() : overtake())

  ended.addEventListener('abort', () => {
    clearInterval(watch)
    channel.close()
  })
}

/** Opens the stream and keeps it open; the returned function opens it anew at once. */
function openStream(ended: AbortSignal, ear: Ear): () => void {
  let source: EventSource | undefined
  let failures = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  const open = () => {
    if (ended.aborted) return
    clearTimeout(timer)
    source?.close()
    source = new EventSource(endpoints.events())
    for (const name of eventNames) {
      source.addEventListener(name, (event: MessageEvent<string>) => {
        failures = 0
        ear.hear(name, event.data)
      })
    }
    // A browser tries again by itself after some failures only; we do after all of them.
    source.onerror = () => {
      source?.close()
      ear.lost()
      timer = setTimeout(open, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)])
      failures += 1
    }
  }
  open()
  addEventListener('online', open, { signal: ended })
  ended.addEventListener('abort', () => {
    clearTimeout(timer)
    source?.close()
  })
  return open
}
