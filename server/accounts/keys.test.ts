import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import type { ApiKey, NewApiKey, Page } from '../../contract/contract.ts'
import type { Problem } from '../../contract/refusals.ts'
import { until } from '../../test/until.ts'
import { startWorld, type World } from '../../test/world.ts'
import { wireClock } from '../platform/clock.ts'
import { openLog } from '../platform/log.ts'
import { createKeys, readAddresses } from './keys.ts'

// One proxy of ours stands before the server, so a test may come from any address.
let world: World
let owner: pg.Pool
before(async () => {
  world = await startWorld({ env: { TRUST_PROXY: '1' } })
  owner = new pg.Pool({ connectionString: world.db.url, max: 4 })
})
after(async () => {
  await owner.end()
  await world.stop()
})

const whole = { name: 'Everything', scopes: ['read', 'order', 'topup'] }

/** Nobody listens to what this test's own rooms announce. */
const announce = { publish: () => {} }

async function person(name: string) {
  const customer = await world.customer({ name })
  const browser = await world.signIn(customer)
  return {
    ...customer,
    browser,
    async makes(wish: object = whole): Promise<NewApiKey> {
      const made = await browser.post<NewApiKey>('/keys', wish)
      assert.equal(made.status, 201, JSON.stringify(made.body))
      return made.body
    },
    keys: async (query = '') => (await browser.get<Page<ApiKey>>(`/keys${query}`)).body,
  }
}

/** Asks with this key, as if from this address. */
function asks(key: string, address = '192.0.2.7') {
  const headers = { authorization: `Bearer ${key}`, 'x-forwarded-for': address }
  return {
    get: (path: string) => world.stranger().get<Record<string, unknown> & Problem>(path, headers),
    post: (path: string, body: object) => world.stranger().post<Record<string, unknown> & Problem>(path, body, headers),
  }
}

async function isRefused(
  asked: Promise<{ status: number; body: Problem }>,
  expected: { status: number; code: string; detail: RegExp; field?: string },
): Promise<void> {
  const answer = await asked
  assert.deepEqual([answer.status, answer.body.code], [expected.status, expected.code], JSON.stringify(answer.body))
  assert.match(answer.body.detail, expected.detail)
  assert.equal(answer.body.field, expected.field)
}

test('a key is shown once: it works, and neither the list nor the database knows it', async () => {
  const ana = await person('ana')
  const made = await ana.makes({
    name: ' Server in Frankfurt ',
    scopes: ['order', 'read', 'order'],
    daily_cap: '25',
    addresses: ['192.0.2.7', ' 2001:DB8::/32 ', '192.0.2.7'],
    expires_at: '2031-01-01T00:00:00+01:00',
  })
  assert.match(made.key, /^msk_[0-9A-Za-z]{32}$/)
  const { key, ...shown } = made
  assert.deepEqual(shown, {
    id: made.id,
    name: 'Server in Frankfurt',
    prefix: key.slice(0, 8),
    status: 'works',
    scopes: ['read', 'order'],
    daily_cap: '25.00',
    addresses: ['192.0.2.7', '2001:db8::/32'],
    created_at: made.created_at,
    expires_at: '2030-12-31T23:00:00.000Z',
    revoked_at: null,
    last_used_at: null,
    last_used_address: null,
  })
  assert.match(made.id, /^key_[0-9a-f]{32}$/)
  assert.equal((await asks(key).get('/me')).body['username'], 'ana')

  const listed = await ana.keys()
  assert.deepEqual(
    listed.items.map((item) => item.name),
    ['Server in Frankfurt', 'First key'],
  )
  const { rows } = await owner.query('select * from api_keys k, idempotency_keys')
  assert.ok(!JSON.stringify([listed, rows]).includes(key))
})

test('with nothing but a name and a scope a key works from anywhere, for good, without a cap', async () => {
  const ben = await person('ben')
  const made = await ben.makes({ name: 'Reader', scopes: ['read'] })
  assert.deepEqual([made.daily_cap, made.addresses, made.expires_at], [null, [], null])
  for (const address of ['192.0.2.7', '2001:db8::1', '::ffff:203.0.113.9'])
    assert.equal((await asks(made.key, address).get('/balance')).status, 200)
})

