/** The chains' part of the desk: what waits to be paid, the networks with their heights, and the presses that move them. */
import { html } from 'hono/html'
import type { CryptoTopup } from '../../contract/contract.ts'
import type { ChainsView } from '../chains/chains.ts'
import type { Html } from '../layout.ts'
import type { DeskView, FilledIn } from './desk.ts'
import { press, time } from './parts.ts'

const DEPTHS = [1, 2, 4]

export function chainsPart(view: DeskView): Html {
  const { nodes, quotes } = view.chains
  return html`
    <h3>Top-ups of the demo customer</h3>
    ${
      quotes.length === 0
        ? html`<p class="empty">A top-up by crypto will stand here. <a href="${view.publicUrl}/top-up">Start one</a></p>`
        : html`<ul class="slips">${quotes.map((topup) => quote(view, topup))}</ul>`
    }
    <h3>Networks</h3>
    <ul class="lines">${nodes.map(network)}</ul>`
}

const states: Record<CryptoTopup['status'], string> = {
  awaiting_payment: 'Nothing has arrived.',
  confirming: 'Payments wait for their blocks.',
  partially_credited: 'A part is credited.',
  credited: 'Credited.',
  reversed: 'Credited, and taken back.',
  expired: 'Nothing arrived in time.',
  refused: 'Ended.',
}

function quote(view: DeskView, topup: CryptoTopup): Html {
  const held = Date.parse(topup.expires_at) > view.now + (view.phones.houseAhead ?? 0)
  const { id } = topup
  const about = `: ${topup.asset_amount} ${topup.asset}`
  const pay = (how: string, word: string, primary = false) =>
    press('/chains/quote', { topup_id: id, how }, word, { id: `${how}-${id}`, more: about, primary })
  return html`<li class="slip">
    <p class="tel">${topup.asset_amount} ${topup.asset}</p>
    <p>$${topup.amount} on ${topup.network}, <a href="${view.publicUrl}/topups/${id}">top-up<span class="unseen">${about}</span></a></p>
    <p class="quiet">${states[topup.status]}
      ${held ? html`Rate held until ${time(view, Date.parse(topup.expires_at))}.` : 'The rate is not held any more.'}</p>
    <div class="buttons">
      ${
        held
          ? html`${pay('exactly', 'Pay exactly', true)}${pay('most', 'Pay 70 %')}${pay('twice', 'Pay twice')}${pay('late', 'Pay late')}`
          : html`${pay('late', 'Pay late')}`
      }
    </div>
  </li>`
}

function network({ name, title, node }: ChainsView['nodes'][number]): Html {
  if (node.state === 'away') return html`<li><p><strong>${title}</strong> ${node.detail}</p></li>`
  const on = ` on ${title}`
  const waits = node.waiting === 0 ? '' : `, ${node.waiting} ${node.waiting === 1 ? 'waits' : 'wait'}`
  const mine = (blocks: number) =>
    press(`/chains/${name}/mine`, { blocks: String(blocks) }, `Mine ${blocks}`, {
      id: `mine-${name}-${blocks}`,
      more: on,
    })
  const reorganise = (depth: number, drop: boolean) =>
    press(
      `/chains/${name}/reorg`,
      { depth: String(depth), drop: String(drop) },
      `${depth} ${depth === 1 ? 'block' : 'blocks'}`,
      {
        id: `${drop ? 'drop' : 'keep'}-${name}-${depth}`,
        more: drop ? `${on}, and what they held is void` : `${on}, and what they held waits again`,
      },
    )
  return html`<li>
    <div class="row">
      <p>${title}<br><span class="quiet">${node.state === 'starting' ? 'starts' : html`block ${node.height}${waits}`}</span></p>
      <div class="buttons">${mine(1)}${mine(3)}</div>
    </div>
    <details id="reorganise-${name}">
      <summary>Reorganise<span class="unseen">${on}</span></summary>
      <h4>Take back the newest; what they held waits for a block again</h4>
      <div class="buttons">${DEPTHS.map((depth) => reorganise(depth, false))}</div>
      <h4>Take back the newest; what they held is spent elsewhere</h4>
      <div class="buttons">${DEPTHS.map((depth) => reorganise(depth, true))}</div>
    </details>
  </li>`
}

/** For a top-up of anybody: its page leads here with everything filled in. */
export function anyAddress(view: DeskView, { address, amount, asset }: FilledIn): Html {
  const codes = view.chains.nodes.flatMap(({ assets }) => assets)
  return html`<h3 id="any-address">Any address</h3>
    <form method="post" action="/chains/pay" class="sms">
      <div class="field"><label for="address">Address</label>
        <input id="address" name="address" required maxlength="100" autocomplete="off" spellcheck="false" value="${address}"></div>
      <div class="field"><label for="amount">Amount</label>
        <input id="amount" name="amount" required maxlength="40" inputmode="decimal" autocomplete="off" placeholder="0.00012345" value="${amount}"></div>
      <div class="field"><label for="asset">Asset</label>
        <select id="asset" name="asset">${codes.map((code) => html`<option value="${code}"${code === asset ? html` selected` : ''}>${code}</option>`)}</select></div>
      <button${address === '' ? '' : html` class="primary"`}>Pay this</button>
    </form>`
}
