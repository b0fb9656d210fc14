import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { getMigrations } from 'better-auth/db/migration'
import pg from 'pg'
import type { Me } from '../../contract/contract.ts'
import type { Problem } from '../../contract/refusals.ts'
import { startWorld, type World } from '../../test/world.ts'
import { sessionCookie } from './sign-in.ts'

let world: World
let owner: pg.Pool
before(async () => {
  world = await startWorld()
  owner = new pg.Pool({ connectionString: world.db.url, max: 4 })
})
after(async () => {
  await owner.end()
  await world.stop()
})

const json = { 'content-type': 'application/json' }
const demo = { name: 'demo', password: 'demo-password' }

function signIn(body: object, headers: Record<string, string> = {}) {
  return world.stranger().post<Me & Problem>('/api/auth/sign-in/username', body, headers)
}

test('who knows the password is signed in, and stays so by a cookie that scripts cannot read', async () => {
  const answer = await signIn({ username: 'demo', password: 'demo-password' })
  assert.equal(answer.status, 200)
  assert.deepEqual(answer.body, { username: 'demo', role: 'customer', time_zone: 'UTC' })
  const [cookie, ...others] = answer.headers.getSetCookie()
  assert.equal(others.length, 0)
  assert.match(cookie!, /^mobilesms_session=[^;]+; Max-Age=1209600; Path=\/; HttpOnly; SameSite=Lax$/)
  const me = await world.stranger().get<Me>('/me', { cookie: cookie!.split(';')[0]! })
  assert.deepEqual(me.body, answer.body)
})

test('over https the cookie is bound to the host and never sent in the clear', () => {
  assert.deepEqual(sessionCookie('https://sms.example'), { name: '__Host-mobilesms_session', secure: true })
})

test('staff are staff', async () => {
  for (const name of ['staff', 'approver']) {
    const browser = await world.signIn({ name, password: `${name}-password` })
    assert.deepEqual((await browser.get('/me')).body, { username: name, role: 'staff', time_zone: 'UTC' })
  }
})

test('a wrong password and an unknown name are refused alike, and the answer names neither', async () => {
  const wrong = await signIn({ username: 'demo', password: 'not-the-password' })
  const unknown = await signIn({ username: 'nobody_here', password: 'demo-password' })
  const nonsense = await signIn({ username: '\u0001 ', password: '' })
  for (const answer of [wrong, unknown, nonsense]) {
    assert.equal(answer.status, 401)
    assert.equal(answer.body.code, 'unauthenticated')
    assert.equal(answer.body.detail, wrong.body.detail)
    assert.equal(answer.headers.getSetCookie().length, 0)
  }
})

test('signing out ends the session itself, not only the cookie', async () => {
  const browser = await world.signIn(demo)
  assert.equal((await browser.get('/me')).status, 200)
  const out = await browser.post('/api/auth/sign-out')
  assert.equal(out.status, 200)
  assert.match(out.headers.getSetCookie()[0]!, /^mobilesms_session=; Max-Age=0;/)
  assert.equal((await browser.get('/me')).status, 401)
  assert.equal((await browser.post('/api/auth/sign-out')).status, 200, 'signing out twice is fine')
})

test('signing in again makes another session; signing out of one leaves the other', async () => {
  const [first, second] = [await world.signIn(demo), await world.signIn(demo)]
  assert.notEqual(first.cookie, second.cookie)
  await first.post('/api/auth/sign-out')
  assert.equal((await second.get('/me')).status, 200)
})

test('a session in a copied database is no cookie: it needs the signature', async () => {
  await world.signIn(demo)
  const { rows } = await owner.query<{ token: string }>('select "token" from auth."session" limit 1')
  for (const cookie of [rows[0]!.token, `${rows[0]!.token}.${Buffer.alloc(32).toString('base64')}`]) {
    const answer = await world.stranger().get('/me', { cookie: `mobilesms_session=${encodeURIComponent(cookie)}` })
    assert.equal(answer.status, 401)
  }
})

test('a session ends at its time, and that of staff after twelve hours', async () => {
  const [customer, staff] = [
    await world.signIn(demo),
    await world.signIn({ name: 'staff', password: 'staff-password' }),
  ]
  await owner.query(`update auth."session" set "createdAt" = now() - interval '12 hours 1 second'`)
  assert.equal((await customer.get('/me')).status, 200)
  assert.equal((await staff.get('/me')).status, 401)
  await owner.query(`update auth."session" set "expiresAt" = now()`)
  assert.equal((await customer.get('/me')).status, 401)
  await world.server.parts.accounts.forgetTick.run()
  assert.deepEqual((await owner.query('select from auth."session"')).rowCount, 0)
})

