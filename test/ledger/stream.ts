/**
 * Streams of commands, drawn from a seed: much more of what goes wrong than of what goes well. The one who draws keeps a model beside
 * him, so that he can ask for exactly what is there, and for one micro-dollar more.
 */
import { micros, usd } from '../../contract/money.ts'
import type { Cause, PlatformAccount } from '../../server/ledger/chart.ts'
import type { HouseEntry } from '../../server/ledger/house.ts'
import type { Command } from '../../server/ledger/ledger.ts'
import { derivedId, newId } from '../../server/platform/ids.ts'
import { type Chance, chance } from '../random.ts'
import { createModel, isHold, type Model } from './model.ts'

export type Step =
  | {
      does: 'apply'
      /** Each a group, or a single command. */
      lists: Command[][]
      /**
       * `collected`: handed in together, as the batcher carries them out. `inside`: one after the other in a transaction of the caller's.
       * `inside, twice`: that transaction is rolled back the first time.
       */
      how: 'collected' | 'inside' | 'inside, twice'
    }
  | { does: 'move deadline'; accountId: bigint; holdId: string; expiresAt: Date }
  | { does: 'suspend'; accountId: bigint; suspended: boolean }
  | { does: 'book'; entry: HouseEntry }
  | { does: 'compact' }
  | { does: 'sweep'; asOf: Date }

/** When the sweep looks. Holds are drawn to be overdue then, just not overdue, and far from it. */
const ASOF = new Date('2030-01-01T00:00:00.000Z')
const DEADLINES = [
  '2029-12-01T00:00:00.000Z',
  '2029-12-31T23:44:00.000Z',
  '2029-12-31T23:45:00.000Z',
  '2030-06-01T00:00:00.000Z',
]
const BATCH_LISTS_MAX = 24
const GROUP_COMMANDS_MAX = 5
/** A command that repeats another repeats one of the last so many, as a rule. */
const RECENT = 30
const SWEEPS_AT_END = 3

const holdCodes = ['order', 'topup_refund', 'dispute'] as const
const codes = ['order', 'order_refund', 'gift', 'adjustment', 'reversal', 'topup_card', 'order_cancelled'] as const
const contras = ['revenue', 'card_clearing', 'goodwill', 'disputes'] as const

/**
 * `alone`: nobody else is at work meanwhile, so that the ledger's own sweep can be a step; otherwise the stream has the commands that
 * a sweep would send.
 */
