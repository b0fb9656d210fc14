/** In words: how a top-up by crypto stands, what happened to each of its payments, and what to do. */
import type { CryptoPayment, CryptoTopup, CryptoTransaction, TopupLabel, TopupRefund } from '../../contract/contract.ts'
import { displayAmount, usd } from '../../contract/money.ts'
import { whyRefundFailed } from '../../contract/receipts.ts'
import type { Tone } from '../ui/tone.ts'
import { isZero, type Telling } from './aftermath.ts'
import { aboutMinutes } from './offers.ts'

export type CryptoTold = {
  tone: Tone
  says: string
  hint?: string
  next: 'pay' | 'order_number' | 'start_again' | 'none'
}

type Context = {
  /** House time in ms. */
  now: number
  /** What the customer may spend, and what he owes, as the wire writes it; null while it is not known. */
  available: string | null
  owed: string | null
  /** How long one confirmation usually takes; null: not known. */
  minutesEach: number | null
  /** How an instant is written in the customer's time zone, to the minute. */
  timeOf: (instant: string) => string
}

/** What it has come to: what happened, where the money is, what to do. The gravest comes first, since one sentence is read. */
export function cryptoOutcome(topup: CryptoTopup, context: Context): CryptoTold {
  const { payments, confirmations_required: needed } = topup
  const back = payments.find(isTakenOut)
  if (back) return takenOut(back)
  const gone = payments.find(isReversed)
  if (gone) return reversed(gone, context)
  const flying = payments.filter(isFlying)
  if (flying.length > 0) return onItsWay(topup, flying, context)
  if (payments.some(({ state }) => state === 'needs_review'))
    return {
      tone: 'held',
      says: 'Your payment is there, and somebody of us must look at it before it is credited.',
      hint: 'You need not do anything. Should it take longer than a day, write to our support with the transaction id.',
      next: 'none',
    }
  if (payments.some(({ state }) => state === 'left') && isZero(topup.credited))
    return {
      tone: 'refused',
      says: 'Somebody of us has looked at your payment, and it is not credited.',
      hint: 'If you think that this is wrong, write to our support with the transaction id.',
      next: 'none',
    }
  switch (topup.status) {
    case 'credited':
    case 'partially_credited':
      return credited(topup, context)
    case 'reversed':
      return {
        tone: 'refused',
        says: `${displayAmount(topup.amount)} were added and have been taken back.`,
        next: 'none',
      }
    default:
      return notThere(topup, needed, context)
  }
}

function takenOut(payment: CryptoPayment): CryptoTold {
  const stands = payment.credited_at !== null && payment.reversed_at === null
  return {
    tone: 'held',
    says: `The chain took back the block with your payment. It is at 0 of ${payment.confirmations_required} again; your coins are not lost.`,
    hint: stands
      ? `The ${displayAmount(payment.worth ?? '0.00')} stay added for now: the payment usually comes into one of the next blocks. Should it stay away, they are taken back, and added again when it comes.`
      : 'You need not do anything: the payment usually comes into one of the next blocks, and counts again from there.',
    next: 'none',
  }
}

function reversed(payment: CryptoPayment, { owed }: Context): CryptoTold {
  const amount = displayAmount(payment.worth ?? '0.00')
  const excluded = happened(payment, 'conflicted')
  const why = excluded
    ? 'a payment that spends the same coins took its place in the chain'
    : 'the chain took back its block, and the payment did not come again'
  const debt =
    owed === null || isZero(owed)
      ? ''
      : ` You owe ${displayAmount(owed)}, because so much of it had been spent; what comes in next pays that first.`
  return {
    tone: 'refused',
    says: `${amount} were added and have been taken back: ${why}.${debt}`,
    hint: excluded
      ? 'Your wallet shows where the coins went. What you send to this address now is credited as before.'
      : 'Should it come into a block again, it is added again by itself. If your wallet has the coins back, send them again to the same address.',
    next: 'none',
  }
}

