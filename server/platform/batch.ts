/**
 * Natural batching: while a lane's connection is busy, requests collect; when it is free, they go together as one call of one SQL
 * function. No timer, no linger: a lone request goes at once.
 *
 * Every item is decided from its own customer's rows, so a batch may be split anywhere without changing an answer, and every item
 * carries its id, so that a repetition answers as the first time. From these two follows what is done when a call fails:
 *
 * - the connection broke under it: nobody knows whether it was carried out. The same call is repeated until an answer comes or the
 *   patience ends; then the caller is told just that (`OutcomeUnknown`), never that it failed.
 * - the server is busy (deadlock, out of memory): nothing was done; the call is repeated.
 * - the server takes no changes (its disk is full, it is read-only): nothing was done, and asking at once is of no use. Everybody in it is
 *   told, and the lane is free for whoever comes when it does again.
 * - a lock or a statement took too long: one item's trouble. The batch is split in eight until the item stands alone; that one is set
 *   aside, on a connection of its own, and the others go on.
 * - anything else is poison: repeated once, then halved until the item that cannot pass stands alone, and is told.
 *
 * The queue is bounded, in items and in time: what would wait for too long is refused at once, with the time after which it is worth
 * asking again. An item that was in a call already is never refused for having waited, because it may have been carried out.
 */
import type pg from 'pg'
import { pause } from './clock.ts'
import type { Database } from './db.ts'
import type { Log } from './log.ts'
import { batchItems, batchQueue, batchSeconds, batchTrouble } from './metrics.ts'
import { isLastWord, whyNoWrites } from './trouble.ts'

export type Batcher<Item, Answer> = {
  submit(item: Item): Promise<Answer>
  /** Refuses new items, answers those under way, gives the connections back. */
  close(): Promise<void>
}

/** The queue is full, the wait was too long, or the server is stopping: answer 503 and ask to try again. Nothing was done. */
export class Overloaded extends Error {
  /** After this it is worth asking again. Unit: whole seconds, 1 to 30. */
  readonly retryAfterSeconds: number
  constructor(message: string, options: { retryAfterSeconds?: number; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : {})
    this.retryAfterSeconds = Math.min(RETRY_AFTER_SECONDS_MAX, Math.max(1, Math.ceil(options.retryAfterSeconds ?? 1)))
  }
}

/** The connection broke under the call, and no repetition was answered in time: it was carried out, or it was not. */
export class OutcomeUnknown extends Error {}

const BATCH_ITEMS_MAX = 128
const QUEUE_ITEMS_MAX = 2_000
/** An item that may not share a batch with one before it is passed over; so many items are looked at to fill the batch. */
const LOOK_AHEAD_ITEMS_MAX = 4 * BATCH_ITEMS_MAX
/** How long a call is repeated when the database is away, before the caller is told. */
const RETRY_DELAYS_MS = [0, 50, 250, 1_000, 2_000]
const RETRY_AFTER_SECONDS_MAX = 30
/** A full disk takes a person to mend. */
const NO_WRITES_SECONDS = 10
/**
 * A lane waits this long for a row: commits take milliseconds, and everybody in the batch waits with it. Who is set aside has the
 * pool's own, longer time.
 */
const LANE_LOCK_TIMEOUT_MS = 250
const LANE_STATEMENT_TIMEOUT_MS = 3_000
/** No answer, although the server would have given up: the connection is dead, and nobody has told us. */
const CALL_MS_MAX = 4_000
/** A batch in trouble may keep its lane so long; what is left of it is then told to ask again. */
const SPLIT_MS_MAX = 3_000
const LOCK_PARTS = 8
/** Items set aside at a time, each with a connection of the pool. */
const ASIDE_MAX = 2
/** How much the newest call counts for the estimate of the next one. */
const NEWEST_SHARE = 0.3

