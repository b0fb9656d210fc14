/**
 * A world for stories about card payments: a database, the payments room over it as `server/http.ts` mounts it, and the sandbox's
 * bank. Nothing looks by itself here unless the story asks for it: webhooks come when the bank is told to send them.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAdaptorServer } from '@hono/node-server'
import { Hono, type MiddlewareHandler } from 'hono'
import type { CardTopup, TopupRefund } from '../contract/contract.ts'
import { MICROS_PER_CENT, micros, printAmount, usd } from '../contract/money.ts'
import type { Problem } from '../contract/refusals.ts'
import { type Sandbox, startSandbox } from '../sandbox/sandbox.ts'
import type { Caller, SignedIn } from '../server/accounts/accounts.ts'
import { auditLedger } from '../server/ledger/audit/audit.ts'
import { createLedger } from '../server/ledger/ledger.ts'
import type { CardLimits } from '../server/payments/card/limits.ts'
import { staffCardRoutes } from '../server/payments/card/limits-routes.ts'
import { openStripe } from '../server/payments/card/stripe.ts'
import { createPayments, type Payments, settleQueue } from '../server/payments/payments.ts'
import { paymentsRoutes, staffEventsRoutes, stripeWebhook } from '../server/payments/routes.ts'
import { type Announcement, createAnnounce } from '../server/platform/announce.ts'
import { answerRefusal, Refusal } from '../server/platform/answer.ts'
import { wireClock } from '../server/platform/clock.ts'
import { newId, readId } from '../server/platform/ids.ts'
import { type Log, openLog } from '../server/platform/log.ts'
import { openQueue, type Queue } from '../server/platform/queue.ts'
import { createRouteTable } from '../server/platform/route.ts'
import { freshDatabase } from './database.ts'

export const cards = {
  confirms: '4000000000003220',
  frictionless: '4000000032200000',
  notEnrolled: '4242424242424242',
  without3ds: '378282246310005',
  attemptErrs: '4000000000003097',
  declinedAfterwards: '4000008400001629',
  declined: '4000000000000002',
  insufficientFunds: '4000000000009995',
  processingError: '4000000000000119',
}

/** Stories that try cards by the dozen are not about that. */
const unlimited: CardLimits = {
  sessionsPerHourMax: 10_000,
  sessionsPerNetworkPerHourMax: 10_000,
  cardsPerDayMax: 10_000,
  declinesPerDayMax: 10_000,
  customersPerCardPerDayMax: 10_000,
  openTopupsMax: 10_000,
  breakerAttemptsMin: 10_000,
  breakerDeclinesPercentMax: 100,
  breakerPauseSeconds: 1_800,
}

export type CardCompany = ReturnType<typeof openStripe>
export type CardWorld = Awaited<ReturnType<typeof startCardWorld>>
type Json = Record<string, unknown>

const SECRETS = ['whsec_rotated_out', 'whsec_sandbox']