export function drawStream(
  seed: number,
  settings: { accounts: bigint[]; strangers: bigint[]; commands: number; alone: boolean },
): Step[] {
  const luck = chance(seed)
  const { accounts, strangers } = settings
  const model = createModel()
  for (const account of accounts) model.open(account)
  const draw = createDraw(luck, accounts, strangers)
  const entries: HouseEntry[] = []
  const groups: Command[][] = []

  const steps: Step[] = []
  for (let commands = 0; commands < settings.commands; ) {
    const step = next()
    steps.push(step)
    commands += step.does === 'apply' ? step.lists.flat().length : 1
  }
  // Until nothing is overdue, so that the next stream finds it so.
  if (settings.alone)
    steps.push(...Array.from({ length: SWEEPS_AT_END }, () => ({ does: 'sweep', asOf: ASOF }) as const))
  return steps

  function next(): Step {
    const dice = luck.next()
    if (dice < 0.06) return suspend()
    if (dice < 0.14) return moveDeadline()
    if (dice < 0.2) return book()
    if (dice < 0.23) return { does: 'compact' }
    if (dice < 0.27 && settings.alone) {
      model.sweep(ASOF)
      return { does: 'sweep', asOf: ASOF }
    }
    return apply()
  }

  function apply(): Step {
    const how = luck.happens(0.7) ? 'collected' : luck.happens(0.7) ? 'inside' : 'inside, twice'
    const lists: Command[][] = []
    // Often each customer has one only, as in a batch of the day; the ledger does those at once.
    if (luck.happens(0.4)) {
      for (const account of luck.happens(0.5) ? accounts : [draw.account()]) {
        const command = draw.command(model, account)
        lists.push([command])
        model.apply([command])
      }
      return { does: 'apply', lists, how }
    }
    const many = how === 'collected' ? luck.whole(1, luck.happens(0.3) ? BATCH_LISTS_MAX : 6) : luck.whole(1, 6)
    for (let n = 0; n < many; n++) {
      if (luck.happens(0.2)) lists.push(group())
      else {
        const command = draw.command(model, null)
        lists.push([command])
        model.apply([command])
      }
    }
    return { does: 'apply', lists: lists.filter((list) => list.length > 0), how }
  }

  /**
   * Later commands name earlier ones, and most would go well: it is one that spoils a group. Now and then one is somebody else's, or
   * has the id of one before it. Some come again, whole or with another end.
   */
  function group(): Command[] {
    if (groups.length > 0 && luck.happens(0.15)) {
      const again = luck.oneOf(groups)
      const end = draw.command(model, again[0]!.accountId)
      const other = luck.happens(0.6) ? again : [...again.slice(0, -1), end]
      model.apply(other)
      return other
    }
    const accountId = draw.account()
    const soFar = model.copy()
    const commands: Command[] = []
    for (let n = luck.whole(2, GROUP_COMMANDS_MAX); n > 0; n--) {
      const command = draw.command(soFar, luck.happens(0.97) ? accountId : null)
      const word = soFar.copy().apply([command])[0]
      if (word !== 'ok' && luck.happens(0.85)) continue
      soFar.apply([command])
      commands.push(command)
    }
    model.apply(commands)
    if (commands.length > 1) groups.push(commands)
    return commands
  }

  function suspend(): Step {
    const accountId = luck.oneOf(accounts)
    const suspended = luck.happens(0.45)
    model.suspend(accountId, suspended)
    return { does: 'suspend', accountId, suspended }
  }

  function moveDeadline(): Step {
    const hold = draw.hold(model, null)
    const step = { does: 'move deadline', ...hold, expiresAt: draw.deadline() } as const
    model.moveDeadline(step.accountId, step.holdId, step.expiresAt)
    return step
  }

  function book(): Step {
    const again = entries.length > 0 && luck.happens(0.3)
    const entry: HouseEntry = again
      ? { ...luck.oneOf(entries), ...(luck.happens(0.5) ? { amount: usd('0.02') } : {}) }
      : {
          id: newId(),
          debit: 'card_fees',
          credit: 'card_clearing',
          amount: usd('0.59'),
          code: 'fee',
          reference: newId(),
        }
    entries.push(entry)
    model.book(entry)
    return { does: 'book', entry }
  }
}

