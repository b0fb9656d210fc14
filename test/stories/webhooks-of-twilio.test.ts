/**
 * Twilio's own door for SMS: the form that it sends, signed as it signs over the address that people know. A code that comes through
 * it is charged as any other, once; what Twilio did not sign is not stored.
 */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Order } from '../../contract/contract.ts'
import type { Problem } from '../../contract/refusals.ts'
import { type Answer, startWorld, type World } from '../world.ts'

const TOKEN = 'twilio_sandbox'
const PATH = '/webhooks/sms/twilio'
/** The server stands behind a proxy: this is the address that is set at Twilio, and what it signs. */
const PUBLIC_URL = 'https://sms.example'
const EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'

let world: World
before(async () => {
  world = await startWorld({ env: { PUBLIC_URL, TWILIO_AUTH_TOKENS: `a-token-that-is-being-replaced,${TOKEN}` } })
})
after(() => world?.proveAndStop())

/** By the words of the documentation: the address, then each parameter's name and value by the alphabet, HMAC-SHA1, base64. */
function sign(form: Record<string, string>, { url = PUBLIC_URL + PATH, token = TOKEN } = {}): string {
  let text = url
  for (const name of Object.keys(form).sort()) text += name + form[name]
  return createHmac('sha1', token).update(text, 'utf8').digest('base64')
}

let sent = 0
function message(order: { phone_number: string }, Body: string, more: Record<string, string> = {}) {
  sent += 1
  const sid = `SM${String(sent).padStart(32, '0')}`
  return {
    ToCountry: 'GB',
    SmsMessageSid: sid,
    NumMedia: '0',
    SmsSid: sid,
    SmsStatus: 'received',
    Body,
    FromCountry: '',
    To: order.phone_number,
    NumSegments: '1',
    MessageSid: sid,
    AccountSid: `AC${'0'.repeat(32)}`,
    From: 'Telegram',
    ApiVersion: '2010-04-01',
    ...more,
  }
}

async function send(
  form: Record<string, string>,
  {
    signature = sign(form),
    path = PATH,
    body = new URLSearchParams(form).toString(),
    type = 'application/x-www-form-urlencoded',
  } = {},
): Promise<Answer<string & Problem>> {
  return world.stranger().post(path, body, { 'content-type': type, 'x-twilio-signature': signature })
}

async function stored(): Promise<number> {
  const { rows } = await world.db.database.pool.query(
    `select count(*)::int as count from inbox where source = 'sms:twilio'`,
  )
  return rows[0].count
}

test('a code through Twilio is charged, once, whatever is repeated; the answer is an empty TwiML document', async () => {
  const ana = await world.customer({ name: 'ana', credit: '5.00' })
  const order = await ana.order()
  const form = message(order, 'Код Telegram + 48213 & more: 100%\nhttps://t.me/login/48213')
  const first = await send(form)
  assert.deepEqual([first.status, first.body], [200, EMPTY])
  assert.match(first.headers.get('content-type')!, /^text\/xml/)
  const again = await Promise.all([send(form), send(form), send(form)])
  assert.ok(again.every(({ status, body }) => status === 200 && body === EMPTY))
  const now = await ana.orderNow(order.id)
  assert.deepEqual(
    now.messages.map(({ text, code, from }) => ({ text, code, from })),
    [{ text: form.Body, code: '48213', from: 'Telegram' }],
  )
  await world.expectBooks(`
    ana available 3.80
    ana held      0.00
    revenue 1.20`)
  assert.equal(await stored(), 1)

  // A longer one comes in parts, and one with a picture, at one time each; a field that nobody knew is signed with the others.
  await send(message(order, `${'word '.repeat(300)} your code is 48214`, { NumSegments: '10' }))
  const picture = message(order, '', {
    NumMedia: '1',
    MediaUrl0: 'https://api.twilio.com/x',
    MediaContentType0: 'image/png',
  })
  delete (picture as Partial<typeof picture>).Body
  assert.equal((await send(picture)).status, 200)
  assert.equal((await send(message(order, 'Telegram code 48215', { OfTomorrow: 'true' }))).status, 200)
  assert.deepEqual(
    (await ana.orderNow(order.id)).messages.map(({ code }) => code),
    ['48213', '48214', null, '48215'],
  )
})

test('a message that was signed once is no other message, however its fields are cut anew', async () => {
  const eli = await world.customer({ name: 'eli', credit: '5.00' })
  const order = await eli.order()
  const form = message(order, 'Telegram code 48213')
  assert.equal((await send(form)).status, 200)
  const before = await stored()
  const signature = sign(form)
  // The same text to sign: the end of one field and the beginning of the next are not told apart in it.
  const { NumMedia, ...rest } = form
  const longer = { ...rest, MessageSid: `${form.MessageSid}NumMedia${NumMedia}` }
  assert.equal(sign(longer), signature)
  const { status, body } = await send(longer, { signature })
  assert.deepEqual([status, body.code, body.field], [400, 'invalid_request', 'MessageSid'])
  assert.equal(await stored(), before)
})

