/**
 * Natural batching: requests collect while all connections are busy; as soon as one (a *lane*) is free, what waits goes together as one
 * call of one SQL function. No timer, no linger: a lone request goes at once.
 *
 * Items have a key, the customer or the order they are about. Whichever lane is free takes what is next, but for items whose key is in
 * another lane at the moment: so items of one key are carried out in the order in which they came and never at once, and a lane in
 * trouble keeps only those waiting who are in it or come after them.
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
  /** Items of the same key are carried out in the order in which they came, and never at once in two lanes. */
  keyOf: (item: Item) => bigint | string
  /** Two items with one of these in common never share a batch: the second goes to the next one. */
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
    connection: null as pg.PoolClient | null,
    busySince: null as number | null,
    /** The usual length of a call, lately. */
    callMs: 1,
    /** Waits for rows as long as the pool does: the lane of one item that was set aside. */
    patient,
  })
  type Lane = ReturnType<typeof newLane>
  const lanes = Array.from({ length: settings.lanes }, () => newLane(false))
  /** In the order in which they came. */
  let queue: Own[] = []
  /** Where the items of a key are at the moment: those that come after them wait. */
  const underWay = new Map<bigint | string, Lane>()
  let queued = 0
  let aside = 0
  let closed = false
  let scheduled = false
  let refusing: NodeJS.Timeout | null = null
  const idle: (() => void)[] = []

  function submit(item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (closed) return reject(new Overloaded(`${name} is stopping`))
      const waitMs = () => expectedWaitMs(settings.keyOf(item))
      if (queued >= queueItemsMax || (waitMsMax !== Number.POSITIVE_INFINITY && waitMs() > waitMsMax)) {
        trouble('full')
        return reject(
          new Overloaded(`${name} has ${queued} items waiting`, { retryAfterSeconds: (waitMs() + callMs()) / 1000 }),
        )
      }
      queue.push({ item, resolve, reject, since: performance.now(), unsure: false })
      count(1)
      refuseLate()
      schedule()
    })
  }

  /** What is probably left of the call that it waits for, and the calls before it, shared among the lanes. */
  function expectedWaitMs(key?: bigint | string): number {
    const own = key === undefined ? undefined : underWay.get(key)
    const leftMs = own ? probablyLeftMs(own) : Math.min(...lanes.map(probablyLeftMs))
    return leftMs + (Math.floor(queue.length / BATCH_ITEMS_MAX) * callMs()) / lanes.length
  }

  function probablyLeftMs(lane: Lane): number {
    const sinceMs = underWayMs(lane)
    return lane.busySince === null ? 0 : Math.max(lane.callMs, sinceMs) - Math.min(lane.callMs, sinceMs)
  }

  function underWayMs(lane: Lane): number {
    return lane.busySince === null ? 0 : performance.now() - lane.busySince
  }

  /** How long a call takes at the moment, by what all lanes get done: one that is stuck counts for little. */
  function callMs(): number {
    const callsPerMs = lanes.reduce((sum, lane) => sum + 1 / Math.max(lane.callMs, underWayMs(lane)), 0)
    return lanes.length / callsPerMs
  }

  function count(items: number): void {
    queued += items
    batchQueue.set({ batcher: name }, queued)
    if (queued === 0) for (const wake of idle.splice(0)) wake()
  }

  /** Who has waited beyond all use is told so, also while the lane is stuck; unless it may have been carried out already. */
  function refuseLate(): void {
    if (waitMsMax === Number.POSITIVE_INFINITY || refusing) return
    const now = performance.now()
    const late = queue.filter((waiting) => !waiting.unsure && now - waiting.since >= waitMsMax)
    if (late.length > 0) {
      const gone = new Set(late)
      queue = queue.filter((waiting) => !gone.has(waiting))
      trouble('late', late.length)
      const retryAfterSeconds = (expectedWaitMs() + callMs()) / 1000
      for (const waiting of late)
        waiting.reject(new Overloaded(`${name} could not begin within ${waitMsMax} ms`, { retryAfterSeconds }))
      count(-late.length)
    }
    const next = queue.find((waiting) => !waiting.unsure)
    if (!next) return
    refusing = setTimeout(
      () => {
        refusing = null
        refuseLate()
      },
      Math.max(1, waitMsMax - (now - next.since)),
    )
  }

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    // After the current turn of the event loop, so that requests that arrive together go together.
    setImmediate(() => {
      scheduled = false
      const free = lanes.filter((lane) => lane.busySince === null)
      for (const [n, lane] of free.entries()) {
        // Evenly: half of the callers in each of two lanes, not all of them always in the first.
        const itemsMax = Math.min(BATCH_ITEMS_MAX, Math.ceil(queue.length / (free.length - n)))
        const batch = take(lane, itemsMax)
        if (batch.length === 0) continue
        lane.busySince = performance.now()
        void settle(lane, batch)
          .catch((error: unknown) => tell(batch, error))
          .then(() => {
            for (const { item } of batch) release(settings.keyOf(item), lane)
            lane.busySince = null
            if (queue.length > 0) schedule()
          })
      }
    })
  }

  function release(key: bigint | string, lane: Lane): void {
    if (underWay.get(key) === lane) underWay.delete(key)
  }

  function take(lane: Lane, itemsMax: number): Own[] {
    const batch: Own[] = []
    const over: Own[] = []
    const taken = new Set<string>()
    const passedOver = new Set<bigint | string>()
    let looked = 0
    for (const waiting of queue) {
      if (batch.length === itemsMax) break
      looked++
      const key = settings.keyOf(waiting.item)
      const conflicts = settings.conflictsOf?.(waiting.item) ?? []
      const fits =
        !passedOver.has(key) &&
        (underWay.get(key) ?? lane) === lane &&
        !conflicts.some((conflict) => taken.has(conflict)) &&
        // Whether it may be their own doing what a call finds is asked of all its items together.
        waiting.unsure === (batch[0]?.unsure ?? waiting.unsure)
      for (const conflict of conflicts) taken.add(conflict)
      if (fits) {
        batch.push(waiting)
        underWay.set(key, lane)
      } else {
        // Or what comes after it under its key would overtake it.
        passedOver.add(key)
        over.push(waiting)
      }
    }
    queue = over.concat(queue.slice(looked))
    return batch
  }

  /** Carries a batch out, whatever it takes; every item of it is answered, told, set aside or put back when this ends. */
  async function settle(lane: Lane, batch: Own[]): Promise<void> {
    const begun = performance.now()
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
        setAside(first)
        // All that come after it under its key, at once: the first one may be done before the next part, and one be overtaken.
        const key = settings.keyOf(first.item)
        const later = parts.flat().filter(({ item }) => settings.keyOf(item) === key)
        for (const [n, some] of parts.entries()) parts[n] = some.filter(({ item }) => settings.keyOf(item) !== key)
        queue.unshift(...later)
        if (later.length > 0) refuseLate()
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
  }

  /** Null: everybody was answered. Repeats what is worth repeating as it is. */
  async function attempt(lane: Lane, part: Own[]): Promise<Failure | null> {
    let failure: Failure | null = null
    for (const delay of RETRY_DELAYS_MS) {
      // A poison item is no less poisonous later.
      if (delay > 0 && failure?.trouble !== 'poison') await pause(delay)
      refuseLate()
      const unsure = part.some((waiting) => waiting.unsure)
      let asked = false
      try {
        lane.connection ??= await openLane(lane)
        asked = true
        const answers = await call(lane, part, unsure)
        for (const [index, waiting] of part.entries()) waiting.resolve(answers[index]!)
        count(-part.length)
        return null
      } catch (error) {
        const again: boolean = failure?.trouble === 'poison'
        failure = { trouble: asked ? troubleOf(error) : 'away', error }
        if (asked && isLost(error)) for (const waiting of part) waiting.unsure = true
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
    let patience: NodeJS.Timeout | undefined
    try {
      const answers = await Promise.race([
        settings.run(
          lane.connection!,
          part.map((waiting) => waiting.item),
          unsure,
        ),
        new Promise<never>((_, reject) => {
          const giveUp = () => reject(new CallLost(`${name}: no answer within ${CALL_MS_MAX} ms`))
          patience = setTimeout(giveUp, CALL_MS_MAX)
        }),
      ])
      if (answers.length !== part.length) throw new Error(`${name}: ${answers.length} answers to ${part.length} items`)
      return answers
    } finally {
      clearTimeout(patience)
      const ms = performance.now() - begun
      lane.callMs += NEWEST_SHARE * (ms - lane.callMs)
      batchItems.observe({ batcher: name }, part.length)
      batchSeconds.observe({ batcher: name }, ms / 1000)
    }
  }

  /** One item waits for a row that somebody keeps: it waits on a connection of its own, and keeps nobody but its own key waiting. */
  function setAside(waiting: Own): void {
    const key = settings.keyOf(waiting.item)
    const alone = newLane(true)
    alone.busySince = performance.now()
    underWay.set(key, alone)
    aside++
    trouble('set_aside')
    void settle(alone, [waiting])
      .catch((error: unknown) => tell([waiting], error))
      .then(() => {
        alone.connection?.release()
        aside--
        release(key, alone)
        if (queue.length > 0) schedule()
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
      }
      if (refusing) clearTimeout(refusing)
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
