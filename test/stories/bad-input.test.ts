/**
 * What cannot be read, is not there, or belongs to somebody else is refused: with its word, the field, and what to do next. Nothing
 * is stored, nothing moves, and no trace of our insides goes out.
 */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import type { CardTopup, CryptoTopup, Order } from '../../contract/contract.ts'
import { type Problem, type RefusalCode, refusals } from '../../contract/refusals.ts'
import { until } from '../until.ts'
import { type Answer, type Customer, signSms, startWorld, type World } from '../world.ts'

const FRICTIONLESS = '4000000032200000'

let world: World
let ana: Customer
let ben: Customer
/** Ben's waiting order, which is none of Ana's business. */
let his: Order
let tables: { name: string; moves: boolean }[]

before(async () => {
  // Nothing is done here in its own time: what the ticks write would look like the work of whatever was asked just then.
  world = await startWorld({ crypto: true, env: { ROLE: 'web' } })
  await world.control('/stripe/webhooks', { mode: 'off' })
  ana = await world.customer({ name: 'ana', credit: '5.00' })
  ben = await world.customer({ name: 'ben', credit: '5.00' })
  his = await ben.order()
  const { rows } = await world.db.database.pool.query<{ name: string; moves: boolean }>(
    // The platform's totals stand for the deltas and sums that they are made of: those are put together in their own time.
    `select t.table_name as name, bool_or(c.column_name = any ($1)) as moves
       from information_schema.tables t join information_schema.columns c using (table_schema, table_name)
      where t.table_schema = 'public' and (t.table_type = 'BASE TABLE' or t.table_name = 'platform_totals')
        and t.table_name not in ('platform_deltas', 'platform_sums')
      group by 1`,
    [IN_ITS_OWN_TIME],
  )
  tables = rows
})
after(() => world?.proveAndStop())

/** When a key was used last: written whatever was asked. */
const IN_ITS_OWN_TIME = ['last_used_at', 'last_used_address']

/** Everything that is stored, in our house and at the bank, as figures that change with any of it. */
async function everything(): Promise<unknown> {
  // Only where it must be is a row taken apart: there are thousands of offers, and this is asked after every question.
  const sums = tables.map(({ name, moves }) => {
    const row = moves ? `(to_jsonb(t) - '{${IN_ITS_OWN_TIME}}'::text[])::text` : 't::text'
    return `select '${name}' as name, count(*), sum(hashtextextended(${row}, 0)) as content from ${name} t`
  })
  const [{ rows }, jobs, bank] = await Promise.all([
    world.db.database.pool.query({ name: 'everything', text: sums.join(' union all ') }),
    world.db.database.pool.query('select count(*) from pgboss.job'),
    world.control('/stripe/books'),
  ])
  // What was taken reaches the bank's balance, and its fee the books, a while later by themselves.
  const later = ['balance', 'balance_transactions', 'fees']
  const totals = Object.entries(bank['totals'] as Record<string, number>).filter(([name]) => !later.includes(name))
  return { rows, jobs: jobs.rows, bank: totals }
}

type Expected = { code: RefusalCode; field?: string; says: RegExp }
type Question = [what: string, ask: () => Promise<Answer<Problem>>, expected?: Partial<Expected> | undefined]

