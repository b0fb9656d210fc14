/** Joining, and keeping what one joined with: told from outside, with the mail from the sandbox's mailbox. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import type { Me, Page, Session, Settings } from '../../contract/contract.ts'
import { policyVersions } from '../../contract/policy-versions.ts'
import type { Problem } from '../../contract/refusals.ts'
import { until } from '../until.ts'
import { createVisitor, tokenOf, type Visitor } from '../visitor.ts'
import { startWorld, type World } from '../world.ts'

const PASSWORD = 'a stone, a lamp, a river'

let world: World
let owner: pg.Pool
before(async () => {
  world = await startWorld({ env: { TRUST_PROXY: '1' } })
  owner = new pg.Pool({ connectionString: world.db.url, max: 4 })
})
after(async () => {
  await owner.end()
  await world.proveAndStop()
})

let addresses = 0
/** Somebody at an address of his own. */
const somebody = (userAgent?: string) =>
  createVisitor(world, { address: `192.0.2.${++addresses}`, ...(userAgent ? { userAgent } : {}) })

test('a stranger becomes a customer by proving his e-mail, and not before', async () => {
  const ana = somebody()
  const asked = await ana.signUp({ username: 'Ana', email: 'Ana@Example.com' })
  assert.equal(asked.status, 202)
  assert.deepEqual(asked.body as unknown, { status: 'check_mail' })
  assert.equal((await ana.signIn('ana', PASSWORD)).status, 401, 'nothing is an account until its e-mail is proven')
  assert.equal((await owner.query(`select from auth."user" where "username" = 'ana'`)).rowCount, 0)

  const mail = await world.mail('Ana@Example.com')
  assert.match(mail.subject, /^Confirm your e-mail for MobileSMS$/)
  assert.match(mail.text, /wants to open an account with this address/)
  assert.doesNotMatch(mail.text, /\bana\b/, 'a stranger chose the name')
  const token = tokenOf(mail, '/join/confirm')
  const joined = await ana.post<Me>('/api/auth/sign-up/confirm', { token })
  assert.equal(joined.status, 200)
  assert.deepEqual(joined.body as Me, { username: 'ana', role: 'customer', time_zone: 'UTC' })
  assert.equal(await ana.me(), 200, 'and he is signed in')
  assert.equal((await ana.get<{ available: string }>('/balance')).body.available, '0.00')
  assert.equal((await ana.get<Settings>('/settings')).body.email, 'Ana@Example.com', 'kept as it was given')

  const { rows } = await owner.query(
    `select p.policy, p.version, p.accepted_at is not null and a.adult_stated_at is not null as at
       from policy_acceptances p join accounts a on a.id = p.account_id
      where a.username = 'ana' order by p.policy`,
  )
  assert.deepEqual(
    rows,
    Object.entries(policyVersions)
      .map(([policy, version]) => ({ policy, version, at: true }))
      .sort((a, b) => a.policy.localeCompare(b.policy)),
  )

  const again = await ana.post('/api/auth/sign-up/confirm', { token })
  assert.equal(again.status, 400)
  assert.equal(again.body.code, 'invalid_link')
  assert.match(again.body.detail, /was used already.*Sign in/)
  assert.equal((await somebody().signIn('ANA', PASSWORD)).status, 200, 'capitals of the name make no difference')
})

test('twenty confirmations at once make one account', async () => {
  const bea = somebody()
  await bea.signUp({ username: 'bea' })
  const token = tokenOf(await world.mail('bea@example.com'), '/join/confirm')
  const answers = await Promise.all(Array.from({ length: 20 }, () => bea.post('/api/auth/sign-up/confirm', { token })))
  assert.equal(answers.filter((answer) => answer.status === 200).length, 1)
  assert.ok(answers.every((answer) => answer.status === 200 || answer.body.code === 'invalid_link'))
  const { rows } = await owner.query(`select count(*)::int as logins from auth."user" where "username" = 'bea'`)
  assert.equal(rows[0].logins, 1)
})

