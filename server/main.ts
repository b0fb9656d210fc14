/** Builds everything from the settings and starts it; ends it within five seconds when asked to. */
import { readdirSync } from 'node:fs'
import type { Server } from 'node:http'
import { type AddressInfo, isIPv6 } from 'node:net'
import { join } from 'node:path'
import { createAdaptorServer } from '@hono/node-server'
import { type AccountsOverrides, createAccounts } from './accounts/accounts.ts'
import { seedSandboxLogins } from './accounts/sandbox-logins.ts'
import { createBilling } from './billing/billing.ts'
import { createReceipts } from './billing/receipts.ts'
import { type Config, readConfig } from './config.ts'
import { answerWhileStarting, createHttp } from './http.ts'
import { queues, startJobs } from './jobs.ts'
import { ledgerFigures } from './ledger/figures.ts'
import { createLedger } from './ledger/ledger.ts'
import { createLive } from './live.ts'
import { createCatalogue, seedCatalogue } from './orders/catalogue.ts'
import { orderFigures } from './orders/figures.ts'
import { createOrders } from './orders/orders.ts'
import { paymentFigures } from './payments/figures.ts'
import { createPayments, KeysDoNotFit, type Payments, TokensDoNotFit } from './payments/payments.ts'
import { createAnnounce } from './platform/announce.ts'
import { advanceHouseClock, atMost, houseNow, pause, wireClock } from './platform/clock.ts'
import { type Database, openDatabase } from './platform/db.ts'
import { platformFigures } from './platform/figures.ts'
import { readFiles } from './platform/files.ts'
import { type Log, openLog } from './platform/log.ts'
import { createMail } from './platform/mail.ts'
import { createMetrics } from './platform/metrics.ts'
import { CannotMigrate, migrate } from './platform/migrate.ts'
import { openQueue } from './platform/queue.ts'
import { openRelay } from './platform/relay.ts'
import { whyNoWrites } from './platform/trouble.ts'
import { createStaff } from './staff/staff.ts'

const CONNECTIONS_MAX = 24
const AUTH_CONNECTIONS_MAX = 6
/** To receive a request whole; what is slower is not a customer. Source: Node's own default is 300. */
const REQUEST_SECONDS_MAX = 30
const HEADERS_SECONDS_MAX = 10
/** Idle connections stay open this long: longer than a proxy keeps its own (60 in nginx), or it sends on one that is just being closed. */
const IDLE_SECONDS_MAX = 75
const LOOK_AGAIN_MS = 20
const STOP_REQUESTS_MS_MAX = 3_000
const STOP_MS_MAX = 4_300

/** Why the server does not start, as the sentence for whoever started it. */
export class CannotStart extends Error {}

export type RunningServer = Awaited<ReturnType<typeof startServer>>

