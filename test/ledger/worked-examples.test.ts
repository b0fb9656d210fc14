/**
 * What happens to customers, and the commands it comes to: every row of the table of what happened, in the order in which ARCHITECTURE.md's
 * reader would ask. Each line is carried out by the ledger and by the model, which must agree with what is written here, and with each
 * other; so must the books of both sides, which begin with what is written first.
 *
 *   <customer> <kind> [amount] <cause> [#id] [of #hold] [from <platform account>]   <word>
 *   { … }                           the commands between the braces are a group
 *   books <account> <amount> …      what stands there: ana available, ana held, ana frozen, ana owed, or a platform account
 *
 * `#order/return` is the id that is derived from that of `#order` for the purpose "return": whoever does it again, does the same.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { micros, printAmount, usd } from '../../contract/money.ts'
import { auditLedger } from '../../server/ledger/audit/audit.ts'
import { type Cause, type PlatformAccount, platformAccounts } from '../../server/ledger/chart.ts'
import { type Command, createLedger, type Ledger } from '../../server/ledger/ledger.ts'
import { derivedId, newId } from '../../server/platform/ids.ts'
import { openLog } from '../../server/platform/log.ts'
import { freshDatabase, type TestDatabase } from '../database.ts'
import { createModel } from './model.ts'

const stories: Record<string, string> = {
  'an order holds its price; its code takes it; the order after it gets none and costs nothing': `
    ana credit 10.00 topup_card                        ok
    books: ana available 10.00, card_clearing -10.00
    ana hold 1.20 order #first                         ok
    ana hold 1.20 order #second                        ok
    books: ana available 7.60, ana held 2.40, revenue 0.00
    ana capture order of #first                        ok
    ana void order_expired of #second                  ok
    ana capture order of #second                       already_voided
    books: ana available 8.80, ana held 0.00, revenue 1.20, card_clearing -10.00`,

  'of an order only a part is taken: the rest returns in the same row': `
    ana credit 10.00 topup_card                        ok
    ana hold 3.00 order #order                         ok
    books: ana available 7.00, ana held 3.00
    ana capture 1.00 order of #order                   ok
    books: ana available 9.00, ana held 0.00, revenue 1.00
    ana capture 2.00 order of #order                   already_captured
    books: ana available 9.00, ana held 0.00, revenue 1.00`,

  'a charged order is refunded once, however often it is asked for': `
    ana credit 10.00 topup_card                        ok
    ana hold 1.20 order #order                         ok
    ana capture order of #order                        ok
    books: ana available 8.80, revenue 1.20
    ana credit 1.20 order_refund #order/return         ok
    ana credit 1.20 order_refund #order/return         exists
    ana credit 2.40 order_refund #order/return         exists_with_different_fields: amount
    books: ana available 10.00, revenue 0.00`,

  'a charged order is replaced: its refund is held for the new one, and stays when that ends without a code': `
    ana credit 1.20 topup_card                         ok
    ana hold 1.20 order #old                           ok
    ana capture order of #old                          ok
    books: ana available 0.00, ana held 0.00, revenue 1.20
    {
    ana credit 1.20 order_refund #old/return           ok
    ana hold 1.20 order #new                           ok
    }
    books: ana available 0.00, ana held 1.20, revenue 0.00
    ana void order_expired of #new                     ok
    books: ana available 1.20, ana held 0.00, revenue 0.00`,

  'an order is either refunded or replaced, never both: the id is the same': `
    ana credit 5.00 topup_card                         ok
    ana hold 1.20 order #old                           ok
    ana capture order of #old                          ok
    ana credit 1.20 order_refund #old/return           ok
    books: ana available 5.00, ana held 0.00, revenue 0.00
    {
    ana credit 1.20 order_refund #old/return           exists
    ana hold 1.20 order #new                           group_refused
    }
    books: ana available 5.00, ana held 0.00, revenue 0.00`,

  'the replacement costs more: the house gives the difference': `
    ana credit 1.20 topup_card                         ok
    ana hold 1.20 order #old                           ok
    ana capture order of #old                          ok
    {
    ana credit 1.20 order_refund #old/return           ok
    ana credit 0.30 gift #old/difference               ok
    ana hold 1.50 order #new                           ok
    }
    books: ana available 0.00, ana held 1.50, revenue 0.00, goodwill -0.30
    ana capture order of #new                          ok
    books: ana available 0.00, ana held 0.00, revenue 1.50, goodwill -0.30`,

  'a replacement that cannot be held is no refund either': `
    ana credit 1.20 topup_card                         ok
    ana hold 1.20 order #old                           ok
    ana capture order of #old                          ok
    {
    ana credit 1.20 order_refund #old/return           group_refused
    ana hold 1.50 order #new                           insufficient_credits
    }
    books: ana available 0.00, ana held 0.00, revenue 1.20
    ana credit 1.20 order_refund #old/return           ok
    books: ana available 1.20, ana held 0.00, revenue 0.00`,

  'a voided order is replaced at its first price, taken on its code only': `
    ana credit 1.20 topup_card                         ok
    ana hold 1.20 order #old                           ok
    ana void order_expired of #old                     ok
    books: ana available 1.20, revenue 0.00
    ana hold 1.20 order #old/replacement               ok
    ana hold 1.20 order #old/replacement               exists
    books: ana available 0.00, ana held 1.20, revenue 0.00
    ana capture order of #old/replacement              ok
    books: ana available 0.00, ana held 0.00, revenue 1.20`,

  'a top-up goes back to where it came from: held, and gone when it was sent': `
    ana credit 10.00 topup_card                        ok
    ana hold 4.00 topup_refund #refund                 ok
    books: ana available 6.00, ana held 4.00, refunds 0.00
    ana hold 7.00 order                                insufficient_credits
    ana capture topup_refund of #refund                ok
    books: ana available 6.00, ana held 0.00, refunds 4.00, card_clearing -10.00`,

  'a refund of a top-up that the bank refuses is given back; one that fails after it was sent returns as a credit, once': `
    ana credit 10.00 topup_card                        ok
    ana hold 4.00 topup_refund #refused                ok
    ana void topup_refund of #refused                  ok
    books: ana available 10.00, ana held 0.00, refunds 0.00
    ana hold 4.00 topup_refund #failed                 ok
    ana capture topup_refund of #failed                ok
    books: ana available 6.00, refunds 4.00
    ana credit 4.00 topup_refund #failed/failed        ok
    ana credit 4.00 topup_refund #failed/failed        exists
    books: ana available 10.00, ana held 0.00, refunds 0.00`,

  'a refund that only the bank knows of is taken, also when the credit was spent': `
    ana credit 10.00 topup_card                        ok
    ana hold 7.00 order #order                         ok
    ana capture order of #order                        ok
    books: ana available 3.00, ana owed 0.00, refunds 0.00
    ana clawback_debit 10.00 topup_refund              ok
    books: ana available 0.00, ana owed 7.00, refunds 10.00, revenue 7.00`,

  'a payment on chain is undone, and mined again: the second time it is another credit': `
    ana credit 5.00 topup_crypto #payment/credit       ok
    ana hold 2.00 order #order                         ok
    books: ana available 3.00, ana held 2.00, crypto_clearing -5.00
    ana clawback_debit 5.00 reversal #payment/undone from crypto_clearing   ok
    ana clawback_debit 5.00 reversal #payment/undone from crypto_clearing   exists
    books: ana available 0.00, ana held 2.00, ana owed 2.00, crypto_clearing 0.00
    ana credit 5.00 topup_crypto #payment/credit       exists
    ana credit 5.00 topup_crypto #payment/credit-2     ok
    books: ana available 3.00, ana held 2.00, ana owed 0.00, crypto_clearing -5.00`,

  'a dispute freezes what was credited and not returned; won, it is all there again': `
    ana credit 10.00 topup_card                        ok
    ana hold 4.00 topup_refund #refund                 ok
    ana capture topup_refund of #refund                ok
    books: ana available 6.00, ana frozen 0.00, refunds 4.00
    ana clawback_hold 6.00 dispute #dispute            ok
    books: ana available 0.00, ana frozen 6.00, disputes 0.00
    ana void dispute of #dispute                       ok
    books: ana available 6.00, ana frozen 0.00, ana owed 0.00, disputes 0.00`,

  'a dispute of credit that was spent is lost: what is owed is seen, and paid by the next top-up': `
    ana credit 10.00 topup_card                        ok
    ana hold 4.00 order #order                         ok
    ana capture order of #order                        ok
    ana clawback_hold 10.00 dispute #dispute           ok
    books: ana available 0.00, ana frozen 10.00, ana owed 4.00, disputes 0.00
    ana capture dispute of #dispute                    ok
    ana hold 0.01 order                                insufficient_credits
    books: ana available 0.00, ana frozen 0.00, ana owed 4.00, disputes 10.00
    ana credit 5.00 topup_card                         ok
    books: ana available 1.00, ana owed 0.00, disputes 10.00, revenue 4.00, card_clearing -15.00`,

  'a dispute that was won is appealed: it is frozen again, under the next number': `
    ana credit 10.00 topup_card                        ok
    ana clawback_hold 10.00 dispute #dispute           ok
    ana void dispute of #dispute                       ok
    books: ana available 10.00, ana frozen 0.00
    ana clawback_hold 10.00 dispute #dispute           exists
    ana clawback_hold 10.00 dispute #dispute/hold-2    ok
    books: ana available 0.00, ana frozen 10.00
    ana void dispute of #dispute                       already_voided
    ana capture dispute of #dispute/hold-2             ok
    books: ana available 0.00, ana frozen 0.00, disputes 10.00`,

  'the bank changes the amount of a dispute: there is no moment between the two': `
    ana credit 10.00 topup_card                        ok
    ana clawback_hold 10.00 dispute #dispute           ok
    books: ana available 0.00, ana frozen 10.00
    {
    ana void dispute of #dispute                       ok
    ana clawback_hold 6.50 dispute #dispute/hold-2     ok
    }
    books: ana available 3.50, ana frozen 6.50, disputes 0.00`,

  'the house makes a gift: it is spent like any credit, and was never taken from a card': `
    books: ana available 0.00, goodwill 0.00
    ana credit 2.00 gift #welcome                      ok
    ana credit 2.00 gift #welcome                      exists
    books: ana available 2.00, goodwill -2.00
    ana hold 1.20 order #order                         ok
    ana capture order of #order                        ok
    books: ana available 0.80, revenue 1.20, goodwill -2.00, card_clearing 0.00`,
}

const log = openLog({ level: 'silent' })
let db: TestDatabase
let ledger: Ledger
let nextAccount = 1n

before(async () => {
  db = await freshDatabase()
  ledger = createLedger({ database: db.database, log })
})
after(async () => {
  const differences = await auditLedger(db.database.pool, 'ledger')
  await ledger.close()
  await db.close()
  assert.deepEqual(differences, [])
})

for (const [what, story] of Object.entries(stories)) {
  test(what, async () => {
    const accounts = new Map<string, bigint>()
    const model = createModel()
    const totalsBefore = await platformTotals()
    const idOf = naming()
    const reference = newId()
    let group: { lines: string[]; commands: Command[]; words: string[] } | null = null
    for (const line of story.split('\n').map((text) => text.trim())) {
      if (line === '') continue
      const customer = line.startsWith('books') || line === '{' || line === '}' ? 'ana' : line.split(' ')[0]!
      if (!accounts.has(customer)) {
        accounts.set(customer, nextAccount++)
        await ledger.open(db.database.pool, accounts.get(customer)!)
        model.open(accounts.get(customer)!)
      }
      if (line.startsWith('books: ')) await compareBooks(line)
      else if (line === '{') group = { lines: [], commands: [], words: [] }
      else if (line === '}') {
        await carryOut(group!)
        group = null
      } else {
        const { command, word } = readLine(line, accounts.get(customer)!, idOf, reference)
        if (group) {
          group.lines.push(line)
          group.commands.push(command)
          group.words.push(word)
        } else await carryOut({ lines: [line], commands: [command], words: [word] })
      }
    }

    async function carryOut(one: { lines: string[]; commands: Command[]; words: string[] }): Promise<void> {
      const outcomes = await ledger.submitGroup(one.commands)
      const ledgerWords = outcomes.map((outcome) =>
        outcome.done || !outcome.differs ? outcome.result : `${outcome.result}: ${outcome.differs.join(', ')}`,
      )
      assert.deepEqual(ledgerWords, one.words, one.lines.join('\n'))
      assert.deepEqual(model.apply(one.commands), one.words, one.lines.join('\n'))
    }

    async function compareBooks(line: string): Promise<void> {
      const totals = await platformTotals()
      for (const part of line.slice('books: '.length).split(', ')) {
        const words = part.split(' ')
        const expected = words.at(-1)!
        if (words.length === 3) {
          const accountId = accounts.get(words[0]!)!
          const figure = words[1] as 'available' | 'held' | 'frozen' | 'owed'
          const balance = await ledger.balance(db.database.pool, accountId)
          assert.equal(printAmount(balance![figure]), expected, line)
          assert.equal(printAmount(micros(model.figures(accountId)[figure])), expected, line)
        } else {
          const platform = words[0] as PlatformAccount
          const moved = (totals.get(platform) ?? 0n) - (totalsBefore.get(platform) ?? 0n)
          assert.equal(printAmount(micros(moved)), expected, line)
          const entries = [...model.books().platform].filter(([name]) => name.startsWith(`${platform}/`))
          const inModel = entries.reduce((sum, [, total]) => sum + total.credits - total.debits, 0n)
          assert.equal(printAmount(micros(inModel)), expected, line)
        }
      }
    }
  })
}

function naming(): (name: string | undefined) => string {
  const names = new Map<string, string>()
  return (name) => {
    if (!name) return newId()
    const [origin, purpose] = name.split('/') as [string, string | undefined]
    if (!names.has(origin)) names.set(origin, newId())
    return purpose ? derivedId(names.get(origin)!, purpose) : names.get(origin)!
  }
}

function readLine(line: string, accountId: bigint, idOf: ReturnType<typeof naming>, reference: string) {
  const match =
    /^\w+ (\w+)(?: ([\d.]+))? (\w+)(?: (#[\w/-]+))?(?: of (#[\w/-]+))?(?: from (\w+))?\s{2,}(.+)$/.exec(line) ??
    assert.fail(`This line of the story cannot be read: ${line}`)
  const [, kind, amount, code, name, hold, platform, word] = match
  const command = {
    id: idOf(name),
    accountId,
    kind,
    code: code as Cause,
    contra: platform ?? contraOf(code!),
    reference,
    ...(amount ? { amount: usd(amount) } : {}),
    ...(hold ? { holdId: idOf(hold) } : {}),
    ...(kind!.endsWith('hold') ? { expiresAt: new Date('2100-01-01'), onExpiry: 'alarm' } : {}),
  } as Command
  return { command, word: word! }
}

function contraOf(code: string): PlatformAccount {
  if (code === 'topup_card') return 'card_clearing'
  if (code === 'topup_crypto') return 'crypto_clearing'
  if (code === 'topup_refund') return 'refunds'
  if (code === 'dispute') return 'disputes'
  return code === 'gift' ? 'goodwill' : 'revenue'
}

/** What each platform account has, seen from the house: what came, less what went. */
async function platformTotals(): Promise<Map<PlatformAccount, bigint>> {
  const { rows } = await db.database.pool.query(
    'select platform, sum(credits - debits)::text as balance from platform_totals group by platform',
  )
  const words = Object.keys(platformAccounts) as PlatformAccount[]
  return new Map(
    rows.map((row) => [words.find((word) => platformAccounts[word] === row.platform)!, BigInt(row.balance)]),
  )
}
