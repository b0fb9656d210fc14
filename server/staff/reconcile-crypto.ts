/** The comparison of the chains with our books, in words: for the page of staff, and for whoever runs it by hand. */
import type { CryptoDifference, CryptoReconciliationRun } from '../../contract/contract.ts'
import { displayAmount } from '../../contract/money.ts'
import { type CryptoRun, type Difference, networkOf } from '../payments/payments.ts'
import { printId } from '../platform/ids.ts'

export function tellCryptoRun(run: CryptoRun): CryptoReconciliationRun {
  const { found } = run
  return {
    id: printId('rec', run.id),
    chain: run.chain,
    network: networkOf(run.chain).title,
    started_by: run.startedBy,
    status: run.status,
    height: found?.height ?? null,
    blocks: found?.blocks ?? 0,
    addresses: found?.addresses ?? 0,
    addresses_in_all: found?.addresses_in_all ?? 0,
    sums: found?.sums ?? [],
    items: found?.items.map(tellDifference) ?? [],
    open: found?.open ?? 0,
    error: run.error,
    started_at: run.startedAt.toISOString(),
    ended_at: run.endedAt?.toISOString() ?? null,
  }
}

function tellDifference(item: Difference): CryptoDifference {
  const { key, kind, state, username, topup_id, transaction_id, since } = item
  const topup = topup_id === null ? 'no top-up' : topup_id
  return { key, kind, state, ...words(item, topup), username, topup_id, transaction_id, since }
}

function words({ kind, state, about }: Difference, topup: string): { what: string; to_do: string } {
  const { amount = '', network = '', block = '', theirs = '', address = '', why = '', review = '' } = about
  const worth = about['worth'] ? displayAmount(about['worth']) : 'nothing'
  switch (kind) {
    case 'payment_missing':
      return {
        what: `${amount} stands in block ${block} of ${network} for ${topup}, and is not among our payments.`,
        to_do:
          'The customer is owed it. Look the transaction up under Crypto, credit it there, and find out in the log why it was missed.',
      }
    case 'payment_not_there':
      return {
        what: `We have a payment of ${amount} in block ${block} of ${network} for ${topup}, and it is not there.`,
        to_do:
          'If it stays at the next comparison, the node changed its mind without telling: ask another node before anything else.',
      }
    case 'payment_differs':
      return {
        what: `We have ${amount} in block ${block} of ${network} for ${topup}, and the chain says ${theirs}.`,
        to_do: 'Compare the transaction with an explorer; a correction of credits is an adjustment of the account.',
      }
    case 'credit_missing':
      return why === 'no_rate'
        ? {
            what: `${amount} on ${network} for ${topup} is deep enough, and no rate of its moment is known, so it is not credited.`,
            to_do:
              'It is credited by itself when a rate is there. If it stays: the rate sources do not answer; the log says why.',
          }
        : {
            what: `${amount} on ${network} for ${topup}, worth ${worth}, is deep enough and not credited.`,
            to_do:
              state === 'waiting'
                ? 'Nothing yet: it is credited within minutes.'
                : 'The server credits it by itself. If it stays, the log has an alarm that says why: the customer is owed this money.',
          }
    case 'credit_without_payment':
      return {
        what: `${worth} was credited for ${amount} on ${network} (${topup}), and that payment is in no block any more.`,
        to_do:
          state === 'waiting'
            ? 'Nothing yet: it usually comes back. Otherwise the credit is taken back by itself within three blocks.'
            : 'The server takes the credit back by itself. If it stays, the log says why.',
      }
    case 'review_open':
      return {
        what: `${amount} on ${network} for ${topup} waits for a person: ${review.replaceAll('_', ' ')}.`,
        to_do: 'Decide it under Crypto.',
      }
    case 'surplus':
      return {
        what: `The address ${address} (${topup}) holds ${amount} more on ${network} than we know of.`,
        to_do:
          'Something paid it that the follower does not see. Look at the address with an explorer, and look the transaction up under Crypto.',
      }
    case 'ledger_differs':
      return {
        what: `The payment of ${amount} on ${network} for ${topup} says that it credited ${worth}, and the ledger says otherwise.`,
        to_do: 'Run npm run audit, and let nobody correct anything by hand before it is understood.',
      }
    case 'refund_not_there':
      return {
        what: `${displayAmount(amount)} of ${topup} was sent back on ${network}, and its transaction is not where it was.`,
        to_do:
          state === 'waiting'
            ? 'Nothing yet: it is looked for.'
            : 'Open it under Returns by crypto: pay it anew, or give it up.',
      }
    case 'refund_paid_twice':
      return {
        what: `${displayAmount(amount)} of ${topup} was given up and credited again, and its transaction on ${network} is confirmed after all.`,
        to_do: 'The customer has both. Ask him for it, or take it by an adjustment that two people agree to.',
      }
  }
}

/** What a finance person reads of one chain. */
export function* linesOfChain(run: CryptoRun): Generator<string> {
  const told = tellCryptoRun(run)
  if (run.status === 'failed' || told.height === null) {
    yield `${told.network}: not compared. ${run.error ?? ''}`.trim()
    return
  }
  yield `${told.network} at block ${told.height}: ${told.blocks} blocks read anew, ${told.addresses} of ${told.addresses_in_all} addresses asked for what they hold.`
  for (const sum of told.sums)
    yield `  ${sum.asset}: received ${sum.received} = on our addresses ${sum.on_addresses} + moved on ${sum.moved_on}. Credited ${displayAmount(sum.credited)} for it; not credited ${sum.not_credited}. Sent back ${displayAmount(sum.sent_back)}.`
  for (const { what, to_do, username, since, state } of told.items)
    yield `${state === 'open' ? 'OPEN' : 'waiting'}: ${what}${username ? ` It is ${username}'s.` : ''} Since ${since.slice(0, 16).replace('T', ' ')} UTC. ${to_do}`
  yield told.open === 0
    ? `${told.network}: nothing is open, our books and the chain agree.`
    : `${told.network}: ${told.open} open.`
}
