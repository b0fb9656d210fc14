import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, test } from 'node:test'
import pg from 'pg'
import type { Me } from '../../contract/contract.ts'
import type { Problem } from '../../contract/refusals.ts'
import { startWorld, type World } from '../../test/world.ts'
import { sessionCookie } from './sessions.ts'

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
  const [cookie, browser, ...others] = answer.headers.getSetCookie()
  assert.equal(others.length, 0)
  assert.match(cookie!, /^mobilesms_session=[^;]{43}; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Lax$/)
  assert.match(browser!, /^mobilesms_browser=[^;]{43}; Max-Age=34560000; Path=\/; HttpOnly; SameSite=Lax$/)
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

test('what a copied database holds of a session is no cookie, and who writes into it makes none', async () => {
  const { cookie } = await world.signIn(demo)
  const { rows } = await owner.query<{ token_sha256: Buffer }>('select token_sha256 from auth.sessions')
  const given = /mobilesms_session=([^;]+)/.exec(cookie)![1]!
  const plain = createHash('sha256').update(given).digest()
  assert.ok(
    rows.every((row) => !row.token_sha256.equals(plain)),
    'the hash needs a secret that is not in the database',
  )
  for (const { token_sha256: hash } of rows) {
    for (const text of [hash.toString('base64url'), hash.toString('hex')]) {
      assert.equal((await world.stranger().get('/me', { cookie: `mobilesms_session=${text}` })).status, 401)
    }
  }
})

test('a session that was planted before the sign-in is not the one that is opened', async () => {
  const planted = 'A'.repeat(43)
  const answer = await signIn(
    { username: 'demo', password: 'demo-password' },
    { cookie: `mobilesms_session=${planted}` },
  )
  assert.equal(answer.status, 200)
  assert.ok(answer.headers.getSetCookie().some((line) => /^mobilesms_session=[^;]{43}/.test(line)))
  assert.equal((await world.stranger().get('/me', { cookie: `mobilesms_session=${planted}` })).status, 401)
})

const staff = { name: 'staff', password: 'staff-password' }
const ends: [what: string, who: typeof demo, column: string, seconds: number][] = [
  ['of a customer, unused for 14 days', demo, 'last_used_at', 14 * 86_400],
  ['of a customer, 30 days old', demo, 'created_at', 30 * 86_400],
  ['of staff, unused for half an hour', staff, 'last_used_at', 1800],
  ['of staff, twelve hours old', staff, 'created_at', 12 * 3600],
]
for (const [what, who, column, seconds] of ends) {
  test(`a session ends: ${what}`, async () => {
    const browser = await world.signIn(who)
    const age = (by: number) =>
      owner.query(
        `update auth.sessions set ${column} = now() - make_interval(secs => $1)
          where user_id = (select "id" from auth."user" where "username" = $2)`,
        [by, who.name],
      )
    await age(seconds - 30)
    assert.equal((await browser.get('/me')).status, 200)
    await age(seconds + 1)
    assert.equal((await browser.get('/me')).status, 401)
    const { ticks } = world.server.parts.accounts
    await ticks.find((tick) => tick.name === 'accounts_forget_sessions')!.run(new AbortController().signal)
    const { rowCount } = await owner.query(
      `select from auth.sessions where user_id = (select "id" from auth."user" where "username" = $1)`,
      [who.name],
    )
    assert.equal(rowCount, 0)
  })
}