function onItsWay(topup: CryptoTopup, flying: CryptoPayment[], { minutesEach }: Context): CryptoTold {
  const furthest = flying.reduce((behind, payment) => (left(payment) > left(behind) ? payment : behind))
  const { confirmations, confirmations_required: needed } = furthest
  const before = isZero(topup.credited) ? '' : ` ${displayAmount(topup.credited)} of earlier payments is added.`
  if (left(furthest) === 0)
    return {
      tone: 'coming',
      says: `${needed} of ${needed} confirmations. Adding your credits.${before}`,
      next: 'none',
    }
  const toGo = minutesEach === null ? '' : `; ${aboutMinutes(left(furthest) * minutesEach)} to go`
  const which = flying.length > 1 ? `We see ${flying.length} payments. The last is at` : 'We see your payment.'
  return {
    tone: 'coming',
    says: `${which} ${confirmations} of ${needed} confirmations${toGo}. You can close this page.${before}`,
    next: 'none',
  }
}

function credited(topup: CryptoTopup, { now, available, timeOf }: Context): CryptoTold {
  const added = displayAmount(topup.credited)
  const spend = available === null ? '' : ` You have ${displayAmount(available)} to spend.`
  if (topup.status === 'credited') return { tone: 'arrived', says: `${added} added.${spend}`, next: 'order_number' }
  const arrived = `${added} of ${displayAmount(topup.amount)} arrived and was credited.`
  if (topup.asset_amount_left !== null && isRateHeld(topup, now))
    return {
      tone: 'arrived',
      says: `${arrived} Send the rest to the same address before ${timeOf(topup.expires_at)}, or leave it.`,
      next: 'pay',
    }
  return {
    tone: 'arrived',
    says: `${arrived}${spend}`,
    hint: 'You can leave it at that. What you still send to the same address is credited at the rate of the block that carries it.',
    next: 'order_number',
  }
}

/** Nothing that counts is on its way. */
function notThere(topup: CryptoTopup, needed: number, { now, timeOf }: Context): CryptoTold {
  const last = topup.payments.at(-1)
  if (last?.state === 'replaced')
    return {
      tone: 'refused',
      says: `Another transaction spent the coins of your payment, so it cannot arrive. Nothing was added.`,
      hint: 'Did your wallet raise the fee? Then the new transaction appears here by itself. Otherwise you can send again to the same address.',
      next: 'pay',
    }
  if (last?.state === 'dropped')
    return {
      tone: 'held',
      says: 'The network forgot your payment before it came into a block. The coins are in your wallet as before.',
      hint: 'Send them again to the same address, with a higher fee.',
      next: 'pay',
    }
  if (last?.state === 'dust')
    return {
      tone: 'held',
      says: `${last.asset_amount} ${last.asset} arrived, less than $0.50. So little is not credited.`,
      hint: 'What you send now to the same address counts by itself.',
      next: 'pay',
    }
  if (isRateHeld(topup, now))
    return {
      tone: 'held',
      says: `Waiting for your payment. You will see it here as soon as the network knows it, and it is added after ${needed} confirmations. You can close this page.`,
      next: 'pay',
    }
  return {
    tone: 'held',
    says: `The rate ended at ${timeOf(topup.expires_at)}. If you have already sent it, do nothing: we credit what arrives, at the rate of the block that carries it.`,
    hint: 'Nothing was sent yet? Then start again, with a new rate.',
    next: 'start_again',
  }
}

/** A rate is held until its end, by the clock; the address is watched for ever. */
export function isRateHeld(topup: Pick<CryptoTopup, 'expires_at'>, now: number): boolean {
  return Date.parse(topup.expires_at) > now
}

/** Nothing of it is in a block any more, and it had been in one. */
function isTakenOut({ state }: CryptoPayment): boolean {
  return state === 'unmined'
}