test('whoever has an account is told so by mail, and nobody else learns it', async () => {
  await somebody().join('carl')
  const stranger = somebody()
  const known = await stranger.signUp({ username: 'carl_2', email: 'CARL@example.com' })
  const unknown = await stranger.signUp({ username: 'carl_3', email: 'carl3@example.com' })
  assert.deepEqual([known.status, known.body], [unknown.status, unknown.body])
  assert.deepEqual(
    known.headers.getSetCookie().map((line) => line.split('=')[0]),
    ['mobilesms_browser'],
  )
  const mail = await world.mail('CARL@example.com', /already have an account/)
  assert.match(mail.text, /its username is carl/)
  assert.ok(mail.links.some((link) => link.endsWith('/sign-in')))
  assert.ok(
    mail.links.every((link) => !link.includes('#')),
    'nothing in it opens anything',
  )
})

test('a name that was taken meanwhile is chosen anew with the same link', async () => {
  const [first, second] = [somebody(), somebody()]
  await first.signUp({ username: 'dora', email: 'dora1@example.com' })
  await second.signUp({ username: 'dora', email: 'dora2@example.com' })
  const tokens = [
    tokenOf(await world.mail('dora1@example.com'), '/join/confirm'),
    tokenOf(await world.mail('dora2@example.com'), '/join/confirm'),
  ]
  assert.equal((await first.post('/api/auth/sign-up/confirm', { token: tokens[0] })).status, 200)
  const late = await second.post('/api/auth/sign-up/confirm', { token: tokens[1] })
  assert.equal(late.status, 409)
  assert.equal(late.body.code, 'username_taken')
  assert.equal(late.body.field, 'username')
  const joined = await second.post<Me>('/api/auth/sign-up/confirm', { token: tokens[1], username: 'dora_2' })
  assert.equal(joined.status, 200)
  assert.equal(joined.body.username, 'dora_2')
})

test('of two sign-ups with one address the first that is confirmed counts', async () => {
  const emil = somebody()
  await emil.signUp({ username: 'emil', email: 'emil@example.com' })
  const one = tokenOf(await world.mail('emil@example.com', /Confirm/), '/join/confirm')
  await world.control('/mail/clear', {})
  await emil.signUp({ username: 'emil_b', email: 'Emil@example.com' })
  const two = tokenOf(await world.mail('Emil@example.com', /Confirm/), '/join/confirm')
  assert.equal((await emil.post('/api/auth/sign-up/confirm', { token: two })).status, 200)
  const late = await emil.post('/api/auth/sign-up/confirm', { token: one })
  assert.equal(late.body.code, 'invalid_link')
  assert.match(late.body.detail, /has an account already; its username is emil_b/)
})

test('two links of one address that are followed at once make one account, and none waits for the other for ever', async () => {
  const fay = somebody()
  const email = 'twice@example.com'
  const tokens: string[] = []
  for (const username of ['twice_a', 'twice_b']) {
    await fay.signUp({ username, email })
    tokens.push(tokenOf(await world.mail(email, /Confirm/), '/join/confirm'))
    await world.control('/mail/clear', {})
  }
  // Somebody who has the address in hand, and gives it up when both have come as far as they can.
  const tx = await owner.connect()
  await tx.query('begin')
  await tx.query(
    `insert into auth."user" ("name", "email", "emailVerified", "username", "role") values ('x', $1, true, 'twice_x', 'customer')`,
    [email],
  )
  const following = Promise.all(tokens.map((token) => fay.post('/api/auth/sign-up/confirm', { token })))
  await untilWaiting(2)
  await tx.query('rollback')
  tx.release()
  const answers = await following
  assert.deepEqual(
    answers.map(({ status }) => status).sort(),
    [200, 400],
    JSON.stringify(answers.map(({ body }) => body)),
  )
  assert.match(answers.find(({ status }) => status === 400)!.body.detail, /has an account already/)
})

test('a link of a sign-up does not tell of many names whether they are taken', async () => {
  const guesser = somebody()
  await guesser.signUp({ username: 'taken', email: 'taken1@example.com' })
  await somebody().join('taken')
  const token = tokenOf(await world.mail('taken1@example.com'), '/join/confirm')
  const ask = () => guesser.post('/api/auth/sign-up/confirm', { token, username: 'taken' })
  for (let i = 0; i < 10; i++) assert.equal((await ask()).body.code, 'username_taken')
  assert.equal((await ask()).body.code, 'rate_limited')
})