test('the query of the address is signed with it, and either port may be', async () => {
  const ben = await world.customer({ name: 'ben', credit: '5.00' })
  const order = await ben.order()
  const path = `${PATH}?line=1&name=a%20b`
  const form = message(order, 'Telegram code 48213')
  assert.equal((await send(form, { path })).status, 400, 'signed without the query')
  const signature = sign(form, { url: `https://sms.example:443${path}` })
  assert.equal((await send(form, { path, signature })).status, 200)
  assert.equal((await ben.orderNow(order.id)).status, 'received')
})

test('the phone network of the sandbox hands in SMS as Twilio, when asked to', async () => {
  const cleo = await world.customer({ name: 'cleo', credit: '5.00' })
  const order = await cleo.order()
  const carried = await world.control('/phones/sms', {
    to: order.phone_number,
    from: 'Telegram',
    text: 'Telegram code 48213',
    id: 'one',
    via: 'twilio',
  })
  assert.deepEqual(carried, { id: 'one', body: EMPTY })
  assert.equal((await cleo.orderNow(order.id)).status, 'received')
})

test('what Twilio did not sign, or nobody can read, is not stored, and says why', async () => {
  const dora = await world.customer({ name: 'dora', credit: '5.00' })
  const order: Order = await dora.order()
  const before = await stored()
  const form = message(order, 'Telegram code 48213')
  const refused = async (
    code: string,
    asked: Promise<Answer<string & Problem>>,
    field?: string,
    says = /Nothing was stored\.$/,
  ) => {
    const { status, body, headers } = await asked
    assert.deepEqual([body.code, body.status, body.field], [code, status, field], JSON.stringify(body))
    assert.match(headers.get('content-type')!, /^application\/problem\+json/)
    assert.match(body.detail, says)
  }

  for (const [what, signature] of [
    ['unsigned', ''],
    ['made up', 'RSOYDt4T1cUTdK1PDd93/VVr8B8='],
    ['another token', sign(form, { token: 'guess' })],
    ['our own address', sign(form, { url: world.server.url + PATH })],
    ['another door', sign(form, { url: `${PUBLIC_URL}/webhooks/sms/generic` })],
    ['another message', sign({ ...form, Body: 'Telegram code 48214' })],
    [
      'the signature of JSON',
      createHmac('sha1', TOKEN)
        .update(PUBLIC_URL + PATH)
        .digest('base64'),
    ],
  ] as const)
    await test(what, () => refused('invalid_signature', send(form, { signature }), 'X-Twilio-Signature'))

  for (const type of ['application/json', 'multipart/form-data; boundary=x', 'text/plain', ''])
    await refused('unsupported_media_type', send(form, { type }))

  const wrong = async (field: string, change: Record<string, string>) =>
    refused('invalid_request', send({ ...form, ...change }), field, /cannot be used: .*nothing was done\.$/)
  await wrong('MessageSid', { MessageSid: '' })
  await wrong('MessageSid', { MessageSid: 'SM 1' })
  await wrong('MessageSid', { MessageSid: `${form.MessageSid}0` })
  await wrong('To', { To: '07700900123' })
  await wrong('To', { To: 'whatsapp:+447700900123' })
  await wrong('From', { From: '' })
  await wrong('From', { From: 'x'.repeat(65) })

  const large = { ...form, Padding: 'x'.repeat(70 * 1024) }
  await refused('too_large', send(large), undefined, /at most 65536 bytes/)
  await refused('too_large', send({ ...form, Padding: 'x'.repeat(1024 * 1024) }), undefined, /at most \d+ bytes/)
  assert.equal((await world.stranger().get<Problem>(PATH)).body.code, 'method_not_allowed')

  assert.equal(await stored(), before)
  assert.equal((await dora.orderNow(order.id)).status, 'waiting')
  // The very same message, whole and signed, is taken.
  assert.equal((await send(form)).status, 200)
  assert.equal((await dora.orderNow(order.id)).status, 'received')
})

test('without a token the door is closed', async () => {
  const closed = await startWorld({ env: { TWILIO_AUTH_TOKENS: '' } })
  try {
    const form = message({ phone_number: '+447700900101' }, 'Telegram code 48213')
    const answer = await closed.stranger().post<Problem>(PATH, new URLSearchParams(form).toString(), {
      'content-type': 'application/x-www-form-urlencoded',
      'x-twilio-signature': sign(form, { url: closed.server.publicUrl + PATH, token: '' }),
    })
    assert.deepEqual([answer.status, answer.body.code], [404, 'not_found'])
  } finally {
    await closed.stop()
  }
})
