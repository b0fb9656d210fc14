/**
 * Knows the demo customer's orders as any client of the product does: by `/api/v1/orders` and the live events, with his API
 * key. His top-ups come the same way and are passed on. While the server is away it waits and tries again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Order, orderSchema } from '../../contract/contract.ts'
import { type Clock, SECOND } from '../clock.ts'

const ANSWER_MILLISECONDS_MAX = 10 * SECOND
/** Longer silence than this means a dead connection: the server says something now and then. */
const SILENCE_MILLISECONDS_MAX = 90 * SECOND
const BACKOFF_MILLISECONDS_MIN = 300
const BACKOFF_MILLISECONDS_MAX = 5 * SECOND
const EVENT_LENGTH_MAX = 256 * 1024
const OPEN_MAX = 200
const ENDED_MAX = 10
const TOPUPS_MAX = 50

export type Ears = {
  connected: () => boolean
  /** Newest first. */
  open: () => Order[]
  ended: () => Order[]
  find: (id: string) => Order | undefined
  /** How far house time is ahead of the wall, in milliseconds. Null until the server has said it once. */
  houseAhead: () => number | null
  /** The demo customer's, as the product shows times to him. */
  timeZone: () => string
  stop: () => Promise<void>
}

export function listen(world: {
  clock: Clock
  serverUrl: () => string
  key: string
  /** An order is new or has changed. */
  heard: (order: Order) => void
  /** The demo customer's newest top-ups, or one that is new or has changed, as the server says it. */
  heardTopups: (said: unknown[]) => void
}): Ears {
  const stopping = new AbortController()
  const orders = new Map<string, Order>()
  let connected = false
  let ahead: number | null = null
  let timeZone = 'UTC'

  const isOpen = (order: Order) =>
    order.status === 'requested' || order.status === 'waiting' || order.status === 'received'
  const newestFirst = (a: Order, b: Order) => b.created_at.localeCompare(a.created_at) || b.number - a.number
  const open = () => [...orders.values()].filter(isOpen).sort(newestFirst)
  const ended = () =>
    [...orders.values()]
      .filter((order) => !isOpen(order))
      .sort((a, b) => (b.ended_at ?? '').localeCompare(a.ended_at ?? ''))
      .slice(0, ENDED_MAX)

  function keep(order: Order): void {
    orders.set(order.id, order)
    world.heard(order)
  }

  function forgetOld(): void {
    const kept = new Set([...open().slice(0, OPEN_MAX), ...ended()].map((order) => order.id))
    for (const id of orders.keys()) if (!kept.has(id)) orders.delete(id)
  }

  async function ask(path: string): Promise<unknown> {
    const answered = await fetch(new URL(path, world.serverUrl()), {
      headers: { authorization: `Bearer ${world.key}` },
      signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(ANSWER_MILLISECONDS_MAX)]),
    })
    if (!answered.ok) throw new Error(`${path} answered ${answered.status}`)
    return answered.json()
  }

  async function refresh(): Promise<void> {
    const [me, topups, nowOpen, nowEnded] = await Promise.all([
      ask('/api/v1/me'),
      ask(`/api/v1/topups?limit=${TOPUPS_MAX}`),
      ask('/api/v1/orders?status=open&limit=100'),
      ask(`/api/v1/orders?status=ended&limit=${ENDED_MAX}`),
    ])
    timeZone = zoneOf(me)
    world.heardTopups((topups as { items?: unknown[] }).items ?? [])
    orders.clear()
    for (const page of [nowOpen, nowEnded]) {
      const { items = [] } = page as { items?: unknown[] }
      for (const item of items) {
        const order = orderSchema.safeParse(item)
        if (order.success) keep(order.data)
      }
    }
    forgetOld()
  }

  async function follow(): Promise<void> {
    const quiet = new AbortController()
    const answered = await fetch(new URL('/api/v1/events', world.serverUrl()), {
      headers: { authorization: `Bearer ${world.key}`, accept: 'text/event-stream' },
      signal: AbortSignal.any([stopping.signal, quiet.signal]),
    })
    if (!answered.ok || !answered.body) throw new Error(`/api/v1/events answered ${answered.status}`)
    let watch = setTimeout(() => quiet.abort(), SILENCE_MILLISECONDS_MAX)
    const decoder = new TextDecoder()
    let rest = ''
    try {
      for await (const part of answered.body) {
        clearTimeout(watch)
        watch = setTimeout(() => quiet.abort(), SILENCE_MILLISECONDS_MAX)
        rest += decoder.decode(part, { stream: true })
        const blocks = rest.split(/\r?\n\r?\n/)
        rest = blocks.pop() ?? ''
        if (rest.length > EVENT_LENGTH_MAX) throw new Error('An event is longer than allowed')
        for (const block of blocks) await take(block)
      }
    } finally {
      clearTimeout(watch)
    }
  }

  async function take(block: string): Promise<void> {
    let name = 'message'
    const lines: string[] = []
    for (const line of block.split(/\r?\n/)) {
      if (line.startsWith('event:')) name = line.slice(6).trim()
      else if (line.startsWith('data:')) lines.push(line.slice(5).replace(/^ /, ''))
    }
    if (lines.length === 0) return
    const said = readJson(lines.join('\n'))
    if (name === 'hello') {
      const now = Date.parse(String((said as { now?: unknown } | null)?.now))
      if (!Number.isNaN(now)) ahead = now - world.clock()
      connected = true
      // Also after the clock was moved: much may have changed at once.
      await refresh()
    } else if (name === 'order') {
      const order = orderSchema.safeParse(said)
      if (!order.success) return
      keep(order.data)
      forgetOld()
    } else if (name === 'topup') world.heardTopups([said])
  }

  async function run(): Promise<void> {
    let pause = BACKOFF_MILLISECONDS_MIN
    while (!stopping.signal.aborted) {
      try {
        await follow()
      } catch {
        // Away, starting, or a page in between: all the same from here. The desk says that nobody listens.
      }
      if (connected) pause = BACKOFF_MILLISECONDS_MIN
      connected = false
      if (stopping.signal.aborted) return
      await sleep(pause, undefined, { signal: stopping.signal }).catch(() => {})
      pause = Math.min(pause * 2, BACKOFF_MILLISECONDS_MAX)
    }
  }

  const running = run()
  return {
    connected: () => connected,
    open,
    ended,
    find: (id) => orders.get(id),
    houseAhead: () => ahead,
    timeZone: () => timeZone,
    async stop() {
      stopping.abort()
      await running
    },
  }
}

function zoneOf(me: unknown): string {
  const zone = String((me as { time_zone?: unknown } | null)?.time_zone)
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return zone
  } catch {
    return 'UTC'
  }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
