/**
 * Payments: outside money becomes credit. Here: top-ups by card, and the door of those by crypto (crypto/crypto.ts). README.md tells what is always true.
 */
import { isIP } from 'node:net'
import type { CardsTaken, Receipt, RefundReceipt, Topup } from '../../contract/contract.ts'
import { displayAmount, micros, printAmount, readAmount, type Usd } from '../../contract/money.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Announce } from '../platform/announce.ts'
import { printCursor, Refusal, type Refused } from '../platform/answer.ts'
import { atMost, type WireClock } from '../platform/clock.ts'
import type { Database, Queryable } from '../platform/db.ts'
import { newId, readId } from '../platform/ids.ts'
import type { Log } from '../platform/log.ts'
import type { Outbox } from '../platform/mail.ts'
import type { Queue, Tick } from '../platform/queue.ts'
import { createDisputes } from './card/disputes.ts'
import { createEndpointTest } from './card/endpoint.ts'
import { createEvents } from './card/events.ts'
import { createGaps } from './card/gaps.ts'
import { type CardLimits, createCardTesting, NETWORK_OF } from './card/limits.ts'
import { createReconciliation } from './card/reconcile.ts'
import { createRefunds } from './card/refunds.ts'
import { createSettle, find } from './card/settle.ts'
import { type CardCompany, openStripe, referenceOf, type SessionCall } from './card/stripe.ts'
import { type CryptoSettings, createCrypto, type OpenChain } from './crypto/crypto.ts'
import { IS_LEFT } from './crypto/life.ts'
import { findTopups } from './crypto/topup.ts'
import { type CardsBlocked, cardsBlockedBy, disputesOf } from './dispute.ts'
import { createDisputeLetters } from './dispute-letters.ts'
import { listDisputes, readStaffDispute, type StaffPage } from './dispute-list.ts'
import { createInstallation } from './installation.ts'
import { createLetters } from './letters.ts'
import { cryptoReceiptOf, receiptOf, refundReceiptOf, type SellerSettings, statementSuffix } from './receipt.ts'
import { printRefund, REFUND_COLUMNS, readRefundRow, refundsOf } from './refund.ts'
import { returnables, standingsOf } from './remaining.ts'
import {
  ABANDONED_AFTER_SECONDS,
  type Aftermath,
  isEnded,
  printTopup,
  readRow,
  TOPUP_COLUMNS,
  type TopupRow,
} from './topup.ts'

export type { Item, ItemKind, Run } from './card/reconcile.ts'
export { type CardReconciliation, createReconciliation } from './card/reconcile.ts'
export { openStripe } from './card/stripe.ts'
export type Payments = ReturnType<typeof createPayments>

export { type SettleJob, settleQueue } from './card/events.ts'
export { assetOf, networkOf, networks, printUnits } from './crypto/assets.ts'
export { openChains, TokensDoNotFit } from './crypto/crypto.ts'
export { KeysDoNotFit } from './crypto/keys.ts'
export { type CryptoRun, createCryptoReconciliation, type Difference } from './crypto/reconcile.ts'

/**
 * How long the payment page stays open. Unit: seconds. Stripe allows 30 minutes to 24 hours, counted from the call: the rest of the
 * 45 minutes is how long the call may be repeated.
 */
const LIFE_SECONDS = 45 * 60
/** The customer waits with us; what is not known by then, the page is told by announcement. Unit: milliseconds. */
const START_WAIT_MS = 10_000
const RETURN_WAIT_MS = 4_000
const JOB_WAIT_MS = 5_000
const CLOSE_WAIT_MS = 3_000
const ADDRESS_CHARACTERS_MAX = 100
const USER_AGENT_CHARACTERS_MAX = 300

export type Started = { ok: true; topup: Topup } | { ok: false; refused: Refused }

