/**
 * What this process counts about itself, for Prometheus. One process, one set of instruments: a part that counts imports its
 * instrument from here. Labels have few values by construction: a route's pattern, a refusal's word, a batcher's name; never an id.
 *
 * What has to be asked of the database is a *gauge of the house* (`createHouseGauges`): each is one statement, read at most every 15
 * seconds however often somebody looks, and given up after two, so that looking at a sick server does not make it worse.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { RefusalCode } from '../../contract/refusals.ts'
import { wireClock } from './clock.ts'
import type { Database } from './db.ts'
import type { Log } from './log.ts'

const PREFIX = 'mobilesms_'
const READ_AGAIN_MS = 15_000
const READ_MS_MAX = 2_000

const registry = new Registry()
const registers = [registry]

/** Seconds, from a millisecond on: a batch, an answer. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export const batchQueue = new Gauge({
  name: `${PREFIX}batch_queue_items`,
  help: 'Items that wait in a batcher or are under way',
  labelNames: ['batcher'],
  registers,
})
export const batchItems = new Histogram({
  name: `${PREFIX}batch_items`,
  help: 'Items that went together in one call',
  labelNames: ['batcher'],
  buckets: [1, 2, 4, 8, 16, 32, 64, 128],
  registers,
})
export const batchSeconds = new Histogram({
  name: `${PREFIX}batch_seconds`,
  help: 'How long one call took',
  labelNames: ['batcher'],
  buckets: SECONDS,
  registers,
})
export const batchTrouble = new Counter({
  name: `${PREFIX}batch_trouble_total`,
  help: 'Calls that failed, by what became of them: repeated, split, set_aside; and items refused (full, late, failed) or left unknown',
  labelNames: ['batcher', 'what'],
  registers,
})
const refused = new Counter({
  name: `${PREFIX}refusals_total`,
  help: 'Refusals, by their word',
  labelNames: ['word'],
  registers,
})
export const requestSeconds = new Histogram({
  name: `${PREFIX}request_seconds`,
  help: 'How long an answer took, by the pattern of its route',
  labelNames: ['method', 'route', 'status'],
  buckets: SECONDS,
  registers,
})
export const requestsInside = new Gauge({
  name: `${PREFIX}requests_inside`,
  help: 'Requests that are being worked on, by the turnstile they came through',
  labelNames: ['turnstile'],
  registers,
})
export const requestsWaiting = new Gauge({
  name: `${PREFIX}requests_waiting`,
  help: 'Requests that wait at a turnstile',
  labelNames: ['turnstile'],
  registers,
})
export const requestsShed = new Counter({
  name: `${PREFIX}requests_shed_total`,
  help: 'Requests sent away at a turnstile with 503, before anything was asked of the database',
  labelNames: ['turnstile'],
  registers,
})

export const mails = new Counter({
  name: `${PREFIX}mails_total`,
  help: 'Letters, by what became of them: sent, tried_again, given_up',
  labelNames: ['what'],
  registers,
})

export function countRefusal(word: RefusalCode): void {
  refused.inc({ word })
}

/** One figure that the database knows. Its statement answers rows of `value` and, where it has labels, a column of each name. */
export type HouseGauge = {
  /** Without the prefix; the unit last. */
  name: string
  help: string
  labels?: readonly string[]
  sql: string
}

/** The figures of one server: its pools and what its database says. */
export type Metrics = ReturnType<typeof createMetrics>

let defaults = false

export function createMetrics(settings: {
  database: Database
  pools: Record<string, Database>
  gauges: readonly HouseGauge[]
  log: Log
}) {
  const { database, log } = settings
  if (!defaults) collectDefaultMetrics({ register: registry })
  defaults = true

  const own = new Registry()
  new Gauge({
    name: `${PREFIX}pool_connections`,
    help: 'Connections to the database: all that are open, those that nobody uses, and requests that wait for one',
    labelNames: ['pool', 'what'],
    registers: [own],
    collect() {
      for (const [
        pool,
        {
          pool: { totalCount, idleCount, waitingCount },
        },
      ] of Object.entries(settings.pools)) {
        this.set({ pool, what: 'open' }, totalCount)
        this.set({ pool, what: 'idle' }, idleCount)
        this.set({ pool, what: 'waited_for' }, waitingCount)
      }
    },
  })
  const readAt = new Gauge({
    name: `${PREFIX}house_read_seconds`,
    help: 'When the figures that the database knows were read, Unix time',
    registers: [own],
  })
  const failures = new Counter({
    name: `${PREFIX}house_read_failures_total`,
    help: 'Figures of the database that could not be read in time',
    labelNames: ['figure'],
    registers: [own],
  })
  const gauges = settings.gauges.map((gauge) => ({
    ...gauge,
    instrument: new Gauge({
      name: PREFIX + gauge.name,
      help: gauge.help,
      labelNames: [...(gauge.labels ?? [])],
      registers: [own],
    }),
  }))
  let reading: Promise<void> | null = null
  let readLast = Number.NEGATIVE_INFINITY

  /** One after the other on one connection: whoever looks must not take the pool from those who order. */
  async function readHouse(): Promise<void> {
    const client = await database.connect()
    let broken = false
    try {
      await client.query('begin transaction read only')
      await client.query(`set local statement_timeout = ${READ_MS_MAX}`)
      for (const { name, labels, sql, instrument } of gauges) {
        try {
          await client.query('savepoint figure')
          const { rows } = await client.query<Record<string, string>>(sql)
          instrument.reset()
          for (const row of rows)
            instrument.set(
              Object.fromEntries((labels ?? []).map((label) => [label, row[label]!])),
              Number(row['value']),
            )
        } catch (error) {
          // An old figure would look like a good one.
          instrument.reset()
          failures.inc({ figure: name })
          log.warn({ err: error, figure: name }, 'A figure could not be read')
          await client.query('rollback to savepoint figure')
        }
      }
      await client.query('rollback')
    } catch (error) {
      broken = true
      throw error
    } finally {
      client.release(broken)
    }
  }

  return {
    contentType: registry.contentType,

    /** Everything, as Prometheus reads it. Answers within READ_MS_MAX and a little: what is read late is in the next answer. */
    async print(): Promise<string> {
      const now = wireClock.now().getTime()
      if (!reading && now - readLast >= READ_AGAIN_MS) {
        readLast = now
        reading = readHouse()
          .then(() => readAt.set(wireClock.now().getTime() / 1000))
          .catch((error: unknown) => log.warn({ err: error }, 'The figures of the house could not be read'))
          .finally(() => {
            reading = null
          })
      }
      if (reading) await Promise.race([reading, new Promise((resolve) => setTimeout(resolve, READ_MS_MAX).unref())])
      return `${await registry.metrics()}${await own.metrics()}`
    },
  }
}
