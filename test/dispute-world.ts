/**
 * A world for disputes: a database, the ledger, top-ups that are credited, and a bank that only knows disputes and warnings. What it
 * says at the moment is all there is; nobody is told that it changed.
 */
import assert from 'node:assert/strict'
import { micros, printAmount, type Usd, usd } from '../contract/money.ts'
import { auditLedger } from '../server/ledger/audit/audit.ts'
import { createLedger } from '../server/ledger/ledger.ts'
import { createDisputes } from '../server/payments/card/disputes.ts'
import { type CardCompany, type Dispute, type FraudWarning, openStripe } from '../server/payments/card/stripe.ts'
import { createDisputeLetters } from '../server/payments/dispute-letters.ts'
import { createAnnounce } from '../server/platform/announce.ts'
import { derivedId, newId } from '../server/platform/ids.ts'
import type { Letter } from '../server/platform/letter.ts'
import { type Log, openLog } from '../server/platform/log.ts'
import { freshDatabase } from './database.ts'

export type DisputeWorld = Awaited<ReturnType<typeof startDisputeWorld>>
export type CreditedTopup = { id: string; accountId: bigint; charge: string; amount: Usd }

/** What the bank says of a dispute; the rest is as Stripe has it of any. */
export type Said = {
  status: Dispute['status']
  amount?: string
  reason?: string
  caseType?: 'chargeback' | 'inquiry' | 'resolution' | 'block'
  /** What Stripe has taken for it, less what it put back. */
  withdrawn?: string
  currency?: string
}

