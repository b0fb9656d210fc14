import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import type { Order } from '../../contract/contract.ts'
import { startWorld, until, type World } from '../testing.ts'
import { textWithCode, textWithoutCode } from './texts.ts'

/** The demo customer's orders as the server would tell them. */
function tellOrders(world: World) {
  const streams = new Set<ServerResponse>()
  const orders: Order[] = []
  const house = { ahead: 0 }
  const tell = (event: string, data: unknown) => {
    for (const stream of streams) stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
  }
  world.receiver.handle = (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://x')
    if (!pathname.startsWith('/api/v1/')) return false
    if (request.headers.authorization !== 'Bearer msk_sandbox_demo') {
      response.writeHead(401).end()
    } else if (pathname === '/api/v1/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      streams.add(response)
      response.on('close', () => streams.delete(response))
      const now = new Date(Date.now() + house.ahead).toISOString()
      response.write(`event: hello\ndata: ${JSON.stringify({ now })}\n\n`)
    } else {
      const isOpen = searchParams.get('status') === 'open'
      const items = orders.filter((order) => (order.ended_at === null) === isOpen)
      const body = pathname === '/api/v1/me' ? { time_zone: 'Europe/Berlin' } : { items, next_cursor: null }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    return true
  }
  return {
    house,
    streams,
    place(id: string, more: Partial<Order> = {}): Order {
      const at = new Date().toISOString()
      const order: Order = {
        id,
        number: 482_771_093,
        phone_number: '+447700900123',
        service: 'whatsapp',
        country: 'GB',
        price: '1.20',
        status: 'waiting',
        created_at: at,
        expires_at: at,
        cancel_from: at,
        ended_at: null,
        received_at: null,
        another_code_requested_at: null,
        messages: [],
        ...more,
      }
      const place = orders.findIndex((each) => each.id === id)
      if (place >= 0) orders.splice(place, 1)
      orders.push(order)
      tell('order', order)
      return order
    },
  }
}

const sent = (world: World) =>
  world.receiver.heard
    .filter((call) => call.path === '/webhooks/sms/generic')
    .map((call) => JSON.parse(call.body) as { id: string; to: string; from: string; text: string })

/** How many messages, each once however often it was carried. */
const messages = (world: World) => new Set(sent(world).map((sms) => sms.id)).size

const connected = (world: World) => until(async () => (await world.read('/phones'))['connected'])

test('an SMS is signed over its very bytes, and the server’s answer comes back', async () => {
  const world = await startWorld()
  world.receiver.answer = () => ({ status: 200, body: { status: 'duplicate' } })
  const answer = await world.control('/phones/sms', {
    to: '+44 7700 900123',
    from: 'Telegram',
    text: 'Код Telegram: 48277',
    id: 'sms_twice',
  })
  assert.deepEqual(answer, { status: 200, body: { id: 'sms_twice', status: 'duplicate' } })
  const call = world.receiver.heard[0]!
  assert.deepEqual(JSON.parse(call.body), {
    id: 'sms_twice',
    to: '+447700900123',
    from: 'Telegram',
    text: 'Код Telegram: 48277',
  })
  const [, time, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(call.headers['x-signature'])) ?? []
  assert.equal(signature, createHmac('sha256', 'sms_sandbox').update(`${time}.${call.body}`).digest('hex'))
  assert.ok(Math.abs(Number(time) - Date.now() / 1_000) < 60)
  await world.stop()
})

test('through the other door an SMS is Twilio’s form, signed over the address that is set there and every field', async () => {
  const world = await startWorld()
  const empty = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
  world.receiver.answer = () => ({ status: 200, body: empty })
  const sms = { to: '+447700900123', from: 'Telegram', text: 'Код + 48277 & more = 1%', id: 'sms_twice', via: 'twilio' }
  const answer = await world.control('/phones/sms', sms)
  assert.deepEqual(answer, { status: 200, body: { id: 'sms_twice', body: empty } })
  await world.control('/phones/sms', sms)
  const [call, again] = world.receiver.heard
  assert.equal(call!.path, '/webhooks/sms/twilio')
  assert.match(String(call!.headers['content-type']), /^application\/x-www-form-urlencoded/)
  const fields = Object.fromEntries(new URLSearchParams(call!.body))
  assert.deepEqual(
    [fields['To'], fields['From'], fields['Body'], fields['NumMedia'], fields['SmsStatus']],
    ['+447700900123', 'Telegram', 'Код + 48277 & more = 1%', '0', 'received'],
  )
  assert.match(fields['MessageSid']!, /^SM[0-9a-f]{32}$/)
  assert.equal(new URLSearchParams(again!.body).get('MessageSid'), fields['MessageSid'])
  const signed = Object.entries(fields)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flat()
    .join('')
  const expected = createHmac('sha1', 'twilio_sandbox').update(`http://localhost:4299/webhooks/sms/twilio${signed}`)
  assert.equal(call!.headers['x-twilio-signature'], expected.digest('base64'))
  await world.stop()
})

test('a refusal of the server stays a refusal and is not repeated', async () => {
  const world = await startWorld()
  world.receiver.answer = () => ({ status: 400, body: { code: 'invalid_request' } })
  const answer = await world.control('/phones/sms', { to: '+447700900123', from: 'X', text: 'Hello' })
  assert.equal(answer.status, 400)
  assert.equal(answer.body['code'], 'invalid_request')
  world.pass(60_000)
  await new Promise((resolve) => setTimeout(resolve, 400))
  assert.equal(sent(world).length, 1)
  await world.stop()
})

test('an SMS outlives the absence of the server and a restart of the network', async () => {
  const world = await startWorld()
  world.receiver.answer = () => 'hang'
  const answer = await world.control('/phones/sms', { to: '+447700900123', from: 'X', text: 'Code 1234' })
  assert.equal(answer.status, 202)
  assert.equal(answer.body['status'], 'queued')
  await world.restart()
  world.receiver.answer = () => undefined
  world.pass(30_000)
  await until(() => sent(world).length === 1)
  assert.equal(sent(world)[0]?.id, answer.body['id'])
  assert.equal((await world.read('/phones'))['waiting'], 0)
  await world.stop()
})

test('what is no SMS is refused with the field that is wrong', async () => {
  const world = await startWorld()
  const good = { to: '+447700900123', from: 'X', text: 'Hello' }
  for (const [wrong, field] of [
    [{ to: '07700900123' }, 'to'],
    [{ to: '+0447700' }, 'to'],
    [{ to: 447 }, 'to'],
    [{ from: '' }, 'from'],
    [{ from: 'x'.repeat(41) }, 'from'],
    [{ text: '' }, 'text'],
    [{ text: 'x'.repeat(1_601) }, 'text'],
    [{ id: '' }, 'id'],
    [{ via: 'pigeon' }, 'via'],
  ] as const) {
    const answer = await world.control('/phones/sms', { ...good, ...wrong })
    assert.equal(answer.status, 400, JSON.stringify(wrong))
    assert.equal(answer.body['field'], field)
    assert.equal(answer.body['code'], 'invalid_request')
  }
  const large = await fetch(`${world.sandbox.url}/phones/sms`, { method: 'POST', body: 'x'.repeat(5_000_000) })
  assert.equal(large.status, 413)
  assert.equal(sent(world).length, 0)
  await world.stop()
})

test('each new waiting order gets one code by itself, after the seconds that were set', async () => {
  const world = await startWorld({ autoSmsSeconds: 120 })
  const demo = tellOrders(world)
  demo.place('ord_1')
  await connected(world)
  const second = demo.place('ord_2', { phone_number: '+447700900456', service: 'telegram' })
  await until(async () => ((await world.read('/phones'))['open'] as unknown[]).length === 2)
  world.pass(60_000)
  await new Promise((resolve) => setTimeout(resolve, 400))
  assert.equal(sent(world).length, 0)
  world.pass(60_000)
  await until(() => sent(world).length === 2)
  const code = sent(world).find((sms) => sms.to === second.phone_number)
  assert.equal(code?.from, 'Telegram')
  assert.match(code?.text ?? '', /\d{5}/)
  // Neither a repetition of the order nor a restart sends another.
  demo.place('ord_2', { phone_number: '+447700900456', service: 'telegram' })
  await world.restart()
  await connected(world)
  world.pass(600_000)
  await new Promise((resolve) => setTimeout(resolve, 400))
  // One that was on its way at the restart may come again, as itself.
  assert.equal(messages(world), 2)
  await world.stop()
})

test('silence for all, and for one order even before the network has heard of it', async () => {
  const world = await startWorld({ autoSmsSeconds: 60 })
  const demo = tellOrders(world)
  await connected(world)
  await world.control('/phones/silence', { order_id: 'ord_quiet', silent: true })
  await world.control('/phones/silence', { silent: true })
  demo.place('ord_quiet')
  demo.place('ord_loud', { phone_number: '+447700900456' })
  await until(async () => ((await world.read('/phones'))['open'] as unknown[]).length === 2)
  world.pass(600_000)
  await new Promise((resolve) => setTimeout(resolve, 400))
  assert.equal(sent(world).length, 0)

  await world.control('/phones/silence', { silent: false })
  world.pass(60_000)
  await until(() => sent(world).length === 1)
  assert.equal(sent(world)[0]?.to, '+447700900456')
  await world.control('/phones/silence', { order_id: 'ord_quiet', silent: false })
  world.pass(60_000)
  await until(() => sent(world).length === 2)
  assert.equal((await world.control('/phones/silence', { silent: 'perhaps' })).status, 400)
  assert.equal((await world.control('/phones/silence', { order_id: 'x', silent: true })).status, 400)
  await world.stop()
})

test('an order that ended or has its code gets none by itself', async () => {
  const world = await startWorld({ autoSmsSeconds: 60 })
  const demo = tellOrders(world)
  await connected(world)
  demo.place('ord_1')
  demo.place('ord_2')
  await until(async () => ((await world.read('/phones'))['open'] as unknown[]).length === 2)
  demo.place('ord_1', { status: 'cancelled', ended_at: new Date().toISOString() })
  demo.place('ord_2', { status: 'received' })
  await until(async () => ((await world.read('/phones'))['ended'] as unknown[]).length === 1)
  world.pass(600_000)
  await new Promise((resolve) => setTimeout(resolve, 400))
  assert.equal(sent(world).length, 0)
  await world.stop()
})

test('an order that asks for another code gets one by itself, once for each time it asks', async () => {
  const world = await startWorld({ autoSmsSeconds: 3 })
  const demo = tellOrders(world)
  await connected(world)
  const received = { status: 'received' as const, received_at: new Date().toISOString() }
  demo.place('ord_1', received)
  await until(async () => ((await world.read('/phones'))['open'] as unknown[]).length === 1)
  world.pass(10_000)
  demo.place('ord_1', { ...received, another_code_requested_at: '2026-11-23T14:02:00.000Z' })
  const planned = async () =>
    ((await world.read('/phones'))['open'] as { code_due_at: string | null }[])[0]?.code_due_at
  await until(planned)
  world.pass(3_000)
  await until(() => sent(world).length === 1)
  demo.place('ord_1', { ...received, another_code_requested_at: '2026-11-23T14:02:00.000Z' })
  await world.restart()
  await connected(world)
  world.pass(10_000)
  await new Promise((resolve) => setTimeout(resolve, 400))
  // One that was on its way at the restart may come again, as itself.
  assert.equal(messages(world), 1)
  demo.place('ord_1', { ...received, another_code_requested_at: '2026-11-23T14:05:00.000Z' })
  await until(planned)
  world.pass(3_000)
  await until(() => messages(world) === 2)
  await world.stop()
})

test('by button: a code, a text without one, a late code; the plan of the network is then off', async () => {
  const world = await startWorld({ autoSmsSeconds: 60 })
  const demo = tellOrders(world)
  await connected(world)
  demo.place('ord_1')
  demo.place('ord_2', { status: 'expired', ended_at: new Date().toISOString(), phone_number: '+447700900456' })
  await until(async () => ((await world.read('/phones'))['ended'] as unknown[]).length === 1)
  await world.control('/phones/send', { order_id: 'ord_1', kind: 'no_code' })
  await world.control('/phones/send', { order_id: 'ord_1', kind: 'code' })
  await world.control('/phones/send', { order_id: 'ord_2', kind: 'code' })
  world.pass(600_000)
  await new Promise((resolve) => setTimeout(resolve, 400))
  assert.deepEqual(
    sent(world).map((sms) => [sms.to, /\d{3}/.test(sms.text)]),
    [
      ['+447700900123', false],
      ['+447700900123', true],
      ['+447700900456', true],
    ],
  )
  assert.equal((await world.control('/phones/send', { order_id: 'ord_9', kind: 'code' })).status, 404)
  assert.equal((await world.control('/phones/send', { order_id: 'ord_1', kind: 'song' })).status, 400)
  await world.stop()
})

test('the network comes back by itself when the stream ends, and knows what happened meanwhile', async () => {
  const world = await startWorld({ autoSmsSeconds: 1 })
  const demo = tellOrders(world)
  demo.house.ahead = 20 * 60_000
  await connected(world)
  for (const stream of demo.streams) stream.destroy()
  demo.place('ord_missed')
  await until(async () => ((await world.read('/phones'))['open'] as unknown[]).length === 1)
  world.pass(1_000)
  await until(() => sent(world).length === 1)
  await world.stop()
})

test('texts name the service, and one in which a person reads no code carries no digit', () => {
  for (const service of ['telegram', 'whatsapp', 'google', 'uber', 'unheard']) {
    for (let round = 0; round < 50; round++) {
      const { text, code } = textWithCode(service)
      assert.ok(text.includes(code))
      assert.ok(!/[{}#]/.test(text))
      assert.ok(!/\d/.test(textWithoutCode(service).text))
    }
  }
})
