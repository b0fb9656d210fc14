/** Receipts, from outside: the facts, the PDF, and who may have them. */
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import type { CardTopup, Receipt, TopupRefund } from '../../contract/contract.ts'
import type { Problem } from '../../contract/refusals.ts'
import { printSlip } from '../../server/platform/pdf.ts'
import { textOf } from '../pdf-text.ts'
import { until } from '../until.ts'
import { startWorld, type World } from '../world.ts'

const VISA = '4000000000003220'
const NOT_ENROLLED = '4242424242424242'

let world: World
before(async () => {
  world = await startWorld({
    env: {
      SELLER_NAME: 'Ada Example Ltd',
      SELLER_ADDRESS: '1 Long Street, 10115 Berlin, Germany',
      SELLER_TAX_ID: 'DE123456789',
      TAX_NOTE: 'No VAT on this prepayment; tax is invoiced on use.',
    },
  })
})
after(() => world?.stop())
afterEach(async () => {
  assert.deepEqual(world.alarms, [])
  await world.audit()
  await world.expectBankAgrees()
})

type Who = Awaited<ReturnType<World['customer']>>

async function credited(who: Who, amount = '10.00'): Promise<CardTopup> {
  const topup = await who.startTopup(amount)
  await world.pay(topup, VISA, 'complete')
  return until(async () => {
    const { body } = await who.get<CardTopup>(`/topups/${topup.id}`)
    return body.status === 'credited' && body
  })
}

async function pdf(who: { key: string }, path: string) {
  const answer = await fetch(`${world.server.url}/api/v1/receipts/${path}`, {
    headers: { authorization: `Bearer ${who.key}` },
  })
  return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) }
}

test('a receipt says who sold what to whom, by which card, when, and how the bank will name it', async () => {
  const ana = await world.customer({ name: 'ana' })
  const topup = await credited(ana, '1000.00')
  assert.equal(topup.receipt, true)
  const { status, body: receipt } = await ana.get<Receipt>(`/receipts/${topup.id}`)
  assert.equal(status, 200)
  assert.deepEqual(receipt, {
    number: `${topup.credited_at!.slice(0, 10).replaceAll('-', '')}-${topup.id.slice(-12).toUpperCase()}`,
    topup_id: topup.id,
    issued_at: topup.credited_at!,
    seller: {
      name: 'Ada Example Ltd',
      address: '1 Long Street, 10115 Berlin, Germany',
      tax_id: 'DE123456789',
      support_email: 'support@sandbox.example',
    },
    buyer: { username: 'ana', company: null, tax_id: null, time_zone: 'UTC' },
    card: { brand: 'visa', last4: '3220' },
    payments: [],
    statement_text: 'MOBILESMS* CREDITS',
    currency: 'USD',
    amount: '1000.00',
    credits: '1000.00',
    tax_note: 'No VAT on this prepayment; tax is invoiced on use.',
    terms: 'Credits do not expire. What you have not spent of this top-up can be returned to the card that paid it.',
    terms_version: '2026-11-23',
  } satisfies Receipt)

  const { headers, bytes } = await pdf(ana, `${topup.id}.pdf`)
  assert.equal(headers.get('content-type'), 'application/pdf')
  assert.equal(headers.get('content-disposition'), `inline; filename="receipt-${topup.id}.pdf"`)
  const text = textOf(bytes)
  for (const words of [
    `Receipt ${receipt.number}`,
    '$1,000.00 of prepaid credits, paid.',
    'Paid by Visa 3220',
    'On your statement MOBILESMS* CREDITS',
    'Account ana',
    'Sold by Ada Example Ltd, 1 Long Street, 10115 Berlin, Germany',
    'Seller’s tax id DE123456789',
    `Top-up ${topup.id}`,
    'Taken from your card, in US dollars $1,000.00',
    'Prepaid credits added $1,000.00',
    'No VAT on this prepayment; tax is invoiced on use.',
    'Questions: support@sandbox.example',
  ])
    assert.ok(text.includes(words), `${words}\n\n${text}`)
  assert.match(text, /Paid and credited \d{1,2} \w{3,4} \d{4}, \d\d:\d\d:\d\d \(UTC\)/)
})