function createDraw(luck: Chance, accounts: bigint[], strangers: bigint[]) {
  const sent: Command[] = []
  const references = [newId(), newId(), newId()]
  let deadlines = 0

  /** The first account is in the thick of it. */
  const account = () => (luck.happens(0.4) ? accounts[0]! : luck.oneOf(accounts))

  /** No two the same, so that the order in which a sweep takes them is plain. */
  const deadline = () => new Date(new Date(luck.oneOf(DEADLINES)).getTime() + deadlines++)

  function command(model: Model, onlyFor: bigint | null): Command {
    const candidates = sent.slice(-RECENT).filter((one) => onlyFor === null || one.accountId === onlyFor)
    const drawn =
      candidates.length > 0 && luck.happens(0.22)
        ? repeat(luck.oneOf(luck.happens(0.9) ? candidates : sent))
        : fresh(model, onlyFor ?? (luck.happens(0.02) ? luck.oneOf(strangers) : account()))
    sent.push(drawn)
    return drawn
  }

  function fresh(model: Model, accountId: bigint): Command {
    const common = {
      id: newId(),
      accountId,
      reference: luck.oneOf(references),
      ...(luck.happens(0.1) ? { happenedAt: new Date(`2026-0${luck.whole(1, 9)}-01T00:00:00Z`) } : {}),
    }
    const moves = { code: luck.oneOf(codes), contra: luck.oneOf(contras) }
    const dice = luck.next()
    if (dice < 0.2) return { ...common, ...moves, kind: 'credit', amount: micros(BigInt(luck.whole(1, 4_000_000))) }
    if (dice < 0.28) return { ...common, ...moves, kind: 'debit', amount: wanted(model, accountId) }
    if (dice < 0.32) return { ...common, ...moves, kind: 'clawback_debit', amount: wanted(model, accountId) }
    if (dice < 0.62)
      return {
        ...common,
        kind: dice < 0.56 ? 'hold' : 'clawback_hold',
        code: luck.oneOf(holdCodes),
        contra: moves.contra,
        amount: wanted(model, accountId),
        expiresAt: deadline(),
        onExpiry: luck.happens(0.7) ? 'void' : 'alarm',
        ...(luck.happens(0.4) ? { openMax: luck.whole(1, 4) } : {}),
      }
    if (dice < 0.97) {
      const { holdId, accountId: whose } = hold(model, luck.happens(0.95) ? accountId : null)
      const ends = { ...common, ...moves, accountId: luck.happens(0.95) ? whose : accountId, holdId }
      const amount = model.books().movements.get(holdId)?.amount ?? 1n
      // What the ledger's own sweep would send.
      if (dice < 0.67) return { ...ends, kind: 'void', code: 'hold_overdue', id: derivedId(holdId, 'overdue') }
      if (dice < 0.79) return { ...ends, kind: 'void' }
      const part = luck.oneOf([null, null, amount, 1n, amount + 1n, BigInt(luck.whole(1, 2_000_000))])
      return { ...ends, kind: 'capture', ...(part === null ? {} : { amount: micros(part) }) }
    }
    return nonsense({ ...common, ...moves })
  }

  /** What a person would try to spend: something, all of it, or one micro-dollar more than all. */
  function wanted(model: Model, accountId: bigint) {
    const some = BigInt(luck.whole(1, 2_000_000))
    const all = model.books().accounts.has(accountId) ? model.figures(accountId).available : some
    return micros(luck.oneOf([some, some, some, all > 0n ? all : some, all + 1n]))
  }

  /** Open as a rule; or any command's id, somebody else's hold, or one that nobody ever made. */
  function hold(model: Model, accountId: bigint | null) {
    const open = [...model.books().open.values()].map((one) => one.movement)
    const own = open.filter((one) => accountId === null || one.accountId === accountId)
    if (own.length > 0 && luck.happens(0.7)) return named(luck.oneOf(own))
    const holds = sent.filter((one) => isHold(one.kind))
    if (holds.length > 0 && luck.happens(0.7)) return named(luck.oneOf(holds))
    if (sent.length > 0 && luck.happens(0.7)) return named(luck.oneOf(sent))
    return { accountId: accountId ?? account(), holdId: newId() }
  }

  const named = (one: { id: string; accountId: bigint }) => ({ accountId: one.accountId, holdId: one.id })

  /** The same, or the same with one field changed; not every field makes it another command. */
  function repeat(one: Command): Command {
    if (luck.happens(0.45)) return one
    const change = luck.oneOf(['account', 'kind', 'code', 'contra', 'amount', 'hold', 'reference', 'other'])
    if (change === 'account') return { ...one, accountId: luck.oneOf([...accounts, ...strangers]) }
    if (change === 'reference') return { ...one, reference: newId() }
    if (change === 'contra') return { ...one, contra: luck.oneOf(contras) as PlatformAccount }
    if (change === 'code') return { ...one, code: luck.oneOf<Cause>(isHold(one.kind) ? holdCodes : codes) } as Command
    if (change === 'amount' && 'amount' in one && one.amount !== undefined)
      return { ...one, amount: micros(one.amount + 1n) }
    if (change === 'hold' && 'holdId' in one) return { ...one, holdId: newId() }
    if (change === 'kind') {
      if ('holdId' in one) {
        const { kind, ...rest } = one
        return kind === 'void' ? { ...rest, kind: 'capture' } : { ...rest, kind: 'void' }
      }
      if ('expiresAt' in one) return { ...one, kind: one.kind === 'hold' ? 'clawback_hold' : 'hold' }
      return { ...one, kind: one.kind === 'credit' ? 'debit' : 'credit' } as Command
    }
    return 'expiresAt' in one
      ? { ...one, expiresAt: deadline(), onExpiry: 'void', openMax: 1 }
      : { ...one, happenedAt: new Date('2026-01-01T00:00:00Z') }
  }

  /** Bugs of a caller. The types refuse them; the ledger must, too. */
  function nonsense(common: {
    id: string
    accountId: bigint
    reference: string
    code: Cause
    contra: PlatformAccount
  }) {
    const amount = usd('1.00')
    const holds = { ...common, code: 'order', amount, expiresAt: deadline(), onExpiry: 'void' }
    return luck.oneOf([
      { ...common, kind: 'credit', amount: micros(0n) },
      { ...common, kind: 'clawback_debit', amount: micros(-1n) },
      { ...common, kind: 'debit' },
      { ...common, kind: 'credit', amount, holdId: newId() },
      { ...common, kind: 'capture', amount },
      { ...common, kind: 'void', holdId: common.id },
      { ...holds, kind: 'hold', expiresAt: undefined },
      { ...holds, kind: 'clawback_hold', onExpiry: 'never' },
      { ...holds, kind: 'hold', code: 'gift' },
      { ...holds, kind: 'hold', amount: undefined },
    ]) as Command
  }

  return { account, deadline, command, hold }
}