/** What was credited is gone again, and the payment is nowhere. */
function isReversed(payment: CryptoPayment): boolean {
  return payment.state === 'reversed'
}

/** Seen, and not credited yet. */
export function isFlying({ state }: Pick<CryptoPayment, 'state'>): boolean {
  return state === 'seen' || state === 'confirming' || state === 'confirmed'
}

function left({ confirmations, confirmations_required }: CryptoPayment): number {
  return Math.max(0, confirmations_required - confirmations)
}

function happened(payment: CryptoPayment, what: CryptoPayment['events'][number]['what']): boolean {
  return payment.events.some((event) => event.what === what)
}

const heights = new Intl.NumberFormat('en-GB')
/** `block 812,345`. */
export function blockWords(height: number): string {
  return `block ${heights.format(height)}`
}

/** Before anything was seen: what will happen. */
export function waitingSteps(topup: CryptoTopup): Telling[] {
  return [
    started(topup),
    { key: 'waiting', state: 'waiting', text: 'Waiting for your payment.', at: null, money: null },
    { key: 'seen', state: 'to_come', text: `Seen on the ${topup.network} network.`, at: null, money: null },
    ...counted(topup.confirmations_required, 0).map((count) => toCome(count, topup.confirmations_required)),
    { key: 'credited', state: 'to_come', text: 'Credits are added.', at: null, money: null },
  ]
}

export function started(topup: CryptoTopup): Telling {
  return {
    key: 'started',
    state: 'done',
    text: `Top-up of ${displayAmount(topup.amount)} started.`,
    at: topup.created_at,
    money: null,
  }
}

function toCome(confirmation: number, needed: number, waiting = false): Telling {
  return {
    key: `confirmation-${confirmation}`,
    state: waiting ? 'waiting' : 'to_come',
    text: `${confirmation} of ${needed} confirmations.`,
    at: null,
    money: null,
  }
}

/**
 * What happened to one payment, one step after the other, and what is still to come. A block that was taken back stays, struck through,
 * and so does a credit.
 */
export function paymentSteps(payment: CryptoPayment): Telling[] {
  const { events, confirmations_required: needed } = payment
  const steps: Telling[] = []
  /** Whether what it is worth stands on the balance at this point of the story. */
  let stands = false
  for (const [index, event] of events.entries()) {
    const key = `${index}-${event.what}`
    const step = (state: Telling['state'], text: string, money: Telling['money'] = null, struck = false) =>
      steps.push({ key, state, text, at: event.at, money, struck })
    const worth = payment.worth ?? '0.00'
    switch (event.what) {
      case 'seen':
        step(
          'done',
          events.slice(0, index).some(({ what }) => what === 'unmined')
            ? 'It waits for a block again.'
            : `Seen on the ${payment.network} network: ${payment.asset_amount} ${payment.asset}.`,
        )
        break
      case 'mined': {
        if (isTakenBackLater(events, index)) {
          step('done', `In ${blockWords(event.height ?? 0)}.`, null, true)
        } else if (stands) {
          step('done', `In ${blockWords(event.height ?? 0)} now. The credits stay.`)
        } else {
          steps.push(...confirmationSteps(payment, event.at))
        }
        break
      }
      case 'unmined':
        step(
          index === events.length - 1 ? 'overdue' : 'done',
          // Whose place another transaction took, his coins went elsewhere: the next step says so.
          events.slice(index).some(({ what: later }) => later === 'conflicted')
            ? 'The chain took back the block with your payment.'
            : `The chain took back the block with your payment. It is at 0 of ${needed} again; your coins are not lost.`,
        )
        break
      case 'replaced':
        step('cannot', 'Another transaction spent the same coins. This one cannot arrive any more.')
        break
      case 'dropped':
        step('cannot', 'The network forgot it before it came into a block.')
        break
      case 'conflicted':
        step('cannot', 'A transaction that spends the same coins came into a block. This one cannot arrive any more.')
        break
      case 'credited':
        stands = true
        step('done', 'Credits added.', { amount: worth }, happenedAfter(events, index, 'reversed'))
        break
      case 'reversed':
        stands = false
        step('done', 'The credits were taken back, because the payment is not in the chain any more.', {
          amount: `-${worth}`,
        })
        break
      case 'review':
        step('waiting', 'Somebody of us must look at it.')
        break
      case 'valued':
      case 'final':
        break
    }
  }
  return [...steps, ...stillToCome(payment)]
}

