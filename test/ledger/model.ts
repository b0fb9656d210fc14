/**
 * The ledger as one would explain it: one command after the other, maps and ifs. No lists, no locks, no SQL, and nothing kept that
 * can be worked out, so that it goes wrong in other ways than the ledger does, if at all. What it answers is what is right.
 */
import type { Usd } from '../../contract/money.ts'
import { type Cause, causes, type PlatformAccount } from '../../server/ledger/chart.ts'
import type { HouseEntry } from '../../server/ledger/house.ts'
import type { Command, TransferKind } from '../../server/ledger/ledger.ts'
import { derivedId } from '../../server/platform/ids.ts'

export type Account = { credits: bigint; debits: bigint; suspended: boolean; transfers: bigint }
export type Movement = {
  id: string
  accountId: bigint
  number: bigint
  kind: TransferKind
  code: Cause
  contra: PlatformAccount
  amount: bigint
  returned: bigint
  holdId: string | null
  reference: string
  happenedAt: Date | null
  availableAfter: bigint
  heldAfter: bigint
  frozenAfter: bigint
  owedAfter: bigint
}
export type OpenHold = { movement: Movement; expiresAt: Date; onExpiry: 'void' | 'alarm' }
export type Total = { debits: bigint; credits: bigint; entries: bigint }
/** What stands in the maps is never changed, only replaced: a copy of the maps is a copy of the books. */
export type Books = {
  accounts: Map<bigint, Account>
  movements: Map<string, Movement>
  /** How each hold ended, by its id. */
  ended: Map<string, 'capture' | 'void'>
  open: Map<string, OpenHold>
  house: Map<string, HouseEntry>
  platform: Map<`${PlatformAccount}/${Cause}`, Total>
}
export type Figures = { available: bigint; held: bigint; frozen: bigint; owed: bigint }
export type Model = ReturnType<typeof createModel>

const HOLD_CODE_MAX = 3
const OVERDUE_MS = 15 * 60_000