type Waiting<Item, Answer> = {
  item: Item
  resolve: (answer: Answer) => void
  reject: (error: unknown) => void
  since: number
  /** It was in a call whose outcome is not known. */
  unsure: boolean
}
type Failure = { trouble: 'away' | 'busy' | 'lock' | 'no_writes' | 'poison'; error: unknown }

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
  /** Beyond this wait nobody has any use for the answer, and the item is refused instead. Default: no limit. Unit: milliseconds. */
  waitMsMax?: number
  /** Default 2,000. */
  queueItemsMax?: number
}): Batcher<Item, Answer> {
  const { database, log, name } = settings
  const waitMsMax = settings.waitMsMax ?? Number.POSITIVE_INFINITY
  const queueItemsMax = settings.queueItemsMax ?? QUEUE_ITEMS_MAX
  const trouble = (what: string, count = 1) => batchTrouble.inc({ batcher: name, what }, count)
  type Own = Waiting<Item, Answer>

  const newLane = (patient: boolean) => ({
    /** In the order in which they came. */
    queue: [] as Own[],
    connection: null as pg.PoolClient | null,
    busySince: null as number | null,
    /** The usual length of a call, lately. */
    callMs: 1,
    /** Lane keys of items that were set aside: what comes after them waits. */
    behind: new Set<bigint | string>(),
    refusing: null as NodeJS.Timeout | null,
    /** Waits for rows as long as the pool does: the lane of one item that was set aside. */
    patient,
  })
  type Lane = ReturnType<typeof newLane>
  const lanes = Array.from({ length: settings.lanes }, () => newLane(false))
  let queued = 0
  let aside = 0
  let closed = false
  const idle: (() => void)[] = []

  function submit(item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (closed) return reject(new Overloaded(`${name} is stopping`))
      const lane = lanes[laneIndex(settings.laneOf(item), lanes.length)]!
      const waitMs = expectedWaitMs(lane)
      if (queued >= queueItemsMax || waitMs > waitMsMax) {
        trouble('full')
        return reject(
          new Overloaded(`${name} has ${queued} items waiting`, { retryAfterSeconds: (waitMs + lane.callMs) / 1000 }),
        )
      }
      lane.queue.push({ item, resolve, reject, since: performance.now(), unsure: false })
      count(1)
      refuseLate(lane)
      schedule(lane)
    })
  }

  /** The calls before it, each as long as calls are at the moment; of the one under way, what is probably left. */
  function expectedWaitMs(lane: Lane): number {
    const callsBefore = Math.floor(lane.queue.length / BATCH_ITEMS_MAX)
    if (lane.busySince === null) return callsBefore * lane.callMs
    const underWayMs = performance.now() - lane.busySince
    return (callsBefore + 1) * Math.max(lane.callMs, underWayMs) - Math.min(underWayMs, lane.callMs)
  }

  function count(items: number): void {
    queued += items
    batchQueue.set({ batcher: name }, queued)
    if (queued === 0) for (const wake of idle.splice(0)) wake()
  }

  /** Who has waited beyond all use is told so, also while the lane is stuck; unless it may have been carried out already. */
  function refuseLate(lane: Lane): void {
    if (waitMsMax === Number.POSITIVE_INFINITY || lane.refusing) return
    const now = performance.now()
    const late = lane.queue.filter((waiting) => !waiting.unsure && now - waiting.since >= waitMsMax)
    if (late.length > 0) {
      const gone = new Set(late)
      lane.queue = lane.queue.filter((waiting) => !gone.has(waiting))
      trouble('late', late.length)
      const retryAfterSeconds = (expectedWaitMs(lane) + lane.callMs) / 1000
      for (const waiting of late)
        waiting.reject(new Overloaded(`${name} could not begin within ${waitMsMax} ms`, { retryAfterSeconds }))
      count(-late.length)
    }
    const next = lane.queue.find((waiting) => !waiting.unsure)
    if (!next) return
    lane.refusing = setTimeout(
      () => {
        lane.refusing = null
        refuseLate(lane)
      },
      Math.max(1, waitMsMax - (now - next.since)),
    )
  }

  function schedule(lane: Lane): void {
    // After the current turn of the event loop, so that requests that arrive together go together.
    setImmediate(() => {
      if (lane.busySince !== null) return
      const batch = take(lane)
      if (batch.length === 0) return
      lane.busySince = performance.now()
      void settle(lane, batch)
        .catch((error: unknown) => tell(batch, error))
        .then(() => {
          lane.busySince = null
          if (lane.queue.length > 0) schedule(lane)
        })
    })
  }

  function take(lane: Lane): Own[] {
    const batch: Own[] = []
    const over: Own[] = []
    const taken = new Set<string>()
    const passedOver = new Set(lane.behind)
    let looked = 0
    for (const waiting of lane.queue) {
      if (batch.length === BATCH_ITEMS_MAX || looked === LOOK_AHEAD_ITEMS_MAX) break
      looked++
      const key = settings.laneOf(waiting.item)
      const conflicts = settings.conflictsOf?.(waiting.item) ?? []
      const fits =
        !passedOver.has(key) &&
        !conflicts.some((conflict) => taken.has(conflict)) &&
        // Whether it may be their own doing what a call finds is asked of all its items together.
        waiting.unsure === (batch[0]?.unsure ?? waiting.unsure)
      for (const conflict of conflicts) taken.add(conflict)
      if (fits) batch.push(waiting)
      else {
        // Or what comes after it under its key would overtake it.
        passedOver.add(key)
        over.push(waiting)
      }
    }
    lane.queue = over.concat(lane.queue.slice(looked))
    return batch
  }

  /** Carries a batch out, whatever it takes; every item of it is answered, told, set aside or put back when this ends. */
  async function settle(lane: Lane, batch: Own[]): Promise<void> {
    const begun = performance.now()
    const back: Own[] = []
    const parts = [batch]
    while (parts.length > 0) {
      const part = parts.shift()!
      if (part.length === 0) continue
      if (performance.now() - begun > SPLIT_MS_MAX) {
        giveUp(part)
        continue
      }
      const failure = await attempt(lane, part)
      if (failure === null) continue
      if (failure.trouble === 'lock' && part.length === 1 && !lane.patient && aside < ASIDE_MAX) {
        const first = part[0]!
        setAside(lane, first)
        // All that come after it under its key, at once: the first one may be done before the next part, and one be overtaken.
        const key = settings.laneOf(first.item)
        for (const [n, later] of parts.entries()) {
          back.push(...later.filter((waiting) => settings.laneOf(waiting.item) === key))
          parts[n] = later.filter((waiting) => settings.laneOf(waiting.item) !== key)
        }
      } else if ((failure.trouble !== 'lock' && failure.trouble !== 'poison') || part.length === 1) {
        giveUp(part, failure)
      } else {
        trouble('split')
        const size = Math.ceil(part.length / (failure.trouble === 'lock' ? LOCK_PARTS : 2))
        const smaller: Own[][] = []
        for (let at = 0; at < part.length; at += size) smaller.push(part.slice(at, at + size))
        parts.unshift(...smaller)
      }
    }
    lane.queue.unshift(...back)
    if (back.length > 0) refuseLate(lane)
  }

  /** Null: everybody was answered. Repeats what is worth repeating as it is. */
  async function attempt(lane: Lane, part: Own[]): Promise<Failure | null> {
    let failure: Failure | null = null
    for (const delay of RETRY_DELAYS_MS) {
      // A poison item is no less poisonous later.
      if (delay > 0 && failure?.trouble !== 'poison') await pause(delay)
      refuseLate(lane)
      const unsure = part.some((waiting) => waiting.unsure)
      let underWay = false
      try {
        lane.connection ??= await openLane(lane)
        underWay = true
        const answers = await call(lane, part, unsure)
        for (const [index, waiting] of part.entries()) waiting.resolve(answers[index]!)
        count(-part.length)
        return null
      } catch (error) {
        const again: boolean = failure?.trouble === 'poison'
        failure = { trouble: underWay ? troubleOf(error) : 'away', error }
        if (underWay && isLost(error)) for (const waiting of part) waiting.unsure = true
        if (failure.trouble !== 'lock' && failure.trouble !== 'busy') {
          // A fresh connection: whatever state the old one was in is of no interest any more.
          lane.connection?.release(true)
          lane.connection = null
        }
        if (failure.trouble === 'lock' || (failure.trouble === 'poison' && again)) return failure
        // Of what may have been done already, only an answer will tell.
        if (failure.trouble === 'no_writes' && !part.some((waiting) => waiting.unsure)) return failure
        trouble('repeated')
        log.warn({ err: error, batcher: name, items: part.length }, 'A batch failed and is tried again')
      }
    }
    return failure
  }

  async function openLane(lane: Lane): Promise<pg.PoolClient> {
    const connection = await database.connect()
    if (lane.patient) return connection
    try {
      await connection.query(
        `set lock_timeout = ${LANE_LOCK_TIMEOUT_MS}; set statement_timeout = ${LANE_STATEMENT_TIMEOUT_MS}`,
      )
      return connection
    } catch (error) {
      connection.release(true)
      throw error
    }
  }

  async function call(lane: Lane, part: Own[], unsure: boolean): Promise<Answer[]> {
    const begun = performance.now()
    const answered = new AbortController()
    const items = part.map((waiting) => waiting.item)
    try {
      const answers = await Promise.race([
        settings.run(lane.connection!, items, unsure),
        pause(CALL_MS_MAX, answered.signal).then(() => {
          throw new CallLost(`${name}: no answer within ${CALL_MS_MAX} ms`)
        }),
      ])
      if (answers.length !== part.length) throw new Error(`${name}: ${answers.length} answers to ${part.length} items`)
      return answers
    } finally {
      answered.abort()
      const ms = performance.now() - begun
      lane.callMs += NEWEST_SHARE * (ms - lane.callMs)
      batchItems.observe({ batcher: name }, part.length)
      batchSeconds.observe({ batcher: name }, ms / 1000)
    }
  }

  /** One item waits for a row that somebody keeps: it waits on a connection of its own, and keeps nobody but its own key waiting. */
  function setAside(lane: Lane, waiting: Own): void {
    const key = settings.laneOf(waiting.item)
    const alone = newLane(true)
    lane.behind.add(key)
    aside++
    trouble('set_aside')
    void settle(alone, [waiting])
      .catch((error: unknown) => tell([waiting], error))
      .then(() => {
        alone.connection?.release()
        aside--
        lane.behind.delete(key)
        if (lane.queue.length > 0) schedule(lane)
      })
  }

  function giveUp(part: Own[], failure?: Failure): void {
    const cause = failure?.error
    if (part.every((waiting) => !waiting.unsure) && failure?.trouble !== 'poison') {
      trouble('failed', part.length)
      log.warn({ err: cause, batcher: name, items: part.length }, 'Items could not be carried out; nothing was done')
      const retryAfterSeconds = failure?.trouble === 'no_writes' ? NO_WRITES_SECONDS : 2
      tell(part, new Overloaded(`${name} could not carry it out`, { cause, retryAfterSeconds }))
      return
    }
    log.error({ err: cause, batcher: name, items: part.length }, 'A batch could not be carried out')
    if (failure?.trouble === 'poison') {
      trouble('failed', part.length)
      tell(part, cause)
      return
    }
    trouble('unknown', part.length)
    tell(
      part,
      new OutcomeUnknown(`${name}: the connection broke, and nobody could be asked what became of it`, { cause }),
    )
  }

  function tell(part: Own[], error: unknown): void {
    for (const waiting of part) waiting.reject(error)
    count(-part.length)
  }

  return {
    submit,
    async close() {
      closed = true
      if (queued > 0) await new Promise<void>((resolve) => idle.push(resolve))
      for (const lane of lanes) {
        // Destroyed, because its timeouts are not the pool's.
        lane.connection?.release(true)
        lane.connection = null
        if (lane.refusing) clearTimeout(lane.refusing)
      }
    },
  }
}

class CallLost extends Error {}

/** SQLSTATEs by class: 08 connection, 57P shutdown; 40 deadlock, 53 resources; 55P03 lock timeout, 57014 statement timeout. */
function troubleOf(error: unknown): Failure['trouble'] {
  const code = codeOf(error)
  if (/^(08|57P)/.test(code) || isLastWord(error)) return 'away'
  if (whyNoWrites(error) !== null) return 'no_writes'
  if (/^(40|53)/.test(code)) return 'busy'
  if (code === '55P03' || code === '57014') return 'lock'
  return 'poison'
}

/** Nobody said what became of the call. PostgreSQL's own word does: nothing, its transaction is rolled back. */
function isLost(error: unknown): boolean {
  const code = codeOf(error)
  return !/^[0-9A-Z]{5}$/.test(code) || /^(08|57P)/.test(code) || isLastWord(error)
}

/** Node's connection errors have no SQLSTATE: they count as class 08. */
function codeOf(error: unknown): string {
  if (error instanceof CallLost) return '08000'
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