test('that a session was used is written once a minute at most, and not by a page that merely stands open', async () => {
  const browser = await world.signIn(demo)
  const usedAt = async () =>
    (await owner.query<{ at: Date }>('select max(last_used_at) as at from auth.sessions')).rows[0]!.at.getTime()
  const first = await usedAt()
  await browser.get('/me')
  assert.equal(await usedAt(), first)
  await owner.query(`update auth.sessions set last_used_at = now() - interval '61 seconds'`)
  await browser.get('/me')
  assert.ok((await usedAt()) > first - 1000)
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
  await owner.query('delete from mail_outbox where account_id = $1', [bob.accountId])
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

test('a password that the former library hashed opens its login once more, and is then kept as any other', async () => {
  const { accountId } = await world.customer({ name: 'olga' })
  await owner.query(
    `update auth."account" set "password" = $2 where "userId" = (select user_id from accounts where id = $1)`,
    [
      accountId,
      // As better-auth 1.7 wrote "päss wörd of old".
      'd8dc2d6e9867031666b96426774672ae:2593c0d7321a1bf128e5744fd8de570966ee8fa70e4959a2b2bf71e8c7fc86ce3966d1896b1f437fe142096b6f543f9818a34b02f14e6b2940e9d39fe8c75697',
    ],
  )
  assert.equal((await signIn({ username: 'olga', password: 'päss wörd of olt' })).status, 401)
  for (let i = 0; i < 2; i++) {
    assert.equal((await signIn({ username: 'olga', password: 'päss wörd of old' })).status, 200)
    const { rows } = await owner.query<{ password: string }>(
      `select "password" from auth."account" where "userId" = (select user_id from accounts where id = $1)`,
      [accountId],
    )
    assert.match(rows[0]!.password, /^\$argon2id\$v=19\$m=/)
  }
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
    "update api_keys set scopes = '{order}'",
    'update api_keys set revoked_at = null, account_id = 1',
    'update directory set account_id = 1',
  ])
    await assert.rejects(database.pool.query(statement), /permission denied/, statement)
  for (const statement of [
    `update "user" set "role" = 'admin'`,
    `update "user" set "username" = 'eve'`,
    'delete from "user"',
    'update "account" set "userId" = gen_random_uuid()',
    'delete from "account"',
  ])
    await assert.rejects(authDatabase.pool.query(statement), /permission denied/, statement)
})

test('what is over is thrown away: links after a week, sign-ups after a day, browsers after 400 days', async () => {
  const user = `(select "id" from auth."user" where "username" = 'demo')`
  const mark = (byte: string) => `decode(repeat('${byte}', 32), 'hex')`
  await owner.query(`
    delete from auth.known_browsers;
    insert into auth.known_browsers (user_id, mark_sha256, last_seen_at)
    values (${user}, ${mark('01')}, now() - interval '399 days'), (${user}, ${mark('02')}, now() - interval '401 days');
    insert into auth.links (token_sha256, purpose, user_id, expires_at)
    values (${mark('01')}, 'reset', ${user}, now() - interval '6 days'), (${mark('02')}, 'reset', ${user}, now() - interval '8 days');
    insert into auth.sign_ups (id, username, email, password, accepted, browser_sha256, expires_at)
    values (gen_random_uuid(), 'left', 'left@example.com', '', '{}', ${mark('01')}, now() + interval '1 hour'),
           (gen_random_uuid(), 'over', 'over@example.com', '', '{}', ${mark('02')}, now())`)
  for (const tick of world.server.parts.accounts.ticks) await tick.run(new AbortController().signal)
  const { rows } = await owner.query(
    `select (select count(*)::int from auth.known_browsers) as browsers, (select count(*)::int from auth.links) as links,
            (select string_agg(username, ' ') from auth.sign_ups) as sign_ups`,
  )
  assert.deepEqual(rows, [{ browsers: 1, links: 1, sign_ups: 'left' }])
  await owner.query('delete from auth.sign_ups')
})

// Last: it uses up the address of this file's tests for a minute.
test('after thirty failures within a minute an address has to wait, whatever it sends', async () => {
  // What the tests above have failed in is not counted, and no minute ends in the middle of this one.
  await owner.query('delete from auth.throttles')
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => signIn({ username: `nobody_${i % 8}`, password: 'guess' })),
  )
  const limited = answers.filter((answer) => answer.status === 429)
  assert.equal(limited.length, 10)
  assert.equal(answers.filter((answer) => answer.status === 401).length, 30)
  assert.equal(limited[0]!.body.code, 'rate_limited')
  assert.match(limited[0]!.body.detail, /Try again in \d+ seconds; nothing was done/)
  assert.match(limited[0]!.headers.get('retry-after')!, /^([1-9]|[1-5]\d|60)$/)
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
