/** What can be paid with besides cards, and how it stands. */
import type { CryptoAsset, CryptoOffer, CryptoTopup, Topup } from '../../contract/contract.ts'
import { add, displayAmount, printAmount, usd } from '../../contract/money.ts'

export function isByCrypto(topup: Topup): topup is CryptoTopup {
  return topup.method === 'crypto'
}

/** Not paid, or on its way; what was credited stands in the statement. */
export function isCryptoOnItsWay(topup: CryptoTopup): boolean {
  return topup.status === 'awaiting_payment' || topup.payments.some(({ state }) => inFlight.has(state))
}

const inFlight: ReadonlySet<string> = new Set(['seen', 'confirming', 'confirmed', 'unmined'])

/** How far what is on its way is, in few words. Null: nothing is. */
export function progressWords(topup: CryptoTopup): string | null {
  const flying = topup.payments.filter(({ state }) => inFlight.has(state))
  if (flying.length === 0) return null
  const needed = topup.confirmations_required
  const count = Math.min(...flying.map((payment) => Math.min(payment.confirmations, payment.confirmations_required)))
  if (flying.some(({ state }) => state === 'unmined')) return `the chain took its block back, 0/${needed} again`
  if (count === 0) return `seen, 0/${needed} confirmations`
  return count >= needed ? `${needed}/${needed} confirmations, adding your credits` : `${count}/${needed} confirmations`
}

/** What its payments on their way will be credited as; of one that no block has yet, what was asked for. */
export function comingOf(topup: CryptoTopup): string {
  let sum = usd('0')
  for (const payment of topup.payments) {
    if (!inFlight.has(payment.state)) continue
    if (payment.worth === null) return topup.amount
    sum = add(sum, usd(payment.worth))
  }
  return printAmount(sum)
}

/** Above this share of the amount, a network's fee is worth a word. Source: ten-minutes.md. */
const FEE_SHARE = 5n

/** That the network takes much of so small an amount, and what takes less. Null: nothing to say. */
export function feeHint(
  offer: CryptoOffer,
  amount: string,
  offers: readonly CryptoOffer[],
): { says: string; instead: CryptoAsset | null } | null {
  if (offer.typical_fee === null || usd(offer.typical_fee) * FEE_SHARE <= usd(amount)) return null
  const says = `Sending ${offer.title} costs about ${displayAmount(offer.typical_fee)}, more than a fifth of ${displayAmount(amount)}.`
  const cheap = offers.find(({ asset }) => asset === 'LTC')
  if (!cheap?.offered || cheap.typical_fee === null || usd(cheap.typical_fee) >= usd(offer.typical_fee))
    return { says, instead: null }
  return { says: `${says} Litecoin costs about ${displayAmount(cheap.typical_fee)}.`, instead: cheap.asset }
}

/** `about 30 minutes`; Ethereum's blocks are seconds. */
export function aboutMinutes(minutes: number): string {
  if (minutes < 1) return 'less than a minute'
  const whole = Math.round(minutes)
  return `about ${whole} ${whole === 1 ? 'minute' : 'minutes'}`
}
