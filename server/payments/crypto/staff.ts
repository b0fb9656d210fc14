/** What people do about crypto, composed: payments that need a look, money that goes back, the comparison with the chains. */
import type { CryptoAsset, StaffCryptoItem, StaffCryptoLookup, StaffCryptoRefund } from '../../../contract/contract.ts'
import { type Usd, usd } from '../../../contract/money.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import type { Announce } from '../../platform/announce.ts'
import type { Refused } from '../../platform/answer.ts'
import type { WireClock } from '../../platform/clock.ts'
import type { Database, Queryable } from '../../platform/db.ts'
import type { Log } from '../../platform/log.ts'
import type { Outbox } from '../../platform/mail.ts'
import type { Tick } from '../../platform/queue.ts'
import { readAddress } from './address.ts'
import type { ChainName, Environment } from './assets.ts'
import type { Chain } from './chain.ts'
import { createHalts } from './halts.ts'
import type { Rates } from './rates.ts'
import { createCryptoReconciliation } from './reconcile.ts'
import { createCryptoRefundLetters } from './refund-letters.ts'
import { cryptoRefundsOf } from './refund-row.ts'
import { type Asked, createCryptoRefunds, type Member } from './refunds.ts'
import { createCryptoReviews, type ReviewAction } from './reviews.ts'
import {
  listItems,
  listRefunds,
  readItems,
  readRefund,
  type StaffCryptoPage,
  type ToldBy,
  tellLookup,
} from './staff-lists.ts'

/** What goes out above this needs two people, and what is credited by decision. Source: product.md, R12. */
export const SECOND_PERSON_ABOVE = usd('20.00')

const WATCH_EVERY_SECONDS = 10
const RECONCILE_EVERY_SECONDS = 60

type Answered<Told> = { ok: true; told: Told } | { ok: false; refused: Refused }

export type CryptoStaff = ReturnType<typeof createCryptoStaff>

export function createCryptoStaff(dependencies: {
  database: Database
  ledger: Ledger
  announce: Announce
  mail: Outbox
  log: Log
  clock: WireClock
  environment: Environment
  chains: ReadonlyMap<ChainName, Chain>
  explorers: ReadonlyMap<ChainName, string | null>
  rates: Pick<Rates, 'priceNow'>
  priceAt: (db: Queryable, asset: CryptoAsset, at: Date) => Promise<{ price: Usd } | null>
  /** Credits what is due on a chain. */
  decide: (chain: ChainName) => Promise<unknown>
  /** Goes on with a halted network; false: it is not halted. */
  resume: (chain: ChainName, by: { who: string; why: string }) => Promise<boolean>
  settings: { publicUrl: string; supportEmail: string; secondPersonAbove?: Usd | undefined }
  /** As of reconcile.ts. */
  followerMsMax?: number
}) {
  const { database, environment, explorers, rates, settings } = dependencies
  const { publicUrl, supportEmail, secondPersonAbove = SECOND_PERSON_ABOVE } = settings
  const toldBy: ToldBy = { explorers, secondPersonAbove }
  const refunds = createCryptoRefunds({
    ...dependencies,
    priceNow: rates.priceNow,
    readAddress: (family, text) => readAddress(family, environment, text),
    letters: createCryptoRefundLetters({ ...dependencies, publicUrl, supportEmail }),
    secondPersonAbove,
  })
  const reviews = createCryptoReviews({ ...dependencies, creditDue: dependencies.decide, secondPersonAbove })
  const reconciliation = createCryptoReconciliation(dependencies)
  const halts = createHalts(dependencies)

  /** How the refund stands after what was asked. */
  async function told(asked: Promise<Asked | null>): Promise<Answered<StaffCryptoRefund> | null> {
    const answer = await asked
    if (answer === null || !answer.ok) return answer
    return { ok: true, told: (await readRefund(database.pool, answer.refundId, toldBy))! }
  }

  return {
    /** A customer asks for what is unspent, at an address of his. */
    sendBack: refunds.request,
    /** The refunds of these top-ups as their customer is told, by top-up. */
    refundsOf: (topupIds: readonly string[]) => cryptoRefundsOf(database.pool, topupIds, explorers),

    async items(page: StaffCryptoPage) {
      await reviews.openDue()
      return listItems(database.pool, page, toldBy)
    },
    async lookup(by: Member, asked: Parameters<typeof reviews.lookup>[1]): Promise<Answered<StaffCryptoLookup>> {
      const looked = await reviews.lookup(by, asked)
      return looked.ok ? { ok: true, told: await tellLookup(database.pool, looked, toldBy) } : looked
    },
    async closeItem(
      by: Member,
      id: string,
      asked: { action: ReviewAction; why: string | null; amount?: string; rate?: string; topupId?: string },
    ): Promise<Answered<StaffCryptoItem> | null> {
      const closed = await reviews.close(by, id, asked)
      if (closed === null || !closed.ok) return closed
      return { ok: true, told: (await readItems(database.pool, [id], toldBy))[0]! }
    },

    refunds: (page: StaffCryptoPage) => listRefunds(database.pool, page, toldBy),
    approve: (by: Member, id: string, why: string | null) => told(refunds.approve(by, id, why)),
    price: (by: Member, id: string) => told(refunds.price(by, id)),
    paid: (by: Member, id: string, transactionId: unknown) => told(refunds.paid(by, id, transactionId)),
    decline: (by: Member, id: string, note: string) => told(refunds.decline(by, id, note)),

    /** Each network, and how a halted one goes on. */
    networks: halts.list,
    resume: halts.resume,

    reconciliation,
    ticks: [
      {
        name: 'payments_crypto_refunds',
        everySeconds: WATCH_EVERY_SECONDS,
        run: async (signal) => {
          await refunds.watch(signal)
          if (!signal.aborted) await reviews.openDue()
        },
      },
      { name: 'payments_crypto_reconcile', everySeconds: RECONCILE_EVERY_SECONDS, run: () => reconciliation.tick() },
    ] satisfies Tick[] as readonly Tick[],
    close: reconciliation.close,
  }
}