test('a link that a stranger asked for in my name makes no account with his password', async () => {
  const [thief, fred] = [somebody(), somebody()]
  await thief.signUp({ username: 'fred', email: 'fred@example.com', password: "the thief's own words" })
  const token = tokenOf(await world.mail('fred@example.com'), '/join/confirm')
  const asked = await fred.post('/api/auth/sign-up/confirm', { token })
  assert.equal(asked.status, 403)
  assert.equal(asked.body.code, 'password_needed')
  assert.match(asked.body.detail, /close this page/)
  assert.equal(
    (await fred.post('/api/auth/sign-up/confirm', { token, password: PASSWORD })).body.code,
    'password_needed',
  )
  // The same person on another device knows the password.
  const phone = await somebody().post<Me>('/api/auth/sign-up/confirm', { token, password: "the thief's own words" })
  assert.equal(phone.status, 200)
})

test('a link is sent again to who asks, and nothing to who never signed up', async () => {
  const gina = somebody()
  await gina.signUp({ username: 'gina' })
  await world.mail('gina@example.com')
  await world.control('/mail/clear', {})
  const again = await gina.post('/api/auth/sign-up/resend', { email: 'GINA@example.com' })
  const nobody = await gina.post('/api/auth/sign-up/resend', { email: 'nobody@example.com' })
  assert.deepEqual([again.status, again.body], [nobody.status, nobody.body])
  assert.equal(again.status, 202)
  const token = tokenOf(await world.mail('gina@example.com'), '/join/confirm')
  assert.equal((await gina.post('/api/auth/sign-up/confirm', { token })).status, 200)
  const { items } = (await world.control('/mail?to=nobody%40example.com')) as { items: unknown[] }
  assert.equal(items.length, 0)
})

test('an old, an unknown and a half link are refused, each saying what to do', async () => {
  const hugo = somebody()
  await hugo.signUp({ username: 'hugo' })
  const token = tokenOf(await world.mail('hugo@example.com'), '/join/confirm')
  await owner.query(`update auth.links set expires_at = now() where email = 'hugo@example.com'`)
  const refusal = async (path: string, body: object) => {
    const answer = await hugo.post(path, body)
    assert.equal(answer.status, 400)
    assert.equal(answer.body.code, 'invalid_link')
    assert.equal(answer.body.field, 'token')
    return answer.body.detail
  }
  assert.match(await refusal('/api/auth/sign-up/confirm', { token }), /more than 24 hours old.*sign up again/)
  assert.match(await refusal('/api/auth/sign-up/confirm', { token: token.slice(0, 20) }), /not known.*ask for another/)
  assert.match(await refusal('/api/auth/password/reset', { token, password: PASSWORD }), /not known/, 'of another kind')
  assert.match(await refusal('/api/auth/email/confirm', { token: 'x'.repeat(43) }), /not known/)
})

test('a forgotten password is set anew by a link that works once, and ends every sign-in', async () => {
  const ida = somebody()
  await ida.join('ida')
  const elsewhere = somebody()
  const byName = await elsewhere.post('/api/auth/password/forgotten', { login: 'Ida' })
  const unknown = await elsewhere.post('/api/auth/password/forgotten', { login: 'nobody-at-all' })
  assert.deepEqual([byName.status, byName.body], [unknown.status, unknown.body])
  assert.equal(byName.status, 202)
  const token = tokenOf(await world.mail('ida@example.com', /new password for ida/), '/password/reset')

  const weak = await elsewhere.post('/api/auth/password/reset', { token, password: 'Password1' })
  assert.equal(weak.body.code, 'password_too_common', 'and the link is not used up')
  const own = await elsewhere.post('/api/auth/password/reset', { token, password: 'IDA@example.com' })
  assert.equal(own.body.code, 'password_too_common')
  const both = await Promise.all([
    elsewhere.post('/api/auth/password/reset', { token, password: 'another long password' }),
    elsewhere.post('/api/auth/password/reset', { token, password: 'one more long password' }),
  ])
  assert.deepEqual(both.map((answer) => answer.status).sort(), [200, 400], 'of two at once one counts')
  const password = both[0]!.status === 200 ? 'another long password' : 'one more long password'
  assert.equal(elsewhere.jar.has('mobilesms_session'), false, 'it signs nobody in')
  assert.equal(await ida.me(), 401, 'whoever was signed in is not any more')
  assert.equal((await ida.signIn('ida', PASSWORD)).status, 401)
  assert.equal((await elsewhere.signIn('ida', password)).status, 200)
  assert.match((await world.mail('ida@example.com', /was changed/)).text, /The account ida has a new password/)

  await ida.post('/api/auth/password/forgotten', { login: 'IDA@example.com' })
  const late = tokenOf(await world.mail('ida@example.com', /new password for ida/), '/password/reset')
  await owner.query(`update auth.links set expires_at = now() where purpose = 'reset'`)
  const refused = await ida.post('/api/auth/password/reset', { token: late, password: PASSWORD })
  assert.equal(refused.body.code, 'invalid_link')
})

