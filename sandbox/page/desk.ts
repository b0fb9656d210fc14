/** What the desk shows. Each part is drawn here and nowhere else; an open page gets changed parts whole. */
import { html } from 'hono/html'
import type { Order } from '../../contract/contract.ts'
import type { ChainsView } from '../chains/chains.ts'
import { type Html, layout } from '../layout.ts'
import type { MailView, ServerMode } from '../mail/mail.ts'
import { type PhonesView, serviceName } from '../phones/phones.ts'
import type { BankView } from '../stripe/stripe.ts'
import { bankPart } from './bank.ts'
import { anyAddress, chainsPart } from './chains.ts'
import type { Entry } from './log.ts'
import { press, time } from './parts.ts'

export type DeskView = {
  phones: PhonesView
  chains: ChainsView
  bank: BankView
  mail: MailView
  log: Entry[]
  publicUrl: string
  now: number
}

/** What a link fills in. */
export type FilledIn = { to: string; address: string; amount: string; asset: string }

export function parts(
  view: DeskView,
): Record<'phones' | 'chains' | 'bank' | 'clock' | 'mail' | 'log' | 'said', string> {
  return {
    phones: String(phones(view)),
    chains: String(chainsPart(view)),
    bank: String(bankPart(view)),
    clock: String(clock(view)),
    mail: String(mail(view)),
    log: String(log(view)),
    said: view.log[0] ? `${view.log[0].seq} ${view.log[0].sentence}` : '',
  }
}

export function desk(view: DeskView, filledIn: FilledIn): Html {
  return layout({
    title: 'Control desk · MobileSMS sandbox',
    name: 'Control desk',
    sheet: 'desk.css',
    script: 'desk.js',
    side: html`<p class="to-product"><a href="${view.publicUrl}">MobileSMS</a> · <a href="/mail">Mailbox</a></p>`,
    main: html`
      <h1>The outside world in a box</h1>
      <p class="lead">You are the phone network, the chains, the bank, the mail server and the clock. MobileSMS sees only what they do.</p>
      <p class="said" role="status" id="said"></p>
      <noscript><p class="quiet">Without JavaScript this page shows what was true when it was loaded.</p></noscript>
      <div class="columns">
        <section aria-labelledby="phones" class="column">
          <h2 id="phones">Phones</h2>
          <div data-part="phones">${phones(view)}</div>
          ${otherNumber(filledIn.to)}
        </section>
        <section aria-labelledby="chains" class="column">
          <h2 id="chains">Chains</h2>
          ${filledIn.address === '' ? '' : anyAddress(view, filledIn)}
          <div data-part="chains">${chainsPart(view)}</div>
          ${filledIn.address === '' ? anyAddress(view, filledIn) : ''}
        </section>
        <section aria-labelledby="bank" class="column">
          <h2 id="bank">Bank</h2>
          <div data-part="bank">${bankPart(view)}</div>
        </section>
        <section aria-labelledby="clock" class="column">
          <h2 id="clock">Clock</h2>
          <div data-part="clock">${clock(view)}</div>
          <h2 id="mail">Mail</h2>
          <div data-part="mail">${mail(view)}</div>
          <h2 id="log">Log</h2>
          <div data-part="log">${log(view)}</div>
        </section>
      </div>`,
  })
}