export function createModel(given?: Books) {
  let books: Books = given ?? {
    accounts: new Map(),
    movements: new Map(),
    ended: new Map(),
    open: new Map(),
    house: new Map(),
    platform: new Map(),
  }

  const copy = (): Books => ({
    accounts: new Map(books.accounts),
    movements: new Map(books.movements),
    ended: new Map(books.ended),
    open: new Map(books.open),
    house: new Map(books.house),
    platform: new Map(books.platform),
  })

  /** Carries a group out, all or nothing, or a single command. `unseen`: ids of others that were not there yet. */
  function apply(commands: Command[], unseen: ReadonlySet<string> = new Set()): string[] {
    // Refused, a single one has changed nothing.
    if (commands.length === 1) return [carryOut(commands[0]!, commands[0]!.accountId, unseen)]
    const before = copy()
    let failed = false
    const words = commands.map((command) => {
      if (failed) return 'group_refused'
      const word = carryOut(command, commands[0]!.accountId, unseen)
      failed = word !== 'ok' && word !== 'exists'
      return word
    })
    // One of which a part was there before is another group.
    if (!failed && new Set(words).size <= 1) return words
    books = before
    const isThere = (index: number) => books.movements.has(commands[index]!.id)
    return words.map((word, index) =>
      word === 'ok' || (word === 'exists' && !isThere(index)) ? 'group_refused' : word,
    )
  }

  function carryOut(command: Command, groupAccountId: bigint, unseen: ReadonlySet<string>): string {
    const account = books.accounts.get(command.accountId)
    if (!account) return 'account_not_found'
    const known = unseen.has(command.id) ? undefined : books.movements.get(command.id)
    if (known) return compare(known, command)
    if (command.accountId !== groupAccountId || !makesSense(command)) return 'malformed_command'
    const { available } = figures(command.accountId)
    switch (command.kind) {
      case 'credit':
      case 'clawback_debit':
      case 'clawback_hold':
        return move(command, command.amount)
      case 'debit':
        return available < command.amount ? 'insufficient_credits' : move(command, command.amount)
      case 'hold':
        if (account.suspended) return 'account_suspended'
        if (command.openMax !== undefined && openHolds(command.accountId, command.code) >= command.openMax)
          return 'too_many_open_holds'
        return available < command.amount ? 'insufficient_credits' : move(command, command.amount)
      case 'capture':
      case 'void': {
        const hold = books.movements.get(command.holdId)
        if (hold?.accountId !== command.accountId || !isHold(hold.kind)) return 'hold_not_found'
        const ended = books.ended.get(hold.id)
        if (ended) return ended === 'capture' ? 'already_captured' : 'already_voided'
        const amount = amountOf(command) ?? hold.amount
        if (amount > hold.amount) return 'exceeds_hold'
        if (command.kind === 'void' && amount < hold.amount) return 'malformed_command'
        return move(command, amount, command.kind === 'capture' ? hold.amount - amount : 0n)
      }
    }
  }

  function move(command: Command, amount: bigint, returned = 0n): 'ok' {
    const account = books.accounts.get(command.accountId)!
    const holdId = 'holdId' in command ? command.holdId : null
    const isIn = command.kind === 'credit'
    const isOut = ['debit', 'clawback_debit', 'capture'].includes(command.kind)
    const movement: Movement = {
      id: command.id,
      accountId: command.accountId,
      number: account.transfers + 1n,
      kind: command.kind,
      code: command.code,
      contra: command.contra,
      amount,
      returned,
      holdId,
      reference: command.reference,
      happenedAt: command.happenedAt ?? null,
      availableAfter: 0n,
      heldAfter: 0n,
      frozenAfter: 0n,
      owedAfter: 0n,
    }
    books.accounts.set(command.accountId, {
      ...account,
      transfers: movement.number,
      credits: account.credits + (isIn ? amount : 0n),
      debits: account.debits + (isOut ? amount : 0n),
    })
    if (command.kind === 'hold' || command.kind === 'clawback_hold')
      books.open.set(command.id, { movement, expiresAt: command.expiresAt, onExpiry: command.onExpiry })
    if (command.kind === 'capture' || command.kind === 'void') {
      books.open.delete(command.holdId)
      books.ended.set(command.holdId, command.kind)
    }
    // What comes to the customer leaves the other side, and the other way round.
    if (isIn) total(command.contra, command.code, amount, 0n)
    if (isOut) total(command.contra, command.code, 0n, amount)
    const { available, held, frozen, owed } = figures(command.accountId)
    books.movements.set(command.id, {
      ...movement,
      availableAfter: available,
      heldAfter: held,
      frozenAfter: frozen,
      owedAfter: owed,
    })
    return 'ok'
  }

  function total(platform: PlatformAccount, code: Cause, debits: bigint, credits: bigint): void {
    const was = books.platform.get(`${platform}/${code}`) ?? { debits: 0n, credits: 0n, entries: 0n }
    books.platform.set(`${platform}/${code}`, {
      debits: was.debits + debits,
      credits: was.credits + credits,
      entries: was.entries + 1n,
    })
  }

  function openOf(accountId: bigint): Movement[] {
    return [...books.open.values()].map((open) => open.movement).filter((hold) => hold.accountId === accountId)
  }

  function openHolds(accountId: bigint, code: Cause): number {
    return openOf(accountId).filter((hold) => hold.code === code).length
  }

  function figures(accountId: bigint): Figures {
    const { credits, debits } = books.accounts.get(accountId)!
    const held = sum(openOf(accountId).filter((hold) => hold.kind === 'hold'))
    const frozen = sum(openOf(accountId).filter((hold) => hold.kind === 'clawback_hold'))
    const free = credits - debits - held - frozen
    return { available: free > 0n ? free : 0n, held, frozen, owed: free < 0n ? -free : 0n }
  }

  return {
    apply,
    figures,
    openHolds,
    books: (): Readonly<Books> => books,
    copy: () => createModel(copy()),

    open(accountId: bigint): void {
      if (!books.accounts.has(accountId))
        books.accounts.set(accountId, { credits: 0n, debits: 0n, suspended: false, transfers: 0n })
    },

    suspend(accountId: bigint, suspended: boolean): void {
      books.accounts.set(accountId, { ...books.accounts.get(accountId)!, suspended })
    },

    moveDeadline(accountId: bigint, holdId: string, expiresAt: Date): boolean {
      const open = books.open.get(holdId)
      if (open?.movement.accountId !== accountId) return false
      books.open.set(holdId, { ...open, expiresAt })
      return true
    },

    /** Gives back, earliest deadline first, what is overdue by more than 15 minutes, and answers how many. */
    sweep(asOf: Date): number {
      const overdue = [...books.open.values()]
        .filter((open) => open.onExpiry === 'void' && asOf.getTime() - open.expiresAt.getTime() > OVERDUE_MS)
        .sort((a, b) => a.expiresAt.getTime() - b.expiresAt.getTime())
      for (const { movement: hold } of overdue) {
        const { accountId, contra, reference } = hold
        const id = derivedId(hold.id, 'overdue')
        apply([{ id, kind: 'void', accountId, code: 'hold_overdue', contra, holdId: hold.id, reference }])
      }
      return overdue.length
    },

    book(entry: HouseEntry): string {
      const known = books.house.get(entry.id)
      if (known) {
        const same = (['debit', 'credit', 'amount', 'code', 'reference'] as const).every((f) => known[f] === entry[f])
        return same ? 'exists' : 'exists_with_different_fields'
      }
      books.house.set(entry.id, entry)
      total(entry.debit, entry.code, entry.amount, 0n)
      total(entry.credit, entry.code, 0n, entry.amount)
      return 'ok'
    },
  }
}

export function isHold(kind: TransferKind): boolean {
  return kind === 'hold' || kind === 'clawback_hold'
}

function amountOf(command: Command): Usd | undefined {
  return 'amount' in command ? command.amount : undefined
}

/** A capture without an amount asks for the whole hold, whatever that is. */
export function compare(known: Movement, command: Command): string {
  const amount = amountOf(command)
  const differs = [
    ...(known.accountId === command.accountId ? [] : ['account']),
    ...(known.kind === command.kind ? [] : ['kind']),
    ...(known.contra === command.contra ? [] : ['contra']),
    ...(known.code === command.code ? [] : ['code']),
    ...(amount === undefined || known.amount === amount ? [] : ['amount']),
    ...(known.holdId === ('holdId' in command ? command.holdId : null) ? [] : ['hold']),
    ...(known.reference === command.reference ? [] : ['reference']),
  ]
  return differs.length === 0 ? 'exists' : `exists_with_different_fields: ${differs.join(', ')}`
}

function makesSense(command: Command): boolean {
  const amount = amountOf(command)
  const resolves = command.kind === 'capture' || command.kind === 'void'
  if (amount === undefined ? !resolves : amount <= 0n) return false
  if (resolves !== 'holdId' in command) return false
  if (command.kind !== 'hold' && command.kind !== 'clawback_hold') return true
  return (
    Boolean(command.expiresAt) && ['void', 'alarm'].includes(command.onExpiry) && causes[command.code] <= HOLD_CODE_MAX
  )
}

function sum(movements: Movement[]): bigint {
  return movements.reduce((total, movement) => total + movement.amount, 0n)
}