test('the password is changed by who knows it: a new cookie, the others ended if he wants, and a letter', async () => {
  const jon = somebody()
  await jon.join('jon')
  const phone = somebody()
  assert.equal((await phone.signIn('jon', PASSWORD)).status, 200)
  const before = jon.jar.get('mobilesms_session')
  const change = (body: object) =>
    jon.post<{ status: string; ended_sessions: number }>('/api/auth/password/change', body)

  const wrong = await change({ current_password: 'not it', password: 'a brand new password' })
  assert.equal(wrong.status, 403)
  assert.deepEqual([wrong.body.code, wrong.body.field], ['password_needed', 'current_password'])
  const short = await change({ current_password: PASSWORD, password: 'short' })
  assert.deepEqual([short.status, short.body.code, short.body.field], [400, 'invalid_request', 'password'])

  const kept = await change({ current_password: PASSWORD, password: 'a brand new password' })
  assert.deepEqual(kept.body as object, { status: 'password_set', ended_sessions: 0 })
  assert.notEqual(jon.jar.get('mobilesms_session'), before)
  const old = await world.stranger().get('/me', { cookie: `mobilesms_session=${before}` })
  assert.equal(old.status, 401, 'the cookie of before is worth nothing')
  assert.equal(await phone.me(), 200)

  await world.mail('jon@example.com', /Your password was changed/)
  await world.control('/mail/clear', {})
  const ended = await change({ current_password: 'a brand new password', password: PASSWORD, end_other_sessions: true })
  assert.equal(ended.body.ended_sessions, 1)
  assert.deepEqual([await jon.me(), await phone.me()], [200, 401])
  assert.match((await world.mail('jon@example.com', /Your password was changed/)).text, /One other sign-in was ended/)
})

/**
 * What becomes of a request that is under way while the owner sets another password by a link: it is held up by the rows that the
 * reset writes, and goes on when they are committed.
 */
async function whileReset<Result>(username: string, begun: () => Promise<Result>): Promise<Result> {
  const tx = await owner.connect()
  try {
    await tx.query('begin')
    const { rows } = await tx.query<{ id: string }>(`select "id" from auth."user" where "username" = $1 for update`, [
      username,
    ])
    await tx.query(
      `update auth."account" set "password" = (
         select a."password" from auth."account" a join auth."user" u on u."id" = a."userId" where u."username" = 'reset')
        where "userId" = $1`,
      [rows[0]!.id],
    )
    await tx.query('delete from auth.sessions where user_id = $1', [rows[0]!.id])
    const outcome = begun()
    await untilWaiting(1)
    await tx.query('commit')
    return await outcome
  } finally {
    await tx.query('rollback')
    tx.release()
  }
}

/** Until so many statements of the server wait for somebody else's rows. */
async function untilWaiting(statements: number): Promise<void> {
  await until(async () => {
    const { rowCount } = await owner.query(
      `select from pg_stat_activity
        where datname = current_database() and application_name in ('mobilesms_app', 'mobilesms_auth') and wait_event_type = 'Lock'`,
    )
    return rowCount === statements
  })
}

test('who knew the old password gets nothing by it while it is reset: no sign-in, no other password, no step-up', async () => {
  await somebody().join('reset', 'what the owner chose')
  const [rosa, thief] = [somebody(), somebody()]
  await rosa.join('rosa')
  const entered = await whileReset('rosa', () => thief.signIn('rosa', PASSWORD))
  assert.equal(entered.status, 401)
  assert.equal(await thief.me(), 401)

  await rosa.join('rosa_2')
  await thief.signIn('rosa_2', PASSWORD)
  const changed = await whileReset('rosa_2', () =>
    thief.post('/api/auth/password/change', { current_password: PASSWORD, password: "the thief's own words" }),
  )
  assert.deepEqual([changed.status, changed.body.code], [403, 'password_needed'])
  assert.match(changed.body.detail, /changed somewhere else meanwhile/)
  assert.equal((await somebody().signIn('rosa_2', 'what the owner chose')).status, 200)

  await rosa.join('rosa_3')
  await thief.signIn('rosa_3', PASSWORD)
  const cookie = thief.jar.get('mobilesms_session')
  const confirmed = await whileReset('rosa_3', () => thief.post('/api/auth/confirm-password', { password: PASSWORD }))
  assert.deepEqual([confirmed.status, confirmed.body.code], [401, 'unauthenticated'])
  assert.equal(thief.jar.get('mobilesms_session'), cookie, 'there is no cookie for a session that is over')
})