test('the same receipt is the same file, to the byte, whenever it is asked for', async () => {
  const ana = await world.customer()
  const topup = await credited(ana)
  const other = await credited(ana)
  const first = await pdf(ana, `${topup.id}.pdf`)
  assert.deepEqual((await pdf(ana, `${topup.id}.pdf`)).bytes, first.bytes)
  // Printed anew, not kept.
  const slip = { title: 'x', brand: 'x', author: 'x', at: new Date(0), lead: 'x', blocks: [], foot: [], whenBoxed: '' }
  assert.deepEqual(await printSlip(slip), await printSlip(slip))
  assert.notDeepEqual((await pdf(ana, `${other.id}.pdf`)).bytes, first.bytes)
})

test('a company of any script breaks nothing: what the letters of the file lack is a box, and the file says so', async () => {
  const bea = await world.customer()
  const page = await world.signIn(bea)
  const company = 'Łódź Żółć Яндекс 漢字 🙂 Söhne & <GmbH>'
  assert.equal((await page.request('PATCH', '/settings', { company, tax_id: 'PL 1' }, {})).status, 200)
  const topup = await credited(bea)
  const { body } = await bea.get<Receipt>(`/receipts/${topup.id}`)
  assert.equal(body.buyer.tax_id, 'PL 1')
  const text = textOf((await pdf(bea, `${topup.id}.pdf`)).bytes)
  for (const words of ['Łódź', 'Żółć', 'Söhne & <GmbH>', 'A box stands for a letter outside the Latin script.'])
    assert.ok(text.replaceAll(' ', '').includes(words.replaceAll(' ', '')), `${words}\n\n${text}`)
})

test('what was not credited has no receipt, and is told so', async () => {
  const cem = await world.customer()
  const refused = await cem.startTopup()
  await world.pay(refused, NOT_ENROLLED)
  await until(async () => (await cem.get<CardTopup>(`/topups/${refused.id}`)).body.status === 'refused')
  for (const topup of [await cem.startTopup(), refused]) {
    const { status, body } = await cem.get<Problem>(`/receipts/${topup.id}`)
    assert.equal(status, 409)
    assert.equal(body.code, 'not_credited')
    assert.equal(
      body.detail,
      'Nothing stands credited by this top-up, so there is no receipt: it was not credited, or a chain took its payment back. Open the top-up to see how it stands, or whether money was taken at all.',
    )
    assert.equal((await pdf(cem, `${topup.id}.pdf`)).status, 409)
    assert.equal((await cem.get<CardTopup>(`/topups/${topup.id}`)).body.receipt, false)
  }
})

test('a receipt is nobody else’s, and what is no id is not found', async () => {
  const dan = await world.customer()
  const eve = await world.customer()
  const topup = await credited(dan)
  for (const path of [topup.id, 'top_x', `ord_${topup.id.slice(4)}`, `${topup.id}.PDF`]) {
    const { status, body } = await eve.get<Problem>(`/receipts/${path}`)
    assert.deepEqual([status, body.code], [404, 'not_found'], path)
  }
  for (const path of [`${topup.id}.pdf`, 'nothing.pdf', `refunds/ref_${topup.id.slice(4)}.pdf`])
    assert.equal((await pdf(eve, path)).status, 404, path)
  assert.equal((await fetch(`${world.server.url}/api/v1/receipts/${topup.id}.pdf`)).status, 401)
})

test('a payment that the bank reserved and we let go is told once by mail, with the day on which it is gone', async () => {
  const fay = await world.customer({ name: 'fay' })
  await world.control('/stripe/webhooks', { mode: 'double' })
  const topup = await fay.startTopup('25.00')
  await world.pay(topup, NOT_ENROLLED)
  await until(async () => (await fay.get<CardTopup>(`/topups/${topup.id}`)).body.status === 'refused')
  await fay.post(`/topups/${topup.id}/return`, {})
  const mail = await world.mail(await addressOf(fay), /^No money/)
  assert.equal(mail.subject, 'No money was taken: $25.00')
  assert.match(
    mail.text,
    /We took nothing from Visa 4242\. Your bank had said yes without asking you to confirm \(3-D Secure\), and we accept confirmed payments only\./,
  )
  assert.match(mail.text, /Your bank may still show \$25\.00 as pending\..* by \d{1,2} \w+ \d{4} it should be gone\./)
  assert.ok(mail.links.includes(`${world.server.publicUrl}/topups/${topup.id}`))
  const { rowCount } = await world.db.database.pool.query('select from mail_outbox where account_id = $1', [
    fay.accountId,
  ])
  assert.equal(rowCount, 1)
})