/** `overrides` are for tests: another log, lighter passwords. With port 0, PUBLIC_URL's port is the one that was found. */
export async function startServer(settings: Config, overrides: { log?: Log; accounts?: AccountsOverrides } = {}) {
  const log = overrides.log ?? openLog({ level: settings.logLevel })

  // The port first: when it is taken nothing else has been touched, and whoever waits for readiness gets an answer from now on.
  let answer: (request: Request, env: object) => Response | Promise<Response> = answerWhileStarting
  const server = createAdaptorServer({
    fetch: (request: Request, env: object) => answer(request, env),
    overrideGlobalObjects: false,
  }) as Server
  server.requestTimeout = REQUEST_SECONDS_MAX * 1000
  server.headersTimeout = HEADERS_SECONDS_MAX * 1000
  server.keepAliveTimeout = IDLE_SECONDS_MAX * 1000
  const port = await listen(server, settings)
  const config = { ...settings, port, publicUrl: settings.publicUrl.replace(/:0$/, `:${port}`) }

  // What ends when the server does, step by step: no request may need what is gone already.
  const ends = {
    requests: (): Promise<void> => endRequests(server, () => {}),
    jobs: [] as (() => Promise<void>)[],
    rooms: [] as (() => Promise<void>)[],
    announcements: [] as (() => Promise<void>)[],
    databases: [] as (() => Promise<void>)[],
  }
  let draining = false
  let stopping: Promise<void> | null = null

  async function stop(): Promise<void> {
    draining = true
    const ending = (async () => {
      for (const step of [[ends.requests], ends.jobs, ends.rooms, ends.announcements, ends.databases]) {
        for (const { reason } of (await Promise.allSettled(step.map((end) => end()))).filter(isRejected))
          log.error({ err: reason }, 'A part did not end')
      }
    })()
    await atMost(ending, config.drainMs + STOP_MS_MAX)
  }

  try {
    await prepareDatabase(config)
    const onIdleError = (error: Error) => log.warn({ err: error }, 'An idle database connection broke')
    const database = openDatabase({
      url: config.databaseUrl,
      role: 'mobilesms_app',
      connectionsMax: CONNECTIONS_MAX,
      onIdleError,
    })
    ends.databases.push(database.close)
    const authDatabase = openDatabase({
      url: config.databaseUrl,
      role: 'mobilesms_auth',
      connectionsMax: AUTH_CONNECTIONS_MAX,
      onIdleError,
    })
    ends.databases.push(authDatabase.close)

    await checkLeastPower(database)

    const announce = createAnnounce()
    const relay = await openRelay({ url: config.databaseUrl, announce, log })
    ends.announcements.push(relay.close)
    const ledger = createLedger({ database, log, sealFile: config.sealFile })
    ends.rooms.push(ledger.close)
    const mail = createMail({
      database,
      log,
      ...config.mail,
      letterhead: {
        brandName: config.brand.name,
        linkColour: config.brand.linkColour,
        publicUrl: config.publicUrl,
        seller: config.seller,
      },
    })
    ends.rooms.push(mail.close)
    const accounts = createAccounts({
      database,
      authDatabase,
      authSecret: config.authSecret,
      publicUrl: config.publicUrl,
      brandName: config.brand.name,
      supportEmail: config.seller.supportEmail,
      mail,
      announce,
      clock: wireClock,
      log,
      overrides: overrides.accounts ?? {},
    })
    ends.rooms.push(accounts.close)
    const orders = createOrders({ database, ledger, announce, log, settings: config.order })
    ends.rooms.push(orders.close)
    const catalogue = createCatalogue({ database })

    if (config.mode === 'sandbox') {
      await seedCatalogue({ database })
      await seedSandboxLogins(accounts)
    }

    const queue = await openQueue({ url: config.databaseUrl, log, works: config.role !== 'web' })
    ends.jobs.push(queue.stop)
    const payments = createPayments({
      database,
      ledger,
      announce,
      queue,
      mail,
      log,
      clock: wireClock,
      settings: {
        publicUrl: config.publicUrl,
        brandName: config.brand.name,
        ...config.topup,
        livemode: config.mode === 'production',
        // In a sandbox nobody but its own bank sends webhooks, and that one knows where to.
        testsEndpoint: config.mode === 'production',
        stripe: config.stripe,
        seller: config.seller,
        receipt: config.receipt,
        cardLimits: config.cards,
        crypto: config.crypto,
        secondPersonAbove: config.secondPersonAbove,
      },
      hasProvenAddress: accounts.hasProvenAddress,
    })
    ends.rooms.push(payments.close)
    await settleKeys(payments)
    const billing = createBilling({ database, ledger, payments, publicUrl: config.publicUrl })
    const staff = createStaff({ payments })
    const receipts = createReceipts({
      payments,
      brandName: config.brand.name,
      publicUrl: config.publicUrl,
    })
    const jobs = await startJobs({
      now: () => houseNow(database.pool),
      queue,
      ledger,
      accounts,
      orders,
      payments,
      mail,
    })

    const live = createLive({
      database,
      announce,
      accounts,
      log,
      read: {
        order: orders.get,
        topup: payments.get,
        balance: billing.balance,
      },
    })
    const migrations = readdirSync(join(import.meta.dirname, '../db/migrations')).filter((name) =>
      name.endsWith('.sql'),
    )

    const http = createHttp({
      config,
      database,
      accounts,
      payments,
      orders,
      catalogue,
      billing,
      staff,
      receipts,
      live,
      pages: readFiles(config.webFolder, '/assets/'),
      metrics: createMetrics({
        database,
        pools: { house: database, sign_in: authDatabase },
        gauges: [...ledgerFigures, ...orderFigures, ...paymentFigures, ...platformFigures],
        log,
      }),
      log,
      async notReady() {
        if (draining) return ['The server is stopping.']
        try {
          if ([database, authDatabase].some((one) => one.noWrites() === 'full')) return [noWritesInWords.full]
          if (await isReadOnly(database)) return [noWritesInWords.read_only]
          const { rows } = await database.pool.query<{ name: string }>('select name from migrations')
          const applied = new Set(rows.map((row) => row.name))
          const current = rows.length === migrations.length && migrations.every((name) => applied.has(name))
          if (!current) return ['The database was migrated by another version of the server.']
          const trouble = await queue.trouble()
          // Asked again: a busy database takes its time, and meanwhile the signal may have come.
          if (draining) return ['The server is stopping.']
          return trouble === null ? [] : [trouble]
        } catch {
          return ['The database does not answer.']
        }
      },
      async advanceClock(seconds) {
        await jobs.afterMovingTime(() => advanceHouseClock(database.pool, seconds))
        announce.publish({ what: 'everything' })
        return houseNow(database.pool)
      },
    })
    ends.requests = async () => {
      // Whoever spreads the requests over several servers asks /readyz, and hears it before the port closes.
      await pause(config.drainMs)
      await endRequests(server, () => live.close())
    }
    answer = config.role === 'worker' ? onlyForOperators(http.fetch) : http.fetch
    log.info({ url: config.publicUrl, mode: config.mode, role: config.role }, 'Serving')
    if (config.mode === 'production' && config.role !== 'web' && config.sealFile === null)
      log.warn('The seals of the ledger stand in the database only, where they can be rewritten: set SEAL_FILE')
    async function stopServing(): Promise<void> {
      await stop()
      log.info('Stopped')
    }
    return {
      url: `http://${isIPv6(config.host) ? `[${config.host}]` : config.host}:${port}`,
      config,
      /** Says that it is not ready, then ends what is under way, then everything else; within five seconds, and DRAIN_MS beyond its default. */
      stop: () => (stopping ??= stopServing()),
      parts: {
        database,
        authDatabase,
        announce,
        relay,
        ledger,
        accounts,
        payments,
        orders,
        queue,
        jobs,
        live,
        routes: http.table.routes,
        http,
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** What a process answers that has no requests to serve: whether it lives, and its figures. */
const operatorsPaths = new Set(['/healthz', '/readyz', '/metrics'])

function onlyForOperators(answer: (request: Request, env: object) => Response | Promise<Response>) {
  return (request: Request, env: object) => {
    if (operatorsPaths.has(new URL(request.url).pathname)) return answer(request, env)
    return new Response('This process does the jobs of the house (ROLE=worker). Ask one that serves requests.\n', {
      status: 404,
    })
  }
}

const noWritesInWords = {
  full: 'The database refuses changes: its disk is full, or fails.',
  read_only: 'The database takes no changes: it is read-only.',
}

async function isReadOnly(database: Database): Promise<boolean> {
  const { rows } = await database.pool.query<{ is: boolean }>(
    "select current_setting('transaction_read_only')::boolean as is",
  )
  return rows[0]!.is
}

/** The role that a pool asks for is what keeps it from the ledger's tables; a pooler in between may have swallowed it. */
async function checkLeastPower(database: Database): Promise<void> {
  const { rows } = await database.pool.query<{ role: string }>('select current_user as role')
  if (rows[0]!.role === 'mobilesms_app') return
  throw new CannotStart(
    `Connections to the database run as ${rows[0]!.role}, although they ask to run as mobilesms_app: let DATABASE_URL name PostgreSQL itself, or a pooler in session mode that passes options on.`,
  )
}

function isRejected(result: PromiseSettledResult<void>): result is PromiseRejectedResult {
  return result.status === 'rejected'
}

function listen(server: Server, { host, port }: Config): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: Error & { code?: string }) =>
      reject(new CannotStart(whyNotListening(error, host, port))),
    )
    server.listen(port, host, () => {
      server.removeAllListeners('error')
      resolve((server.address() as AddressInfo).port)
    })
  })
}