test('what is delicate asks for the password again after five minutes', async () => {
  const kim = somebody()
  await kim.join('kim')
  await owner.query(`update auth.sessions set password_at = now() - interval '5 minutes 1 second'`)
  const stale = await kim.post('/api/auth/email/change', { email: 'kim2@example.com' })
  assert.equal(stale.status, 403)
  assert.equal(stale.body.code, 'password_needed')
  assert.equal((await kim.post('/api/auth/confirm-password', { password: 'wrong' })).body.code, 'password_needed')
  const before = kim.jar.get('mobilesms_session')
  assert.equal((await kim.post('/api/auth/confirm-password', { password: PASSWORD })).status, 200)
  const old = await world.stranger().get('/me', { cookie: `mobilesms_session=${before}` })
  assert.equal(old.status, 401, 'more power, another cookie')
  assert.equal((await kim.post('/api/auth/email/change', { email: 'kim2@example.com' })).status, 202)
  assert.equal((await (await world.demo()).post('/api/auth/email/change', { email: 'x@example.com' })).status, 403)
})

test('another e-mail is proven at the new address, and told to the old one', async () => {
  const lea = somebody()
  await lea.join('lea')
  assert.equal((await lea.post('/api/auth/email/change', { email: 'Lea@new.example' })).status, 202)
  const notice = await world.mail('lea@example.com', /wants to change/)
  assert.match(notice.text, /L…@new\.example/)
  assert.match(notice.text, /If this was not you/)
  const token = tokenOf(await world.mail('Lea@new.example'), '/email/confirm')
  assert.equal((await lea.get<Settings>('/settings')).body.email, 'lea@example.com', 'not before it is proven')

  const confirmed = await somebody().post<{ email: string }>('/api/auth/email/confirm', { token })
  assert.deepEqual(confirmed.body as object, { status: 'confirmed', email: 'Lea@new.example' })
  assert.equal((await lea.get<Settings>('/settings')).body.email, 'Lea@new.example')
  assert.match((await world.mail('lea@example.com', /Your e-mail was changed/)).text, /support@sandbox\.example/)
  assert.equal((await lea.post('/api/auth/email/confirm', { token })).body.code, 'invalid_link')

  // An address that somebody has is not told to whoever asks for it.
  await somebody().join('mona')
  assert.equal((await lea.post('/api/auth/email/change', { email: 'Mona@example.com' })).status, 202)
  const told = await world.mail('Mona@example.com', /already have an account/)
  assert.ok(told.links.every((link) => !link.includes('#')))
})

test('another e-mail that was asked for with the old password is forgotten with it', async () => {
  const lars = somebody()
  await lars.join('lars')
  await owner.query(
    `insert into auth.errands (kind, about, user_id, made_at)
     select 'email_change', 'thief@example.com', "id", now() from auth."user" where "username" = 'lars'`,
  )
  // Before the next second's errands.
  await lars.post('/api/auth/password/change', { current_password: PASSWORD, password: 'new words for lars' })
  assert.equal((await owner.query('select from auth.errands')).rowCount, 0)
  const open = await owner.query(`select from auth.links where email = 'thief@example.com' and voided_at is null`)
  assert.equal(open.rowCount, 0)
})

test('two who want the same new address: who proves it first has it', async () => {
  const [nora, omar] = [somebody(), somebody()]
  await nora.join('nora')
  await omar.join('omar')
  await nora.post('/api/auth/email/change', { email: 'shared@example.com' })
  const first = tokenOf(await world.mail('shared@example.com', /Confirm your new/), '/email/confirm')
  await world.control('/mail/clear', {})
  await omar.post('/api/auth/email/change', { email: 'shared@example.com' })
  const second = tokenOf(await world.mail('shared@example.com', /Confirm your new/), '/email/confirm')
  const answers = await Promise.all([
    nora.post('/api/auth/email/confirm', { token: first }),
    omar.post('/api/auth/email/confirm', { token: second }),
  ])
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, 400])
})

