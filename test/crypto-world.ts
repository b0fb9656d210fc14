/**
 * A world for stories about top-ups by crypto: a database, the payments room over it, and networks of the test's own: in memory, unless it
 * brings nodes. Nothing happens by itself: networks are read when the story says so, and prices are what it says they are.
 */
import assert from 'node:assert/strict'
import { Hono, type MiddlewareHandler } from 'hono'
import type { CryptoAsset, CryptoTopup } from '../contract/contract.ts'
import { micros, printAmount, usd } from '../contract/money.ts'
import type { Problem } from '../contract/refusals.ts'
import type { Caller, SignedIn } from '../server/accounts/accounts.ts'
import { auditLedger, findOverdue } from '../server/ledger/audit/audit.ts'
import { createLedger, type Ledger } from '../server/ledger/ledger.ts'
import { CARD_LIMITS } from '../server/payments/card/limits.ts'
import { assetOf, type Family, networks as knownNetworks, printUnits } from '../server/payments/crypto/assets.ts'
import type { OpenChain } from '../server/payments/crypto/crypto.ts'
import { readKey } from '../server/payments/crypto/descriptor.ts'
import { sandboxKeys } from '../server/payments/crypto/sandbox-keys.ts'
import { createPayments, type Payments } from '../server/payments/payments.ts'
import { paymentsRoutes } from '../server/payments/routes.ts'
import { type Announcement, createAnnounce } from '../server/platform/announce.ts'
import { answerRefusal, Refusal } from '../server/platform/answer.ts'
import { wireClock } from '../server/platform/clock.ts'
import { newId, readId } from '../server/platform/ids.ts'
import type { Letter } from '../server/platform/letter.ts'
import { openLog } from '../server/platform/log.ts'
import { createRouteTable } from '../server/platform/route.ts'
import { freshDatabase } from './database.ts'
import { createMemoryChain } from './memory-chain.ts'

export type CryptoWorld = Awaited<ReturnType<typeof startCryptoWorld>>

/** What coins cost unless a story says otherwise: what 20 dollars buy is a round number of units. */
const PRICES: Record<CryptoAsset, string> = {
  BTC: '80000.00',
  LTC: '100.00',
  ETH: '2500.00',
  USDT: '1.00',
  USDC: '1.00',
}