export function createPayments(dependencies: {
  database: Database
  ledger: Ledger
  announce: Announce
  queue: Pick<Queue, 'send'>
  mail: Outbox
  log: Log
  clock: WireClock
  settings: {
    /** Where the customer's browser finds us. */
    publicUrl: string
    /** As it stands on the payment page. */
    brandName: string
    minimum: Usd
    maximum: Usd
    /** Real money: what the card company's objects must say, too. */
    livemode: boolean
    stripe: { secretKey: string; webhookSecrets: readonly string[]; apiUrl: string | null }
    cardLimits: CardLimits
    /** What is paid with on chains (config.ts says what each is); no networks: cards only. */
    crypto: CryptoSettings
    /** What goes back by a chain, or is credited by decision, needs two people above this. Default: $20.00. */
    secondPersonAbove?: Usd
    /** Also accept cards whose bank does not take part in the confirmation. Default: no. */
    acceptAttempted?: boolean
    /** The house tries by itself whether webhooks reach it at its public address. Default: only when it is told to. */
    testsEndpoint?: boolean
  } & SellerSettings
  /** Whether the e-mail address of this account's login was proven by a link. */
  hasProvenAddress: (db: Queryable, accountId: bigint) => Promise<boolean>
  /** The card company, when it is not the one of the settings. */
  card?: CardCompany
  /** How networks are read, when it is not by the nodes of the settings. */
  openChain?: OpenChain
}) {
  const { database, ledger, log, clock, settings } = dependencies
  const card = dependencies.card ?? openStripe(settings.stripe)
  const takesCrypto = settings.crypto.networks.length > 0
  const letters = createLetters({ ...dependencies, publicUrl: settings.publicUrl, seller: settings, takesCrypto })
  const cardTesting = createCardTesting({ ...dependencies, card, limits: settings.cardLimits, takesCrypto })
  const {
    settle,
    sweep: sweepTopups,
    close,
  } = createSettle({
    ...dependencies,
    card,
    livemode: settings.livemode,
    acceptAttempted: settings.acceptAttempted ?? false,
    letters,
    watch: cardTesting.watch,
  })
  const refunds = createRefunds({
    ...dependencies,
    card,
    settle: (topupId) => settle(topupId, 'event', JOB_WAIT_MS),
    besideWarnings: (tx, topup, book) => disputes.besideWarnings(tx, topup, book),
    onRefund: letters.refund,
  })
  const disputes = createDisputes({
    ...dependencies,
    card,
    livemode: settings.livemode,
    letters: createDisputeLetters({ ...dependencies, publicUrl: settings.publicUrl }),
    refunds,
  })
  const reconciliation = createReconciliation({
    ...dependencies,
    card,
    menders: {
      settle: (topupId) => settle(topupId, 'event', JOB_WAIT_MS),
      learnRefund: refunds.learn,
      learnDispute: disputes.learn,
    },
  })
  const crypto = createCrypto({
    ...dependencies,
    settings: {
      ...settings.crypto,
      publicUrl: settings.publicUrl,
      livemode: settings.livemode,
      minimum: settings.minimum,
      supportEmail: settings.seller.supportEmail,
      secondPersonAbove: settings.secondPersonAbove,
    },
  })
  const installation = createInstallation(database)
  const events = createEvents({
    ...dependencies,
    livemode: settings.livemode,
    secrets: settings.stripe.webhookSecrets,
    installation,
    actions: {
      settle: settleForEvent,
      refund: refunds.learn,
      dispute: disputes.learn,
      warning: disputes.learnWarning,
    },
  })

  const { fillGap } = createGaps({ ...dependencies, card, livemode: settings.livemode, installation, events })
  const endpoint = createEndpointTest({
    ...dependencies,
    publicUrl: settings.publicUrl,
    livemode: settings.livemode,
    secrets: settings.stripe.webhookSecrets,
    installation,
  })

  /**
   * Begins a top-up: writes down what will be asked of the card company, asks it for a payment page, and answers with its address.
   * With an idempotency key, a repetition answers with the same top-up; it is safe, and of use, after `temporarily_unavailable`.
   */
  async function start(request: {
    accountId: bigint
    method: unknown
    amount: unknown
    /** Of crypto: which coin. */
    asset?: unknown
    idempotencyKey: string | null
    /** Where the request came from: counted against card testing, and evidence in a dispute. */
    from?: { address: string; userAgent: string } | null
  }): Promise<Started> {
    if (request.method !== 'card' && request.method !== 'crypto') {
      return refuse({
        code: 'invalid_request',
        detail: `Choose a way to pay: "method" is "card"${crypto.offered.length > 0 ? ' or "crypto"' : ''}. Nothing was charged.`,
        field: 'method',
      })
    }
    const asset = request.method === 'crypto' ? crypto.readAsset(request.asset) : null
    if (asset && !asset.ok) return asset
    const amount = readAmount(request.amount)
    const outside = amount === null ? notAnAmount(request.amount) : outsideLimits(amount)
    if (amount === null || outside) return refuse(outside!)
    if (asset) {
      const quoted = await crypto.start({ ...request, asset: asset.asset, amount })
      if (!quoted.ok) return quoted
      return { ok: true, topup: (await get(request.accountId, quoted.topupId))! }
    }
    const blocked = await cardsBlockedBy(database.pool, request.accountId)
    if (blocked) return refuse(cardsBlocked(blocked))

    const intended = await intend(request, amount)
    if (intended === null) {
      return refuse({
        code: 'idempotency_key_reused',
        detail:
          'This Idempotency-Key belongs to another request. Send a new key for a new top-up; nothing was charged.',
        field: 'Idempotency-Key',
      })
    }
    if (typeof intended !== 'string') return refuse(intended)
    const { row } = (await settle(intended, 'start', START_WAIT_MS))!
    if (row.handedOut) return { ok: true, topup: (await get(row.accountId, row.id))! }
    return refuse({
      code: 'temporarily_unavailable',
      detail:
        'The card payment page cannot be opened at the moment. No money moved and no card was asked. Try again in a minute.',
    })
  }

  /**
   * The intent, committed before anybody outside hears of it. Null: the key belongs to another request. Refused: nothing was written.
   * Whoever repeats a top-up that exists is never refused.
   */
  async function intend(
    by: {
      accountId: bigint
      idempotencyKey: string | null
      from?: { address: string; userAgent: string } | null
    },
    amount: Usd,
  ): Promise<string | Refused | null> {
    const { accountId, idempotencyKey, from = null } = by
    // Without the zone of a local address: it says nothing to anybody else.
    const address = from && isIP(from.address) !== 0 ? from.address.replace(/%.*$/, '') : null
    const fingerprint = `topup card ${amount}`
    const ours = await installation()
    try {
      return await database.transaction(async (tx) => {
        const id = newId(clock.now())
        if (idempotencyKey !== null) {
          const { rowCount } = await tx.query(
            `insert into idempotency_keys (account_id, key, fingerprint, subject) values ($1, $2, $3, $4) on conflict do nothing`,
            [accountId, idempotencyKey, fingerprint, id],
          )
          if (rowCount === 0) {
            const { rows } = await tx.query<{ fingerprint: string; subject: string }>(
              'select fingerprint, subject from idempotency_keys where account_id = $1 and key = $2 for update',
              [accountId, idempotencyKey],
            )
            const known = rows[0]!
            if (known.fingerprint !== fingerprint) return null
            if (!(await giveUp(tx, known.subject))) return known.subject
            await tx.query('update idempotency_keys set subject = $3 where account_id = $1 and key = $2', [
              accountId,
              idempotencyKey,
              id,
            ])
          }
        }
        const refused = await cardTesting.admit(tx, { accountId, address })
        if (refused) throw new Refusal(refused)
        await tx.query(
          `insert into topups (id, account_id, amount, session_call, asked_network, created_at, expires_at, next_look_at, started_address, started_user_agent)
           values ($1, $2, $3, $4, ${NETWORK_OF('$7')}, house_now(), house_now() + make_interval(secs => $5), now() + make_interval(secs => $6), $8, $9)`,
          [
            id,
            accountId,
            amount,
            JSON.stringify(sessionCall(id, amount, ours, await customerOf(tx, accountId))),
            LIFE_SECONDS,
            ABANDONED_AFTER_SECONDS + 1,
            address,
            from?.address.slice(0, ADDRESS_CHARACTERS_MAX) ?? null,
            from?.userAgent.slice(0, USER_AGENT_CHARACTERS_MAX) ?? null,
          ],
        )
        return id
      })
    } catch (error) {
      // Thrown, so that the key is not bound either.
      if (error instanceof Refusal) return error.refused
      throw error
    }
  }

  /**
   * A key binds to the first success. A top-up whose payment page was never handed out, and now is too old to be, was none: the key
   * may begin another one. Whoever still works on the old one is fenced off, so that only one address can leave the house.
   */
  async function giveUp(tx: Queryable, topupId: string): Promise<boolean> {
    const { rowCount } = await tx.query(
      `update topups
          set look = look + 1,
              look_done = look + 1,
              claimed_until = null,
              next_look_at = case when status = 'awaiting_payment' then now() else next_look_at end
        where id = $1
          and not handed_out
          and (status = 'expired' or asked_at < now() - make_interval(secs => $2))`,
      [topupId, ABANDONED_AFTER_SECONDS],
    )
    return rowCount === 1
  }

  /** The login's own id, which no other ever gets: by it a top-up that a restored database has lost finds its customer again. */
  async function customerOf(tx: Queryable, accountId: bigint): Promise<string | null> {
    const { rows } = await tx.query<{ user_id: string }>('select user_id from accounts where id = $1', [accountId])
    return rows[0]?.user_id ?? null
  }

  /** Every parameter of the call, times included: written down, and sent as it was written. */
  function sessionCall(topupId: string, amount: Usd, ours: string, customer: string | null): SessionCall {
    const reference = referenceOf(topupId)
    const mark = { topup_id: reference, installation: ours }
    const page = `${settings.publicUrl}/topups/${reference}`
    return {
      mode: 'payment',
      client_reference_id: reference,
      metadata: mark,
      line_items: [
        {
          quantity: 1,
          price_data: {
            currency: 'usd',
            unit_amount: Number(amount / CENT),
            product_data: { name: `${settings.brandName} prepaid credits` },
          },
        },
      ],
      allowed_payment_method_types: ['card'],
      payment_method_options: { card: { request_three_d_secure: 'any' } },
      payment_intent_data: {
        capture_method: 'manual',
        metadata: { ...mark, ...(customer === null ? {} : { customer }) },
        description: `${settings.brandName} prepaid credits`,
        ...(settings.receipt.statementText === null
          ? {}
          : { statement_descriptor_suffix: statementSuffix(settings.receipt.statementText) }),
      },
      adaptive_pricing: { enabled: false },
      wallet_options: { link: { display: 'never' } },
      expires_at: Math.floor(clock.now().getTime() / 1000) + LIFE_SECONDS,
      success_url: `${page}/return?session_id={CHECKOUT_SESSION_ID}`,
      cancel_url: `${page}/cancelled`,
    }
  }

  function outsideLimits(amount: Usd): Refused | null {
    const { minimum, maximum } = settings
    const asked = displayAmount(printAmount(amount))
    const limits = { minimum: printAmount(minimum), maximum: printAmount(maximum) }
    if (amount < minimum) {
      return {
        code: 'amount_below_minimum',
        detail: `${asked} is below the minimum of ${displayAmount(limits.minimum)}. Choose ${displayAmount(limits.minimum)} or more; nothing was charged.`,
        field: 'amount',
        extra: limits,
      }
    }
    if (amount > maximum) {
      return {
        code: 'amount_above_maximum',
        detail: `${asked} is above the maximum of ${displayAmount(limits.maximum)}. Choose ${displayAmount(limits.maximum)} or less; nothing was charged.`,
        field: 'amount',
        extra: limits,
      }
    }
    return null
  }

  /**
   * The customer's browser came back from the payment page. Looks at the card company at once, and answers what is known after a few
   * seconds at most. Null: no such top-up of this customer, or the session is not this top-up's.
   */
  async function returned(request: {
    accountId: bigint
    topupId: string
    sessionId: string | null
  }): Promise<Topup | null> {
    const row = await owned(request.accountId, request.topupId)
    if (!row || (request.sessionId !== null && request.sessionId !== row.sessionId)) return null
    const settling = settle(row.id, 'return', RETURN_WAIT_MS)
    // Whether or not the answer is waited for, a failure is this one's to report; the sweeper looks again.
    settling.catch((error: unknown) => log.error({ err: error, topup: row.id }, 'A top-up could not be settled'))
    await atMost(settling, RETURN_WAIT_MS)
    return get(request.accountId, row.id)
  }

  /** Null: no such top-up of this customer. */
  async function get(accountId: bigint, topupId: string): Promise<Topup | null> {
    const { rows } = await database.pool.query<{ credited: string }>(
      'select credited from topups where id = $1 and account_id = $2',
      [topupId, accountId],
    )
    return rows[0] ? (await tell(accountId, [{ id: topupId, credited: rows[0].credited }]))[0]! : null
  }

  /** Top-ups of one customer as they are told, with what became of their money since. In the order of the question. */
  async function tell(accountId: bigint, topups: { id: string; credited: string }[]): Promise<Topup[]> {
    const ids = topups.map(({ id }) => id)
    const [byCard, byCrypto, aftermath] = await Promise.all([
      cardTopups(ids),
      findTopups(database.pool, ids),
      aftermathOf(accountId, topups),
    ])
    const since = (id: string): Aftermath => aftermath.get(id) ?? { ...NOTHING_SINCE }
    const told = new Map<string, Topup>(byCard.map((row) => [row.id, printTopup(row, since(row.id))]))
    for (const topup of await crypto.tell(byCrypto, since)) told.set(readId('top', topup.id)!, topup)
    return ids.map((id) => told.get(id)!)
  }

  async function cardTopups(ids: readonly string[]): Promise<TopupRow[]> {
    const { rows } = await database.pool.query(
      `select ${TOPUP_COLUMNS} from topups where id = any ($1) and method = 'card'`,
      [ids],
    )
    return rows.map(readRow)
  }

  /** What became of the money of those that credited something. */
  async function aftermathOf(
    accountId: bigint,
    topups: readonly { id: string; credited: string }[],
  ): Promise<Map<string, Aftermath>> {
    const credited = topups.filter((topup) => topup.credited !== '0').map(({ id }) => id)
    if (credited.length === 0) return new Map()
    const oldestId = credited.reduce((a, b) => (a < b ? a : b))
    const [returns, byChain, claims, standings, balance] = await Promise.all([
      refundsOf(database.pool, credited),
      crypto.refundsOf(credited),
      disputesOf(database.pool, credited),
      standingsOf(database.pool, accountId, oldestId),
      ledger.balance(database.pool, accountId),
    ])
    const payable = returnables(balance!.available, standings)
    return new Map(
      standings.map((standing) => [
        standing.id,
        {
          returned: printAmount(standing.returned),
          returnable: printAmount(
            standing.beforeABank || standing.offItsChain ? micros(0n) : payable.get(standing.id)!,
          ),
          disputed: printAmount(standing.disputed),
          refunds:
            byChain.get(standing.id) ?? returns.filter((refund) => refund.topupId === standing.id).map(printRefund),
          disputes: claims.get(standing.id) ?? [],
        },
      ]),
    )
  }

  /** `address`: where to, of a top-up by crypto. Null: no such top-up of this customer. */
  async function sendBack(asked: {
    accountId: bigint
    topupId: string
    amount: unknown
    address?: unknown
    idempotencyKey: string | null
  }) {
    const [byCrypto] = await findTopups(database.pool, [asked.topupId])
    return byCrypto ? crypto.staff.sendBack({ address: undefined, ...asked }) : refunds.request(asked)
  }

  /** The facts of its receipt. Null: no such top-up of this customer. */
  async function receipt(accountId: bigint, topupId: string): Promise<Receipt | 'not_credited' | null> {
    const row = await owned(accountId, topupId)
    if (row) return row.creditedAt === null ? 'not_credited' : receiptOf(database.pool, row, settings)
    const topup = await get(accountId, topupId)
    if (topup?.method !== 'crypto') return null
    return topup.receipt ? cryptoReceiptOf(database.pool, { topup, topupId, accountId }, settings) : 'not_credited'
  }

  /** The facts of a refund to the card. Null: no such refund of this customer. */
  async function refundReceipt(accountId: bigint, refundId: string): Promise<RefundReceipt | null> {
    const { rows } = await database.pool.query(
      `select ${REFUND_COLUMNS} from topup_refunds where id = $1 and account_id = $2`,
      [refundId, accountId],
    )
    if (!rows[0]) return null
    const refund = readRefundRow(rows[0])
    return refundReceiptOf(database.pool, { refund, topup: (await find(database.pool, refund.topupId))! }, settings)
  }

  /** By card only. */
  async function owned(accountId: bigint, topupId: string): Promise<TopupRow | null> {
    const row = await find(database.pool, topupId)
    return row?.accountId === accountId ? row : null
  }

  /** Newest first. `before`: the id at which the page before ended. */
  async function list(
    accountId: bigint,
    page: { limit: number; before: string | null },
  ): Promise<{ items: Topup[]; next_cursor: string | null }> {
    const { rows } = await database.pool.query<{ id: string; credited: string }>(
      `select id, credited
         from topups
        where account_id = $1
          and ($2::uuid is null or id < $2)
        order by id desc
        limit $3`,
      [accountId, page.before, page.limit + 1],
    )
    const items = rows.slice(0, page.limit)
    return {
      items: await tell(accountId, items),
      next_cursor: rows.length > page.limit ? printCursor(items.at(-1)!.id) : null,
    }
  }

  /** On its way to the balance: what the bank has said yes to, or a chain has in a block, and is not credited yet. */
  async function pending(accountId: bigint): Promise<Usd> {
    const { rows } = await database.pool.query<{ sum: string }>(
      `select (select coalesce(sum(amount), 0) from topups
                where account_id = $1 and method = 'card' and status = 'confirming')
            + (select coalesce(sum(p.worth), 0)
                 from topups t
                 join crypto_payments p on p.topup_id = t.id
                where t.account_id = $1
                  and p.height is not null
                  and (p.credited_at is null or p.reversed_at is not null)
                  and not ${IS_LEFT}) as sum`,
      [accountId],
    )
    return micros(rows[0]!.sum)
  }

  /** What an event about a payment page, a payment or a charge asks for. Throws when nothing could be found out. */
  async function settleForEvent(topupId: string): Promise<string> {
    const settled = await settle(topupId, 'event', JOB_WAIT_MS)
    if (!settled) return 'not_ours'
    if (settled.fresh) return settled.row.status
    throw new Error(settled.row.lastError ?? 'Somebody else is looking')
  }

  /**
   * The net under everything: looks at every top-up that is not ended and was not looked at for a while, closes what is over, and
   * deals with webhooks that were left. Alone it brings every top-up to its right end. Bounded; the longest unseen come first.
   */
  async function sweep(signal?: AbortSignal): Promise<void> {
    await sweepTopups(signal)
    await refunds.sweep(signal)
    if (!signal?.aborted) await disputes.sweep(signal)
    if (!signal?.aborted) await events.sweep(signal)
  }

  return {
    start,
    returned,
    settle: async (topupId: string): Promise<boolean> => {
      const settled = await settle(topupId, 'event', JOB_WAIT_MS)
      return settled !== null && isEnded(settled.row)
    },
    /** Whether card payments are begun at all: for staff. */
    cards: { state: cardTesting.state, setPaused: cardTesting.setPaused },
    get,
    receipt,
    refundReceipt,
    list,
    pending,
    /** Sends back what is unspent of a top-up: to its card (card/refunds.ts), or by its chain (crypto/refunds.ts). */
    sendBack,
    /** What people decide about crypto (crypto/staff.ts). */
    cryptoStaff: crypto.staff,
    learnRefund: refunds.learn,
    /** What the outside told of a dispute, or of a warning of fraud (card/disputes.ts). */
    learnDispute: disputes.learn,
    learnWarning: disputes.learnWarning,
    refundWarning: disputes.refundWarning,
    releaseWarning: disputes.releaseWarning,
    takeCardsAgain: disputes.takeCardsAgain,
    /** What banks say against payments, for members of staff. */
    staffDisputes: (page: StaffPage) => listDisputes(database.pool, page),
    staffDispute: (id: string) => readStaffDispute(database.pool, id),
    /** A webhook. */
    event: events.receive,
    settleJob: events.job,
    sweep,
    reconciliation,
    /** Every 20 seconds of wire time; a run begins once a day, and when a difference is due to be tried again. */
    reconcileTick: { name: 'payments_reconcile', everySeconds: 20, run: reconciliation.tick } satisfies Tick,
    /** What can be paid with on chains, and how each is doing. */
    offers: crypto.offers,
    /** Whether a card may be tried at all; `start` refuses with the same words. */
    cardsTaken: async (accountId: bigint): Promise<CardsTaken> => {
      const blocked = await cardsBlockedBy(database.pool, accountId)
      return { taken: blocked === null, detail: blocked && cardsBlockedWords[blocked.why] }
    },
    /** On which networks can be paid. */
    networks: [...crypto.chains.keys()],
    /** At the start: the keys of the settings are those that give addresses. Throws `KeysDoNotFit`. */
    settleKeys: crypto.settle,
    /** The prices, one follower a network, and the rows of what nobody paid. */
    cryptoTicks: crypto.ticks,
    /** Where a transaction is that a customer asks for. */
    cryptoTransaction: crypto.transaction,
    fillGap,
    events: { list: events.list, replay: events.replay, state: events.state },
    endpoint: { test: () => endpoint.test(), last: endpoint.last },
    /** Every 20 seconds of wire time, and after house time was moved. */
    sweepTick: { name: 'payments_sweep', everySeconds: 20, run: sweep } satisfies Tick,
    eventsTick: { name: 'payments_events', everySeconds: 60, run: fillGap } satisfies Tick,
    endpointTick: {
      name: 'payments_endpoint',
      everySeconds: 60,
      run: async (signal) => void (settings.testsEndpoint && (await endpoint.testWhenDue(signal))),
    } satisfies Tick,
    /** Lets the looks under way end (3 seconds at most). Nothing is lost: the next start takes them over. */
    close: async () => {
      await Promise.all([
        close(CLOSE_WAIT_MS),
        refunds.close(CLOSE_WAIT_MS),
        atMost(reconciliation.close(), CLOSE_WAIT_MS),
        crypto.close(),
      ])
    },
  }
}