/** One of them for each block up to what is needed; above its own block they come by themselves, so no event tells of them. */
function confirmationSteps(payment: CryptoPayment, minedAt: string): Telling[] {
  const { confirmations, confirmations_required: needed, height, blocks } = payment
  const own = height ?? 0
  return counted(needed, confirmations).map((count): Telling => {
    const index = count - 1
    const at = blocks.find((block) => block.height === own + index)?.at ?? (index === 0 ? minedAt : null)
    if (count <= Math.max(confirmations, payment.state === 'confirmed' || payment.credited_at ? needed : 1))
      return {
        key: `confirmation-${count}`,
        state: 'done',
        text: `${count} of ${needed} confirmations, ${blockWords(own + index)}.`,
        at,
        money: null,
      }
    return toCome(count, needed, count === Math.max(confirmations, 1) + 1)
  })
}

/** Each of a few; of the hundred that newly mined coins need, the first, where it stands, the next and the last. */
function counted(needed: number, confirmations: number): number[] {
  const all = Array.from({ length: needed }, (_, index) => index + 1)
  if (needed <= STEPS_MAX) return all
  const told = new Set([1, confirmations, confirmations + 1, needed])
  return all.filter((count) => told.has(count))
}

const STEPS_MAX = 12

function stillToCome(payment: CryptoPayment): Telling[] {
  const { confirmations_required: needed } = payment
  const all = counted(needed, 0).map((count) => toCome(count, needed, count === 1))
  const credits = (waiting: boolean): Telling => ({
    key: 'credits',
    state: waiting ? 'waiting' : 'to_come',
    text: waiting ? 'Adding your credits.' : 'Credits are added.',
    at: null,
    money: null,
  })
  switch (payment.state) {
    case 'seen':
      return [...all, credits(false)]
    case 'unmined':
      // What was credited stays so, until it is decided.
      return payment.credited_at !== null && payment.reversed_at === null ? all.slice(0, 1) : [...all, credits(false)]
    case 'confirming':
      return [credits(false)]
    case 'confirmed':
      return [credits(true)]
    case 'dust':
      return [{ key: 'dust', state: 'cannot', text: 'Less than $0.50: not credited.', at: null, money: null }]
    case 'left':
      return [
        {
          key: 'left',
          state: 'cannot',
          text: 'Somebody of us has looked at it: it is not credited.',
          at: null,
          money: null,
        },
      ]
    case 'credited':
    case 'replaced':
    case 'dropped':
    case 'reversed':
    case 'needs_review':
      return []
  }
}

function isTakenBackLater(events: CryptoPayment['events'], index: number): boolean {
  return happenedAfter(events, index, 'unmined')
}

function happenedAfter(
  events: CryptoPayment['events'],
  index: number,
  what: CryptoPayment['events'][number]['what'],
): boolean {
  return events.some((event, at) => at > index && event.what === what)
}

