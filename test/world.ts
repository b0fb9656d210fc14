/**
 * A world for a test file: a database of its own, the sandbox, and the whole server over both, in this process or in one of its own
 * (`asProcess`, for tests that kill it). Spoken to as customers, the bank and the phone network do: from outside.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Balance, CardTopup, HistoryRow, Order, Page } from '../contract/contract.ts'
import { micros, printAmount, type Usd, usd } from '../contract/money.ts'
import type { Problem } from '../contract/refusals.ts'
import type { StoredMail } from '../sandbox/mail/mail.ts'
import { type Sandbox, startSandbox } from '../sandbox/sandbox.ts'
import { type AccountsOverrides, createAccounts, type Role } from '../server/accounts/accounts.ts'
import { readConfig } from '../server/config.ts'
import { auditLedger } from '../server/ledger/audit/audit.ts'
import { type PlatformAccount, platformAccounts } from '../server/ledger/chart.ts'
import { createLedger } from '../server/ledger/ledger.ts'
import { type RunningServer, startServer } from '../server/main.ts'
import { wireClock } from '../server/platform/clock.ts'
import { openDatabase } from '../server/platform/db.ts'
import { newId } from '../server/platform/ids.ts'
import { type Log, openLog } from '../server/platform/log.ts'
import type { Route } from '../server/platform/route.ts'
import { freshDatabase } from './database.ts'
import { expectAsDeclared } from './declared.ts'
import { freePort } from './ports.ts'
import { until } from './until.ts'

const AUTH_SECRET = 'the-secret-of-a-test-world-0123456789'
const SMS_SECRET = 'sms_sandbox'
const PASSWORD = 'a-long-password'
/** Tests make hundreds of logins; what a hash costs is a matter of the accounts room's own tests. */
const lightly: AccountsOverrides = { passwordWork: { memoryKib: 1024, passes: 1 } }
/** A text shorter than this may stand in a log for other reasons. */
const SECRET_CHARACTERS_MIN = 12
/** What is kept of a server's log. */
const LOG_CHARACTERS_MAX = 2_000_000

/** What a call was answered. `body` is what the test expects it to be; a refusal reads as a `Problem`. */
export type Answer<Body> = { status: number; body: Body; headers: Headers }
export type Customer = Awaited<ReturnType<World['customer']>>
export type Client = ReturnType<typeof createClient>
export type World = Awaited<ReturnType<typeof startWorld>>

export type Server = {
  /** Where programs of this machine find it. */
  readonly url: string
  /** Where browsers find it. */
  readonly publicUrl: string
  /** Its rooms; of a server in another process they cannot be had. */
  readonly parts: RunningServer['parts']
  /** What it declares to answer; of a server in another process it is not known. */
  readonly routes: readonly Route[] | null
  start(): Promise<void>
  stop(): Promise<void>
  /** As `kill -9`: nothing is finished, nothing is told. Only of a server in a process of its own. */
  kill(): Promise<void>
  /** What a process of its own wrote, to look at after a failure. */
  said(): string
}

type Signing = { secret?: string; at?: Date; body?: string; signature?: string }