const CENT = 10_000n

/** Of a top-up that was not credited. */
const NOTHING_SINCE: Aftermath = { returned: '0.00', returnable: '0.00', disputed: '0.00', refunds: [], disputes: [] }

function refuse(refused: Refused): Started {
  return { ok: false, refused }
}

/** What happened, where the money is, what can be done; by what a bank says. */
const cardsBlockedWords: Record<CardsBlocked['why'], string> = {
  dispute: 'Your bank disputes a payment to us, so no card is taken until it has decided.',
  inquiry: 'Your bank asks about a payment to us, so no card is taken until that is settled.',
  warning:
    'A bank doubts that a payment to us was made by its cardholder, so no card is taken until we have looked at it.',
  lost: 'Your bank took back a payment to us, so no card is taken for this account any more.',
}

function cardsBlocked({ why }: CardsBlocked): Refused {
  return {
    code: 'cards_blocked_by_dispute',
    detail: `${cardsBlockedWords[why]} Nothing was charged. What is available can be spent; Top-Up shows the payment in question, and our support answers what is not clear.`,
  }
}

function notAnAmount(sent: unknown): Refused {
  const shown = typeof sent === 'string' && sent.length > 0 && sent.length <= 32 ? `"${sent}" is not an amount. ` : ''
  return {
    code: 'invalid_amount',
    detail: `${shown}Send dollars as a string with at most two decimals, such as "10.00"; nothing was charged.`,
    field: 'amount',
  }
}
