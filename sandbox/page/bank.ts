/** The bank's part of the desk: its webhooks, the newest payments, and what can still happen to each of them. */
import { html } from 'hono/html'
import type { Html } from '../layout.ts'
import { dollars } from '../money.ts'
import type { DeliveryMode, LaterView, PaymentView } from '../stripe/stripe.ts'
import type { DeskView } from './desk.ts'
import { press, time } from './parts.ts'

const modes: { mode: DeliveryMode; word: string; does: string }[] = [
  { mode: 'on', word: 'On', does: 'sent at once' },
  { mode: 'off', word: 'Lost', does: 'never sent, also not later' },
  { mode: 'double', word: 'Doubled', does: 'each sent twice' },
  { mode: 'late', word: 'Late', does: 'sent after 5 seconds' },
  { mode: 'reordered', word: 'Reordered', does: 'the last one first' },
  { mode: 'withheld', word: 'Withheld', does: 'not sent before you release them' },
]

export function bankPart(view: DeskView): Html {
  const { bank } = view
  const now = modes.find((each) => each.mode === bank.mode)!
  return html`
    <form method="post" action="/stripe/webhooks">
      <fieldset class="choice">
        <legend>Webhooks: ${now.does}</legend>
        ${modes.map(
          ({ mode, word }) =>
            html`<button name="mode" value="${mode}" id="mode-${mode}" aria-pressed="${mode === bank.mode ? 'true' : 'false'}">${word}</button>`,
        )}
      </fieldset>
    </form>
    ${
      bank.withheld > 0
        ? html`<div class="row below"><p>${bank.withheld} withheld.</p><div class="buttons">
            ${press('/stripe/webhooks/release', { order: 'happened' }, 'Release', { id: 'release', more: ' them in order' })}
            ${press('/stripe/webhooks/release', { order: 'shuffled' }, 'Release shuffled', { id: 'release-shuffled' })}
          </div></div>`
        : ''
    }
    ${bank.waiting > 0 ? html`<p class="quiet">${bank.waiting} on the way; repeated until the server takes them.</p>` : ''}
    <h3>Payments</h3>
    ${
      bank.payments.length === 0
        ? html`<p class="empty">Payments will stand here. <a href="${view.publicUrl}/top-up">Top up</a> with the card
          4000 0000 0000 3220.</p>`
        : html`<ul class="lines payments">${bank.payments.map((payment) => paymentRow(view, payment))}</ul>`
    }`
}

const paymentStates: Record<PaymentView['state'], { word: string; ink: string }> = {
  open: { word: 'Not paid yet', ink: 'quiet' },
  asked: { word: 'The bank waits for the customer', ink: 'held' },
  failed: { word: 'No card worked yet', ink: 'refused' },
  reserved: { word: 'Reserved, not taken', ink: 'held' },
  captured: { word: 'Taken', ink: 'arrived' },
  released: { word: 'Let go, nothing taken', ink: 'refused' },
  expired: { word: 'Closed unpaid', ink: 'quiet' },
}

function paymentRow(view: DeskView, payment: PaymentView): Html {
  const { word, ink } = paymentStates[payment.state]
  const of = ` of ${dollars(payment.amount)}`
  return html`<li${payment.charge ? html` id="payment-${payment.charge}"` : ''}>
    <p class="edge"><span class="${ink}">${word} <span class="at">${time(view, payment.created * 1_000)}</span></span> <span class="amount">${dollars(payment.amount)}</span></p>
    <p class="about">
      ${payment.card || payment.reason ? html`<span class="quiet">${about(payment)}</span>` : ''}
      ${payment.topup ? html`<a href="${view.publicUrl}/topups/${payment.topup}">Top-up<span class="unseen">${of}, ${word}</span></a>` : ''}
      ${payment.page ? html`<a href="${payment.page}">Payment page</a>` : ''}
    </p>
    ${
      payment.state === 'reserved'
        ? html`<div class="buttons">${press('/stripe/lapse', { payment: payment.session }, 'Let the hold lapse', { id: `lapse-${payment.session}`, more: of })}</div>`
        : ''
    }
    ${payment.later && payment.charge ? later(payment.charge, payment.later, of) : ''}
  </li>`
}