function whyNotListening(error: Error & { code?: string }, host: string, port: number): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `Port ${port} is in use: set PORT to another one, or end the program that holds it.`
    case 'EACCES':
      return `This user may not listen on port ${port}: set PORT to one above 1023.`
    case 'EADDRNOTAVAIL':
      return `HOST is ${host}, which is no address of this machine: set it to 127.0.0.1 or to one that it has.`
    default:
      return `The server cannot listen on ${host}:${port}: ${error.message}.`
  }
}

async function prepareDatabase(config: Config): Promise<void> {
  try {
    await migrate({
      ownerUrl: config.migrationDatabaseUrl,
      serverUrl: config.databaseUrl,
      mode: config.mode,
      queues,
    })
  } catch (error) {
    if (error instanceof CannotMigrate) throw new CannotStart(error.message)
    const { code, message } = error as { code?: string; message: string }
    const { hostname, port, pathname } = new URL(config.migrationDatabaseUrl)
    const where = `${hostname}:${port || 5432}${pathname}`
    if (code && /^(E[A-Z]+|08...|57P0.)$/.test(code))
      throw new CannotStart(`The database at ${where} does not answer: start it, or correct DATABASE_URL.`)
    const why = whyNoWrites(error)
    if (why) throw new CannotStart(`The start cannot write to the database at ${where}. ${noWritesInWords[why]}`)
    if (code && /^(28...|3D000)$/.test(code))
      throw new CannotStart(`The database at ${where} refuses this login (${message}): correct DATABASE_URL.`)
    throw error
  }
}

