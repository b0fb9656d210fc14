/**
 * Who may do what, over every route there is: the table of role × route is written out in docs/powers.md, and no role gets at what
 * belongs to another customer: the same not_found, no effect, no leak. Both are generated from the declared routes, so a new route is
 * in them from its first day.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Policy, Route } from '../server/platform/route.ts'
import { startWorld, type World } from './world.ts'

const TABLE = join(import.meta.dirname, '../docs/powers.md')

let world: World
let routes: readonly Route[]

/** What the request carries that says who asks. */
type Headers = Record<string, string>
const roles = ['stranger', 'customer', 'key: read', 'key: order', 'key: topup', 'staff', 'approver'] as const
type Role = (typeof roles)[number]

/** The open sign-in of each role; some routes end it, and then the next asker signs in again. */
const browsers = new Map<string, Awaited<ReturnType<World['signIn']>>>()
const headersOfBrowser = (browser: { cookie: string }) => ({ cookie: browser.cookie, origin: world.server.publicUrl })

let headersOf: Record<Role, () => Promise<Headers>>
let ana: Awaited<ReturnType<World['customer']>>
let bob: Awaited<ReturnType<World['customer']>>

before(async () => {
  // Without ticks beside: what they write in their own time would look like the work of whoever asked just then.
  world = await startWorld({ env: { ROLE: 'web' } })
  routes = world.server.routes!
  ana = await world.customer({ name: 'ana', credit: '20.00' })
  bob = await world.customer({ name: 'bob', credit: '20.00' })
  const session = (who: { name: string; password: string }) => async () => {
    const known = browsers.get(who.name)
    if (known) return headersOfBrowser(known)
    const browser = await world.signIn(who)
    browsers.set(who.name, browser)
    return headersOfBrowser(browser)
  }
  const key = (scope: 'read' | 'order' | 'topup') => {
    const made = makeKey(scope)
    return async () => ({ authorization: `Bearer ${await made}` })
  }
  headersOf = {
    stranger: async () => ({}),
    customer: session(ana),
    'key: read': key('read'),
    'key: order': key('order'),
    'key: topup': key('topup'),
    staff: session({ name: 'staff', password: 'staff-password' }),
    approver: session({ name: 'approver', password: 'approver-password' }),
  }
})
after(() => world.stop())

/** A key of Ana's with one scope, made as she makes it. */
async function makeKey(scope: string): Promise<string> {
  const browser = await world.signIn(ana)
  const made = await browser.post<{ key: string }>('/keys', { name: `only ${scope}`, scopes: [scope] })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  return made.body.key
}

async function ask(
  route: Route,
  path: string,
  headers: Headers,
  body?: unknown,
): Promise<{ status: number; text: string }> {
  const ended = new AbortController()
  const answer = await fetch(world.server.url + path, {
    method: route.method.toUpperCase(),
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: ended.signal,
    redirect: 'manual',
  })
  if (answer.headers.get('content-type')?.startsWith('text/event-stream')) {
    ended.abort()
    return { status: answer.status, text: '' }
  }
  return { status: answer.status, text: await answer.text() }
}

const allowed: Record<Policy, readonly Role[]> = {
  public: roles,
  // The signature decides, whoever else asks: that it is missing is what they are told.
  signed: [],
  sandbox: roles,
  // No role of the house: a program on the server's machine, or one with the token (server/platform/metrics.test.ts).
  operator: [],
  read: ['customer', 'key: read', 'staff', 'approver'],
  order: ['customer', 'key: order', 'staff', 'approver'],
  topup: ['customer', 'key: topup', 'staff', 'approver'],
  session: ['customer', 'staff', 'approver'],
  recent: ['customer', 'staff', 'approver'],
  staff: ['staff', 'approver'],
}

const words = { 401: 'sign in', 403: 'no', 404: 'not found', signature: 'signature' } as const
/** As a request that came through a proxy says: the tests run on the machine of the server, and the roles do not. */
const fromElsewhere = { 'x-forwarded-for': '192.0.2.1' }

test('the table of role and route is the one that is written down', async () => {
  const rows: string[] = []
  for (const route of routes) {
    const cells: string[] = []
    for (const role of roles) {
      // Nothing that is asked for here exists, and no body is right: only the door is tried.
      const path = route.path.replace(/:\w+/g, 'nothing')
      const headers = { ...(await headersOf[role]()), ...fromElsewhere }
      const { status, text } = await ask(route, path, headers, route.body ? [] : undefined)
      // What was asked may have ended the sign-in.
      if (route.method !== 'get' && !route.body) browsers.clear()
      const code = status >= 400 ? (JSON.parse(text) as { code?: string }).code : null
      if (code === 'unauthenticated' && route.path !== '/api/auth/sign-in/username') cells.push(words[401])
      else if (code === 'forbidden') cells.push(words[403])
      else if (route.policy === 'signed') cells.push(words.signature)
      else if (route.policy === 'operator' && status === 404) cells.push(words[404])
      else cells.push('yes')
    }
    assert.deepEqual(
      roles.filter((_, index) => cells[index] === 'yes'),
      roles.filter((role) => allowed[route.policy].includes(role)),
      `who may ${route.method} ${route.path} (${route.policy})`,
    )
    rows.push(`| \`${route.method.toUpperCase()} ${route.path}\` | ${route.policy} | ${cells.join(' | ')} |`)
  }
  const table = [
    '# Who may do what',
    '',
    'Every route and every role, as the server answers them. Written by `WRITE_TABLE=1 npm test -- test/powers.test.ts`, which otherwise',
    'compares. *sign in*: asked to say who it is. *no*: known, and not allowed. *signature*: whoever signs, nobody else. What is somebody',
    "else's is *not found* for every role, staff included; so are the figures of the `operator`, who is a program on the server's machine, or",
    'one with the token of the metrics.',
    '',
    `| route | policy | ${roles.join(' | ')} |`,
    `| --- | --- | ${roles.map(() => '---').join(' | ')} |`,
    ...rows,
    '',
  ].join('\n')
  if (process.env['WRITE_TABLE']) writeFileSync(TABLE, table)
  assert.equal(readFileSync(TABLE, 'utf8'), table)
})

