/** The proof has teeth: whatever was told or done otherwise than it should be, it finds. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { usd } from '../../contract/money.ts'
import { type Command, createLedger, type Ledger } from '../../server/ledger/ledger.ts'
import { newId } from '../../server/platform/ids.ts'
import { openLog } from '../../server/platform/log.ts'
import { freshDatabase, type TestDatabase } from '../database.ts'
import { noCounts, openProof, type Sent } from './proof.ts'

let db: TestDatabase
let ledger: Ledger
let nextAccount = 1n

before(async () => {
  db = await freshDatabase()
  ledger = createLedger({ database: db.database, log: openLog({ level: 'silent' }), lanes: 1 })
})
after(async () => {
  await ledger.close()
  await db.close()
})

/** A customer to whom a gift and then a group of two were sent, which were carried out; `lies` is what is then told of it. */
async function told(lies: (sent: { gift: Command; group: Command[] }) => Sent[]) {
  const accountId = nextAccount++
  await ledger.open(db.database.pool, accountId)
  const { prove } = await openProof(db.database, [accountId])
  const gift = credit(accountId)
  const group = [credit(accountId), credit(accountId)]
  await ledger.submit(gift)
  await ledger.submitGroup(group)
  const counts = noCounts()
  await prove(lies({ gift, group }), counts)
  return counts
}

function credit(accountId: bigint): Command {
  const [id, reference] = [newId(), newId()]
  return { id, kind: 'credit', accountId, code: 'gift', contra: 'goodwill', amount: usd('1.00'), reference }
}

test('the truth passes: what is there was acknowledged or not answered, and what is not there is carried out again', async () => {
  const counts = await told(({ gift, group }) => [
    { list: [gift], answer: ['ok'] },
    { list: group, answer: 'unanswered' },
    { list: [credit(gift.accountId)], answer: 'unanswered' },
    { list: [credit(gift.accountId)], answer: 'sent away' },
  ])
  const { commands, acknowledged, unansweredThere, unansweredAbsent, sentAway, carriedOutAgain } = counts
  assert.deepEqual(
    { commands, acknowledged, unansweredThere, unansweredAbsent, sentAway, carriedOutAgain },
    { commands: 5, acknowledged: 1, unansweredThere: 2, unansweredAbsent: 1, sentAway: 1, carriedOutAgain: 1 },
  )
})

const lies: Record<string, [Parameters<typeof told>[0], RegExp]> = {
  'acknowledged, and not there': [
    ({ gift, group }) => [
      { list: [gift], answer: ['ok'] },
      { list: group, answer: ['ok', 'ok'] },
      { list: [credit(gift.accountId)], answer: ['ok'] },
    ],
    /acknowledged \(ok\), and not there/,
  ],
  'acknowledged with another amount than is there': [
    ({ gift, group }) => [
      { list: [gift], answer: ['ok'] },
      { list: [{ ...gift, amount: usd('2.00') } as Command], answer: ['exists'] },
      { list: group, answer: ['ok', 'ok'] },
    ],
    /acknowledged \(exists\), and not there/,
  ],
  'refused, and there': [
    ({ gift, group }) => [
      { list: [gift], answer: ['insufficient_credits'] },
      { list: group, answer: ['ok', 'ok'] },
    ],
    /is there, and its list is not wholly so, or was refused/,
  ],
  'sent away, and there': [
    ({ gift, group }) => [
      { list: [gift], answer: 'sent away' },
      { list: group, answer: ['ok', 'ok'] },
    ],
    /is there, and its list is not wholly so, or was refused/,
  ],
  'half of a group there': [
    ({ gift, group }) => [
      { list: [gift], answer: ['ok'] },
      { list: [...group, credit(gift.accountId)], answer: 'unanswered' },
    ],
    /is there, and its list is not wholly so, or was refused/,
  ],
  'carried out twice': [
    ({ gift, group }) => [
      { list: [gift], answer: ['ok'] },
      { list: [gift], answer: ['ok'] },
      { list: group, answer: ['ok', 'ok'] },
    ],
    /was acknowledged as carried out twice/,
  ],
  'there, and nobody sent it': [({ gift }) => [{ list: [gift], answer: ['ok'] }], /a row that nobody sent/],
}

for (const [lie, [tell, words]] of Object.entries(lies))
  test(`found: ${lie}`, async () => {
    await assert.rejects(told(tell), words)
  })
