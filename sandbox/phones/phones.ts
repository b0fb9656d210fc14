/**
 * The door of the phone network: SMS by button, by program, and by itself for the demo customer's orders.
 */
import { Hono } from 'hono'
import type { Order } from '../../contract/contract.ts'
import type { Books } from '../books.ts'
import { type Clock, SECOND } from '../clock.ts'
import { type Bindings, isForm, problem, readAsked } from '../web.ts'
import { type Carried, doors, newSmsId, openNetwork } from './network.ts'
import { listen } from './orders.ts'
import { serviceName, textWithCode, textWithoutCode } from './texts.ts'

export { serviceName } from './texts.ts'

const TEXT_LENGTH_MAX = 1_600
const SENDER_LENGTH_MAX = 40
const ID_LENGTH_MAX = 100

export type PhonesView = {
  connected: boolean
  silent: boolean
  autoSeconds: number
  waiting: number
  houseAhead: number | null
  timeZone: string
  open: { order: Order; silent: boolean; codeDueAt: number | null }[]
  ended: Order[]
}

export type Phones = {
  routes: Hono<Bindings>
  tick: () => void
  view: () => PhonesView
  stop: () => Promise<void>
}

export function openPhones(world: {
  books: Books
  clock: Clock
  serverUrl: () => string
  publicUrl: () => string
  orderPage: (order: Order) => string
  secret: string
  twilioToken: string
  key: string
  /** 0: never by itself. */
  autoSeconds: number
  /** The customer's top-ups, which come with his orders. */
  heardTopups: (said: unknown[]) => void
  note: (sentence: string, link?: string) => void
}): Phones {
  const { books, clock, autoSeconds, note } = world
  books.define(`
    create table if not exists phone_orders (
      order_id text primary key,
      silent integer not null default 0,
      -- When a code is sent by itself, Unix milliseconds of wire time. Null: not planned, or no longer.
      due_at integer,
      -- 1: planned once, so never planned again.
      planned integer not null default 0
    ) without rowid;
    create index if not exists phone_orders_due on phone_orders (due_at) where due_at is not null;
  `)
  // Books of before an order could wait for another code. When that was asked for, in the server's words: planned once each.
  if (!books.one(`select 1 from pragma_table_info('phone_orders') where name = 'another_asked_at'`))
    books.define('alter table phone_orders add column another_asked_at text')
  const network = openNetwork({
    books,
    clock,
    serverUrl: world.serverUrl,
    publicUrl: world.publicUrl,
    secret: world.secret,
    twilioToken: world.twilioToken,
  })
  const ears = listen({ clock, serverUrl: world.serverUrl, key: world.key, heard, heardTopups: world.heardTopups })

  /** A new waiting order gets its code planned, and one that asks for another gets that; else an order with its code needs none. */
  function heard(order: Order): void {
    if (waitsForAnother(order)) {
      if (autoSeconds === 0) return
      books.run(
        `insert into phone_orders (order_id, due_at, planned, another_asked_at) values (?, ?, 1, ?)
         on conflict (order_id) do update set due_at = excluded.due_at, another_asked_at = excluded.another_asked_at
                                        where another_asked_at is not excluded.another_asked_at`,
        order.id,
        clock() + autoSeconds * SECOND,
        order.another_code_requested_at,
      )
    } else if (order.status === 'waiting' && order.messages.length === 0) {
      if (autoSeconds === 0) return
      books.run(
        `insert into phone_orders (order_id, due_at, planned) values (?, ?, 1)
         on conflict (order_id) do update set due_at = excluded.due_at, planned = 1 where planned = 0`,
        order.id,
        clock() + autoSeconds * SECOND,
      )
    } else {
      books.run('update phone_orders set due_at = null where order_id = ? and due_at is not null', order.id)
      if (order.ended_at) books.run('delete from phone_orders where order_id = ?', order.id)
    }
  }

  const silentForAll = () => books.setting('phones_silent') === 'true'

  function tick(): void {
    if (!silentForAll()) {
      const due = books.all<{ order_id: string }>(
        'select order_id from phone_orders where due_at <= ? and silent = 0 order by due_at limit 100',
        clock(),
      )
      for (const { order_id: id } of due) {
        const order = ears.find(id)
        // Not known for the moment: the server is away or only starting.
        if (!order) continue
        books.transaction(() => {
          books.run('update phone_orders set due_at = null where order_id = ?', id)
          const another = waitsForAnother(order)
          if (order.status !== 'waiting' && !another) return
          const { from, text } = textWithCode(order.service)
          network.hand({ id: newSmsId(), to: order.phone_number, from, text, via: 'generic' })
          note(
            `The phone network sent ${order.phone_number} ${another ? 'another' : 'a'} code for ${serviceName(order.service)} by itself.`,
            world.orderPage(order),
          )
        })
      }
    }
    network.send()
  }

  const routes = new Hono<Bindings>()

  routes.get('/', (c) => {
    const { open, ended, ...rest } = view()
    return c.json({
      connected: rest.connected,
      silent: rest.silent,
      auto_seconds: rest.autoSeconds,
      waiting: rest.waiting,
      open: open.map(({ order, silent, codeDueAt }) => ({
        ...order,
        silent,
        code_due_at: codeDueAt === null ? null : new Date(codeDueAt).toISOString(),
      })),
      ended,
    })
  })

  routes.post('/sms', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const { from = 'SMS', text } = asked
    const via = doors.find((door) => door === (asked['via'] ?? 'generic'))
    const to = typeof asked['to'] === 'string' ? asked['to'].replace(/[\s()-]/g, '') : ''
    const id = asked['id'] ?? newSmsId()
    if (!/^\+[1-9]\d{6,14}$/.test(to))
      return problem(
        c,
        400,
        'invalid_request',
        'to is a phone number with + and country code, like +447700900123.',
        'to',
      )
    if (typeof from !== 'string' || from.trim() === '' || from.length > SENDER_LENGTH_MAX)
      return problem(c, 400, 'invalid_request', `from is the sender, 1 to ${SENDER_LENGTH_MAX} characters.`, 'from')
    if (typeof text !== 'string' || text === '' || text.length > TEXT_LENGTH_MAX)
      return problem(c, 400, 'invalid_request', `text is the message, 1 to ${TEXT_LENGTH_MAX} characters.`, 'text')
    if (typeof id !== 'string' || id === '' || id.length > ID_LENGTH_MAX)
      return problem(c, 400, 'invalid_request', `id is the message id, 1 to ${ID_LENGTH_MAX} characters.`, 'id')
    if (!via) return problem(c, 400, 'invalid_request', `via is ${doors.join(' or ')}.`, 'via')
    const sms = { id, to, from: from.trim(), text, via }
    const carried = await network.carry(sms)
    const order = ears.open().find((each) => each.phone_number === to)
    note(`${described(carried)}: “${shortened(text)}” to ${to}.`, order && world.orderPage(order))
    if (isForm(c)) return c.redirect('/#phones', 303)
    return answerTo(c, sms, carried)
  })

  /** The desk's buttons on an order: a code, a text without one. On an ended order the code comes late. */
  routes.post('/send', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const order = typeof asked['order_id'] === 'string' ? ears.find(asked['order_id']) : undefined
    if (!order) return problem(c, 404, 'not_found', 'The phones know no such order of the demo customer.', 'order_id')
    const kind = asked['kind']
    if (kind !== 'code' && kind !== 'no_code')
      return problem(c, 400, 'invalid_request', 'kind is code or no_code.', 'kind')
    const { from, text } = kind === 'code' ? textWithCode(order.service) : textWithoutCode(order.service)
    const sms = { id: newSmsId(), to: order.phone_number, from, text, via: 'generic' as const }
    // What a person sends replaces what the network would have sent by itself.
    if (kind === 'code') books.run('update phone_orders set due_at = null where order_id = ?', order.id)
    const late = ['finished', 'cancelled', 'expired', 'failed'].includes(order.status)
    const carried = await network.carry(sms)
    const what = kind === 'no_code' ? 'a text without a code' : late ? 'a late code' : 'a code'
    note(`${described(carried)}: ${what} to ${sms.to}, “${shortened(text)}”.`, world.orderPage(order))
    if (isForm(c)) return c.redirect('/#phones', 303)
    return answerTo(c, sms, carried)
  })

  routes.post('/silence', async (c) => {
    const asked = await readAsked(c)
    if (asked instanceof Response) return asked
    const { order_id: id } = asked
    const silent = asked['silent'] === true || asked['silent'] === 'true'
    if (!silent && asked['silent'] !== false && asked['silent'] !== 'false')
      return problem(c, 400, 'invalid_request', 'silent is true or false.', 'silent')
    if (id !== undefined && (typeof id !== 'string' || !/^ord_\w{1,60}$/.test(id)))
      return problem(c, 400, 'invalid_request', 'order_id is the id of an order, ord_…', 'order_id')
    books.transaction(() => {
      if (id === undefined) {
        if (silent !== silentForAll())
          note(
            silent
              ? 'The phone network sends nothing by itself from now on.'
              : 'The phone network sends codes by itself again.',
          )
        books.set('phones_silent', String(silent))
      } else {
        // An order may be silenced before the phones have heard of it.
        books.run(
          `insert into phone_orders (order_id, silent) values (?, ?)
           on conflict (order_id) do update set silent = excluded.silent`,
          id,
          silent ? 1 : 0,
        )
        const order = ears.find(id)
        if (order)
          note(
            silent
              ? `${order.phone_number} gets no code by itself.`
              : `${order.phone_number} gets a code by itself again.`,
            world.orderPage(order),
          )
      }
      if (!silent)
        books.run(
          'update phone_orders set due_at = ? where due_at is not null and (? is null or order_id = ?)',
          clock() + autoSeconds * SECOND,
          id ?? null,
          id ?? null,
        )
    })
    if (isForm(c)) return c.redirect('/#phones', 303)
    return c.json({ silent, ...(id !== undefined && { order_id: id }) })
  })

  routes.all('*', (c) => problem(c, 404, 'not_found', `There is no ${c.req.method} ${c.req.path}.`))

  function view(): PhonesView {
    const silent = silentForAll()
    return {
      connected: ears.connected(),
      silent,
      autoSeconds,
      waiting: network.waiting(),
      houseAhead: ears.houseAhead(),
      timeZone: ears.timeZone(),
      open: ears.open().map((order) => {
        const row = books.one<{ silent: number; due_at: number | null }>(
          'select silent, due_at from phone_orders where order_id = ?',
          order.id,
        )
        const silenced = silent || row?.silent === 1
        return { order, silent: row?.silent === 1, codeDueAt: silenced ? null : (row?.due_at ?? null) }
      }),
      ended: ears.ended(),
    }
  }

  return {
    routes,
    tick,
    view,
    async stop() {
      await Promise.all([ears.stop(), network.stop()])
    },
  }
}

function waitsForAnother(order: Order): boolean {
  return order.status === 'received' && order.another_code_requested_at !== null
}

function answerTo(c: Parameters<typeof problem>[0], sms: { id: string }, carried: Carried): Response {
  if (carried.outcome === 'queued')
    return c.json({ id: sms.id, status: 'queued', detail: `It is tried again: ${carried.why}.` }, 202)
  // What the server said, with its status: a refusal stays a refusal.
  const said = typeof carried.answer === 'object' && carried.answer !== null ? carried.answer : { body: carried.answer }
  return c.body(JSON.stringify({ id: sms.id, ...said }), carried.status as 200, {
    'content-type': carried.outcome === 'refused' ? 'application/problem+json' : 'application/json',
  })
}

function described(carried: Carried): string {
  switch (carried.outcome) {
    case 'taken':
      return 'Delivered'
    case 'refused':
      return `Refused by the server (${carried.status})`
    case 'queued':
      return `Waiting, ${carried.why}`
  }
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ').replace(/\.$/, '')
  return line.length > 80 ? `${line.slice(0, 79)}…` : line
}