function phones(view: DeskView): Html {
  const { phones } = view
  const byItself =
    phones.autoSeconds === 0
      ? 'It sends nothing by itself (SANDBOX_AUTO_SMS_SECONDS is 0).'
      : phones.silent
        ? 'It sends nothing by itself.'
        : `It sends the demo customer a code by itself, ${phones.autoSeconds} seconds after an order.`
  return html`
    ${
      phones.connected
        ? ''
        : html`<div class="notice waiting"><p>The server does not answer. Trying again; orders appear when it does.</p></div>`
    }
    <div class="row">
      <p>${byItself}</p>
      ${
        phones.autoSeconds === 0
          ? ''
          : press(
              '/phones/silence',
              { silent: String(!phones.silent) },
              phones.silent ? 'Answer again' : 'Stay silent',
              {
                id: 'silence-all',
                more: ' for all orders',
              },
            )
      }
    </div>
    ${phones.waiting > 0 ? html`<p class="quiet">${phones.waiting} SMS on the way; repeated until the server takes them.</p>` : ''}
    <h3>Open orders of the demo customer</h3>
    ${
      phones.open.length === 0
        ? html`<p class="empty">A number that the demo customer orders will stand here.
          <a href="${view.publicUrl}/numbers">Order one</a></p>`
        : html`<ul class="slips">${phones.open.map((each) => openOrder(view, each))}</ul>`
    }
    <h3>Ended lately</h3>
    ${
      phones.ended.length === 0
        ? html`<p class="empty">Ended orders will stand here, for a code that comes too late.</p>`
        : html`<ul class="lines">${phones.ended.map((order) => endedOrder(view, order))}</ul>`
    }`
}

function openOrder(view: DeskView, each: PhonesView['open'][number]): Html {
  const { order, silent, codeDueAt } = each
  const waiting = order.status === 'waiting'
  const state = waiting
    ? html`Waits until ${time(view, Date.parse(order.expires_at))}.`
    : order.status === 'received'
      ? order.another_code_requested_at !== null
        ? html`Has its code, and waits for another.`
        : html`Has its code.`
      : html`The number is being fetched.`
  const plan =
    !waiting && order.another_code_requested_at === null
      ? ''
      : codeDueAt !== null
        ? ` A code comes by itself at ${time(view, codeDueAt + (view.phones.houseAhead ?? 0))}.`
        : silent
          ? ' Silenced.'
          : ''
  const about = ` to ${order.phone_number}`
  return html`<li class="slip">
    <p class="tel">${order.phone_number}</p>
    <p>${serviceName(order.service)}, ${countryName(order.country)}, order <a href="${orderPage(view, order)}">${spaced(order.number)}</a></p>
    <p class="quiet">${state}${plan}</p>
    <div class="buttons">
      ${press('/phones/send', { order_id: order.id, kind: 'code' }, 'Send a code', { id: `code-${order.id}`, more: about, primary: true })}
      ${press('/phones/send', { order_id: order.id, kind: 'no_code' }, 'Send a text without a code', { id: `text-${order.id}`, more: about })}
      ${
        waiting && view.phones.autoSeconds > 0 && !view.phones.silent
          ? press(
              '/phones/silence',
              { order_id: order.id, silent: String(!silent) },
              silent ? 'Answer again' : 'Stay silent',
              {
                id: `silence-${order.id}`,
                more: about,
              },
            )
          : ''
      }
    </div>
  </li>`
}

function endedOrder(view: DeskView, order: Order): Html {
  const how: Partial<Record<Order['status'], string>> = {
    finished: 'finished with a code',
    cancelled: 'cancelled',
    expired: 'ended without a code',
    failed: 'failed',
  }
  return html`<li class="row">
    <p><span class="tel small">${order.phone_number}</span> ${serviceName(order.service)}, ${how[order.status] ?? order.status},
      order <a href="${orderPage(view, order)}">${spaced(order.number)}</a></p>
    ${press('/phones/send', { order_id: order.id, kind: 'code' }, 'Send a late code', { id: `late-${order.id}`, more: ` to ${order.phone_number}` })}
  </li>`
}

function otherNumber(to: string): Html {
  return html`<h3 id="other">Any other number</h3>
    <form method="post" action="/phones/sms" class="sms">
      <div class="field"><label for="to">To</label>
        <input id="to" name="to" type="tel" required maxlength="20" placeholder="+44 7700 900123" value="${to}"></div>
      <div class="field"><label for="from">From</label>
        <input id="from" name="from" required maxlength="40" value="Telegram"></div>
      <div class="field"><label for="text">Text</label>
        <textarea id="text" name="text" required maxlength="1600" rows="2">Your code is 48 27 71</textarea></div>
      <div class="field"><label for="via">Through</label>
        <select id="via" name="via"><option value="generic">the generic webhook</option><option value="twilio">Twilio’s webhook</option></select></div>
      <button>Send this SMS</button>
    </form>`
}