/** Money that goes back by a chain: asked for, agreed to, sent, confirmed; or that it failed. */
export function cryptoRefundSteps(refund: TopupRefund): Telling[] {
  const amount = displayAmount(refund.amount)
  const coins = refund.asset_amount === null ? amount : `${refund.asset_amount} ${refund.asset}`
  const isSent = refund.transaction_id !== null
  const agreed: Telling['state'] = refund.status === 'requested' ? 'waiting' : 'done'
  const asked: Telling = {
    key: 'asked',
    state: 'done',
    text: refund.origin === 'you' ? `You asked for ${amount} back.` : `We are returning ${amount}.`,
    at: refund.requested_at,
    money:
      refund.status === 'requested' || refund.status === 'pending'
        ? { amount: refund.amount, ink: { name: 'held', word: 'held' } }
        : null,
  }
  if (refund.status === 'failed')
    return [
      asked,
      {
        key: 'sent',
        state: 'cannot',
        text: `It could not be returned. ${whyRefundFailed(refund.reason)}${refund.note ? ` ${refund.note}` : ''}`,
        at: refund.ended_at,
        money: null,
      },
      {
        key: 'back',
        state: 'done',
        text: `${amount} is in your credits again.`,
        at: refund.ended_at,
        money: { amount: refund.amount, ink: { name: 'available', word: 'available' } },
      },
    ]
  const needed = refund.confirmations_required ?? 0
  const done = refund.status === 'succeeded'
  return [
    asked,
    {
      key: 'agreed',
      state: agreed,
      text: agreed === 'done' ? 'We agreed to it.' : 'A person looks at it, usually within a day.',
      at: null,
      money: null,
    },
    {
      key: 'sent',
      state: isSent ? 'done' : agreed === 'done' ? 'waiting' : 'to_come',
      text: isSent ? `Sent: ${coins} on ${refund.network}.` : 'It is sent, at the rate of that moment.',
      at: null,
      money: null,
    },
    {
      key: 'confirmed',
      state: done ? 'done' : isSent ? 'waiting' : 'to_come',
      text: done
        ? 'Confirmed by the network.'
        : isSent
          ? `${Math.min(refund.confirmations ?? 0, needed)} of ${needed} confirmations.`
          : 'Confirmed by the network.',
      at: done ? refund.ended_at : null,
      money: done ? { amount: `-${refund.amount}` } : null,
    },
  ]
}

/** By which rate which part of a payment counts. `locked` of a whole payment needs no explaining. */
export function partWords(payment: CryptoPayment, expiresAt: string): { key: string; text: string; value: string }[] {
  return payment.parts.map((part, index) => ({
    key: `${index}`,
    text: `${part.asset_amount} ${payment.asset} at ${displayAmount(part.rate)} a coin, ${basisWords(part.basis, expiresAt)}`,
    value: part.value,
  }))
}

/** What the parts come to, where they do not say it themselves: there are several, or a part of a cent. Null: nothing to add. */
export function sumBelow({ state, parts, worth }: Pick<CryptoPayment, 'state' | 'parts' | 'worth'>): string | null {
  if (state === 'dust' || parts.length === 0 || worth === null) return null
  return parts.length === 1 && usd(parts[0]!.value) === usd(worth) ? null : worth
}

function basisWords(basis: CryptoPayment['parts'][number]['basis'], expiresAt: string): string {
  switch (basis) {
    case 'locked':
      return `the rate that was held until ${expiresAt}`
    case 'late':
      return `the rate of its block: it came after ${expiresAt}`
    case 'surplus':
      return 'the rate of its block: more than was asked for'
    case 'other_asset':
      return 'the rate of its block: another coin than was asked for'
    case 'decided':
      return 'as we decided when we looked at it'
  }
}

/** What else is to be said of it; null: its own place says it. */
export function labelWords(label: TopupLabel, topup: CryptoTopup, timeOf: (instant: string) => string): string | null {
  switch (label) {
    case 'over':
      return 'You sent more than was asked for. All of it is credited: up to 110 % of the amount at the held rate, the rest at the rate of its block.'
    case 'late':
      return `A payment came after the rate had ended at ${timeOf(topup.expires_at)}. It is credited at the rate of the block that carries it.`
    case 'multiple':
      return 'More than one payment came. Each is credited by itself, after its own confirmations.'
    case 'other_asset':
      return `A payment was not in ${topup.asset}, which this top-up asked for. It is credited as what it is, at its own rate.`
    case 'reorganised':
      return 'The chain exchanged a block in between. That is rare, and part of how such networks agree; the steps show what it did to your payment.'
    case 'partial':
      return topup.status === 'partially_credited' || topup.status === 'credited'
        ? null
        : 'Less than was asked for is there. It is credited all the same.'
    case 'refunded':
    case 'disputed':
      return null
  }
}

