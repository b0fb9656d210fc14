/**
 * What is true of any stream, whatever its commands. A stream that breaks a property is made as small as it can be before it is shown;
 * fast-check prints its seed and path.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { micros } from '../../contract/money.ts'
import type { Command } from '../../server/ledger/ledger.ts'
import { newId } from '../../server/platform/ids.ts'
import { SEED } from '../random.ts'
import { createModel } from './model.ts'
import { type Oracle, openOracle } from './oracle.ts'
import type { Step } from './stream.ts'

const RUNS = Number(process.env['ORACLE_RUNS'] ?? 10)
const IDS_MAX = 14
const settings = { seed: SEED, numRuns: RUNS }

let oracle: Oracle

before(async () => {
  oracle = await openOracle({ ledgers: 1, lanes: 1 })
})
after(() => oracle.close())

/** A command as drawn: small numbers, so that ids, holds and credit collide all the time. */
type Draw = {
  who: number
  kind: Command['kind']
  cents: number
  part: boolean
  id: number
  hold: number
  max: number
}
const draw: fc.Arbitrary<Draw> = fc.record({
  who: fc.nat({ max: 1 }),
  kind: fc.constantFrom<Command['kind'][]>(
    ...(['credit', 'credit', 'debit', 'hold', 'hold', 'capture', 'capture', 'void'] as const),
    ...(['clawback_debit', 'clawback_hold'] as const),
  ),
  cents: fc.integer({ min: 1, max: 400 }),
  part: fc.boolean(),
  id: fc.integer({ min: 1, max: IDS_MAX }),
  hold: fc.integer({ min: 1, max: IDS_MAX }),
  max: fc.integer({ min: 1, max: 4 }),
})
/** Single commands and groups; in a group no id comes twice. */
const lists = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.array(draw, { minLength: 1, maxLength: 1 }) },
    { weight: 1, arbitrary: fc.uniqueArray(draw, { minLength: 2, maxLength: 4, selector: (one) => one.id }) },
  ),
  { minLength: 1, maxLength: 24 },
)
/** Where a stream is cut into batches: after every list for which there is a `true`. */
const cuts = fc.array(fc.boolean(), { minLength: 24, maxLength: 24 })

test('any stream, cut anywhere, is answered as by a model that knows nothing of batches', async () => {
  await fc.assert(
    fc.asyncProperty(lists, cuts, async (drawn, where) => {
      const { difference } = await oracle.playSteps((accounts) => cut(commandsOf(drawn, accounts), where))
      assert.equal(difference, null)
    }),
    settings,
  )
})

test('what was carried out and is sent again, in any order, exists and moves nothing', async () => {
  await fc.assert(
    fc.asyncProperty(lists, cuts, fc.infiniteStream(fc.nat()), async (drawn, where, order) => {
      let again: Command[] = []
      const { difference, answers } = await oracle.playSteps((accounts) => {
        const asked = commandsOf(drawn, accounts)
        const model = createModel()
        for (const account of accounts) model.open(account)
        const done = asked.flatMap((list) => {
          const words = model.apply(list)
          return list.filter((_, index) => words[index] === 'ok')
        })
        again = done
          .map((command) => ({ command, place: order.next().value as number }))
          .sort((a, b) => a.place - b.place)
          .map(({ command }) => command)
        return [
          ...cut(asked, where),
          ...cut(
            again.map((command) => [command]),
            where,
          ),
        ]
      })
      assert.equal(difference, null)
      const last = answers.slice(answers.length - again.length)
      assert.ok(last.every(({ word }) => word === 'exists'))
    }),
    settings,
  )
})

test('a customer is answered as if he were alone, whatever others do meanwhile', async () => {
  await fc.assert(
    fc.asyncProperty(lists, cuts, async (drawn, where) => {
      const alone = createModel()
      const expected: string[] = []
      let ana = 0n
      const { difference, answers } = await oracle.playSteps((accounts) => {
        ana = accounts[0]!
        alone.open(ana)
        // Others have ids of their own: no id is taken twice over.
        const asked = commandsOf(
          drawn.map((list) => list.map((one) => ({ ...one, who: list[0]!.who, id: one.id + list[0]!.who * IDS_MAX }))),
          accounts,
        )
        for (const list of asked) if (list[0]!.accountId === ana) expected.push(...alone.apply(list))
        return cut(asked, where)
      })
      assert.equal(difference, null)
      assert.deepEqual(
        answers.filter(({ command }) => command.accountId === ana).map(({ word }) => word),
        expected,
      )
    }),
    settings,
  )
})

function cut(asked: Command[][], where: boolean[]): Step[] {
  const batches: Command[][][] = [[]]
  for (const [index, list] of asked.entries()) {
    batches.at(-1)!.push(list)
    if (where[index % where.length]) batches.push([])
  }
  return batches.filter((batch) => batch.length > 0).map((lists) => ({ does: 'apply', lists, how: 'collected' }))
}

function commandsOf(drawn: Draw[][], accounts: bigint[]): Command[][] {
  const ids = new Map<number, string>()
  const id = (number: number) => {
    if (!ids.has(number)) ids.set(number, newId())
    return ids.get(number)!
  }
  const reference = newId()
  return drawn.map((list) =>
    list.map((one) => {
      const amount = micros(BigInt(one.cents) * 10_000n)
      const isHold = one.kind === 'hold' || one.kind === 'clawback_hold'
      const resolves = one.kind === 'capture' || one.kind === 'void'
      return {
        id: id(one.id),
        kind: one.kind,
        accountId: accounts[one.who],
        code: isHold || resolves ? 'order' : 'adjustment',
        contra: 'revenue',
        reference,
        ...(resolves ? { holdId: id(one.hold) } : { amount }),
        ...(one.kind === 'capture' && one.part ? { amount } : {}),
        ...(isHold ? { expiresAt: new Date('2100-01-01'), onExpiry: 'void', openMax: one.max } : {}),
      } as Command
    }),
  )
}