test('a key does what its scopes say, and is told which one it lacks', async () => {
  const cem = await person('cem')
  const order = { service: 'telegram', country: 'GB' }
  const topup = { method: 'card', amount: '10.00' }
  const tries = {
    read: (key: string) => asks(key).get('/balance'),
    order: (key: string) => asks(key).post('/orders', order),
    topup: (key: string) => asks(key).post('/topups', topup),
  }
  const may = { read: 200, order: 402, topup: 201 } // ordering without credit gets as far as the money
  for (const scope of ['read', 'order', 'topup'] as const) {
    const { key } = await cem.makes({ name: scope, scopes: [scope] })
    for (const [needed, attempt] of Object.entries(tries)) {
      if (needed === scope) assert.equal((await attempt(key)).status, may[scope])
      else
        await isRefused(attempt(key), {
          status: 403,
          code: 'forbidden',
          detail: new RegExp(`lacks the scope "${needed}".*Settings`),
        })
    }
  }
  assert.equal((await owner.query('select from orders where account_id = $1', [cem.accountId])).rowCount, 0)
})

test('no key opens settings or keys: who found one cannot make himself another', async () => {
  const dora = await person('dora')
  const made = await dora.makes()
  const key = asks(made.key)
  for (const attempt of [
    () => key.get('/keys'),
    () => key.post('/keys', whole),
    () => key.post(`/keys/${made.id}/revoke`, {}),
    () => key.get('/settings'),
  ])
    await isRefused(attempt(), { status: 403, code: 'forbidden', detail: /API keys do not open this/ })
  assert.equal((await dora.keys()).items.length, 2)
})

test('behind our proxy a key works from the addresses it names, and from no other', async () => {
  const eve = await person('eve')
  const { key } = await eve.makes({
    ...whole,
    addresses: ['192.0.2.7', '198.51.100.0/24', '2001:db8:1::/48', '2001:db8:2::5'],
  })
  for (const address of [
    '192.0.2.7',
    '198.51.100.200',
    '::ffff:192.0.2.7',
    '2001:DB8:1::abcd',
    '2001:db8:2::5',
    '192.0.2.8, 192.0.2.7',
  ])
    assert.equal((await asks(key, address).get('/me')).status, 200, address)
  for (const [address, named] of [
    ['192.0.2.8', '192.0.2.8'],
    ['198.51.101.1', '198.51.101.1'],
    ['2001:db8:2::6', '2001:db8:2::6'],
    ['::ffff:192.0.2.8', '192.0.2.8'],
    // What the client itself says of where it comes from counts for nothing.
    ['192.0.2.7, 203.0.113.9', '203.0.113.9'],
    // What is no address at all cannot have come from a proxy of ours.
    ['no address', '127.0.0.1'],
  ] as const)
    await isRefused(asks(key, address).get('/me'), {
      status: 403,
      code: 'forbidden',
      detail: new RegExp(`may not be used from ${named.replaceAll('.', '\\.')}:`),
    })
  // Without the header it is the proxy itself that asks.
  await isRefused(world.stranger().get<Problem>('/me', { authorization: `Bearer ${key}` }), {
    status: 403,
    code: 'forbidden',
    detail: /from 127\.0\.0\.1/,
  })
})

test('a key ends at its time, by wire time: moving the clock of the house ends none', async () => {
  const fay = await person('fay')
  const soon = new Date(wireClock.now().getTime() + 3_600_000).toISOString()
  const made = await fay.makes({ ...whole, expires_at: soon })
  await world.advance(7_200)
  assert.equal((await asks(made.key).get('/me')).status, 200)

  await owner.query(`update api_keys set expires_at = now() - interval '1 second' where prefix = $1`, [made.prefix])
  await isRefused(asks(made.key).get('/me'), {
    status: 401,
    code: 'unauthenticated',
    detail: /expired at \d{4}-\d\d-\d\dT.*Settings/,
  })
  const [expired] = (await fay.keys('?status=ended')).items
  assert.deepEqual([expired!.id, expired!.status], [made.id, 'expired'])
  assert.ok((await fay.keys('?status=works')).items.every((key) => key.id !== made.id))
})

test('a revoked key is worth nothing from that moment; revoking it again changes nothing', async () => {
  const gil = await person('gil')
  const made = await gil.makes()
  assert.equal((await asks(made.key).get('/me')).status, 200)
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => gil.browser.post<ApiKey>(`/keys/${made.id}/revoke`)),
  )
  for (const answer of answers) assert.deepEqual([answer.status, answer.body.status], [200, 'revoked'])
  const again = await gil.browser.post<ApiKey>(`/keys/${made.id}/revoke`)
  assert.equal(again.body.revoked_at, answers[0]!.body.revoked_at)
  await isRefused(asks(made.key).get('/me'), {
    status: 401,
    code: 'unauthenticated',
    detail: /revoked at \d{4}-\d\d-\d\dT/,
  })
})