test('open sign-ins are listed and ended, one by one or all others', async () => {
  const pia = somebody('Firefox on the desk')
  await pia.join('pia')
  const phone = somebody('Safari on the phone')
  await phone.signIn('pia', PASSWORD)
  const list = async () => (await pia.get<Page<Session>>('/sessions')).body.items
  const [newest, oldest] = await list()
  assert.equal(newest!.user_agent, 'Safari on the phone')
  assert.deepEqual([newest!.current, oldest!.current], [false, true])
  assert.match(newest!.address, /^192\.0\.2\.\d+$/)
  assert.match(newest!.id, /^ses_[0-9a-f]{32}$/)

  const stranger = somebody()
  await stranger.join('quin')
  const foreign = await stranger.post(`/sessions/${newest!.id}/end`)
  assert.equal(foreign.status, 404)
  assert.equal(await phone.me(), 200)

  assert.equal((await pia.post(`/sessions/${newest!.id}/end`)).status, 200)
  assert.equal(await phone.me(), 401)
  assert.equal((await pia.post(`/sessions/${newest!.id}/end`)).status, 404, 'a second time there is nothing to end')
  await phone.signIn('pia', PASSWORD)
  const others = await pia.post<{ ended_sessions: number }>('/sessions/end-others')
  assert.equal(others.body.ended_sessions, 1)
  assert.deepEqual([await pia.me(), await phone.me()], [200, 401])
  assert.equal((await list()).length, 1)

  const page = await pia.get<Page<Session>>('/sessions?limit=1')
  assert.equal(page.body.next_cursor, null)
})

test('an open page ends with the sign-in that opened it, and no other', async () => {
  const [here, there] = [somebody(), somebody()]
  await here.join('stan')
  await there.signIn('stan', PASSWORD)
  const pages = await Promise.all([here, there].map((visitor) => openPage(visitor)))
  assert.equal((await there.post('/api/auth/sign-out')).status, 200)
  await until(async () => !pages[1]!.isOpen())
  assert.equal(pages[0]!.isOpen(), true)

  await there.signIn('stan', PASSWORD)
  const again = await openPage(there)
  await there.post('/api/auth/password/forgotten', { login: 'stan' })
  const token = tokenOf(await world.mail('stan@example.com', /new password/), '/password/reset')
  const password = 'new words for stan'
  assert.equal((await somebody().post('/api/auth/password/reset', { token, password })).status, 200)
  await until(async () => !again.isOpen() && !pages[0]!.isOpen())
})

test('who signs in anew in the same browser has one sign-in there, not two', async () => {
  const tom = somebody()
  await tom.join('tom')
  await tom.signIn('tom', PASSWORD)
  assert.equal((await tom.get<Page<Session>>('/sessions')).body.items.length, 1)
})

/** A live stream, as an open page has one. */
async function openPage(visitor: Visitor): Promise<{ isOpen: () => boolean }> {
  const answer = await fetch(`${world.server.url}/api/v1/events`, {
    headers: { cookie: [...visitor.jar].map(([name, value]) => `${name}=${value}`).join('; ') },
  })
  assert.equal(answer.status, 200)
  let open = true
  void (async () => {
    for await (const _ of answer.body!);
    open = false
  })()
  return { isOpen: () => open }
}

test('a sign-in from a browser that was never there is told by mail, once, and not where it is switched off', async () => {
  const rita = somebody()
  await rita.join('rita')
  await rita.post('/api/auth/sign-out')
  await rita.signIn('rita', PASSWORD)
  const phone = somebody('Phone of a test')
  await phone.signIn('rita', PASSWORD)
  const mail = await world.mail('rita@example.com', /new sign-in/)
  assert.match(mail.text, /Browser: Phone of a test/)
  await phone.post('/api/auth/sign-out')
  await phone.signIn('rita', PASSWORD)
  const third = somebody('Third of a test')
  const changed = await rita.post('/api/auth/confirm-password', { password: PASSWORD })
  assert.equal(changed.status, 200)
  await owner.query(`update accounts set mail_sign_ins = false where username = 'rita'`)
  await third.signIn('rita', PASSWORD)
  const { rows } = await owner.query(
    `select count(*)::int as letters from mail_outbox where to_address = 'rita@example.com' and subject ~ 'new sign-in'`,
  )
  assert.equal(rows[0].letters, 1)
})