/** Each question gets its refusal, and after none of them anything is different. */
async function refusesAll(expected: Partial<Expected>, questions: Question[]): Promise<void> {
  const before = await everything()
  for (const [what, ask, more] of questions) {
    const answer = await ask()
    const { code, field, says } = { ...expected, ...more } as Expected
    const { body } = answer
    const told = `${what}: ${JSON.stringify(body)}`
    if (process.env['READ_ALOUD']) console.log(`${body.code} [${body.field ?? ''}] ${body.detail}`)
    assert.equal(body.code, code, told)
    assert.equal(answer.status, refusals[code].status, told)
    assert.match(answer.headers.get('content-type')!, /^application\/problem\+json/, told)
    assert.deepEqual(
      { type: body.type, title: body.title, status: body.status, field: body.field },
      { type: 'about:blank', title: refusals[code].title, status: answer.status, field },
      told,
    )
    assert.equal(body.request_id, answer.headers.get('x-request-id'), told)
    assert.match(body.detail, says, told)
    assert.match(body.detail, /^[A-Z"$].*[.]$/, told)
    assert.doesNotMatch(JSON.stringify(body), /\bat .*\.[jt]s|node:|node_modules|Error|select |uuid|zod|regex/i, told)
    assert.deepEqual(await everything(), before, told)
  }
}

const json = (value: unknown) => JSON.stringify(value)

test('what is no amount, or an amount outside the limits, tops nothing up', async () => {
  const topup = (amount: unknown): Question => [
    `amount ${json(amount)}`,
    () => ana.post<Problem>('/topups', { method: 'card', amount }),
  ]
  await refusesAll({ code: 'invalid_amount', field: 'amount', says: /such as "10\.00".*nothing was charged/ }, [
    ...['-5', '1e3', '5.001', 'NaN', '', ' 10', '10,00', '$10', 'ten', '9'.repeat(400), '١٠'].map(topup),
    ...[10, null, undefined, true, ['10.00'], { value: '10.00' }].map(topup),
  ])
  await refusesAll({ field: 'amount' }, [
    ['below', topup('4.99')[1], { code: 'amount_below_minimum', says: /\$4\.99 is below.*Choose \$5\.00 or more/ }],
    ['above', topup('1000.01')[1], { code: 'amount_above_maximum', says: /above.*Choose \$1,000\.00 or less/ }],
    ['far above', topup('999999999.99')[1], { code: 'amount_above_maximum', says: /Choose \$1,000\.00 or less/ }],
  ])
})

test('a way to pay that is missing or not known opens no payment page', async () => {
  await refusesAll(
    { code: 'invalid_request', field: 'method', says: /"method" is "card"/ },
    [undefined, null, '', 'cash', 'CARD', 1, ['card']].map((method) => [
      `method ${json(method)}`,
      () => ana.post<Problem>('/topups', { method, amount: '10.00' }),
    ]),
  )
})

test('a top-up by crypto of no amount, or with a coin that is not taken, promises nothing and uses up no address', async () => {
  await chainsAreRead()
  const quote = (asked: object, expected?: Partial<Expected>): Question => [
    json(asked).slice(0, 100),
    () => ana.post<Problem>('/topups', { method: 'crypto', ...asked }),
    expected,
  ]
  const taken = '"asset" is one of BTC, LTC, ETH, USDT, USDC \\(GET /api/v1/crypto'
  await refusesAll(
    { code: 'unknown_asset', field: 'asset', says: new RegExp(`is not taken here: ${taken}.*was begun`) },
    [
      ...[
        'DOGE',
        'btc',
        ' BTC',
        '',
        'bitcoin',
        "BTC'; drop table topups; --",
        '₿',
        '__proto__',
        'x'.repeat(60_000),
      ].map((asset) => quote({ asset, amount: '10.00' })),
      quote({ asset: 'nonsense', amount: 'nonsense' }),
    ],
  )
  await refusesAll(
    { code: 'invalid_request', field: 'asset', says: new RegExp(`which coin you will send, in quotes: ${taken}`) },
    [undefined, null, 0, 1, true, ['BTC'], { code: 'BTC' }].map((asset) => quote({ asset, amount: '10.00' })),
  )
  await refusesAll({ code: 'invalid_amount', field: 'amount', says: /such as "10\.00".*nothing was charged/ }, [
    ...['-5', '-0.00000001', '1e3', '5.001', 'NaN', '', '0.0001 BTC', '10,00'].map((amount) =>
      quote({ asset: 'BTC', amount }),
    ),
    ...[10, -5, null, undefined, true, ['10.00']].map((amount) => quote({ asset: 'USDT', amount })),
  ])
  await refusesAll({ field: 'amount' }, [
    quote({ asset: 'BTC', amount: '4.99' }, { code: 'amount_below_minimum', says: /\$4\.99 is below.*Choose \$5\.00/ }),
    quote({ asset: 'USDC', amount: '0' }, { code: 'amount_below_minimum', says: /\$0\.00 is below/ }),
    quote({ asset: 'ETH', amount: '1000.01' }, { code: 'amount_above_maximum', says: /Choose \$1,000\.00 or less/ }),
    // Whoever names his own rate is told the same.
    quote(
      {
        asset: 'BTC',
        amount: '4.99',
        rate: '1.00',
        asset_amount: '0.00000001',
        address: 'bc1q',
        confirmations_required: 0,
      },
      { code: 'amount_below_minimum', says: /is below/ },
    ),
  ])
  await refusesAll({ code: 'invalid_request', field: 'method', says: /"method" is "card" or "crypto"/ }, [
    ['Crypto', () => ana.post<Problem>('/topups', { method: 'Crypto', asset: 'BTC', amount: '10.00' })],
  ])
})

test('a key that stands for one top-up by crypto begins no other one', async () => {
  await chainsAreRead()
  const key = { 'idempotency-key': 'one-quote' }
  const asked = { method: 'crypto', asset: 'BTC', amount: '10.00' }
  const first = await ana.post<CryptoTopup>('/topups', asked, key)
  assert.equal(first.status, 201, json(first.body))
  await refusesAll(
    { code: 'idempotency_key_reused', field: 'Idempotency-Key', says: /belongs to another request\. Send a new key/ },
    [{ asset: 'LTC' }, { amount: '10.01' }, { method: 'card' }].map((other) => [
      json(other),
      () => ana.post<Problem>('/topups', { ...asked, ...other }, key),
    ]),
  )
  assert.deepEqual((await ana.post<CryptoTopup>('/topups', asked, key)).body, first.body)
})

test('a coin whose network is not read, or that has no rate, is not promised, and the others are', async () => {
  await chainsAreRead()
  const { pool } = world.db.database
  const topup = (asset: string): Question => [
    asset,
    () => ana.post<Problem>('/topups', { method: 'crypto', asset, amount: '10.00' }),
  ]
  await pool.query("delete from crypto_rates where asset = 'LTC'")
  await refusesAll(
    {
      code: 'temporarily_unavailable',
      field: 'asset',
      says: /^There is no rate for LTC at the moment\. The exchanges.*Choose another coin or a card/,
    },
    [topup('LTC')],
  )
  const other = await ana.post<CryptoTopup>('/topups', { method: 'crypto', asset: 'ETH', amount: '10.00' })
  assert.equal(other.status, 201, json(other.body))
})

test("another customer's top-up by crypto is not found: neither its address nor what was paid", async () => {
  await chainsAreRead()
  const { body: quoted } = await ben.post<CryptoTopup>('/topups', { method: 'crypto', asset: 'BTC', amount: '10.00' })
  assert.match(quoted.address, /^bcrt1/)
  await refusesAll({ code: 'not_found', field: 'id', says: /no such top-up among yours\. Look at your top-ups/ }, [
    ['read', () => ana.get<Problem>(`/topups/${quoted.id}`)],
    ['return', () => ana.post<Problem>(`/topups/${quoted.id}/return`, {})],
  ])
})

test('the clock of a sandbox goes forward only', async () => {
  await refusesAll(
    { code: 'invalid_request', field: 'advance_seconds', says: /Correct it and send it again; nothing was done/ },
    [
      ...[-1, -3_600, 0, 1.5, '60', null, undefined, 1e12].map(
        (advance_seconds): Question => [
          `${advance_seconds}`,
          () => ana.post<Problem>('/api/sandbox/clock', { advance_seconds }),
        ],
      ),
    ],
  )
})

/** Nobody reads chains and prices here by himself: it is written down as the follower and the exchanges would have it. */
async function chainsAreRead(): Promise<void> {
  const { pool } = world.db.database
  await pool.query(
    `insert into chain_cursors (chain, identity, height, hash, block_time, node_height, looked_at, caught_up_at)
     select chain, '0', 100, repeat('0', 64), house_now(), 100, now() + interval '1 hour', now() + interval '1 hour'
       from unnest(array['bitcoin', 'litecoin', 'ethereum']) chain
     on conflict do nothing`,
  )
  await pool.query(
    `insert into crypto_rates (asset, price, sources, samples, at, fetched_at)
     select asset, price, 3, '[]', house_now(), now() + interval '1 hour'
       from (values ('BTC', 64000000000), ('LTC', 80000000), ('ETH', 3200000000), ('USDT', 1000000), ('USDC', 1000000)) v (asset, price)`,
  )
}

test('an order for what is not sold is refused, and nothing is held', async () => {
  const order = (asked: object, expected?: Partial<Expected>): Question => [
    json(asked).slice(0, 100),
    () => ana.post<Problem>('/orders', asked),
    expected,
  ]
  await refusesAll(
    { code: 'unknown_service', field: 'service', says: /no service.*GET \/api\/v1\/services lists them/ },
    [
      ...['telegrams', 'Telegram', '', ' telegram', "'; drop table orders; --", '\ud800'].map((service) =>
        order({ service, country: 'GB' }),
      ),
      order({ service: 'x'.repeat(60_000), country: 'GB' }),
      order({ service: 'nonsense', country: 'nonsense' }),
    ],
  )
  await refusesAll(
    { code: 'unknown_country', field: 'country', says: /no country.*two capital letters such as GB.*lists them/ },
    ['gb', 'UK', '', 'United Kingdom', '44'].map((country) => order({ service: 'telegram', country })),
  )
  await refusesAll({ code: 'invalid_request', says: /Correct it and send it again; nothing was done/ }, [
    order({ country: 'GB' }, { field: 'service', says: /"service" cannot be used: it is missing/ }),
    order({ service: null, country: 'GB' }, { field: 'service', says: /it must be a text in quotes/ }),
    order({ service: 7, country: 'GB' }, { field: 'service' }),
    order({ service: 'telegram' }, { field: 'country' }),
    order({ service: 'telegram', country: ['GB'] }, { field: 'country' }),
    order([], { says: /it must be a JSON object/ }),
  ])
  await refusesAll(
    { code: 'invalid_request', says: /zero character.*Leave it out and send it again; nothing was done/ },
    [
      order({ service: '\u0000', country: 'GB' }),
      order({ service: 'telegram', country: 'G\u0000B' }),
      order({ service: 'telegram', country: 'GB', max_price: '\\\u0000' }),
    ],
  )
  await refusesAll({ field: 'max_price' }, [
    ...['1.19', '0', '0.01'].map((max_price) =>
      order(
        { service: 'telegram', country: 'GB', max_price },
        { code: 'above_max_price', says: /costs \$1\.20.*Raise the maximum.*Nothing was held/ },
      ),
    ),
    ...['-1', '1e3', '1.201', 'NaN', '', 'cheap', 1.2, true, {}].map((max_price) =>
      order(
        { service: 'telegram', country: 'GB', max_price },
        { code: 'invalid_amount', says: /such as "1\.20"\. Nothing was held/ },
      ),
    ),
  ])
  const poor = await world.customer({ name: 'poor' })
  await refusesAll(
    { code: 'insufficient_credits', says: /costs \$1\.20 and you have \$0\.00.*Top up \$1\.20 or more/ },
    [['no credit', () => poor.post<Problem>('/orders', { service: 'telegram', country: 'GB' })]],
  )
})

test("another customer's order, and what cannot be an order, is not found and stays as it is", async () => {
  const ids = [
    his.id,
    his.id.toUpperCase(),
    `ord_${'0'.repeat(32)}`,
    `top_${his.id.slice(4)}`,
    `ord_${his.id.slice(4, 35)}`,
    `ord_${'g'.repeat(32)}`,
    his.id.slice(4),
    his.id.slice(4).replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
    String(his.number),
    '0',
    '-1',
    '%00',
    '..%2f..%2fetc%2fpasswd',
    '%F0%9F%93%B1',
    'x'.repeat(4_000),
  ]
  await refusesAll(
    { code: 'not_found', field: 'id', says: /no such order among yours\. Check the id/ },
    ids.flatMap((id): Question[] => [
      [`GET ${id}`, () => ana.get<Problem>(`/orders/${id}`)],
      ...['cancel', 'finish', 'another-code'].map(
        (verb): Question => [`${verb} ${id}`, () => ana.post<Problem>(`/orders/${id}/${verb}`)],
      ),
    ]),
  )
  assert.equal((await ben.orderNow(his.id)).status, 'waiting')
})

test("another customer's top-up, another top-up's session, and what cannot be a top-up: not found, nothing credited", async () => {
  const [first, second, foreign] = [await ana.startTopup(), await ana.startTopup(), await ben.startTopup()]
  const session = (topup: CardTopup) => new URL(topup.checkout_url!).pathname.split('/').at(-1)
  await world.pay(second, FRICTIONLESS)
  await world.pay(foreign, FRICTIONLESS)
  const back = (topup: { id: string }, session_id: unknown): Question => [
    `${topup.id} with ${json(session_id)}`,
    () => ana.post<Problem>(`/topups/${topup.id}/return`, { session_id }),
  ]
  await refusesAll(
    { code: 'not_found', field: 'session_id', says: /does not belong to this top-up\. Open the top-up/ },
    [
      back(first, session(second)),
      back(first, session(foreign)),
      back(first, 'cs_test_made_up'),
      back(first, '{CHECKOUT_SESSION_ID}'),
      back(first, ''),
    ],
  )
  await refusesAll({ code: 'not_found', field: 'id', says: /no such top-up among yours\. Look at your top-ups/ }, [
    back(foreign, session(foreign)),
    back({ id: his.id }, session(first)),
    back({ id: 'top_0' }, session(first)),
    ...[foreign.id, first.id.toUpperCase(), 'top_0', '%00', his.id].map(
      (id): Question => [`GET ${id}`, () => ana.get<Problem>(`/topups/${id}`)],
    ),
  ])
  await refusesAll({ code: 'invalid_request', field: 'session_id', says: /nothing was done/ }, [
    back(first, 7),
    back(first, ['x']),
    back(first, 'x'.repeat(256)),
  ])
  await world.expectBooks(`
    ana available 5.00
    ben available 3.80`)
  // The customers themselves get what they paid for.
  for (const [who, topup] of [
    [ana, second],
    [ben, foreign],
  ] as const) {
    const asked = { session_id: session(topup) }
    await until(async () => (await who.post<CardTopup>(`/topups/${topup.id}/return`, asked)).body.status === 'credited')
  }
})

test('an SMS that is not signed by the gateway, now, over exactly these bytes, is not stored', async () => {
  const sms = { id: 'forged', to: his.phone_number, from: 'Telegram', text: 'Telegram code 48213' }
  const body = json(sms)
  const at = (seconds: number) => new Date(Date.now() + seconds * 1000)
  const good = signSms(body)
  const send = (signature: string | null, sent = body): (() => Promise<Answer<Problem>>) => {
    return () =>
      world.stranger().post('/webhooks/sms/generic', sent, {
        'content-type': 'application/json',
        ...(signature === null ? {} : { 'x-signature': signature }),
      })
  }
  await refusesAll({ code: 'invalid_signature', field: 'X-Signature' }, [
    ...(
      [
        ['no header', null],
        ['an empty header', ''],
        ['only a time', good.split(',')[0]!],
        ['only a signature', good.split(',')[1]!],
        ['half a signature', good.slice(0, -2)],
        ['a negative time', good.replace('t=', 't=-')],
        ['a time that is none', good.replace(/t=\d+/, 't=now')],
      ] as const
    ).map(([what, signature]): Question => [what, send(signature), { says: /must read t=<unix seconds>,v1=/ }]),
    ['old', send(signSms(body, { at: at(-302) })), { says: /more than 300 seconds.*Sign again/ }],
    ['from the future', send(signSms(body, { at: at(400) })), { says: /more than 300 seconds.*Sign again/ }],
    ...(
      [
        ['another secret', signSms(body, { secret: 'sms_guess' }), body],
        ['an empty secret', signSms(body, { secret: '' }), body],
        ['a changed byte', good, body.replace('48213', '48214')],
        ['a byte more', good, `${body} `],
        ['another time', good.replace(/t=\d+/, `t=${Math.floor(Date.now() / 1000) + 5}`), body],
        ['another body', signSms(json({ ...sms, id: 'other' })), body],
      ] as const
    ).map(
      ([what, signature, sent]): Question => [
        what,
        send(signature, sent),
        { says: /does not match the body\. Sign the bytes exactly as they are sent/ },
      ],
    ),
  ])
  assert.equal((await ben.orderNow(his.id)).status, 'waiting')
})

test('a signed SMS that cannot be read is not stored either, and the field is named', async () => {
  const sms = { id: 'unreadable', to: his.phone_number, from: 'Telegram', text: 'Telegram code 48213' }
  const send = (sent: string) => () =>
    world.stranger().post<Problem>('/webhooks/sms/generic', sent, {
      'content-type': 'application/json',
      'x-signature': signSms(sent),
    })
  const without = (field: keyof typeof sms): Question => {
    const { [field]: _, ...rest } = sms
    return [`no ${field}`, send(json(rest)), { field, says: new RegExp(`"${field}" cannot be used: .+Correct it`) }]
  }
  const wrong = (field: keyof typeof sms, value: unknown): Question => [
    `${field} ${json(value).slice(0, 50)}`,
    send(json({ ...sms, [field]: value })),
    { field, says: new RegExp(`"${field}" cannot be used: .+Correct it`) },
  ]
  await refusesAll({ code: 'invalid_request' }, [
    ...['', 'nonsense', '{"id":', "{'id':1}"].map(
      (body): Question => [`body ${body}`, send(body), { says: /not JSON.*nothing was done/ }],
    ),
    ...['null', '[]', '"x"', '7'].map(
      (body): Question => [`body ${body}`, send(body), { says: /must be a JSON object.*nothing was done/ }],
    ),
    ...(['id', 'to', 'from', 'text'] as const).map(without),
    wrong('id', ''),
    wrong('id', 7),
    wrong('id', 'a\u0000b'),
    wrong('id', 'x'.repeat(129)),
    wrong('to', '447700900123'),
    wrong('to', '+44 7700 900123'),
    wrong('to', '+0'),
    wrong('from', ''),
    wrong('from', null),
    wrong('text', null),
  ])
  await refusesAll({ code: 'too_large', says: /at most 65536 bytes/ }, [
    ['65 KB', send(json({ ...sms, padding: 'x'.repeat(65 * 1024) }))],
  ])
  await refusesAll({ code: 'too_large', says: /at most \d+ bytes\. Send a shorter one; nothing was stored/ }, [
    ['5 MB', send(json({ ...sms, padding: 'x'.repeat(5 * 1024 * 1024) }))],
  ])
  assert.equal((await ben.orderNow(his.id)).status, 'waiting')
  // The very same message, whole and signed, is taken: nothing had been used up.
  assert.equal((await world.sendSms(sms)).body.outcome, 'charged')
})

test("a forged event of the bank's is refused by the whole server as well", async () => {
  const event = json({ id: 'evt_forged', type: 'checkout.session.completed', data: { object: { id: 'cs_1' } } })
  const send = (headers: Record<string, string>, body = event) =>
    world.stranger().post<Problem>('/webhooks/stripe', body, { 'content-type': 'application/json', ...headers })
  await refusesAll(
    {
      code: 'invalid_signature',
      field: 'Stripe-Signature',
      says: /signature does not fit the body.*Nothing was stored/,
    },
    [
      ['no signature', () => send({})],
      ['a made up one', () => send({ 'stripe-signature': `t=${Math.floor(Date.now() / 1000)},v1=${'0'.repeat(64)}` })],
    ],
  )
  await refusesAll({ code: 'too_large', says: /Send a shorter one; nothing was stored/ }, [
    ['5 MB', () => send({}, json({ padding: 'x'.repeat(5 * 1024 * 1024) }))],
  ])
})

test('an Idempotency-Key that is none is refused before anything is done', async () => {
  const order = { service: 'telegram', country: 'GB' }
  const posts: [string, unknown][] = [
    ['/orders', order],
    ['/topups', { method: 'card', amount: '10.00' }],
    [`/orders/${his.id}/cancel`, {}],
    [`/orders/${his.id}/finish`, {}],
    [`/orders/${his.id}/another-code`, {}],
  ]
  await refusesAll(
    { code: 'invalid_request', field: 'Idempotency-Key', says: /1 to 255 visible ASCII characters\. Send another one/ },
    posts.flatMap(([path, body]) =>
      ['', 'x'.repeat(256), 'two words', 'a\tb', 'caf\u00e9'].map(
        (key): Question => [
          `${path} with ${json(key)}`,
          () => ana.post<Problem>(path, body, { 'idempotency-key': key }),
        ],
      ),
    ),
  )
  // Control characters do not get past the reader of headers.
  const before = await everything()
  for (const control of ['\u0000', '\u0001', '\u001b', '\u007f']) {
    const said = await raw(
      `POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${ana.key}\r\nContent-Type: application/json\r\n` +
        `Idempotency-Key: a${control}b\r\nContent-Length: ${json(order).length}\r\nConnection: close\r\n\r\n${json(order)}`,
    )
    assert.match(said, /^HTTP\/1\.1 400 /, json(control))
    assert.doesNotMatch(said, /\bat .*\.ts|node:internal/)
  }
  assert.deepEqual(await everything(), before)
})

test('pages, filters and days that are none are refused by every list', async () => {
  const cursor = (text: string) => Buffer.from(text).toString('base64url')
  const lists = ['/orders', '/topups', '/billing/history', '/favourites', '/prices']
  const ask = (path: string): Question => [path.slice(0, 100), () => ana.get<Problem>(path)]
  await refusesAll(
    { code: 'invalid_request', field: 'limit', says: /whole number from 1 to 100/ },
    lists.flatMap((list) =>
      ['0', '-1', '101', '1000000000', '1.5', '1e1', '', 'all', '+5'].map((limit) => ask(`${list}?limit=${limit}`)),
    ),
  )
  await refusesAll({ code: 'invalid_request', field: 'cursor', says: /not one of this list\. Use "next_cursor"/ }, [
    // Of another list.
    ask(`/billing/history?cursor=${cursor('01933333-0000-7000-8000-000000000001')}`),
    ask(`/orders?cursor=${cursor('12')}`),
    ask(`/topups?cursor=${cursor('12')}`),
    ...lists.flatMap((list) =>
      [cursor("1' or '1'='1"), cursor('-'.repeat(36)), cursor('9'.repeat(40)), cursor('-1'), 'x'.repeat(4_000)].map(
        (text) => ask(`${list}?cursor=${text}`),
      ),
    ),
  ])
  await refusesAll({ code: 'invalid_request', says: /./ }, [
    ...['everything', 'hold,everything', 'Hold', ','].map(
      (type): Question => [
        `type ${type}`,
        () => ana.get<Problem>(`/billing/history?type=${type}`),
        { field: 'type', says: /topup, hold, deduction/ },
      ],
    ),
    ...['from', 'to'].flatMap((field) =>
      [
        'yesterday',
        '2027-02-30',
        '2027-13-01',
        '27-01-01',
        '2027-1-1',
        '2027-01-01T00:00:00Z',
        '',
        '0000-01-01',
        '99999-01-01',
      ].map(
        (day): Question => [
          `${field} ${day}`,
          () => ana.get<Problem>(`/billing/history?${field}=${day}`),
          { field, says: /YYYY-MM-DD/ },
        ],
      ),
    ),
    ...['lost', 'Open', '', 'open,ended'].map(
      (status): Question => [
        `status ${status}`,
        () => ana.get<Problem>(`/orders?status=${status}`),
        { field: 'status', says: /open.*ended.*waiting/ },
      ],
    ),
    ...['from', 'to'].flatMap((field) =>
      [
        'yesterday',
        '2027-02-30',
        '2027-02-30T00:00:00Z',
        '2027-01-01T00:00:00',
        '2027-01-01 10:00',
        '1700000000',
        '',
        '0000-01-01',
      ].map(
        (moment): Question => [
          `${field} ${moment}`,
          () => ana.get<Problem>(`/orders?${field}=${moment}`),
          { field, says: /write a day as 2026-11-23, or an instant as/ },
        ],
      ),
    ),
    ...['', '48', '  4 8', 'telegram', '4x8213', "1' or '1'='1", '4'.repeat(16), '%'.repeat(5)].map(
      (search): Question => [
        `search ${search}`,
        () => ana.get<Problem>(`/orders?search=${encodeURIComponent(search)}`),
        { field: 'search', says: /3 to 15 digits of an order number or a phone number/ },
      ],
    ),
    ['a long search', () => ana.get<Problem>(`/orders?search=${'4'.repeat(41)}`), { field: 'search' }],
    ['a long search', () => ana.get<Problem>(`/prices?search=${'x'.repeat(101)}`), { field: 'search' }],
    [
      'favourite',
      () => ana.post<Problem>('/favourites', { country: 'GB' }),
      { field: 'service', says: /it is missing/ },
    ],
    [
      'favourite',
      () => ana.post<Problem>('/favourites', { service: 'telegram', country: ['GB'] }),
      { field: 'country', says: /a text in quotes/ },
    ],
  ])
  await refusesAll({ says: /lists them/ }, [
    ...['nonsense', 'Telegram', ''].map(
      (service): Question => [
        `service ${service}`,
        () => ana.get<Problem>(`/orders?service=${service}`),
        { code: 'unknown_service', field: 'service' },
      ],
    ),
    ...['gb', 'UK', ''].map(
      (country): Question => [
        `country ${country}`,
        () => ana.get<Problem>(`/orders?country=${country}`),
        { code: 'unknown_country', field: 'country' },
      ],
    ),
    [
      'favourite',
      () => ana.post<Problem>('/favourites', { service: 'nonsense', country: 'GB' }),
      { code: 'unknown_service', field: 'service' },
    ],
    [
      'favourite',
      () => ana.post<Problem>('/favourites', { service: 'telegram', country: 'gb' }),
      { code: 'unknown_country', field: 'country' },
    ],
  ])
  const prices = (query: string, expected: Partial<Expected>): Question => [
    query,
    () => ana.get<Problem>(`/prices?${query}`),
    expected,
  ]
  await refusesAll({ says: /lists them/ }, [
    prices('service=nonsense', { code: 'unknown_service', field: 'service' }),
    prices('country=gb', { code: 'unknown_country', field: 'country' }),
    prices('service=%00', { code: 'invalid_request', field: 'service', says: /zero character/ }),
    prices('country=G%00', { code: 'invalid_request', field: 'country', says: /zero character/ }),
  ])
})

test('an unknown address, a wrong method, no JSON or broken JSON: each says what would be right', async () => {
  const order = { service: 'telegram', country: 'GB' }
  await refusesAll({ code: 'not_found', says: /nothing at \/.*Check the address/ }, [
    ['unknown', () => ana.get<Problem>('/nothing')],
    ['unknown', () => ana.post<Problem>('/orders/now/please', order)],
    ['unknown', () => ana.get<Problem>('/api/v2/orders')],
    ['unknown', () => ana.post<Problem>('/webhooks/sms/nobody', {})],
  ])
  await refusesAll(
    { code: 'method_not_allowed', says: /There is no [A-Z]+ at .*; it answers .* only\. Nothing was done/ },
    [
      ['DELETE', () => ana.request('DELETE', '/orders', undefined, {})],
      ['GET', () => ana.get<Problem>(`/orders/${his.id}/cancel`)],
      ['PATCH', () => ana.request('PATCH', '/balance', undefined, {})],
      ['GET', () => ana.get<Problem>('/webhooks/sms/generic')],
      ['GET', () => ana.get<Problem>('/webhooks/sms/twilio')],
    ],
  )
  await refusesAll({ code: 'unsupported_media_type', says: /Content-Type: application\/json/ }, [
    ...['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'application/jsonp', ''].map(
      (type): Question => [type, () => ana.post<Problem>('/orders', json(order), { 'content-type': type })],
    ),
    ['top-up', () => ana.post<Problem>('/topups', '{}', { 'content-type': 'text/plain' })],
  ])
  await refusesAll({ code: 'invalid_request', says: /not JSON.*nothing was done/ }, [
    ...[
      '',
      '{',
      '['.repeat(60_000),
      '{"service":"telegram","country":"GB"',
      "{'service':'telegram'}",
      'service=telegram',
      '\u0000',
    ].map(
      (body): Question => [
        `body ${json(body)}`,
        () => ana.post<Problem>('/orders', body, { 'content-type': 'application/json' }),
      ],
    ),
  ])
  await refusesAll({ code: 'too_large', says: /at most \d+ bytes/ }, [
    ['70 KB', () => ana.post<Problem>('/orders', { ...order, padding: 'x'.repeat(70 * 1024) })],
    ['5 MB', () => ana.post<Problem>('/orders', { ...order, padding: 'x'.repeat(5 * 1024 * 1024) })],
  ])
})

test('what no name or password can be does not sign in, and fails no part of the house', async () => {
  const signIn = (body: unknown) =>
    world.stranger().post<Problem>('/api/auth/sign-in/username', body, { origin: world.server.publicUrl })
  await refusesAll({ code: 'unauthenticated', says: /do not belong together/ }, [
    ['a wrong password', () => signIn({ username: 'demo', password: 'not-it' })],
    ['nothing', () => signIn({ username: '', password: '' })],
  ])
  await refusesAll({ code: 'invalid_request', says: /send it again/ }, [
    ['a zero character', () => signIn({ username: 'de\u0000mo', password: 'demo-password' })],
    ['no name', () => signIn({ password: 'x' }), { field: 'username' }],
    ['a list', () => signIn({ username: 'demo', password: ['demo-password'] }), { field: 'password' }],
    ['too long', () => signIn({ username: 'demo', password: 'x'.repeat(1001) }), { field: 'password' }],
  ])
})

/** Sends bytes that no HTTP client would send, and reads what comes back. */
function raw(request: string): Promise<string> {
  const { hostname, port } = new URL(world.server.url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(request, 'latin1'))
    let said = ''
    socket.setEncoding('latin1').on('data', (text: string) => {
      said += text
    })
    socket.on('close', () => resolve(said))
    socket.on('error', reject)
  })
}