async function settleKeys(payments: Payments): Promise<void> {
  try {
    await payments.settleKeys()
  } catch (error) {
    throw error instanceof KeysDoNotFit || error instanceof TokensDoNotFit ? new CannotStart(error.message) : error
  }
}

/** Takes no new connection, ends the streams, lets the requests under way finish, three seconds at most. */
async function endRequests(server: Server, endStreams: () => void): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  endStreams()
  const done = new AbortController()
  const looking = (async () => {
    // A connection is idle only once its last answer has gone out, and Node does not look again by itself.
    for (let waited = 0; waited < STOP_REQUESTS_MS_MAX && !done.signal.aborted; waited += LOOK_AGAIN_MS) {
      await pause(LOOK_AGAIN_MS, done.signal)
      server.closeIdleConnections()
    }
    server.closeAllConnections()
  })()
  await closed
  done.abort()
  await looking
}

if (import.meta.main) await main()

async function main(): Promise<void> {
  const read = readConfig(process.env)
  if (!read.ok) return giveUp(read.problems)

  let server: RunningServer | null = null
  // While it starts there is nothing to finish: what the start writes is in transactions, or is written again by the next one.
  const end = () => void Promise.resolve(server?.stop()).then(() => process.exit(0))
  process.once('SIGTERM', end)
  process.once('SIGINT', end)
  // The launcher died; nobody would ever end this program.
  process.once('disconnect', end)
  process.on('uncaughtException', (error) => {
    openLog({ level: 'fatal' }).fatal({ err: error }, 'A bug ended the server')
    process.exit(1)
  })
  try {
    server = await startServer(read.config)
  } catch (error) {
    if (!(error instanceof CannotStart)) throw error
    giveUp([error.message])
  }
}

function giveUp(sentences: string[]): never {
  for (const sentence of sentences) process.stderr.write(`${sentence}\n`)
  process.exit(1)
}