export async function startWorld(
  options: {
    /** Settings of the server beyond the world's own, such as ORDER_OPEN_MAX. */
    env?: Record<string, string>
    /** The phone network answers the demo customer's orders by itself after this long; 0, the default: never. Unit: seconds. */
    autoSmsSeconds?: number
    /** The server runs in a process of its own, which `world.server.kill()` ends as kill -9 does. */
    asProcess?: boolean
    /** A file for what a process of its own writes, instead of `world.server.said()`. */
    logTo?: string
    /** Top-ups by crypto are offered, over the sandbox's chains and price sources. */
    crypto?: boolean
    /** Another way to the database than the straight one, for the server; the world's own hands take that. */
    databaseUrl?: (straight: string) => Promise<string>
    /** How a server in this process deals with passwords; light, unless told. */
    accounts?: AccountsOverrides
  } = {},
) {
  const db = await freshDatabase()
  const dataDir = mkdtempSync(join(tmpdir(), 'world-'))
  const alarms: { sentence: string; about: unknown }[] = []
  const { log, said } = quietLog(alarms)
  /** What this world's customers type and receive, and no log may hold. */
  const secrets = new Set<string>()
  const port = options.asProcess ? await freePort() : 0
  const sandbox: Sandbox = await startSandbox({
    port: 0,
    dataDir,
    serverUrl: `http://127.0.0.1:${port || 1}`,
    autoSmsSeconds: options.autoSmsSeconds ?? 0,
  })
  const env = {
    MODE: 'sandbox',
    PORT: String(port),
    SANDBOX_PORT: String(sandbox.port),
    DATABASE_URL: (await options.databaseUrl?.(db.url)) ?? db.url,
    AUTH_SECRET,
    STRIPE_SECRET_KEY: 'sk_test_sandbox',
    STRIPE_WEBHOOK_SECRETS: 'whsec_sandbox',
    STRIPE_API_URL: sandbox.url,
    SMS_WEBHOOK_SECRETS: SMS_SECRET,
    SMTP_URL: `smtp://127.0.0.1:${sandbox.smtpPort}`,
    TWILIO_AUTH_TOKENS: 'twilio_sandbox',
    LOG_LEVEL: 'trace',
    DRAIN_MS: '0',
    ...(options.crypto ? cryptoOf(sandbox.url) : {}),
    ...options.env,
  }
  const server = options.asProcess
    ? serverProcess(env, port, options.logTo)
    : serverHere(env, log, said, { ...lightly, ...options.accounts })
  try {
    await server.start()
  } catch (error) {
    await Promise.all([sandbox.stop(), db.close()])
    throw error
  }
  sandbox.serverMovedTo(server.url, server.publicUrl)

  // The world's own hands in the books: rooms over the same database, so that they work while the server is dead, too.
  const authDatabase = openDatabase({ url: db.url, role: 'mobilesms_auth', connectionsMax: 2, onIdleError: () => {} })
  const ledger = createLedger({ database: db.database, log })
  const accounts = createAccounts({
    database: db.database,
    authDatabase,
    authSecret: AUTH_SECRET,
    publicUrl: server.publicUrl,
    brandName: 'MobileSMS',
    supportEmail: 'support@sandbox.example',
    mail: { send: () => assert.fail('The hands of the world write no letters') },
    announce: { publish: () => {} },
    clock: wireClock,
    log,
    overrides: lightly,
  })
  const customers = new Map<string, bigint>()
  const streams: { end: () => void }[] = []

  /** A customer with an API key, and with credit where it is said how much. */
  async function customer(who: { name?: string; credit?: string; role?: Role } = {}) {
    const name = who.name ?? `customer${customers.size + 1}`
    const accountId = await accounts.createLogin({ username: name, password: PASSWORD, role: who.role ?? 'customer' })
    const key = `msk_test_${newId().replaceAll('-', '')}`
    await accounts.keys.give(accountId, key)
    customers.set(name, accountId)
    if (who.credit) await giveCredit(accountId, usd(who.credit))
    return { name, password: PASSWORD, key, accountId, ...keyClient(key) }
  }

  async function giveCredit(accountId: bigint, amount: Usd): Promise<void> {
    const outcome = await ledger.submit({
      id: newId(),
      kind: 'credit',
      accountId,
      code: 'gift',
      contra: 'goodwill',
      amount,
      reference: newId(),
    })
    assert.deepEqual(outcome, { done: true, result: 'ok' })
  }

  /** `at`: another process of the house. */
  function keyClient(key: string, at = server) {
    return createClient(at, { authorization: `Bearer ${key}` })
  }

  const beside: Server[] = []

  /** A figure of the books: a customer's (`ana available`), or a platform account's total (`revenue`). */
  async function figure(name: string): Promise<string> {
    const [who, which] = name.split(' ')
    if (which === undefined) {
      const { rows } = await db.database.pool.query<{ debits: string; credits: string }>(
        `select coalesce(sum(debits), 0) as debits, coalesce(sum(credits), 0) as credits
           from platform_totals where platform = $1`,
        [platformAccounts[who as PlatformAccount] ?? assert.fail(`The chart has no account ${who}`)],
      )
      const grown = BigInt(rows[0]!.credits) - BigInt(rows[0]!.debits)
      // What the house earns grows by credits; what it has, and what it spends, by debits.
      return printAmount(micros(who === 'revenue' ? grown : -grown))
    }
    const accountId = customers.get(who!) ?? assert.fail(`Nobody is called ${who}`)
    const balance = (await ledger.balance(db.database.pool, accountId))!
    assert.ok(which in balance && which !== 'suspended', `A balance has no figure ${which}`)
    return printAmount(balance[which as 'available' | 'held' | 'frozen' | 'owed'])
  }

  return {
    db,
    sandbox,
    server,
    ledger,
    /** What the server here reported as errors; nothing, when all went well. Of another process: see its standard error. */
    alarms,
    customer,
    giveCredit,

    /** The sandbox's own customer, by his key. */
    async demo() {
      const { rows } = await db.database.pool.query<{ id: string }>("select id from accounts where username = 'demo'")
      const accountId = BigInt(rows[0]!.id)
      customers.set('demo', accountId)
      return {
        name: 'demo',
        password: 'demo-password',
        key: 'msk_sandbox_demo',
        accountId,
        ...keyClient('msk_sandbox_demo'),
      }
    },

    /** Another process of the same house, in a role or with settings of its own. It ends with the world. */
    async beside(more: Record<string, string>): Promise<Server> {
      const itsPort = await freePort()
      // One house has one address, whichever of its processes answers there.
      const started = serverProcess({ PUBLIC_URL: server.publicUrl, ...env, ...more, PORT: String(itsPort) }, itsPort)
      beside.push(started)
      await started.start()
      return started
    },

    /** A customer's programs, as one process of the house answers them. */
    clientAt: (at: Server, who: { key: string }) => keyClient(who.key, at),

    /** Nobody: without key and cookie. */
    stranger: () => createClient(server, {}),

    /** The same customer in a browser, which says where its requests come from. */
    async signIn(who: { name: string; password: string }) {
      const answer = await fetch(`${server.url}/api/auth/sign-in/username`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: server.publicUrl },
        body: JSON.stringify({ username: who.name, password: who.password }),
      })
      assert.equal(answer.status, 200, await answer.text())
      const cookie = answer.headers.getSetCookie().map((line) => line.split(';')[0]!)
      for (const line of cookie) secrets.add(line.slice(line.indexOf('=') + 1))
      return {
        cookie: cookie.join('; '),
        ...createClient(server, { cookie: cookie.join('; '), origin: server.publicUrl }),
      }
    },

    /** The phone network carries a message, and answers as `POST /phones/sms` does. */
    sms(message: { to: string; from?: string; text: string; id?: string }): Promise<Answer<Record<string, unknown>>> {
      if (message.text.length >= SECRET_CHARACTERS_MIN) secrets.add(message.text)
      return call(`${sandbox.url}/phones/sms`, { from: 'SMS', ...message })
    },

    /** A message straight to the server's door, signed well unless it is said otherwise. */
    async sendSms(
      message: { id: string; to: string; from: string; text: string },
      signing: Signing = {},
      at = server,
    ): Promise<Answer<{ status: string; outcome: string } & Problem>> {
      const body = signing.body ?? JSON.stringify(message)
      return answerOf(
        await fetch(`${at.url}/webhooks/sms/generic`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-signature': signing.signature ?? signSms(body, signing) },
          body,
        }),
      )
    },

    /** The card is typed in on the bank's page; answers with the outcome there. */
    async pay(topup: CardTopup, card: string, challenge?: 'complete' | 'fail' | 'close'): Promise<string> {
      const session = new URL(topup.checkout_url!).pathname.split('/').at(-1)
      const paid = await call<{ outcome: string }>(`${sandbox.url}/stripe/pay`, {
        session,
        card,
        ...(challenge ? { challenge } : {}),
      })
      assert.equal(paid.status, 200, JSON.stringify(paid.body))
      return paid.body.outcome
    },

    /** The sandbox's controls, as its desk uses them. Without a question it is a GET. */
    async control(path: string, asked?: object): Promise<Record<string, unknown>> {
      const answer = await call<Record<string, unknown>>(sandbox.url + path, asked)
      assert.equal(answer.status, 200, JSON.stringify(answer.body))
      return answer.body
    },

    /**
     * Waits for a mail to this address and answers the newest; with `subject` the newest of those that match.
     * To be sure that it is not an older one: `world.control('/mail/clear', {})` before what should send it.
     * What a server here would do within the next seconds it does at once, unless the mail is to come `byItself`.
     */
    mail(to: string, subject = /./, { byItself = options.asProcess ?? false } = {}): Promise<StoredMail> {
      const look = async () => {
        const { body } = await call<{ items: StoredMail[] }>(`${sandbox.url}/mail?to=${encodeURIComponent(to)}`)
        return body.items.find((mail) => subject.test(mail.subject))
      }
      return until(async () => {
        const there = await look()
        if (there || byItself) return there
        await server.parts.queue.runTicks()
        return look()
      })
    },

    /** Moves house time and returns the new one, when what became due has run. */
    async advance(seconds: number): Promise<Date> {
      const moved = await call<{ now: string }>(`${server.url}/api/sandbox/clock`, { advance_seconds: seconds })
      assert.equal(moved.status, 200, JSON.stringify(moved.body))
      return new Date(moved.body.now)
    },

    /** An open page of the customer's: what it was told, in order. */
    async live(who: { key: string }, at = server) {
      const ended = new AbortController()
      const answer = await fetch(`${at.url}/api/v1/events`, {
        headers: { authorization: `Bearer ${who.key}` },
        signal: ended.signal,
      })
      assert.equal(answer.status, 200)
      const told: { event: string; data: Record<string, unknown>; at: number }[] = []
      let open = true
      const reading = (async () => {
        let text = ''
        for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
          text += chunk
          const blocks = text.split('\n\n')
          text = blocks.pop()!
          for (const block of blocks) {
            const event = /^event: (.*)$/m.exec(block)?.[1]
            const data = /^data: (.*)$/m.exec(block)?.[1]
            if (event && data) told.push({ event, data: JSON.parse(data), at: performance.now() })
          }
        }
      })()
        .catch(() => {})
        .finally(() => {
          open = false
        })
      const stream = {
        told,
        isOpen: () => open,
        /** Waits until the page was told of this. */
        hears: (event: string, of: (data: Record<string, unknown>) => boolean = () => true) =>
          until(async () => told.find((each) => each.event === event && of(each.data))),
        end: () => {
          ended.abort()
          return reading
        },
      }
      streams.push(stream)
      return stream
    },

    figure,

    /**
     * What stands in the books, a line each: `ana available 5.00`, `ana held 0.00`, `revenue 1.20`. Only what is named is looked at.
     */
    async expectBooks(expected: string): Promise<void> {
      const lines = expected
        .trim()
        .split('\n')
        .map((line) => line.trim().replace(/\s+/g, ' '))
      const found = await Promise.all(
        lines.map(async (line) => {
          const name = line.slice(0, line.lastIndexOf(' '))
          return `${name} ${await figure(name)}`
        }),
      )
      assert.deepEqual(found, lines)
    },

    /** Nothing differs between what the ledger says and what follows from its rows. */
    async audit(): Promise<void> {
      assert.deepEqual(await auditLedger(db.database.pool), [])
    },

    /** The bank's own books and ours: what was taken there, and only that, was credited here. */
    async expectBankAgrees(): Promise<void> {
      const { totals } = (await (await fetch(`${sandbox.url}/stripe/books`)).json()) as {
        totals: { captured: number; captured_charges: number }
      }
      const { rows } = await db.database.pool.query<{ amount: string; credits: number }>(
        `select coalesce(sum(t.amount), 0) as amount, count(*)::int as credits
           from transfers t where t.kind = 'credit' and t.contra = $1`,
        [platformAccounts.card_clearing],
      )
      assert.deepEqual(
        { taken: printAmount(micros(rows[0]!.amount)), payments: rows[0]!.credits },
        { taken: printAmount(micros(BigInt(totals.captured) * 10_000n)), payments: totals.captured_charges },
      )
    },

    /** Ends a story: the ledger is whole, the bank's books say the same, and nobody was alarmed. */
    async proveAndStop(): Promise<void> {
      try {
        await this.audit()
        await this.expectBankAgrees()
        assert.deepEqual(alarms, [])
      } finally {
        await this.stop()
      }
    },

    async stop(): Promise<void> {
      for (const stream of streams) stream.end()
      await Promise.all([server, ...beside].map((one) => one.stop()))
      await sandbox.stop()
      await ledger.close()
      await authDatabase.close()
      await db.close()
      rmSync(dataDir, { recursive: true, force: true })
      for (const one of [server, ...beside]) expectNoSecrets(one.said(), secrets)
    },
  }
}