/** What the network knows of a transaction that was asked for, and what to do. */
export function transactionWords(
  found: CryptoTransaction,
  { network, others, needed }: { network: string; others: readonly string[]; needed: number },
): { tone: Tone; says: string; hint: string } {
  const block = found.height === null ? 'a block' : blockWords(found.height)
  if (found.failed)
    return {
      tone: 'refused',
      says: `It is in ${block} of the ${network} network, and failed there: it paid nobody.`,
      hint: 'The coins are where they were, less the network’s fee. Send them again to the same address.',
    }
  switch (found.where) {
    case 'seen':
      return {
        tone: 'coming',
        says: `We see it. It pays this top-up, and waits for its first block.`,
        hint: 'You need not do anything. With a low fee the first block can take hours; the payment counts whenever it comes.',
      }
    case 'block':
      return {
        tone: 'arrived',
        says: `It is in ${block} and pays this top-up: ${Math.min(found.confirmations, needed)} of ${needed} confirmations.`,
        hint: 'The steps above show how far it is. You need not do anything.',
      }
    case 'other_address':
      return {
        tone: 'refused',
        says: `It is on the ${network} network, and pays another address than the one of this top-up.`,
        hint: 'Compare the address in your wallet. If it belongs to another top-up of yours, it stands there, and is credited. If it is not ours, only who owns it can send the coins back.',
      }
    case 'not_found':
      return {
        tone: 'held',
        says: `The ${network} network does not know this transaction.`,
        hint: `Look in your wallet whether it was sent, and on which network. ${
          others.length > 0
            ? `If it was another one (${others.join(', ')}), it is not lost at once: write to our support with this id, the network, and the words “sent on another network”.`
            : 'If it was another one, write to our support with this id and the words “sent on another network”.'
        }`,
      }
  }
}

/** `Ethereum only. Not Tron, BNB, Polygon.` */
export function onlyWords(network: string, others: readonly string[]): string {
  return `${network} only. ${others.length > 0 ? `Not ${others.join(', ')}.` : 'Not any other network.'}`
}

/** What wallets are given for the amount that is asked for now: of a token the plain address, because wallets misread anything else. */
export function scannedText(topup: Pick<CryptoTopup, 'uri' | 'address' | 'asset_amount_left'>): string {
  if (!/^(bitcoin|litecoin):/i.test(topup.uri)) return topup.address
  return withAmount(topup)
}

/** For the wallet of this device; null: there is no address of that kind. */
export function walletLink(topup: Pick<CryptoTopup, 'uri' | 'address' | 'asset_amount_left'>): string | null {
  return /^(bitcoin|litecoin|ethereum):/i.test(topup.uri) ? withAmount(topup) : null
}

function withAmount({ uri, asset_amount_left }: Pick<CryptoTopup, 'uri' | 'asset_amount_left'>): string {
  return asset_amount_left === null ? uri : uri.replace(/([?&]amount=)[\d.]+/, `$1${asset_amount_left}`)
}

/** What stands before the letters that one compares. */
export function addressLead(address: string): string {
  return /^(0x|[a-z]{2,5}1(?=[a-z0-9]{20}))/.exec(address)?.[0] ?? ''
}

/** The desk of a sandbox, with the payment filled in. */
export function deskAddress(desk: string, topup: CryptoTopup): string {
  const query = new URLSearchParams({
    address: topup.address,
    amount: topup.asset_amount_left ?? topup.asset_amount,
    asset: topup.asset,
  })
  return `${desk.replace(/\/$/, '')}/?${query}#chains`
}