test('a stream that a key opened ends when the key is revoked', async (t) => {
  const hal = await person('hal')
  const made = await hal.makes()
  const [revoked, other] = [await world.live({ key: made.key }), await world.live({ key: hal.key })]
  await Promise.all([revoked.hears('hello'), other.hears('hello')])
  const begun = performance.now()
  await hal.browser.post(`/keys/${made.id}/revoke`)
  await until(async () => !revoked.isOpen())
  t.diagnostic(`${Math.round(performance.now() - begun)} ms after the press`)
  assert.ok(other.isOpen(), 'a page of another key goes on')
})

test("somebody else's key is not found, and stays", async () => {
  const [ida, jan] = [await person('ida'), await person('jan')]
  const made = await ida.makes()
  for (const id of [made.id, 'key_1', made.id.replace('key', 'ord'), `${made.id}0`])
    await isRefused(jan.browser.post<Problem>(`/keys/${id}/revoke`), {
      status: 404,
      code: 'not_found',
      detail: /no such API key/,
      field: 'id',
    })
  assert.equal((await asks(made.key).get('/me')).status, 200)
  assert.ok((await jan.keys()).items.every((key) => key.id !== made.id))
})

const inTenYears = '2037-12-01T00:00:00Z'
const refused: [what: string, wish: object, field: string, code?: string][] = [
  ['a key without a name', { scopes: ['read'] }, 'name'],
  ['a name of blanks', { ...whole, name: '  ' }, 'name'],
  ['a name of 61 characters', { ...whole, name: 'x'.repeat(61) }, 'name'],
  ['a name with a control character', { ...whole, name: 'a\u0007' }, 'name'],
  ['a key that may do nothing', { ...whole, scopes: [] }, 'scopes'],
  ['a scope that there is not', { ...whole, scopes: ['read', 'admin'] }, 'scopes.1'],
  ['a cap of zero', { ...whole, daily_cap: '0.00' }, 'daily_cap', 'invalid_amount'],
  ['a negative cap', { ...whole, daily_cap: '-1' }, 'daily_cap', 'invalid_amount'],
  ['a cap with a third decimal', { ...whole, daily_cap: '1.005' }, 'daily_cap', 'invalid_amount'],
  ['a cap that is a number', { ...whole, daily_cap: 5 }, 'daily_cap', 'invalid_amount'],
  ['an address that is none', { ...whole, addresses: ['192.0.2.256'] }, 'addresses'],
  ['a network too wide for its family', { ...whole, addresses: ['192.0.2.0/33'] }, 'addresses'],
  ['a name in the place of an address', { ...whole, addresses: ['example.com'] }, 'addresses'],
  ['twenty-one addresses', { ...whole, addresses: Array.from({ length: 21 }, (_, i) => `192.0.2.${i}`) }, 'addresses'],
  ['an end that is no time', { ...whole, expires_at: 'tomorrow' }, 'expires_at'],
  ['an end in the past', { ...whole, expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
  ['an end too far away', { ...whole, expires_at: inTenYears }, 'expires_at'],
]
test('what cannot be a key is refused by its field, and none is made', async () => {
  const kim = await person('kim')
  for (const [what, wish, field, code = 'invalid_request'] of refused) {
    const answer = await kim.browser.post<Problem>('/keys', wish)
    assert.deepEqual([answer.status, answer.body.code, answer.body.field], [400, code, field], what)
  }
  assert.equal((await kim.keys()).items.length, 1)
})

test('members that are not asked for have no effect', async () => {
  const lea = await person('lea')
  const made = await lea.makes({
    ...whole,
    scopes: ['read'],
    account_id: '1',
    role: 'admin',
    key: 'msk_my_own_choice',
    prefix: 'x',
  })
  assert.notEqual(made.key, 'msk_my_own_choice')
  assert.deepEqual((await asks(made.key).get('/me')).body, { username: 'lea', role: 'customer', time_zone: 'UTC' })
})

test('twenty keys work at the most, also when thirty are asked for at once; an ended one makes room', async () => {
  const mia = await person('mia')
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, i) =>
      mia.browser.post<{ id: string } & Problem>('/keys', { ...whole, name: `Key ${i}` }),
    ),
  )
  const made = answers.filter((answer) => answer.status === 201)
  const others = answers.filter((answer) => answer.status !== 201)
  assert.equal(made.length, 19, 'the twentieth is the one that she had')
  for (const other of others) {
    assert.deepEqual([other.status, other.body.code, other.body['limit']], [409, 'too_many_keys', 20])
    assert.match(other.body.detail, /Revoke one/)
  }
  assert.equal((await mia.keys('?status=works')).items.length, 20)
  await mia.browser.post(`/keys/${made[0]!.body.id}/revoke`)
  await mia.makes()
  await isRefused(mia.browser.post<Problem>('/keys', whole), { status: 409, code: 'too_many_keys', detail: /20/ })
})

