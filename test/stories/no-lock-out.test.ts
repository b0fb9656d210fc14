/** How often something may be tried: told from outside, by strangers from many networks and by the owner of what they try. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { until } from '../until.ts'
import { createVisitor, tokenOf } from '../visitor.ts'
import type { Answer } from '../world.ts'
import { startWorld, type World } from '../world.ts'

const PASSWORD = 'a stone, a lamp, a river'

let world: World
let owner: pg.Pool
before(async () => {
  world = await startWorld({ env: { TRUST_PROXY: '1' }, accounts: { refusalMsMin: 0 } })
  owner = new pg.Pool({ connectionString: world.db.url, max: 2 })
})
after(async () => {
  await owner.end()
  await world.proveAndStop()
})

let networks = 0
const somebody = () => createVisitor(world, { address: `198.51.${++networks >> 8}.${networks & 255}` })

function expectLimited(answer: Answer<{ code: string; detail: string }>): void {
  assert.equal(answer.status, 429)
  assert.equal(answer.body.code, 'rate_limited')
  assert.match(answer.body.detail, /Try again in \d+ (seconds|minutes); nothing was done/)
  const seconds = Number(answer.headers.get('retry-after'))
  assert.ok(seconds >= 1 && seconds <= 3600, String(seconds))
}

test('a stranger who fails in my name is held back himself, and keeps me out from nowhere', async () => {
  const ana = somebody()
  await ana.join('ana')
  const stranger = somebody()
  for (let i = 0; i < 10; i++) assert.equal((await stranger.signIn('ana', `guess ${i}`)).status, 401)
  const limited = await stranger.signIn('ana', 'another guess')
  expectLimited(limited)
  assert.match(limited.body.detail, /From a browser that was signed in before, and with a new password by mail/)
  expectLimited(await stranger.signIn('ANA', PASSWORD))
  assert.equal((await somebody().signIn('ana', PASSWORD)).status, 200, 'another browser, another network')
  assert.equal((await ana.signIn('ana', PASSWORD)).status, 200)
})

test('strangers from a thousand networks fill what they share; my browser and my mailbox still open the account', async () => {
  const bea = somebody()
  await bea.join('bea')
  let answers = 0
  for (let i = 0; i < 110; i++) answers += (await somebody().signIn('bea', 'guess')).status === 401 ? 1 : 0
  assert.equal(answers, 100, 'so many passwords an hour are tried, however many ask')
  const elsewhere = somebody()
  expectLimited(await elsewhere.signIn('bea', PASSWORD))

  assert.equal((await bea.signIn('bea', PASSWORD)).status, 200, 'a browser that was there before')
  assert.equal((await elsewhere.post('/api/auth/password/forgotten', { login: 'bea' })).status, 202)
  const token = tokenOf(await world.mail('bea@example.com', /new password/), '/password/reset')
  assert.equal((await elsewhere.post('/api/auth/password/reset', { token, password: 'new words for bea' })).status, 200)
  assert.equal((await elsewhere.signIn('bea', 'new words for bea')).status, 200, 'and the one that has her mail')
})

test('of a list of stolen passwords one network tries thirty a minute', async () => {
  const thief = somebody()
  const answers: Answer<unknown>[] = []
  // No more at once than are served in time by any machine: of who is sent away for that, nothing is counted.
  for (let lot = 0; lot < 4; lot++) {
    answers.push(
      ...(await Promise.all(Array.from({ length: 50 }, (_, i) => thief.signIn(`somebody${lot}_${i}`, `stolen ${i}`)))),
    )
  }
  assert.equal(answers.filter((answer) => answer.status === 401).length, 30)
  assert.equal(answers.filter((answer) => answer.status === 429).length, 170)
})

test('whoever asks for links to my account cannot use them up: three are open, and each of them works', async () => {
  await somebody().join('carl')
  await world.control('/mail/clear', {})
  for (let i = 0; i < 6; i++) {
    assert.equal((await somebody().post('/api/auth/password/forgotten', { login: 'carl' })).status, 202)
    await runErrands()
  }
  const { rows } = await owner.query<{ letters: number }>(
    `select count(*)::int as letters from mail_outbox where to_address = 'carl@example.com' and subject ~ 'new password'`,
  )
  assert.equal(rows[0]!.letters, 3)
  const carl = somebody()
  const token = tokenOf(await world.mail('carl@example.com', /new password/), '/password/reset')
  assert.equal((await carl.post('/api/auth/password/reset', { token, password: 'new words for carl' })).status, 200)
})

test('one network asks for so much mail an hour, and for one address five times in a quarter', async () => {
  const eager = somebody()
  const resend = (email: string) => eager.post('/api/auth/sign-up/resend', { email })
  for (let i = 0; i < 5; i++) assert.equal((await resend('dora@example.com')).status, 202)
  expectLimited(await resend('Dora@example.com'))
  for (let i = 0; i < 24; i++) await resend(`dora${i}@example.com`)
  const limited = await eager.signUp({ username: 'dora' })
  expectLimited(limited)
  assert.match(limited.body.detail, /Mail was asked for too often from your network/)
  expectLimited(await eager.post('/api/auth/password/forgotten', { login: 'ana' }))
  assert.equal((await somebody().signUp({ username: 'dora' })).status, 202, 'from elsewhere it goes')
})

test("nobody fills a stranger's mailbox: twenty letters an hour, whoever asks", async () => {
  for (let i = 0; i < 24; i++) await somebody().signUp({ username: `emil${i}`, email: 'emil@example.com' })
  await runErrands()
  const { rows } = await owner.query<{ letters: number }>(
    `select count(*)::int as letters from mail_outbox where to_address = 'emil@example.com'`,
  )
  assert.equal(rows[0]!.letters, 20)
})

test("nor by asking for another address: those who have accounts share the stranger's twenty letters", async () => {
  const { rows: logins } = await owner.query<{ id: string }>(`select "id" from auth."user" where "username" = 'ana'`)
  for (let i = 0; i < 24; i++) {
    await owner.query(
      `insert into auth.errands (kind, about, user_id) values ('email_change', 'olga@example.com', $1)`,
      [logins[0]!.id],
    )
  }
  await runErrands()
  const { rows } = await owner.query<{ letters: number }>(
    `select count(*)::int as letters from mail_outbox where to_address = 'olga@example.com'`,
  )
  assert.equal(rows[0]!.letters, 20)
})

test('links that do not work are tried sixty times an hour; one that works costs nothing', async () => {
  const guesser = somebody()
  const open = (token: string) => guesser.post('/api/auth/password/reset', { token, password: PASSWORD })
  for (let i = 0; i < 60; i++) assert.equal((await open('x'.repeat(43))).body.code, 'invalid_link')
  expectLimited(await open('x'.repeat(43)))
  expectLimited(await guesser.post('/api/auth/sign-up/confirm', { token: 'x'.repeat(43) }))
  expectLimited(await guesser.post('/api/auth/email/confirm', { token: 'x'.repeat(43) }))
})

test('a stolen session does not try passwords for ever, nor does a link of a sign-up', async () => {
  const fay = somebody()
  await fay.join('fay')
  const guess = () => fay.post('/api/auth/confirm-password', { password: 'guess' })
  for (let i = 0; i < 10; i++) assert.equal((await guess()).body.code, 'password_needed')
  expectLimited(await guess())
  expectLimited(
    await fay.post('/api/auth/password/change', { current_password: PASSWORD, password: 'new words for fay' }),
  )
  assert.equal((await fay.signIn('fay', PASSWORD)).status, 200, 'who knows it signs in anew')
  assert.equal((await fay.post('/api/auth/confirm-password', { password: PASSWORD })).status, 200)

  await fay.signUp({ username: 'gus' })
  const token = tokenOf(await world.mail('gus@example.com'), '/join/confirm')
  const thief = somebody()
  const open = () => thief.post('/api/auth/sign-up/confirm', { token, password: 'guess' })
  for (let i = 0; i < 10; i++) assert.equal((await open()).body.code, 'password_needed')
  expectLimited(await open())
})

test('another address is asked for five times an hour', async () => {
  const hal = somebody()
  await hal.join('hal')
  for (let i = 0; i < 5; i++) {
    assert.equal((await hal.post('/api/auth/email/change', { email: `hal${i}@example.com` })).status, 202)
  }
  expectLimited(await hal.post('/api/auth/email/change', { email: 'hal6@example.com' }))
})

test('an errand that cannot be run keeps no other waiting, and is given up after an hour', async () => {
  await owner.query(`insert into auth.errands (kind, about) values ('sign_up', 'no id')`)
  const ida = somebody()
  await ida.signUp({ username: 'ida' })
  await runErrands()
  assert.equal((await owner.query('select from mail_outbox where to_address = $1', ['ida@example.com'])).rowCount, 1)
  assert.equal((await owner.query('select from auth.errands')).rowCount, 1)
  await owner.query(`update auth.errands set made_at = now() - interval '61 minutes'`)
  await runErrands()
  assert.equal((await owner.query('select from auth.errands')).rowCount, 0)
  assert.ok(world.alarms.length >= 2)
  assert.ok(world.alarms.every(({ sentence }) => /could not be written; it is tried again/.test(sentence)))
  world.alarms.length = 0
})

/** Until nothing is left to be written but what cannot be. The server's own tick runs beside: what it holds, ours passes by. */
async function runErrands(): Promise<void> {
  const tick = world.server.parts.accounts.ticks.find(({ name }) => name === 'accounts_errands')!
  await until(async () => {
    await tick.run(new AbortController().signal)
    const { rowCount } = await owner.query(
      `select from auth.errands where about <> 'no id' or made_at < now() - interval '60 minutes'`,
    )
    return rowCount === 0
  })
}