async function addressOf(who: Who): Promise<string> {
  const { rows } = await world.db.database.pool.query<{ to: string }>('select mail_address_of($1) as to', [
    who.accountId,
  ])
  return rows[0]!.to
}

async function returns(who: Who, topup: CardTopup, amount: string): Promise<TopupRefund> {
  const page = await world.signIn(who)
  const { status, body } = await page.post<TopupRefund>(`/topups/${topup.id}/refunds`, { amount })
  assert.equal(status, 201, JSON.stringify(body))
  return body
}

test('what goes back to the card has a receipt of its own, and a mail that names the first one and the days it takes', async () => {
  const gus = await world.customer({ name: 'gus' })
  const topup = await credited(gus)
  const refund = await returns(gus, topup, '4.00')
  assert.equal(refund.status, 'succeeded')
  const { body: receipt } = await gus.get<Receipt>(`/receipts/${topup.id}`)
  const mail = await world.mail(await addressOf(gus), /^Refund/)
  assert.equal(mail.subject, 'Refund: $4.00 is on its way to Visa 3220')
  assert.match(
    mail.text,
    /\$4\.00 is on its way back to Visa 3220\. Banks take 5 to 10 business days to show it, by \d/,
  )
  assert.ok(mail.text.includes(`Of receipt: ${receipt.number}\n`))
  assert.ok(mail.text.includes('You had paid: $10.00\nReturned to Visa 3220: $4.00'))
  assert.ok(mail.links.includes(`${world.server.publicUrl}/api/v1/receipts/refunds/${refund.id}.pdf`))

  const { headers, bytes } = await pdf(gus, `refunds/${refund.id}.pdf`)
  assert.equal(headers.get('content-type'), 'application/pdf')
  const text = textOf(bytes)
  for (const words of [
    `Refund receipt R${refund.requested_at.slice(0, 10).replaceAll('-', '')}-${refund.id.slice(-12).toUpperCase()}`,
    '$4.00 returned to Visa 3220.',
    `Of receipt ${receipt.number}`,
    'You had paid, in US dollars $10.00',
    'Returned to Visa 3220 $4.00',
    `Refund ${refund.id}`,
    'Banks take 5 to 10 business days to show it.',
  ])
    assert.ok(text.includes(words), `${words}\n\n${text}`)
})

test('a refund that fails is told once by mail: why, and that the money is in the credits again', async () => {
  const hal = await world.customer({ name: 'hal' })
  const topup = await credited(hal)
  const failing = { payment: topup.id, outcome: 'fails', failure_reason: 'lost_or_stolen_card' }
  await world.control('/stripe/refunds/next', failing)
  const refund = await returns(hal, topup, '10.00')
  assert.equal(refund.status, 'failed')
  const mail = await world.mail(await addressOf(hal), /^Refund/)
  assert.equal(mail.subject, 'Refund of $10.00 failed: the money is back in your credits')
  assert.ok(
    mail.text.includes(
      '$10.00 could not be returned to Visa 3220. Your bank says that the card was reported lost or stolen. The money is yours again: you have $10.00 to spend.',
    ),
    mail.text,
  )
  const text = textOf((await pdf(hal, `refunds/${refund.id}.pdf`)).bytes)
  for (const words of ['Refund that failed', 'It is in your credits again.', 'Not returned to Visa 3220'])
    assert.ok(text.includes(words), `${words}\n\n${text}`)
  const { rowCount } = await world.db.database.pool.query(
    `select from mail_outbox where account_id = $1 and once_key like 'refund:%'`,
    [hal.accountId],
  )
  assert.equal(rowCount, 1)
})