export async function startDisputeWorld() {
  const db = await freshDatabase({ connectionsMax: 16 })
  const alarms: string[] = []
  const log = openLog({ level: 'silent' })
  log.error = ((first: { alarm?: boolean }, sentence: string) => {
    if (first.alarm) alarms.push(sentence)
    else alarms.push(`error: ${sentence}`)
  }) as Log['error']
  const ledger = createLedger({ database: db.database, log })
  const announce = createAnnounce()
  const letters: { to: string; letter: Letter; once: string | undefined }[] = []

  const disputes = new Map<string, Dispute>()
  const warnings = new Map<string, FraudWarning>()
  /** What is done before the bank answers a question, or whether it answers at all. */
  const bank = { silent: false, asked: 0, beforeAnswer: async () => {} }
  const unknown = { ok: false, why: 'unknown', code: 'api_connection_error', message: 'No answer' } as const
  const read = async <Item>(from: Map<string, Item>, id: string) => {
    bank.asked++
    const item = from.get(id)
    await bank.beforeAnswer()
    if (bank.silent) return unknown
    if (!item) return { ok: false, why: 'refused', code: 'resource_missing', message: `No such ${id}` } as const
    return { ok: true, value: structuredClone(item) } as const
  }
  const list = async <Item extends { created: number }>(from: Map<string, Item>, createdFrom = 0) => {
    if (bank.silent) return unknown
    const data = [...from.values()].filter(({ created }) => created >= createdFrom - 1).reverse()
    return { ok: true, value: { data, has_more: false } } as const
  }
  const card: CardCompany = {
    ...openStripe({ secretKey: 'sk_test_none', apiUrl: 'http://127.0.0.1:9' }),
    readDispute: (id) => read(disputes, id),
    readFraudWarning: (id) => read(warnings, id),
    listDisputes: ({ createdFrom }) => list(disputes, createdFrom),
    listFraudWarnings: ({ createdFrom }) => list(warnings, createdFrom),
  }

  /** Another process of the house. */
  function room() {
    return createDisputes({
      database: db.database,
      ledger,
      announce,
      log,
      card,
      livemode: false,
      letters: createDisputeLetters({
        mail: {
          async send(_tx, { to, letter, once }) {
            if (!letters.some((sent) => sent.once === once)) letters.push({ to, letter, once })
          },
        },
        ledger,
        log,
        publicUrl: 'http://localhost:4499',
      }),
      // How money goes back is a story of its own (test/stories/r11-disputes.test.ts).
      refunds: {
        intendForFraud: () => assert.fail('Nothing is sent back in this world'),
        goOn: () => assert.fail('Nothing is sent back in this world'),
        bookFurther: async () => new Map(),
      },
    })
  }
  const rooms = room()

  let accounts = 0n
  async function account(): Promise<bigint> {
    const { rows } = await db.database.pool.query<{ id: string }>(
      `select coalesce(max(id), 0) + 1 as id from ledger_accounts`,
    )
    accounts = BigInt(rows[0]!.id)
    await ledger.open(db.database.pool, accounts)
    return accounts
  }

  async function credited(amount = '10.00', accountId?: bigint): Promise<CreditedTopup> {
    const id = newId()
    const owner = accountId ?? (await account())
    const charge = `ch_${id}`
    await db.database.transaction(async (tx) => {
      await tx.query(
        `insert into topups (id, account_id, amount, status, session_call, payment_intent_id, charge_id, card_brand, card_last4,
                             created_at, expires_at, credited_at)
         values ($1, $2, $3, 'credited', '{}', $4, $5, 'visa', '3220', house_now(), house_now(), house_now())`,
        [id, owner, usd(amount), `pi_${id}`, charge],
      )
      await tx.query(
        `insert into directory (source, external_id, account_id, subject) values ('stripe:charge', $1, $2, $3)`,
        [charge, owner, id],
      )
      const [outcome] = await ledger.apply(tx, [
        {
          id: derivedId(id, 'credit'),
          kind: 'credit',
          accountId: owner,
          code: 'topup_card',
          contra: 'card_clearing',
          amount: usd(amount),
          reference: id,
        },
      ])
      assert.equal(outcome!.result, 'ok')
    })
    return { id, accountId: owner, charge, amount: usd(amount) }
  }

  /** As the ledger sees an order that gets its code. Answers whether there was enough. */
  async function spends(accountId: bigint, amount: string): Promise<boolean> {
    const outcome = await ledger.submit({
      id: newId(),
      kind: 'debit',
      accountId,
      code: 'adjustment',
      contra: 'goodwill',
      amount: usd(amount),
      reference: newId(),
    })
    return outcome.done
  }

  let named = 0
  return {
    db,
    ledger,
    bank,
    alarms,
    letters,
    room,
    disputes: rooms,
    account,
    credited,
    spends,

    /** From now on the bank says this of the dispute; a new one, unless it is named. */
    says(topup: CreditedTopup, said: Said, id = `dp_${++named}`): string {
      const cents = (amount: Usd) => Number(amount / 10_000n)
      const withdrawn = said.withdrawn === undefined ? [] : [{ amount: -cents(usd(said.withdrawn)) }]
      disputes.set(id, {
        id,
        object: 'dispute',
        amount: said.amount === undefined ? cents(topup.amount) : cents(usd(said.amount)),
        balance_transactions: withdrawn as Dispute['balance_transactions'],
        charge: topup.charge,
        created: disputes.get(id)?.created ?? Math.floor(Date.now() / 1000),
        currency: said.currency ?? 'usd',
        enhanced_eligibility_types: [],
        evidence: {} as Dispute['evidence'],
        evidence_details: { due_by: Math.floor(Date.now() / 1000) + 9 * 86_400 } as Dispute['evidence_details'],
        intended_submission_method: null,
        is_charge_refundable: false,
        livemode: false,
        metadata: {},
        network_reason_code: '10.4',
        payment_intent: topup.charge.replace('ch_', 'pi_'),
        payment_method_details: {
          type: 'card',
          card: {
            brand: 'visa',
            network: 'visa',
            network_reason_code: '10.4',
            case_type: said.caseType ?? 'chargeback',
          },
        },
        reason: said.reason ?? 'fraudulent',
        status: said.status,
      } as Dispute)
      return id
    },

    /** From now on the bank warns of fraud, or does not any more. */
    warns(topup: CreditedTopup, actionable = true, id = `issfr_${++named}`): string {
      warnings.set(id, {
        id,
        object: 'radar.early_fraud_warning',
        actionable,
        charge: topup.charge,
        created: Math.floor(Date.now() / 1000),
        fraud_type: 'unauthorized_use_of_card',
        livemode: false,
        payment_intent: topup.charge.replace('ch_', 'pi_'),
      })
      return id
    },

    /** From now on the bank knows nothing of a dispute that it told of before. */
    forgets(id: string): void {
      disputes.delete(id)
    },

    /** `available 8.80, held 0.00, frozen 0.00, owed 0.00`, without what is zero; `nothing` when all is. */
    async figures(accountId: bigint): Promise<string> {
      const balance = (await ledger.balance(db.database.pool, accountId))!
      const words = (['available', 'held', 'frozen', 'owed'] as const)
        .filter((name) => balance[name] !== 0n)
        .map((name) => `${name} ${printAmount(balance[name])}`)
      return words.join(', ') || 'nothing'
    },

    async row(externalId: string): Promise<Record<string, unknown>> {
      const { rows } = await db.database.pool.query('select * from disputes where external_id = $1', [externalId])
      return rows[0]
    },

    /** How much of the money of one top-up is gone or kept. */
    async coveredOf(topup: CreditedTopup): Promise<string> {
      const { rows } = await db.database.pool.query<{ sum: string }>(
        'select coalesce(sum(covered), 0) as sum from disputes where topup_id = $1',
        [topup.id],
      )
      return printAmount(micros(rows[0]!.sum))
    },

    /** Makes everything due for the sweeper, as if its time had come; or only what is about one top-up. */
    async timePasses(topup?: CreditedTopup): Promise<void> {
      for (const table of ['disputes', 'fraud_warnings'])
        await db.database.pool.query(
          `update ${table} set next_look_at = now() where next_look_at is not null and coalesce(topup_id = $1, true)`,
          [topup?.id],
        )
      if (!topup) await db.database.pool.query(`update card_lists set next_read_at = '-infinity'`)
    },

    async audit(): Promise<void> {
      assert.deepEqual(await auditLedger(db.database.pool), [])
    },

    async stop(): Promise<void> {
      await ledger.close()
      await db.close()
    },
  }
}