/** Where the sandbox has its chains; it has a key for each. */
function cryptoOf(sandboxUrl: string): Record<string, string> {
  return {
    BITCOIN_RPC_URLS: `${sandboxUrl}/chains/btc/rpc`,
    LITECOIN_RPC_URLS: `${sandboxUrl}/chains/ltc/rpc`,
    ETHEREUM_RPC_URLS: `${sandboxUrl}/chains/eth/rpc`,
  }
}

/** The server in this process. */
function serverHere(env: Record<string, string>, log: Log, said: () => string, accounts: AccountsOverrides): Server {
  let running: RunningServer | null = null
  return {
    get url() {
      return running!.url
    },
    get publicUrl() {
      return running!.config.publicUrl
    },
    get parts() {
      return running!.parts
    },
    get routes() {
      return running!.parts.routes
    },
    async start(): Promise<void> {
      running = await startServer(configOf(env), { log, accounts })
    },
    async stop(): Promise<void> {
      await running?.stop()
    },
    kill(): Promise<void> {
      throw new Error('This server shares the process of the test: start the world with `asProcess`')
    },
    said,
  }
}

/** The server as `npm start` runs it, without the launcher. */
function serverProcess(env: Record<string, string>, port: number, logTo?: string): Server {
  const url = `http://127.0.0.1:${port}`
  let child: ChildProcess | null = null
  let said = ''

  async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  return {
    url,
    publicUrl: `http://localhost:${port}`,
    get parts(): never {
      throw new Error('The parts are in the other process')
    },
    routes: null,
    said: () => said,
    async start(): Promise<void> {
      const started = spawn(process.execPath, [join(import.meta.dirname, '../server/main.ts')], {
        env: { ...process.env, ...env },
        stdio: logTo ? ['ignore', openSync(logTo, 'a'), 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe', 'ipc'],
      })
      child = started
      for (const stream of [started.stdout, started.stderr]) {
        stream?.setEncoding('utf8').on('data', (text: string) => {
          said += text
          if (said.length > 2 * LOG_CHARACTERS_MAX) said = said.slice(-LOG_CHARACTERS_MAX)
        })
      }
      await until(async () => {
        assert.equal(started.exitCode, null, `The server ended at its start:\n${said}`)
        const answer = await fetch(`${url}/readyz`).catch(() => null)
        await answer?.body?.cancel()
        return answer?.status === 200
      })
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  }
}

function configOf(env: Record<string, string>) {
  const read = readConfig(env)
  assert.ok(read.ok, read.ok ? '' : read.problems.join('\n'))
  return read.config
}

/** Calls the API as one caller; paths begin after /api/v1. */
function createClient(server: Server, headers: Record<string, string>) {
  async function request<Body>(
    method: string,
    path: string,
    body: unknown,
    more: Record<string, string>,
  ): Promise<Answer<Body>> {
    const whole = `${/^\/(api|webhooks)\/|^\/(healthz|readyz|metrics)$/.test(path) ? '' : '/api/v1'}${path}`
    const answer = await call<Body>(`${server.url}${whole}`, body, { method, headers: { ...headers, ...more } })
    if (server.routes) expectAsDeclared(server.routes, { method, path: whole }, answer)
    return answer
  }
  const client = {
    get: <Body = Record<string, unknown>>(path: string, more: Record<string, string> = {}) =>
      request<Body>('GET', path, undefined, more),
    post: <Body = Record<string, unknown>>(path: string, body: unknown = {}, more: Record<string, string> = {}) =>
      request<Body>('POST', path, body, more),
    request,

    /** Places an order; fails the test when it is refused. */
    async order(what: { service?: string; country?: string } = {}): Promise<Order> {
      const placed = await client.post<Order>('/orders', { service: 'telegram', country: 'GB', ...what })
      assert.equal(placed.status, 201, JSON.stringify(placed.body))
      return placed.body
    },
    orderNow: async (id: string): Promise<Order> => (await client.get<Order>(`/orders/${id}`)).body,
    balance: async (): Promise<Balance> => (await client.get<Balance>('/balance')).body,
    history: async (query = ''): Promise<HistoryRow[]> =>
      (await client.get<Page<HistoryRow>>(`/billing/history${query}`)).body.items,

    /** Starts a top-up by card; fails the test when it is refused. */
    async startTopup(amount = '10.00'): Promise<CardTopup> {
      const started = await client.post<CardTopup>('/topups', { method: 'card', amount })
      assert.equal(started.status, 201, JSON.stringify(started.body))
      return started.body
    },
  }
  return client
}

async function call<Body>(
  url: string,
  body?: unknown,
  init: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer<Body>> {
  return answerOf<Body>(
    await fetch(url, {
      method: init.method ?? (body === undefined ? 'GET' : 'POST'),
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...init.headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    }),
  )
}

async function answerOf<Body>(answer: Response): Promise<Answer<Body>> {
  const text = await answer.text()
  const isJson = /json/.test(answer.headers.get('content-type') ?? '')
  return { status: answer.status, body: (isJson ? JSON.parse(text) : text) as Body, headers: answer.headers }
}

/** The header `X-Signature` of a body. */
export function signSms(body: string, { secret = SMS_SECRET, at = wireClock.now() }: Signing = {}): string {
  const stamp = Math.floor(at.getTime() / 1000)
  return `t=${stamp},v1=${createHmac('sha256', secret).update(`${stamp}.${body}`).digest('hex')}`
}

/** Keeps what it is told, and remembers errors as alarms. */
function quietLog(alarms: { sentence: string; about: unknown }[]): { log: Log; said: () => string } {
  let said = ''
  const log = openLog({
    level: 'trace',
    to: {
      write(line: string) {
        said += line
        if (said.length > 2 * LOG_CHARACTERS_MAX) said = said.slice(-LOG_CHARACTERS_MAX)
      },
    },
  })
  const write = log.error.bind(log) as (about: unknown, sentence?: string) => void
  const remember = ((about: unknown, sentence?: string) => {
    alarms.push({ sentence: sentence ?? String(about), about })
    write(about, sentence)
  }) as Log['error']
  log.error = remember
  // The parts of the server speak through children of this log.
  log.child = (() => log) as unknown as Log['child']
  return { log, said: () => said }
}

/** What no log may hold, whoever it belongs to: API keys, e-mail addresses, and the secrets that the world is started with. */
const secretShapes: [what: string, shape: RegExp][] = [
  ['an API key', /msk_\w{8,}/],
  ['an e-mail address', /[\w.+-]+(?:@|%40)[\w-]+\.\w+/],
  ['a secret of the settings', new RegExp([AUTH_SECRET, SMS_SECRET, 'whsec_', 'sk_test_', 'twilio_sandbox'].join('|'))],
  ['a password', new RegExp(`${PASSWORD}|a stone, a lamp|demo-password|staff-password|approver-password`)],
  ['a cookie', /mobilesms_(session|browser)=/],
  ['what a link carries', /#[A-Za-z0-9_-]{43}\b/],
]

/** Every world reads its own log at its end: what a whole run of the tests did has told nobody's secrets. */
function expectNoSecrets(said: string, own: ReadonlySet<string>): void {
  for (const [what, shape] of secretShapes) {
    const found = shape.exec(said)
    assert.equal(
      found,
      null,
      `The log has ${what}: …${found && said.slice(Math.max(0, found.index - 200), found.index + 100)}`,
    )
  }
  for (const secret of own) {
    const at = said.indexOf(secret)
    assert.equal(at, -1, `The log has what nobody may read there: …${said.slice(Math.max(0, at - 200), at + 100)}`)
  }
}