const leaps = [
  { seconds: 120, word: '+2 min', does: 'A number can be cancelled.' },
  { seconds: 1_200, word: '+20 min', does: 'Open orders end; their money is free again.' },
  { seconds: 604_800, word: '+7 days', does: 'A week passes.' },
]

function clock(view: DeskView): Html {
  const ahead = view.phones.houseAhead
  return html`
    ${
      ahead === null
        ? html`<p class="empty">The server has not said its time yet.</p>`
        : html`<p class="time"><time data-ahead="${ahead}" data-zone="${view.phones.timeZone}">${time(view, view.now + ahead, false)}</time></p>
          <p class="quiet">${aheadInWords(ahead)} Times in ${view.phones.timeZone}.</p>`
    }
    <ul class="lines">
      ${leaps.map(
        ({ seconds, word, does }) => html`<li class="row"><p>${does}</p>
          ${press('/clock', { advance_seconds: String(seconds) }, word, { id: `leap-${seconds}` })}</li>`,
      )}
    </ul>`
}

const mailModes: { mode: ServerMode; word: string; does: string }[] = [
  { mode: 'works', word: 'Works', does: 'takes everything' },
  { mode: 'refuses_for_now', word: 'Refuses for now', does: '“try again later”' },
  { mode: 'refuses_for_good', word: 'Refuses for good', does: '“no such mailbox”' },
]

function mail(view: DeskView): Html {
  const { mail } = view
  const now = mailModes.find((each) => each.mode === mail.mode)!
  return html`
    ${
      mail.newest === null
        ? html`<p class="empty">What MobileSMS mails to anybody will be in the <a href="/mail">mailbox</a>.</p>`
        : html`<p><a href="/mail">Mailbox</a>, ${mail.count} ${mail.count === 1 ? 'mail' : 'mails'}. The newest, ${time(view, mail.newest.at)}:
            ${mail.newest.subject}, to ${mail.newest.to}</p>`
    }
    <form method="post" action="/mail/server" class="below">
      <fieldset class="choice">
        <legend>Mail server: ${now.does}</legend>
        ${mailModes.map(
          ({ mode, word }) =>
            html`<button name="mode" value="${mode}" id="mail-${mode}" aria-pressed="${mode === mail.mode ? 'true' : 'false'}">${word}</button>`,
        )}
      </fieldset>
    </form>`
}

function log(view: DeskView): Html {
  if (view.log.length === 0) return html`<p class="empty">Each press will leave a sentence here.</p>`
  return html`<ol class="log">
    ${view.log.map(
      (entry) => html`<li><span class="quiet">${time(view, entry.at)}</span> ${entry.sentence}
        ${entry.link ? html`<a href="${entry.link}">What the customer sees</a>` : ''}</li>`,
    )}
  </ol>
  <p class="quiet">In real time, which the buttons do not move.</p>`
}

function orderPage(view: DeskView, order: Order): string {
  return `${view.publicUrl}/numbers/${order.id}`
}

function aheadInWords(ahead: number): string {
  const minutes = Math.round(ahead / 60_000)
  if (minutes === 0) return 'House time is real time.'
  const days = Math.floor(minutes / 1_440)
  const hours = Math.floor((minutes % 1_440) / 60)
  const said = [
    [days, 'day'],
    [hours, 'hour'],
    [minutes % 60, 'minute'],
  ]
    .filter(([count]) => count !== 0)
    .map(([count, unit]) => `${count} ${unit}${count === 1 ? '' : 's'}`)
  return `House time is ${said.join(' ')} ahead of real time.`
}

const countries = new Intl.DisplayNames('en', { type: 'region' })

function countryName(code: string): string {
  return /^[A-Z]{2}$/.test(code) ? (countries.of(code) ?? code) : code
}

function spaced(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, '\u00a0')
}
