/**
 * Natural batching: while a lane's connection is busy, requests collect; when it is free, they go together as one call of one SQL
 * function. No timer, no linger: a lone request goes at once.
 *
 * Every item is decided from its own customer's rows, so a batch may be split anywhere without changing an answer. When a call
 * fails, it is repeated once as it is, then halved until the item that cannot pass stands alone. That is safe because every item
 * carries its id, and an id that is already there answers as it did the first time; so an outcome that got lost on the way back
 * (the connection broke at commit) is found out by asking again.
 */
import type pg from 'pg'
import { pause } from './clock.ts'
import type { Database } from './db.ts'
import type { Log } from './log.ts'

export type Batcher<Item, Answer> = {
  submit(item: Item): Promise<Answer>
  /** Refuses new items, answers those under way, gives the connections back. */
  close(): Promise<void>
}

/** The queue is full, or the server is stopping: answer 503 and ask to try again. Nothing was done. */
export class Overloaded extends Error {}

const BATCH_ITEMS_MAX = 128
const QUEUE_ITEMS_MAX = 10_000
/** How long a call is repeated when the database is away, before the caller is told that the outcome is not known. */
const RETRY_DELAYS_MS = [0, 50, 250, 1_000, 2_000]
/**
 * Trouble of the connection or the server: the whole call may pass later. Classes 08, 40, 53 and 57P. Not a lock or a statement that
 * took too long: that is one item's trouble, and halving sets the others free.
 */
const TRANSIENT = /^(08|40|53|57P)/

type Waiting<Item, Answer> = { item: Item; resolve: (answer: Answer) => void; reject: (error: unknown) => void }

export function createBatcher<Item, Answer>(settings: {
  name: string
  database: Database
  lanes: number
  log: Log
  /** Items of the same lane key go through the same connection, in order. */
  laneOf: (item: Item) => bigint | string
  /** Two items with a key in common never share a batch: the second goes to the next one. */
  conflictsOf?: (item: Item) => string[]
  /**
   * One call of one function in one transaction of its own; the answers in the order of the items. `repeated`: the items were in a
   * call before whose answer did not arrive, so it may be their own doing what the call finds.
   */
  run: (connection: pg.PoolClient, items: Item[], repeated: boolean) => Promise<Answer[]>
}): Batcher<Item, Answer> {
  const { database, log, name } = settings
  const lanes = Array.from({ length: settings.lanes }, () => ({
    queue: [] as Waiting<Item, Answer>[],
    connection: null as pg.PoolClient | null,
    busy: false,
  }))
  type Lane = (typeof lanes)[number]
  let queued = 0
  let closed = false
  const idle: (() => void)[] = []

  function submit(item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (closed) return reject(new Overloaded(`${name} is stopping`))
      if (queued >= QUEUE_ITEMS_MAX) return reject(new Overloaded(`${name} has ${queued} requests waiting`))
      const lane = lanes[laneIndex(settings.laneOf(item), lanes.length)]!
      lane.queue.push({ item, resolve, reject })
      queued++
      schedule(lane)
    })
  }

  function schedule(lane: Lane): void {
    // After the current turn of the event loop, so that requests that arrive together go together.
    setImmediate(() => {
      if (lane.busy || lane.queue.length === 0) return
      lane.busy = true
      const batch = take(lane)
      settle(lane, batch)
        .catch((error: unknown) => {
          for (const waiting of batch) waiting.reject(error)
        })
        .finally(() => {
          lane.busy = false
          queued -= batch.length
          if (lane.queue.length > 0) schedule(lane)
          else if (queued === 0) for (const wake of idle.splice(0)) wake()
        })
    })
  }

  function take(lane: Lane): Waiting<Item, Answer>[] {
    if (!settings.conflictsOf) return lane.queue.splice(0, BATCH_ITEMS_MAX)
    const batch: Waiting<Item, Answer>[] = []
    const later: Waiting<Item, Answer>[] = []
    const taken = new Set<string>()
    for (const waiting of lane.queue) {
      const keys = settings.conflictsOf(waiting.item)
      const fits = batch.length < BATCH_ITEMS_MAX && !keys.some((key) => taken.has(key))
      // The keys of an item that waits count too, or a third one with its key would overtake it.
      for (const key of keys) taken.add(key)
      ;(fits ? batch : later).push(waiting)
    }
    lane.queue = later
    return batch
  }

  async function settle(lane: Lane, batch: Waiting<Item, Answer>[], repeated = false): Promise<void> {
    const outcome = await attempt(lane, batch, repeated)
    if (outcome.ok) {
      for (const [index, waiting] of batch.entries()) waiting.resolve(outcome.answers[index]!)
    } else if (batch.length === 1 || TRANSIENT.test(codeOf(outcome.error))) {
      log.error({ err: outcome.error, batcher: name, items: batch.length }, 'A batch could not be carried out')
      for (const waiting of batch) waiting.reject(outcome.error)
    } else {
      const middle = Math.ceil(batch.length / 2)
      await settle(lane, batch.slice(0, middle), true)
      await settle(lane, batch.slice(middle), true)
    }
  }

  async function attempt(
    lane: Lane,
    batch: Waiting<Item, Answer>[],
    repeated: boolean,
  ): Promise<{ ok: true; answers: Answer[] } | { ok: false; error: unknown }> {
    let last: unknown
    for (const delay of RETRY_DELAYS_MS) {
      if (delay > 0) await pause(delay)
      try {
        lane.connection ??= await database.connect()
        const answers = await settings.run(
          lane.connection,
          batch.map((waiting) => waiting.item),
          repeated || last !== undefined,
        )
        if (answers.length !== batch.length)
          throw new Error(`${name}: ${answers.length} answers to ${batch.length} items`)
        return { ok: true, answers }
      } catch (error) {
        const again = last === undefined || TRANSIENT.test(codeOf(error))
        last = error
        log.warn({ err: error, batcher: name, items: batch.length }, 'A batch failed and is tried again')
        // A fresh connection: whatever state the old one was in is of no interest any more.
        lane.connection?.release(true)
        lane.connection = null
        if (!again) break
      }
    }
    return { ok: false, error: last }
  }

  return {
    submit,
    async close() {
      closed = true
      if (queued > 0) await new Promise<void>((resolve) => idle.push(resolve))
      for (const lane of lanes) {
        lane.connection?.release()
        lane.connection = null
      }
    },
  }
}

/** Node's connection errors have no SQLSTATE: they count as class 08. */
function codeOf(error: unknown): string {
  const code = (error as { code?: unknown }).code
  if (typeof code !== 'string')
    return error instanceof Error && /connection|terminat|timeout/i.test(error.message) ? '08000' : ''
  return /^E[A-Z]+$/.test(code) ? '08000' : code
}

function laneIndex(key: bigint | string, lanes: number): number {
  if (typeof key === 'bigint') return Number(key % BigInt(lanes))
  let hash = 0
  for (let i = 0; i < key.length; i++) hash = (hash * 31 + key.charCodeAt(i)) >>> 0
  return hash % lanes
}