test('an API key is its account; a revoked, a wrong and a half one are refused with the reason', async () => {
  const ana = await world.customer({ name: 'ana' })
  assert.deepEqual((await ana.get('/me')).body, { username: 'ana', role: 'customer', time_zone: 'UTC' })
  assert.equal((await (await world.demo()).get('/me')).body['username'], 'demo')

  const refused = async (authorization: string) => {
    const answer = await world.stranger().get<Problem>('/me', { authorization })
    assert.equal(answer.status, 401)
    assert.equal(answer.body.code, 'unauthenticated')
    assert.equal(answer.headers.get('www-authenticate'), 'Bearer')
    return answer.body.detail
  }
  assert.match(await refused(`Bearer ${ana.key}x`), /not known/)
  assert.match(await refused('Bearer sk_test_1'), /begins with msk_/)
  assert.match(await refused(`Basic ${Buffer.from('demo:demo-password').toString('base64')}`), /Bearer <API key>/)
  await owner.query('update api_keys set revoked_at = now() where account_id = $1', [ana.accountId])
  assert.match(await refused(`Bearer ${ana.key}`), /revoked/)
})

test('a wrong key beside a good cookie is refused: what is asked for explicitly counts', async () => {
  const browser = await world.signIn(demo)
  assert.equal((await browser.get('/me', { authorization: 'Bearer msk_not_a_known_key' })).status, 401)
})

test('the database knows no key, only what it is recognised by', async () => {
  const { rows } = await owner.query('select prefix, sha256 from api_keys')
  assert.ok(rows.length > 0)
  assert.doesNotMatch(JSON.stringify(rows.map((row) => [row.prefix, row.sha256.toString()])), /sandbox_demo/)
})

test('a login whose account was never opened gets it with its next request, and only one of twenty at once opens it', async () => {
  const bob = await world.customer({ name: 'bob' })
  const browser = await world.signIn(bob)
  // As after a crash between the two: the login is there, the account is not.
  await owner.query('delete from api_keys where account_id = $1', [bob.accountId])
  await owner.query('delete from ledger_accounts where id = $1', [bob.accountId])
  await owner.query('delete from accounts where id = $1', [bob.accountId])

  const answers = await Promise.all(Array.from({ length: 20 }, () => browser.get('/me')))
  assert.deepEqual(
    answers.map((answer) => answer.status),
    Array(20).fill(200),
  )
  const { rows } = await owner.query(
    `select count(*)::int as accounts, count(l.id)::int as opened from accounts a left join ledger_accounts l using (id)
      where username = 'bob'`,
  )
  assert.deepEqual(rows, [{ accounts: 1, opened: 1 }])
})

test('twenty logins of one name at once are one login', async () => {
  const { accounts } = world.server.parts
  const login = { username: 'carol', password: 'carol-password', role: 'customer' as const }
  const ids = await Promise.all(Array.from({ length: 20 }, () => accounts.createLogin(login)))
  assert.equal(new Set(ids).size, 1)
  assert.equal((await signIn({ username: 'carol', password: 'carol-password' })).status, 200)
})

test('a later start leaves the seeded logins as they are', async () => {
  const { accounts } = world.server.parts
  await accounts.createLogin({ username: 'demo', password: 'another-password', role: 'admin' })
  assert.equal((await signIn({ username: 'demo', password: 'another-password' })).status, 401)
  assert.deepEqual((await signIn({ username: 'demo', password: 'demo-password' })).body.role, 'customer')
})