/** Everything that is stored of a customer, in every table that knows whose its rows are: a digest for each table. */
async function rowsOf(accountId: bigint): Promise<Record<string, string>> {
  const { pool } = world.server.parts.database
  const { rows: tables } = await pool.query<{ table_name: string }>(
    `select c.table_name from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
      where c.table_schema = 'public' and c.column_name = 'account_id' and t.table_type = 'BASE TABLE' order by 1`,
  )
  assert.ok(tables.length > 5)
  const own = [
    ...tables.map(({ table_name }) => ({ table: table_name, key: 'account_id' })),
    { table: 'accounts', key: 'id' },
    { table: 'ledger_accounts', key: 'id' },
  ]
  const stored: Record<string, string> = {}
  for (const { table, key } of own) {
    // Keys and browsers are used by themselves meanwhile.
    const { rows } = await pool.query<{ digest: string }>(
      `select md5(coalesce(string_agg(row::text, ' ' order by row::text), '')) as digest
         from (select to_jsonb(t) - array['last_used_at', 'last_used_address', 'last_seen_at'] as row
                 from "${table}" t where "${key}" = $1) r`,
      [accountId.toString()],
    )
    stored[table] = rows[0]!.digest
  }
  return stored
}

test("another customer's things are not found, by any role, and nothing happens to them", async () => {
  const theirs = await everythingOf(bob)
  const ids: Record<string, string> = theirs.ids
  const before = await rowsOf(bob.accountId)
  let tried = 0
  // What staff see of customers is a matter of their own routes.
  for (const route of routes.filter(({ path, policy }) => /:id\b/.test(path) && policy !== 'staff')) {
    const kind = /\/(\w+)\/:id/.exec(route.path)![1]!
    assert.ok(ids[kind], `the test knows no ${kind} of Bob's: make one in everythingOf()`)
    for (const role of roles.filter((each) => each !== 'stranger' && allowed[route.policy].includes(each))) {
      const headers = await headersOf[role]()
      const asked = (id: string) =>
        ask(route, route.path.replace(':id', id), headers, route.body ? (route.example ?? {}) : undefined)
      const foreign = await asked(ids[kind])
      const unknown = await asked(ids[kind].replace(/[0-9a-f]{6}$/, 'abcdef'))
      const at = `${route.method} ${route.path} as ${role}`
      assert.equal(foreign.status, 404, `${at}: ${foreign.text}`)
      assert.equal(withoutRequest(foreign.text), withoutRequest(unknown.text), at)
      tried++
    }
  }
  assert.ok(tried >= 20, `only ${tried} combinations`)
  assert.deepEqual(await rowsOf(bob.accountId), before, "something of Bob's changed")
})

test("no answer to one customer holds anything of another's", async () => {
  const theirs = await everythingOf(bob)
  const secrets = theirs.secrets
  const stream = await world.live(ana)
  for (const route of routes.filter(({ method, path, stream }) => method === 'get' && !path.includes(':') && !stream)) {
    for (const role of roles) {
      const { text } = await ask(route, route.path, await headersOf[role]())
      for (const [what, secret] of Object.entries(secrets))
        assert.ok(!text.includes(secret), `GET ${route.path} as ${role} tells Bob's ${what}`)
    }
  }
  // And what happens to Bob now is told to nobody else's page.
  const placed = await bob.order({ country: 'DE' })
  const own = await ana.order()
  await stream.hears('order', (order) => order['id'] === own.id)
  assert.ok(!JSON.stringify(stream.told).includes(placed.id))
  await stream.end()
})

/** One of each thing that a customer can have; the ids by the word that stands before them in a path. */
async function everythingOf(who: typeof bob) {
  const browser = await world.signIn(who)
  const order = await who.order({ country: 'US' })
  await world.sms({ to: order.phone_number, from: 'Telegram', text: `Telegram code 48113${order.id.slice(-3, -1)}` })
  const topup = await who.startTopup()
  const key = await browser.post<{ id: string; key: string }>('/keys', { name: 'of bob', scopes: ['read'] })
  assert.equal(key.status, 201, JSON.stringify(key.body))
  const paid = await who.startTopup()
  await world.pay(paid, '4000000000003220', 'complete')
  assert.equal((await who.post(`/topups/${paid.id}/return`, {})).body['status'], 'credited')
  const refund = await browser.post<{ id: string }>(`/topups/${paid.id}/refunds`, { amount: '1.00' })
  assert.equal(refund.status, 201, JSON.stringify(refund.body))
  const sessions = await browser.get<{ items: { id: string }[] }>('/sessions')
  const history = await who.history()
  return {
    ids: {
      orders: order.id,
      topups: topup.id,
      receipts: paid.id,
      refunds: refund.body.id,
      keys: key.body.id,
      sessions: sessions.body.items[0]!.id,
    } as Record<string, string>,
    secrets: {
      name: 'bob@',
      'phone number': order.phone_number,
      'order id': order.id,
      'order number': String(order.number),
      'top-up': topup.id,
      'credited top-up': paid.id,
      refund: refund.body.id,
      key: key.body.id,
      'history row': history[0]!.id,
    },
  }
}

function withoutRequest(text: string): string {
  return text.replace(/req_[0-9a-f]{32}/g, 'req')
}