const refused: [what: string, wish: Record<string, unknown>, code: Problem['code'], field: string, detail: RegExp][] = [
  ['a control character', { username: 'an\u0007a' }, 'invalid_request', 'username', /letters from a to z/],
  ['a look-alike (Cyrillic а)', { username: 'аna' }, 'invalid_request', 'username', /letters of other alphabets/],
  ['a look-alike (full width)', { username: 'ａｎａ' }, 'invalid_request', 'username', /letters of other alphabets/],
  ['a zero-width character', { username: 'an\u200ba' }, 'invalid_request', 'username', /letters from a to z/],
  ['a short name', { username: 'ab' }, 'invalid_request', 'username', /3 to 30/],
  ['a long name', { username: 'a'.repeat(31) }, 'invalid_request', 'username', /3 to 30/],
  ['dots only', { username: '...' }, 'invalid_request', 'username', /at least one letter or digit/],
  ['a name of the house', { username: 'Support' }, 'username_taken', 'username', /kept for the house/],
  ['a name of the house in disguise', { username: '_mobilesms.' }, 'username_taken', 'username', /kept for the house/],
  ['an e-mail of 300 characters', { email: `${'a'.repeat(288)}@example.com` }, 'invalid_request', 'email', /254.*300/],
  ['an e-mail without a domain', { email: 'ana@' }, 'invalid_request', 'email', /not an e-mail/],
  ['two e-mails', { email: 'a@example.com,b@example.com' }, 'invalid_request', 'email', /not an e-mail/],
  ['an e-mail with a line break', { email: 'a@example.com\nBcc: b@example.com' }, 'invalid_request', 'email', /not an/],
  ['an e-mail with a look-alike', { email: 'ana@exаmple.com' }, 'invalid_request', 'email', /other alphabets/],
  ['a password of seven characters', { password: '🐟🐟🐟🐟🐟🐟🐟' }, 'invalid_request', 'password', /8 to 128.*has 7/],
  ['a password of 129 characters', { password: 'x'.repeat(129) }, 'invalid_request', 'password', /has 129/],
  ['a common password', { password: 'iloveyou2' }, 'password_too_common', 'password', /tried first/],
  ['a common password in capitals', { password: 'BaseBall1' }, 'password_too_common', 'password', /tried first/],
  [
    'the username as password',
    { username: 'long.name', password: 'Long.Name' },
    'password_too_common',
    'password',
    /can read/,
  ],
  ['somebody under 18', { adult: false }, 'invalid_request', 'adult', /18 and over/],
  ['no word about the age', { adult: undefined }, 'invalid_request', 'adult', /missing/],
  ['no policies', { accepted: undefined }, 'invalid_request', 'accepted', /missing/],
  [
    'a policy left out',
    { accepted: { ...policyVersions, refunds: undefined } },
    'invalid_request',
    'accepted.refunds',
    /missing/,
  ],
  [
    'an old version',
    { accepted: { ...policyVersions, terms: '2020-01-01' } },
    'invalid_request',
    'accepted.terms',
    new RegExp(policyVersions.terms),
  ],
]
for (const [what, wish, code, field, detail] of refused) {
  test(`joining with ${what} is refused, and says why`, async () => {
    const answer = await somebody().signUp({ username: 'valid.name', ...wish })
    assert.deepEqual([answer.body.code, answer.body.field], [code, field])
    assert.match(answer.body.detail, detail)
    assert.equal((await owner.query(`select from auth.sign_ups where email = 'valid.name@example.com'`)).rowCount, 0)
  })
}

test('another site makes nobody join, confirm or reset', async () => {
  const foreign = { origin: 'https://evil.example' }
  const token = 'x'.repeat(43)
  for (const [path, body] of [
    [
      'sign-up',
      { username: 'eve', email: 'eve@example.com', password: PASSWORD, adult: true, accepted: policyVersions },
    ],
    ['sign-up/confirm', { token }],
    ['sign-up/resend', { email: 'eve@example.com' }],
    ['password/forgotten', { login: 'eve' }],
    ['password/reset', { token, password: PASSWORD }],
    ['email/confirm', { token }],
  ] as const) {
    const answer = await somebody().post(`/api/auth/${path}`, body, foreign)
    assert.equal(answer.status, 403, path)
    assert.equal(answer.body.code, 'forbidden')
  }
})
