/**
 * What the disputes of one top-up take of its credits, and by which movements of the ledger: a pure function of what is there and of
 * what should be. Together they never cover more than the top-up still has; the rest of what banks want is the house's cost.
 */
import { micros, type Usd } from '../../../contract/money.ts'
import type { Command } from '../../ledger/ledger.ts'
import { derivedId } from '../../platform/ids.ts'
import type { DisputeState } from '../dispute.ts'

/** How a freeze ended; the words of the table `freezes`. `changed`: another one took its place. */
export type FreezeOutcome = 'changed' | 'closed' | 'won' | 'prevented' | 'lost' | 'refunded'

/** One dispute: how it stands in our books, and how it is to stand. */
export type Claim = {
  id: string
  /** Null: our books know nothing of it yet. */
  now: { state: DisputeState; covered: Usd } | null
  /** The last freeze, and its hold while it is open. */
  round: number
  holdId: string | null
  becomes: DisputeState
  /** What the bank wants. */
  amount: Usd
  /** How its freeze ends, unless `becomes` is `frozen`. */
  outcome: FreezeOutcome | null
}

export type Covered = {
  id: string
  covered: Usd
  round: number
  holdId: string | null
  /** The freeze of this round is a new one. */
  froze: { holdId: string; amount: Usd; outcome: FreezeOutcome | null } | null
  /** The freeze that was open is not any more. */
  ended: { holdId: string; outcome: FreezeOutcome } | null
}

/**
 * `left`: what of the top-up nothing has gone back of, what these claims cover now included. `claims`: in the order in which they are
 * covered, among those that the bank has taken, and then among those that it is deciding about. `until`: the deadline of new freezes.
 */
export function cover(
  topup: { id: string; accountId: bigint },
  claims: readonly Claim[],
  left: Usd,
  until: Date,
): { commands: Command[]; covered: Covered[] } {
  const shares = sharesOf(claims, left)
  // Everything that gives comes first: the same credits, frozen for one claim and then for another, are never owed in between.
  const gives: Command[] = []
  const takes: Command[] = []
  const common = { accountId: topup.accountId, reference: topup.id, code: 'dispute', contra: 'disputes' } as const

  const covered = claims.map((claim): Covered => {
    const { id, now, holdId } = claim
    const share = shares.get(id)!
    // Over before we heard of it: nothing is covered in the end, and the history shows the freeze that came and went.
    const passing = now === null && claim.becomes === 'released'
    const same = now !== null && now.state === claim.becomes && (claim.becomes === 'released' || now.covered === share)
    if (same) return { id, covered: now.covered, round: claim.round, holdId, froze: null, ended: null }

    if (holdId !== null && claim.becomes === 'taken' && share > 0n && share <= now!.covered) {
      takes.push({ ...common, id: derivedId(id, 'take', claim.round), kind: 'capture', holdId, amount: share })
      const ended = { holdId, outcome: claim.outcome! }
      return { id, covered: share, round: claim.round, holdId: null, froze: null, ended }
    }
    if (holdId !== null) gives.push({ ...common, id: derivedId(id, 'release', claim.round), kind: 'void', holdId })
    if (now?.state === 'taken' && now.covered > 0n)
      gives.push({ ...common, id: derivedId(id, 'return', claim.round), kind: 'credit', amount: now.covered })
    const ends = claim.becomes === 'released' ? claim.outcome! : 'changed'
    const ended = holdId === null ? null : { holdId, outcome: ends }
    if (share === 0n || (claim.becomes === 'released' && !passing))
      return { id, covered: micros(0n), round: claim.round, holdId: null, froze: null, ended }

    const round = claim.round + 1
    const freeze = derivedId(id, 'freeze', round)
    takes.push({ ...common, id: freeze, kind: 'clawback_hold', amount: share, expiresAt: until, onExpiry: 'alarm' })
    if (claim.becomes === 'taken')
      takes.push({ ...common, id: derivedId(id, 'take', round), kind: 'capture', holdId: freeze, amount: share })
    if (passing) takes.push({ ...common, id: derivedId(id, 'release', round), kind: 'void', holdId: freeze })
    return {
      id,
      covered: passing ? micros(0n) : share,
      round,
      holdId: claim.becomes === 'frozen' ? freeze : null,
      froze: { holdId: freeze, amount: share, outcome: claim.becomes === 'frozen' ? null : claim.outcome },
      ended,
    }
  })
  return { commands: [...gives, ...takes], covered }
}

/** How much of what is left each claim gets. Of one that is over, what it would have got last. */
function sharesOf(claims: readonly Claim[], left: Usd): Map<string, Usd> {
  const shares = new Map<string, Usd>()
  let rest: bigint = left
  for (const state of ['taken', 'frozen', 'released'] as const) {
    for (const { id, amount } of claims.filter(({ becomes }) => becomes === state)) {
      const share = amount < rest ? amount : rest
      shares.set(id, micros(share))
      if (state !== 'released') rest -= share
    }
  }
  return shares
}