test('a hundred keys a day are made at the most, also where each is revoked at once', async () => {
  const olga = await person('olga')
  await owner.query(
    `insert into api_keys (account_id, public_id, name, scopes, prefix, sha256, revoked_at)
     select $1, gen_random_uuid(), 'gone', '{read}', 'msk_gone', sha256(i::text::bytea), now() from generate_series(1, 98) i`,
    [olga.accountId.toString()],
  )
  await olga.makes()
  await isRefused(olga.browser.post<Problem>('/keys', whole), {
    status: 429,
    code: 'rate_limited',
    detail: /100 API keys/,
  })
  await owner.query(`update api_keys set created_at = now() - interval '25 hours' where account_id = $1`, [
    olga.accountId.toString(),
  ])
  await olga.makes()
})

test('a repeated request makes no second key, also when ten come at once, and its refusal says that the first cannot be shown', async () => {
  const nia = await person('nia')
  const repeat = () => nia.browser.post<{ id: string } & Problem>('/keys', whole, { 'idempotency-key': 'once' })
  const answers = await Promise.all(Array.from({ length: 10 }, repeat))
  assert.equal(answers.filter((answer) => answer.status === 201).length, 1)
  await isRefused(repeat(), {
    status: 409,
    code: 'idempotency_key_reused',
    detail: /shown only once.*No key was made/,
    field: 'Idempotency-Key',
  })
  assert.equal((await nia.keys()).items.length, 2)
})

test('a refused wish leaves its Idempotency-Key free', async () => {
  const oli = await person('oli')
  const headers = { 'idempotency-key': 'again' }
  assert.equal((await oli.browser.post('/keys', { ...whole, daily_cap: '-1' }, headers)).status, 400)
  assert.equal((await oli.browser.post('/keys', whole, headers)).status, 201)
})

test('keys are listed in pages, newest first', async () => {
  const pia = await person('pia')
  for (const name of ['one', 'two', 'three']) await pia.makes({ ...whole, name })
  const first = await pia.keys('?limit=2')
  const second = await pia.keys(`?limit=2&cursor=${first.next_cursor}`)
  assert.deepEqual(
    [...first.items, ...second.items].map((key) => key.name),
    ['three', 'two', 'one', 'First key'],
  )
  assert.equal(second.next_cursor, null)
  for (const query of ['?limit=0', '?limit=1000000000', '?cursor=bm90', '?status=all'])
    assert.equal((await pia.browser.get(`/keys${query}`)).status, 400, query)
})

test('when and from where a key was used last is known soon', async () => {
  const quy = await person('quy')
  const [busy, idle] = [await quy.makes(), await quy.makes({ ...whole, name: 'Idle' })]
  await Promise.all(Array.from({ length: 20 }, () => asks(busy.key, '198.51.100.1').get('/me')))
  await asks(busy.key, '::ffff:198.51.100.2').get('/me')
  const listed = async (made: NewApiKey) => (await quy.keys()).items.find((key) => key.id === made.id)!
  await until(async () => (await listed(busy)).last_used_address === '198.51.100.2')
  assert.equal((await listed(idle)).last_used_at, null)
})