function later(charge: string, later: LaterView, of: string): Html {
  const happened = [
    ...later.warnings.map((each) => warningLine(each)),
    ...later.refunds.map((each) => refundLine(each)),
    ...later.disputes.map((each) => disputeLine(each)),
  ]
  return html`
    ${happened.length > 0 ? html`<ul class="happened">${happened}</ul>` : ''}
    <details id="later-${charge}">
      <summary>What happens later<span class="unseen"> to the payment${of}</span></summary>
      ${
        later.disputable > 0
          ? html`<h4>The cardholder’s bank</h4>
            <div class="buttons">
              ${press('/stripe/disputes', { payment: charge, kind: 'dispute' }, 'Disputes it', { id: `dispute-${charge}`, more: of })}
              ${press('/stripe/disputes', { payment: charge, kind: 'inquiry' }, 'Only asks', { id: `inquiry-${charge}`, more: of })}
              ${press('/stripe/warnings', { payment: charge }, 'Warns of fraud', { id: `warn-${charge}`, more: of })}
              ${press('/stripe/disputes', { payment: charge, kind: 'prevented_refunded' }, 'Takes it back, no dispute', { id: `rdr-${charge}`, more: of })}
              ${press('/stripe/disputes', { payment: charge, kind: 'prevented' }, 'Is kept from disputing', { id: `block-${charge}`, more: of })}
            </div>`
          : ''
      }
      ${
        later.refundable > 0
          ? html`<h4>Stripe’s dashboard</h4>
            <div class="buttons">
              ${press('/stripe/refunds', { payment: charge }, `Refund ${dollars(later.refundable)}`, { id: `refund-${charge}` })}
              ${
                later.refundable > 1
                  ? press(
                      '/stripe/refunds',
                      { payment: charge, amount: String(Math.floor(later.refundable / 2)) },
                      `Refund ${dollars(Math.floor(later.refundable / 2))}`,
                      { id: `half-${charge}` },
                    )
                  : ''
              }
            </div>
            <h4 id="next-${charge}">The next refund</h4>
            <form method="post" action="/stripe/refunds/next">
              <input type="hidden" name="payment" value="${charge}">
              <fieldset class="choice" aria-labelledby="next-${charge}">
                ${nextRefunds.map(
                  ({ outcome, word }) =>
                    html`<button name="outcome" value="${outcome}" id="${outcome}-${charge}" aria-pressed="${(later.nextRefund ?? 'succeeds') === outcome ? 'true' : 'false'}">${word}</button>`,
                )}
              </fieldset>
            </form>`
          : ''
      }
      ${later.disputable === 0 && later.refundable === 0 ? html`<p class="quiet">Nothing more: all of it was disputed or given back.</p>` : ''}
    </details>`
}

const nextRefunds = [
  { outcome: 'succeeds', word: 'Arrives' },
  { outcome: 'pends', word: 'Waits' },
  { outcome: 'fails', word: 'Fails' },
  { outcome: 'fails_later', word: 'Fails later' },
  { outcome: 'balance_insufficient', word: 'Is refused' },
] as const

const refundStates: Record<string, string> = {
  pending: 'waits',
  succeeded: 'was sent',
  failed: 'failed',
  canceled: 'was cancelled',
}

function refundLine(refund: LaterView['refunds'][number]): Html {
  const of = ` of ${dollars(refund.amount)}`
  const end = (status: string, word: string) =>
    press(`/stripe/refunds/${refund.id}`, { status }, word, { id: `${status}-${refund.id}`, more: `: the refund${of}` })
  return html`<li>
    <p>Refund${of} ${refundStates[refund.status] ?? refund.status}</p>
    <div class="buttons">
      ${refund.status === 'pending' ? html`${end('succeeded', 'Arrives')}${end('failed', 'Fails')}` : ''}
      ${refund.status === 'succeeded' ? end('failed', 'Fails after all') : ''}
    </div>
  </li>`
}

const disputeStates: Record<string, string> = {
  warning_needs_response: 'waits for an answer; no money moved',
  warning_under_review: 'is looked at; no money moved',
  warning_closed: 'is closed; no money moved',
  needs_response: 'waits for an answer',
  under_review: 'is looked at',
  appeal_needs_response: 'was taken up again',
  appeal_under_review: 'is looked at again',
  won: 'was won',
  lost: 'was lost',
  prevented: 'was prevented',
}

const decisions: Record<LaterView['disputes'][number]['stage'], { outcome: string; word: string }[]> = {
  inquiry: [
    { outcome: 'win', word: 'Close it' },
    { outcome: 'escalate', word: 'Make it a dispute' },
  ],
  dispute: [
    { outcome: 'win', word: 'Won' },
    { outcome: 'lose', word: 'Lost' },
    { outcome: 'prevent', word: 'Came to nothing' },
  ],
  appeal: [
    { outcome: 'win', word: 'Won' },
    { outcome: 'lose', word: 'Lost' },
  ],
  closed: [],
}

function disputeLine(dispute: LaterView['disputes'][number]): Html {
  const appealable = dispute.status === 'won' || dispute.status === 'lost'
  const possible = appealable ? [{ outcome: 'appeal', word: 'Take it up again' }] : decisions[dispute.stage]
  const what = dispute.status.startsWith('warning') ? 'Inquiry' : 'Dispute'
  return html`<li>
    <p>${what} over ${dollars(dispute.amount)} ${disputeStates[dispute.status] ?? dispute.status}</p>
    <div class="buttons">
      ${possible.map(({ outcome, word }) =>
        press(`/stripe/disputes/${dispute.id}`, { outcome }, word, {
          id: `${outcome}-${dispute.id}`,
          more: `: ${what.toLowerCase()} over ${dollars(dispute.amount)}`,
        }),
      )}
    </div>
  </li>`
}

function warningLine(warning: LaterView['warnings'][number]): Html {
  return html`<li><p>The bank warned of fraud${warning.actionable ? '' : ', overtaken by what came after'}</p></li>`
}

function about(payment: PaymentView): string {
  const said = [payment.card && named(payment.card), payment.reason?.replace(/\.$/, '')]
  return `${said.filter(Boolean).join('. ')}.`
}

function named(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1)
}