const foreign: [what: string, headers: Record<string, string>][] = [
  ['another site', { origin: 'https://evil.example' }],
  ['the sandbox beside us', { origin: 'http://127.0.0.1:1' }],
  ['a page without an origin', { origin: 'null' }],
  ['our name on another port', { origin: 'http://localhost:1' }],
  ['a request that a browser calls cross-site', { 'sec-fetch-site': 'cross-site' }],
  ['a request that a browser calls same-site only', { 'sec-fetch-site': 'same-site' }],
  ['a name that somebody pointed at us', { host: 'evil.example', origin: 'http://evil.example' }],
]
for (const [what, headers] of foreign) {
  test(`a cookie is worth nothing to ${what}`, async () => {
    const { cookie } = await world.signIn(demo)
    const status = (path: string, body: object, more: Record<string, string>) =>
      rawStatus('POST', path, { ...json, ...more }, JSON.stringify(body))
    const order = { service: 'telegram', country: 'GB' }
    assert.equal(await status('/api/v1/orders', order, { cookie, ...headers }), 403)
    assert.equal(await status('/api/auth/sign-out', {}, { cookie, ...headers }), 403)
    assert.equal(
      await status('/api/auth/sign-in/username', { username: 'demo', password: 'demo-password' }, headers),
      403,
    )
    // A key was sent on purpose; no browser adds it by itself.
    const authorization = 'Bearer msk_sandbox_demo'
    assert.equal(await status('/api/v1/orders', order, { authorization, ...headers }), 402)
    assert.equal(await rawStatus('GET', '/api/v1/me', { cookie }), 200, 'the session is still there')
  })
}

const ours: [what: string, headers: () => Record<string, string>][] = [
  ['our own page', () => ({ origin: world.server.publicUrl, 'sec-fetch-site': 'same-origin' })],
  ['our page under the address 127.0.0.1', () => ({ origin: world.server.url })],
  ['a program that is no browser', () => ({})],
]
for (const [what, headers] of ours) {
  test(`a cookie works from ${what}`, async () => {
    const { cookie } = await world.signIn(demo)
    const order = JSON.stringify({ service: 'telegram', country: 'GB' })
    assert.equal(await rawStatus('POST', '/api/v1/orders', { ...json, cookie, ...headers() }, order), 402)
  })
}

test('nobody signs up, and nothing else of the library answers', async () => {
  for (const path of [
    'sign-up/email',
    'sign-in/email',
    'update-user',
    'request-password-reset',
    'is-username-available',
  ]) {
    const answer = await world.stranger().post<Problem>(`/api/auth/${path}`, {
      email: 'eve@example.com',
      name: 'eve',
      username: 'eve',
      password: 'eve-password',
    })
    assert.equal(answer.status, 404, path)
    assert.equal(answer.body.code, 'not_found')
  }
})

test('what a sign-in sends beside name and password is ignored', async () => {
  const answer = await signIn({
    username: 'demo',
    password: 'demo-password',
    role: 'admin',
    callbackURL: 'https://evil.example',
  })
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('location'), null)
  assert.equal(answer.body.role, 'customer')
})

test('the sign-in library wants nothing of the database that the migrations do not give it', async () => {
  const { toBeCreated, toBeAdded } = await getMigrations(world.server.parts.accounts.libraryOptions)
  assert.deepEqual({ toBeCreated, toBeAdded }, { toBeCreated: [], toBeAdded: [] })
})

test("the server's role sees no password, and cannot choose a role for an account", async () => {
  const { database, authDatabase } = world.server.parts
  await assert.rejects(
    database.pool.query('select "password" from auth."account"'),
    /permission denied for schema auth/,
  )
  await assert.rejects(authDatabase.pool.query('select * from public.accounts'), /permission denied/)
  for (const statement of [
    "update accounts set role = 'admin'",
    "insert into accounts (user_id, username, role, created_at) select gen_random_uuid(), 'eve', 'admin', now()",
    'delete from accounts',
    'update transfers set amount = 1',
  ])
    await assert.rejects(database.pool.query(statement), /permission denied/, statement)
})

// Last: it uses up the address of this file's tests for a minute.
test('after thirty failures within a minute an address has to wait, whatever it sends', async () => {
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => signIn({ username: 'nobody_here', password: 'guess' })),
  )
  const limited = answers.filter((answer) => answer.status === 429)
  assert.ok(limited.length >= 10)
  assert.ok(answers.filter((answer) => answer.status === 401).length >= 20)
  assert.equal(limited[0]!.body.code, 'rate_limited')
  assert.match(limited[0]!.body.detail, /Wait a minute/)
  assert.ok(limited[0]!.headers.get('retry-after'))
  assert.equal((await signIn({ username: 'demo', password: 'demo-password' })).status, 429)
  assert.equal((await (await world.demo()).get('/me')).status, 200, 'keys and sessions go on')
})

/** With headers that fetch would not let anybody set. */
async function rawStatus(method: string, path: string, headers: Record<string, string>, body = ''): Promise<number> {
  const { request } = await import('node:http')
  return new Promise((resolve, reject) => {
    request(world.server.url + path, { method, headers }, (answer) => {
      answer.resume()
      resolve(answer.statusCode!)
    })
      .on('error', reject)
      .end(body)
  })
}