test('that three keys were used a hundred times is written in one statement, later', async () => {
  const rea = await person('rea')
  const made = [await rea.makes(), await rea.makes(), await rea.makes()]
  const { database } = world.db
  const written: string[] = []
  const pool = Object.create(database.pool) as typeof database.pool
  pool.query = ((asked: string | { text: string }, values: unknown[]) => {
    const text = typeof asked === 'string' ? asked : asked.text
    if (/\bupdate\b/.test(text)) written.push(text)
    return database.pool.query(asked as string, values)
  }) as typeof pool.query
  const keys = createKeys({
    database: { ...database, pool },
    announce,
    clock: wireClock,
    log: openLog({ level: 'silent' }),
    tellOwner: async () => {},
  })
  const begun = performance.now()
  for (let i = 0; i < 100; i++) await keys.holderOf(made[i % 3]!.key, `192.0.2.${i}`)
  await keys.close()
  // One at the end, and one for each five seconds that a slow machine took.
  const atMost = 1 + Math.floor((performance.now() - begun) / 5_000)
  assert.ok(written.length >= 1 && written.length <= atMost, `${written.length} statements, ${atMost} expected at most`)
  const last = (await rea.keys()).items.slice(0, 3).map((key) => key.last_used_address)
  assert.deepEqual(last.sort(), ['192.0.2.97', '192.0.2.98', '192.0.2.99'])
})

test('the owner is told of each key that is made, by its name and first letters and never by the key', async () => {
  const tom = await person('tom')
  const made = await tom.makes({ ...whole, name: 'Server in Oslo' })
  const mail = await world.mail('tom@sandbox.example', /API key was made/)
  assert.match(mail.text, /"Server in Oslo", which begins with msk_/)
  assert.ok(!mail.text.includes(made.key) && !mail.html.includes(made.key))
})

test('what waits to be written is written when the server stops, and a refused use is none', async () => {
  const ray = await person('ray')
  const [used, refusedKey] = [await ray.makes(), await ray.makes({ ...whole, addresses: ['192.0.2.1'] })]
  const keys = createKeys({
    database: world.db.database,
    announce,
    clock: wireClock,
    log: openLog({ level: 'silent' }),
    tellOwner: async () => {},
  })
  assert.ok('key' in (await keys.holderOf(used.key, '198.51.100.3')))
  assert.ok('code' in (await keys.holderOf(refusedKey.key, '198.51.100.3')))
  await keys.close()
  const listed = (await ray.keys()).items
  assert.equal(listed.find((key) => key.id === used.id)!.last_used_address, '198.51.100.3')
  assert.equal(listed.find((key) => key.id === refusedKey.id)!.last_used_at, null)
})

test('an older use does not cover a newer one that another process wrote', async () => {
  const sam = await person('sam')
  const made = await sam.makes()
  const clocks = [new Date('2031-01-01T00:00:02Z'), new Date('2031-01-01T00:00:01Z')]
  const [later, earlier] = clocks.map((now) =>
    createKeys({
      database: world.db.database,
      announce,
      clock: { now: () => now },
      log: openLog({ level: 'silent' }),
      tellOwner: async () => {},
    }),
  )
  await earlier!.holderOf(made.key, '192.0.2.1')
  await later!.holderOf(made.key, '192.0.2.2')
  await Promise.all([later!.close(), earlier!.close()])
  const [listed] = (await sam.keys()).items
  assert.deepEqual([listed!.last_used_at, listed!.last_used_address], ['2031-01-01T00:00:02.000Z', '192.0.2.2'])
})

test('addresses are read as people write them', () => {
  assert.deepEqual(readAddresses([' 192.0.2.7', '2001:DB8::/32', '192.0.2.7', '10.0.0.0/8', '::/0']), {
    ok: true,
    addresses: ['192.0.2.7', '2001:db8::/32', '10.0.0.0/8', '::/0'],
  })
  for (const text of [
    '',
    '192.0.2',
    '192.0.2.7/',
    '192.0.2.7/-1',
    '192.0.2.7/8/8',
    '2001:db8::/129',
    'fe80::1%eth0',
    '0x7f.1',
    '１92.0.2.7',
  ])
    assert.deepEqual(readAddresses([text]), { ok: false, text })
})

test('the look-up of a key is one statement over two rows', async (t) => {
  const { database } = world.server.parts
  const keys = createKeys({
    database,
    announce,
    clock: wireClock,
    log: openLog({ level: 'silent' }),
    tellOwner: async () => {},
  })
  const { key } = await (await person('tom')).makes({ ...whole, addresses: ['192.0.2.0/24', '2001:db8::/32'] })
  const rounds = 300
  await keys.holderOf(key, '192.0.2.7')
  const begun = performance.now()
  for (let i = 0; i < rounds; i++) await keys.holderOf(key, '192.0.2.7')
  t.diagnostic(`${((performance.now() - begun) / rounds).toFixed(3)} ms a look-up, one after the other`)
  await keys.close()
})
