/**
 * The job queue (pg-boss in its own schema, in the same database) and ticks.
 *
 * A job is sent inside the transaction that makes it necessary, so it exists exactly when its cause does. A tick is a small
 * function that asks, every few seconds, what is due; it holds no state, so it may run twice, late, or in two processes.
 */

import type pg from 'pg'
import { type JobResult, PgBoss, type WorkOptions } from 'pg-boss'
import { pause } from './clock.ts'
import type { Log } from './log.ts'

export type QueueDefinition = {
  name: string
  /** Attempts after the first. */
  retriesMax: number
  /** Before the first retry; doubles with each. Unit: seconds. */
  retryDelaySeconds: number
  /** A job that runs longer counts as failed and is tried again. Unit: seconds. */
  timeoutSeconds: number
}

export type Tick = {
  name: string
  everySeconds: number
  run: (signal: AbortSignal) => Promise<void>
}

const SCHEMA = 'pgboss'
const STOP_TIMEOUT_MS = 3_000
const ANSWER_MS_MAX = 2_000
/** A tick asks what is due and does a bounded part of it; one that runs for so long does not end by itself. */
const STUCK_MS = 5 * 60_000
const BATCH_JOBS_MAX = 8
const BATCHES_AT_ONCE = 2

/** Installs the queue's schema and its queues; part of the migration, as the owner. */
export async function migrateQueue(ownerUrl: string, definitions: readonly QueueDefinition[]): Promise<void> {
  const boss = new PgBoss({ connectionString: ownerUrl, schema: SCHEMA, supervise: false, schedule: false, max: 2 })
  await boss.start()
  try {
    const known = new Set((await boss.getQueues()).map((queue) => queue.name))
    for (const definition of definitions) {
      const options = {
        retryLimit: definition.retriesMax,
        retryDelay: definition.retryDelaySeconds,
        retryBackoff: true,
        expireInSeconds: definition.timeoutSeconds,
        notify: true,
      }
      if (known.has(definition.name)) await boss.updateQueue(definition.name, options)
      else await boss.createQueue(definition.name, options)
    }
  } finally {
    await boss.stop({ graceful: false })
  }
}

export type Queue = Awaited<ReturnType<typeof openQueue>>

/** `works`: whether jobs and ticks run here by themselves. Elsewhere jobs are only sent, and ticks run when `runTicks` asks for it. */
export async function openQueue(settings: { url: string; log: Log; works?: boolean }) {
  const { log, works = true } = settings
  const boss = new PgBoss({
    connectionString: settings.url,
    options: '-c role=mobilesms_app',
    application_name: 'mobilesms_queue',
    schema: SCHEMA,
    migrate: false,
    createSchema: false,
    schedule: false,
    supervise: works,
    useListenNotify: works,
    max: works ? 4 : 1,
  })
  boss.on('error', (error) => log.error({ err: error }, 'The job queue reports an error'))
  await boss.start()

  const stopping = new AbortController()
  const ticks = new Map<string, Tick>()
  const running = new Map<string, Promise<void>>()
  /** The heartbeat: since when each tick is running. */
  const begunAt = new Map<string, number>()
  const loops: Promise<void>[] = []

  /** One run of a tick at a time; a second caller waits for the run under way, then runs once more. */
  async function runTick(tick: Tick): Promise<void> {
    while (running.has(tick.name)) await running.get(tick.name)
    const run = tick
      .run(stopping.signal)
      .catch((error: unknown) =>
        log.error({ err: error, tick: tick.name }, 'A tick failed; it runs again at its next turn'),
      )
      .finally(() => {
        running.delete(tick.name)
        begunAt.delete(tick.name)
      })
    running.set(tick.name, run)
    begunAt.set(tick.name, performance.now())
    await run
  }

  return {
    /**
     * Puts a job on a queue, inside the caller's transaction. With a `singletonKey`, a job of that key which still waits is
     * enough, and nothing is added.
     */
    async send(tx: pg.PoolClient, queue: string, job: object, options: { singletonKey?: string } = {}): Promise<void> {
      const db = { executeSql: (text: string, values?: unknown[]) => tx.query(text, values) }
      await boss.send(queue, job, { ...options, db })
    },

    /**
     * Runs `handler` for each job, up to 16 of them at once and in no promised order: one slow outside must not make the others wait.
     * Throwing means: try this job again, with a growing pause.
     */
    async work<Job extends object>(queue: string, handler: (job: Job) => Promise<void>): Promise<void> {
      if (!works) return
      await boss.work<Job, unknown, WorkOptions & { perJobResults: true }>(
        queue,
        {
          perJobResults: true,
          // A batch of one would be fetched once a second, however many wait: a burst needs more.
          batchSize: BATCH_JOBS_MAX,
          burstWhenBatchFull: true,
          localConcurrency: BATCHES_AT_ONCE,
          pollingIntervalSeconds: 0.5,
          notifyPollingIntervalSeconds: 1,
        },
        (jobs) =>
          Promise.all(
            jobs.map(async ({ id, data }): Promise<JobResult> => {
              try {
                await handler(data)
                return { id, status: 'completed' }
              } catch (error) {
                return { id, status: 'failed', output: { message: String(error) } }
              }
            }),
          ),
      )
    },

    /** Runs a tick every `everySeconds` of wire time until the queue stops. */
    tick(tick: Tick): void {
      ticks.set(tick.name, tick)
      if (!works) return
      loops.push(
        (async () => {
          while (!stopping.signal.aborted) {
            await runTick(tick)
            await pause(tick.everySeconds * 1000, stopping.signal)
          }
        })(),
      )
    },

    /** Runs every tick once, now, in the order in which they were added: after house time was moved. */
    async runTicks(): Promise<void> {
      for (const tick of ticks.values()) await runTick(tick)
    },

    /** What keeps jobs from being done, in words; null: nothing. */
    async trouble(): Promise<string | null> {
      const stuck = [...begunAt].find(([, begun]) => performance.now() - begun > STUCK_MS)
      if (stuck) return `The tick ${stuck[0]} has been running for more than ${STUCK_MS / 1000} seconds.`
      const done = new AbortController()
      try {
        const version = await Promise.race([boss.schemaVersion(), pause(ANSWER_MS_MAX, done.signal)])
        return typeof version === 'number' ? null : 'The job queue does not answer.'
      } catch {
        return 'The job queue does not answer.'
      } finally {
        done.abort()
      }
    },

    /** Lets what is running end (3 seconds at most); the rest stays in the queue. */
    async stop(): Promise<void> {
      stopping.abort()
      await Promise.all(loops)
      await boss.stop({ graceful: true, timeout: STOP_TIMEOUT_MS })
    },
  }
}