/** `nodes`: the addresses of real nodes, by network, in place of the one in memory. `blind`: those in memory do not trace. */
export async function startCryptoWorld(
  options: { nodes?: Readonly<Record<string, readonly string[]>>; blind?: boolean } = {},
) {
  const { nodes = {} } = options
  const db = await freshDatabase({ connectionsMax: 12 })
  const alarms: string[] = []
  const announce = createAnnounce()
  const announced: Announcement[] = []
  announce.subscribe((announcement) => announced.push(announcement))
  const log = openLog({ level: 'silent' })
  log.error = ((about: unknown, sentence?: string) => alarms.push(sentence ?? String(about))) as typeof log.error
  log.child = (() => log) as unknown as typeof log.child
  const realLedger = createLedger({ database: db.database, log })
  const letters: { accountId: bigint; letter: Letter; once: string }[] = []
  const chains = {
    bitcoin: createMemoryChain('bitcoin', 'BTC'),
    litecoin: createMemoryChain('litecoin', 'LTC'),
    ethereum: createMemoryChain('ethereum', 'ETH'),
  }
  type Name = keyof typeof chains

  /** Another payments room over the same database, as a second process has one; or with a ledger that fails. */
  function room(ledger: Ledger = realLedger): Payments {
    const inMemory: OpenChain = ({ name }) => ({
      chain: chains[name as Name].chain,
      traces: async () => !options.blind,
    })
    return createPayments({
      database: db.database,
      ledger,
      announce,
      queue: { send: async () => {} },
      mail: {
        async send(_, { letter, accountId, once }) {
          if (!letters.some((one) => one.once === once)) letters.push({ accountId: accountId!, letter, once: once! })
        },
      },
      log,
      clock: wireClock,
      ...(Object.keys(nodes).length > 0 ? {} : { openChain: inMemory }),
      settings: {
        publicUrl: 'http://localhost:4499',
        brandName: 'MobileSMS',
        minimum: usd('5.00'),
        maximum: usd('1000.00'),
        livemode: false,
        stripe: { secretKey: 'sk_test_sandbox', webhookSecrets: [], apiUrl: 'http://127.0.0.1:9' },
        seller: { name: 'MobileSMS', address: 'a sandbox', taxId: null, supportEmail: 'support@sandbox.example' },
        receipt: { taxNote: null, statementText: null },
        cardLimits: CARD_LIMITS,
        crypto: {
          networks: knownNetworks
            .filter(({ name }) => Object.keys(nodes).length === 0 || nodes[name] !== undefined)
            .map(({ name, family }) => ({
              name,
              urls: [...(nodes[name] ?? ['http://127.0.0.1:9'])],
              key: descriptorOf(family),
              explorer: null,
            })),
          rateUrls: { kraken: 'http://127.0.0.1:9', coinbase: 'http://127.0.0.1:9', bitstamp: 'http://127.0.0.1:9' },
        },
      },
      hasProvenAddress: async () => true,
    })
  }

  const payments = room()
  await payments.settleKeys()
  let prices = { ...PRICES }
  await sayPrices()
  await follow()
  const app = mount(payments)

  async function sayPrices(): Promise<void> {
    // To the millisecond, which is how finely blocks are timed here: a block of this very one is not before the price.
    for (const [asset, price] of Object.entries(prices))
      await db.database.pool.query(
        `insert into crypto_rates (asset, price, sources, samples, at) values ($1, $2, 3, '[]', date_trunc('milliseconds', house_now()))`,
        [asset, usd(price)],
      )
  }

  /** Reads the networks, decides, and brings the rows up to date: what the jobs of the house do every few seconds. */
  async function follow(by: Payments = payments): Promise<void> {
    for (const tick of by.cryptoTicks) if (tick.name !== 'payments_rates') await tick.run(new AbortController().signal)
  }

  function mount(over: Payments) {
    const http = new Hono<SignedIn>()
    http.use(async (c, next) => {
      c.set('requestId', newId())
      c.set('address', 'unknown')
      await next()
    })
    const signedIn: MiddlewareHandler<SignedIn> = async (c, next) => {
      c.set('caller', {
        accountId: BigInt(c.req.header('x-account')!),
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
    http.route('/', table.hono)
    http.onError((error, c) => {
      if (error instanceof Refusal) return answerRefusal(c, error.refused)
      throw error
    })
    return http as unknown as Hono
  }

  const asOwner = async (sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> =>
    (await db.asOwner(sql, values)).rows

  let opened = 0
  async function customer() {
    const name = `customer${++opened}`
    const [row] = await asOwner(
      `with u as (insert into auth."user" ("name", "email", "emailVerified", "username", "role")
                  values ($1, $1 || '@sandbox.example', true, $1, 'customer') returning "id")
       insert into accounts (user_id, username, role, created_at) select "id", $1, 'customer', now() from u returning id`,
      [name],
    )
    const accountId = BigInt(String(row!['id']))
    await realLedger.open(db.database.pool, accountId)
    async function call<Body>(path: string, asked?: unknown) {
      const answer = await app.request(`/api/v1${path}`, {
        method: asked === undefined ? 'GET' : 'POST',
        headers: { 'x-account': String(accountId), 'content-type': 'application/json' },
        ...(asked === undefined ? {} : { body: JSON.stringify(asked) }),
      })
      return { status: answer.status, body: (await answer.json()) as Body }
    }
    return {
      accountId,
      call,
      refused: (path: string, asked: unknown) => call<Problem>(path, asked),
      async starts(asset: CryptoAsset = 'BTC', amount = '20.00'): Promise<CryptoTopup> {
        const { status, body } = await call<CryptoTopup>('/topups', { method: 'crypto', amount, asset })
        assert.equal(status, 201, JSON.stringify(body))
        return body
      },
      now: async (topup: CryptoTopup): Promise<CryptoTopup> => (await call<CryptoTopup>(`/topups/${topup.id}`)).body,
      /** `status credited labels: payment states`. */
      async sees(topup: CryptoTopup): Promise<string> {
        const { body } = await call<CryptoTopup>(`/topups/${topup.id}`)
        const labels = body.labels.length > 0 ? ` [${body.labels.join(' ')}]` : ''
        const of = body.payments.map(
          (one) => `${one.state} ${one.confirmations}/${one.confirmations_required} ${one.worth ?? '-'}`,
        )
        return `${body.status} ${body.credited}${labels}${of.length > 0 ? `: ${of.join(', ')}` : ''}`
      },
      async spends(amount: string): Promise<void> {
        const { result } = await realLedger.submit({
          id: newId(),
          kind: 'debit',
          accountId,
          reference: newId(),
          amount: usd(amount),
          code: 'adjustment',
          contra: 'goodwill',
        })
        assert.equal(result, 'ok')
      },
      async has(): Promise<string> {
        const { available, owed } = (await realLedger.balance(db.database.pool, accountId))!
        const pending = await payments.pending(accountId)
        return `${printAmount(available)}${owed > 0n ? `, owes ${printAmount(owed)}` : ''}${pending > 0n ? `, on its way ${printAmount(pending)}` : ''}`
      },
      letters: () => letters.filter((one) => one.accountId === accountId).map(({ letter }) => letter.subject),
    }
  }

  /** What blocks look for, of a top-up's address. */
  async function scriptOf(topup: Pick<CryptoTopup, 'address'>): Promise<string> {
    const { rows } = await db.database.pool.query<{ script: string }>(
      `select encode(script, 'hex') as script from crypto_addresses where address = $1`,
      [topup.address],
    )
    return rows[0]!.script
  }

  const nameOf = (topup: CryptoTopup): Name =>
    topup.asset === 'BTC' ? 'bitcoin' : topup.asset === 'LTC' ? 'litecoin' : 'ethereum'

  return {
    db,
    asOwner,
    ledger: realLedger,
    payments,
    room,
    chains,
    alarms,
    announced,
    letters,
    customer,
    follow,
    scriptOf,
    chainOf: (topup: CryptoTopup) => chains[nameOf(topup)],
    /** Sends of what was asked for so many thousandths (1000: all of it), or so many units. Into the pool; the transaction's id. */
    async pays(
      topup: CryptoTopup,
      what: { permille?: bigint; units?: bigint; asset?: CryptoAsset; coinbase?: boolean; spends?: string[] } = {},
    ): Promise<string> {
      const { permille = 1000n, units = (unitsOf(topup) * permille) / 1000n, asset = topup.asset, ...how } = what
      return chains[nameOf(topup)].pay({ script: await scriptOf(topup), units, asset }, how)
    },
    /** Mines on every network, and reads them. */
    async blocks(count = 1): Promise<void> {
      for (const chain of Object.values(chains)) chain.mine(count)
      await follow()
    },
    async prices(now: Partial<Record<CryptoAsset, string>>): Promise<void> {
      prices = { ...prices, ...now }
      await sayPrices()
    },
    async passes(minutes: number): Promise<void> {
      await db.database.pool.query('select house_clock_advance($1)', [minutes * 60])
      await sayPrices()
    },
    async row(topup: CryptoTopup): Promise<Record<string, unknown>> {
      const { rows } = await db.database.pool.query('select * from topups where id = $1', [readId('top', topup.id)])
      return rows[0]
    },
    async paymentsOf(topup: CryptoTopup): Promise<Record<string, unknown>[]> {
      const { rows } = await db.database.pool.query('select * from crypto_payments where topup_id = $1 order by id', [
        readId('top', topup.id),
      ])
      return rows
    },
    /**
     * The outside's books and ours: what the best chains pay to our addresses is what our rows say, and what they were credited as is what
     * the ledger has. Nothing differs, nothing is overdue.
     */
    async booksAgree(): Promise<void> {
      const { rows: ours } = await db.database.pool.query<{
        chain: string
        txid: string
        asset: string
        units: string
      }>('select chain, txid, asset, units from crypto_payments where height is not null order by 1, 2, 3, 4')
      const { rows: scripts } = await db.database.pool.query<{ script: string }>(
        `select encode(script, 'hex') as script from crypto_addresses`,
      )
      const watched = new Set(scripts.map(({ script }) => script))
      if (Object.keys(nodes).length === 0) {
        const theirs = Object.entries(chains).flatMap(([chain, memory]) =>
          memory
            .paid()
            .filter(({ script }) => watched.has(script))
            .map(({ txid, asset, units }) => ({ chain, txid, asset: asset as string, units: String(units) })),
        )
        const sorted = (list: typeof theirs) => list.map((one) => Object.values(one).join(' ')).sort()
        assert.deepEqual(sorted(ours), sorted(theirs))
      }
      const { rows: sums } = await db.database.pool.query<{ value: string; worth: string }>(
        `select coalesce(sum(value), 0) as value, coalesce(sum(worth), 0) as worth
           from crypto_payments where credited_at is not null and reversed_at is null`,
      )
      const clearing = await realLedger.platformBalance(db.database.pool, 'crypto_clearing')
      const rounding = await realLedger.platformBalance(db.database.pool, 'rounding')
      assert.deepEqual(
        [printAmount(clearing), printAmount(rounding)],
        [printAmount(micros(sums[0]!.value)), printAmount(micros(BigInt(sums[0]!.worth) - BigInt(sums[0]!.value)))],
      )
      assert.deepEqual(await auditLedger(db.database.pool), [])
      // Time was moved by hours, and here nobody seals every minute.
      await realLedger.seal(new AbortController().signal)
      assert.deepEqual(await findOverdue(db.database.pool), [])
    },
    async stop(): Promise<void> {
      await payments.close()
      await realLedger.close()
      await db.close()
    },
  }
}

function descriptorOf(family: Family): string {
  const read = readKey(family, 'test', sandboxKeys[family])
  assert.ok(read.ok)
  return read.key.descriptor
}

/** What was asked for, in the smallest unit. */
export function unitsOf(topup: CryptoTopup): bigint {
  const { decimals } = assetOf(topup.asset)
  const [whole = '0', fraction = ''] = topup.asset_amount.split('.')
  const units = BigInt(whole + fraction.padEnd(decimals, '0'))
  assert.equal(printUnits(units, decimals), topup.asset_amount)
  return units
}