export async function startCardWorld() {
  const db = await freshDatabase({ connectionsMax: 16 })
  const dataDir = mkdtempSync(join(tmpdir(), 'card-world-'))
  const alarms: string[] = []
  const log = quietLog(alarms)
  const announce = createAnnounce()
  const announced: Announcement[] = []
  announce.subscribe((announcement) => announced.push(announcement))
  const ledger = createLedger({ database: db.database, log })
  const queue = await openQueue({ url: db.url, log })
  const rooms: Payments[] = []
  /** Customers whose e-mail address nobody has proven. */
  const unproven = new Set<bigint>()

  let app = new Hono()
  const server = createAdaptorServer({ fetch: (request: Request) => app.fetch(request) }) as Server
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const serverUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const sandbox: Sandbox = await startSandbox({ port: 0, dataDir, serverUrl, autoSmsSeconds: 0 })
  const stripe = openStripe({ secretKey: 'sk_test_sandbox', apiUrl: sandbox.url })

  /** Another payments room over the same database, as a second process has one; or with another card company. */
  function room(
    card: CardCompany = stripe,
    settings: {
      acceptAttempted?: boolean
      webhookSecrets?: string[]
      livemode?: boolean
      cardLimits?: Partial<CardLimits>
      /** It dies in the middle of what it does: nobody waits for its end. */
      dies?: boolean
      /** Where it believes to be found. */
      publicUrl?: string
      /** What takes its jobs, instead of the world's queue. */
      takesJobs?: Pick<Queue, 'send'>
    } = {},
  ): Payments {
    const {
      webhookSecrets = SECRETS,
      livemode = false,
      dies = false,
      takesJobs = queue,
      cardLimits = {},
      ...more
    } = settings
    const payments = createPayments({
      database: db.database,
      ledger,
      announce,
      queue: takesJobs,
      // Nobody here has an address: whom receipts reach is a story of the whole house.
      mail: { send: () => assert.fail('A customer of this world gets no mail') },
      log,
      clock: wireClock,
      card,
      settings: {
        publicUrl: 'http://localhost:4499',
        brandName: 'MobileSMS',
        minimum: usd('5.00'),
        maximum: usd('1000.00'),
        livemode,
        stripe: { secretKey: 'sk_test_sandbox', webhookSecrets, apiUrl: sandbox.url },
        seller: { name: 'MobileSMS', address: 'a sandbox', taxId: null, supportEmail: 'support@sandbox.example' },
        receipt: { taxNote: null, statementText: 'MOBILESMS* CREDITS' },
        cardLimits: { ...unlimited, ...cardLimits },
        crypto: { networks: [], rateUrls: null },
        ...more,
      },
      hasProvenAddress: async (_, accountId) => !unproven.has(accountId),
    })
    if (!dies) rooms.push(payments)
    return payments
  }

  const payments = room()
  app = mount(payments)
  await queue.work(settleQueue.name, payments.settleJob)

  /** Who is signed in stands in a header here; how that is found out is the story of the accounts room. */
  function mount(over: Payments) {
    const http = new Hono<SignedIn>()
    http.use(async (c, next) => {
      c.set('requestId', newId())
      c.set('address', c.req.header('x-address') ?? 'unknown')
      await next()
    })
    const signedIn: MiddlewareHandler<SignedIn> = async (c, next) => {
      const accountId = c.req.header('x-account')
      if (!accountId) throw new Refusal({ code: 'unauthenticated', detail: 'Sign in first.' })
      c.set('caller', {
        accountId: BigInt(accountId),
        username: 'ana',
        role: 'customer',
        timeZone: 'Europe/Berlin',
        via: 'session',
        key: null,
        session: null,
      })
      await next()
    }
    const table = createRouteTable<Caller>({
      read: signedIn,
      order: signedIn,
      topup: signedIn,
      session: signedIn,
      recent: signedIn,
      staff: signedIn,
      operator: signedIn,
    })
    paymentsRoutes(table, over)
    staffEventsRoutes(table, over)
    staffCardRoutes(table, over)
    stripeWebhook(table, over)
    http.route('/', table.hono)
    http.onError((error, c) => {
      if (error instanceof Refusal) return answerRefusal(c, error.refused)
      throw error
    })
    return http as unknown as Hono
  }

  async function control(path: string, asked?: unknown): Promise<Json> {
    const answer = await fetch(sandbox.url + path, {
      ...(asked === undefined
        ? {}
        : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(asked) }),
    })
    const body = (await answer.json()) as Json
    assert.equal(answer.status, 200, JSON.stringify(body))
    return body
  }

  let accountsOpened = 0n
  async function customer() {
    const accountId = ++accountsOpened
    await ledger.open(db.database.pool, accountId)

    async function call<Body = CardTopup>(path: string, asked?: unknown, headers: Record<string, string> = {}) {
      const answer = await app.request(`/api/v1${path}`, {
        method: asked === undefined ? 'GET' : 'POST',
        headers: { 'x-account': String(accountId), 'content-type': 'application/json', ...headers },
        ...(asked === undefined ? {} : { body: JSON.stringify(asked) }),
      })
      return { status: answer.status, body: (await answer.json()) as Body }
    }

    return {
      accountId,
      call,
      refused: (path: string, asked: unknown, headers?: Record<string, string>) => call<Problem>(path, asked, headers),
      async startsTopup(amount = '10.00', headers: Record<string, string> = {}): Promise<CardTopup> {
        const { status, body } = await call('/topups', { method: 'card', amount }, headers)
        assert.equal(status, 201, JSON.stringify(body))
        assert.ok(body.checkout_url)
        return body
      },
      looksAt: async (topup: CardTopup) => (await call(`/topups/${topup.id}`)).body,
      comesBack: async (topup: CardTopup) =>
        (await call(`/topups/${topup.id}/return`, { session_id: sessionOf(topup) })).body,
      leaves: async (topup: CardTopup) => (await call(`/topups/${topup.id}/return`, {})).body,
      async sendsBack(topup: CardTopup, amount?: string, headers: Record<string, string> = {}): Promise<TopupRefund> {
        const asked = amount === undefined ? {} : { amount }
        const { status, body } = await call<TopupRefund>(`/topups/${topup.id}/refunds`, asked, headers)
        assert.equal(status, 201, JSON.stringify(body))
        return body
      },
      /** As orders do, whose room is not here. */
      async spends(amount: string): Promise<void> {
        const spending = { id: newId(), accountId, reference: newId(), amount: usd(amount) }
        const { result } = await ledger.submit({
          ...spending,
          kind: 'debit',
          code: 'adjustment',
          contra: 'goodwill',
        })
        assert.equal(result, 'ok')
      },
      async isGiven(amount: string): Promise<void> {
        const given = { id: newId(), accountId, reference: newId(), amount: usd(amount) }
        await ledger.submit({ ...given, kind: 'credit', code: 'gift', contra: 'goodwill' })
      },
      async balance(): Promise<string> {
        const { available, held, owed } = (await ledger.balance(db.database.pool, accountId))!
        const more = owed > 0n ? `, owed ${printAmount(owed)}` : ''
        return `${printAmount(available)}, held ${printAmount(held)}${more}`
      },
      async has(): Promise<string> {
        const balance = await ledger.balance(db.database.pool, accountId)
        const pending = await payments.pending(accountId)
        return `${printAmount(balance!.available)}, on its way ${printAmount(pending)}`
      },
    }
  }

  /** The card is typed in on the payment page. */
  async function pay(topup: CardTopup, card: string, challenge?: 'complete' | 'fail' | 'close'): Promise<string> {
    const session = sessionOf(topup)
    return (await control('/stripe/pay', { session, card, ...(challenge ? { challenge } : {}) }))['outcome'] as string
  }

  type BankBooks = {
    totals: { captured: number; captured_charges: number; capturable: number; received: number; canceled: number }
    sessions: { id: string; status: string; metadata: { topup_id?: string } }[]
    refunds: { id: string; status: string; amount: number; payment_intent: string; metadata: { refund_id?: string } }[]
  }

  async function bankBooks(): Promise<BankBooks> {
    return (await control('/stripe/books')) as unknown as BankBooks
  }

  /** What only the owner of the database may do. */
  const asOwner = async (sql: string, values: unknown[] = []): Promise<Json[]> => (await db.asOwner(sql, values)).rows

  return {
    db,
    asOwner,
    ledger,
    payments,
    unproven,
    room,
    stripe,
    sandbox,
    serverUrl,
    alarms,
    announce,
    announced,
    customer,
    pay,
    control,
    bankBooks,
    /** Replaces what answers the world's HTTP calls. */
    serve(over: Payments): void {
      app = mount(over)
    },
    webhooks: (mode: 'on' | 'off' | 'double' | 'late' | 'reordered' | 'withheld') =>
      control('/stripe/webhooks', { mode }),
    row: async (topup: CardTopup): Promise<Json> => {
      const { rows } = await db.database.pool.query('select * from topups where id = $1', [readId('top', topup.id)])
      return rows[0] as Json
    },
    /** Makes every open top-up and refund due for the sweeper, as if its minute had passed. */
    async aMinuteLater(): Promise<void> {
      for (const table of ['topups', 'topup_refunds']) {
        await db.database.pool.query(
          `update ${table} set next_look_at = now() where next_look_at is not null and next_look_at <= now() + interval '61 s'`,
        )
      }
    },
    /** As when what was claimed by somebody who died has been silent for its time. */
    async claimsRunOut(): Promise<void> {
      for (const table of ['topups', 'topup_refunds'])
        await db.database.pool.query(`update ${table} set claimed_until = now() where claimed_until > now()`)
    },
    async houseTimePasses(seconds: number): Promise<void> {
      await db.database.pool.query('select house_clock_advance($1)', [seconds])
    },
    /** The bank's books and ours: what was taken there is what was credited here, and nothing else. */
    async booksAgree(expected: { taken: string; payments: number; reserved?: string }): Promise<void> {
      const { totals } = await bankBooks()
      const { rows } = await db.database.pool.query<{ credited: string; credits: number; pending: number }>(
        `select coalesce(sum(amount), 0) as credited, count(*)::int as credits from transfers where code = 30 and kind = 'credit'`,
      )
      const ours = rows[0]!
      assert.deepEqual(
        {
          bank: printAmount(micros(BigInt(totals.captured) * MICROS_PER_CENT)),
          bankPayments: totals.captured_charges,
          bankReserves: printAmount(micros(BigInt(totals.capturable) * MICROS_PER_CENT)),
          ours: printAmount(micros(ours.credited)),
          ourCredits: ours.credits,
        },
        {
          bank: expected.taken,
          bankPayments: expected.payments,
          bankReserves: expected.reserved ?? '0.00',
          ours: expected.taken,
          ourCredits: expected.payments,
        },
      )
    },
    /** What went back to cards, by the bank's books and by ours: refund by refund, and in the ledger's sum. */
    async refundsAgree(): Promise<void> {
      const bank = (await bankBooks()).refunds.map(({ id, status, amount }) => ({
        id,
        status: status === 'canceled' ? 'failed' : status,
        amount: micros(BigInt(amount) * MICROS_PER_CENT),
      }))
      const { rows } = await db.database.pool.query(
        'select external_id as id, status, amount::text, booked::text from topup_refunds where external_id is not null',
      )
      // Only what differs: there are many.
      const line = (each: { id: string; status: string; amount: unknown }) => `${each.id} ${each.status} ${each.amount}`
      const [here, there] = [rows.map(line), new Set(bank.map(line))]
      assert.deepEqual([here.filter((each) => !there.delete(each)), [...there]], [[], []])
      const gone = rows
        .filter(({ status }) => status !== 'failed')
        .reduce((sum, { booked }) => sum + BigInt(booked), 0n)
      const { rows: moved } = await db.database.pool.query(
        `select coalesce(sum(case when kind in ('capture', 'clawback_debit') then amount
                                  when kind = 'credit' then -amount else 0 end), 0)
              + (select coalesce(sum(amount), 0) from open_holds where code = 2) as gone
           from transfers
          where contra = 4 and code in (2, 43)`,
      )
      assert.equal(BigInt(moved[0].gone), gone)
    },
    async auditFindsNothing(): Promise<void> {
      assert.deepEqual(await auditLedger(db.database.pool), [])
    },
    async stop(): Promise<void> {
      await queue.stop()
      await Promise.all(rooms.map((each) => each.close()))
      await sandbox.stop()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await ledger.close()
      await db.close()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

export function sessionOf(topup: CardTopup): string {
  return new URL(topup.checkout_url!).pathname.split('/').at(-1)!
}

function quietLog(alarms: string[]): Log {
  const log = openLog({ level: 'silent' })
  log.error = ((first: { alarm?: boolean }, sentence: string) => {
    if (first.alarm) alarms.push(sentence)
  }) as Log['error']
  return log
}
