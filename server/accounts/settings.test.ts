import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Settings } from '../../contract/contract.ts'
import { usd } from '../../contract/money.ts'
import type { Problem } from '../../contract/refusals.ts'
import { startWorld, type World } from '../../test/world.ts'

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world.stop())

async function person(name: string) {
  const customer = await world.customer({ name })
  return { ...customer, browser: await world.signIn(customer) }
}

test('settings are read and changed one by one; what is absent stays', async () => {
  const { browser } = await person('ana')
  const first = (await browser.get<Settings>('/settings')).body
  assert.deepEqual(first, {
    username: 'ana',
    email: first.email,
    time_zone: 'UTC',
    company: null,
    tax_id: null,
    mails: { receipts: true, sign_ins: true },
  })
  assert.match(first.email, /@/)

  const change = async (body: object) => {
    const answer = await browser.request<Settings>('PATCH', '/settings', body, {})
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    return answer.body
  }
  assert.deepEqual(await change({ time_zone: 'Asia/Kolkata' }), { ...first, time_zone: 'Asia/Kolkata' })
  assert.deepEqual(await change({ company: '  Ana GmbH & Söhne ', tax_id: 'DE 123456789' }), {
    ...first,
    time_zone: 'Asia/Kolkata',
    company: 'Ana GmbH & Söhne',
    tax_id: 'DE 123456789',
  })
  assert.deepEqual((await change({ mails: { sign_ins: false } })).mails, { receipts: true, sign_ins: false })
  assert.deepEqual((await change({ mails: { receipts: false } })).mails, { receipts: false, sign_ins: false })
  const cleared = await change({ company: '', tax_id: null })
  assert.deepEqual([cleared.company, cleared.tax_id], [null, null])
  assert.deepEqual(await change({}), cleared, 'nothing asked, nothing changed')
  assert.deepEqual((await browser.get('/settings')).body, cleared)
})

test('a time zone is written as its own name is, and every page is told of it', async () => {
  const { browser } = await person('ben')
  const answer = await browser.request<Settings>('PATCH', '/settings', { time_zone: 'europe/berlin' }, {})
  assert.equal(answer.body.time_zone, 'Europe/Berlin')
  assert.equal((await browser.get('/me')).body['time_zone'], 'Europe/Berlin')
})

test('days of the history begin and end by the time zone, which counts at once', async () => {
  const { browser, accountId } = await person('cem')
  await world.giveCredit(accountId, usd('5.00'))
  const happened = new Date((await browser.history())[0]!.happened_at)
  const dayIn = (timeZone: string) => new Intl.DateTimeFormat('en-CA', { timeZone }).format(happened)
  // Between these two it is always another day, somewhere at the same instant.
  for (const timeZone of ['Pacific/Kiritimati', 'Pacific/Pago_Pago', 'UTC']) {
    await browser.request('PATCH', '/settings', { time_zone: timeZone }, {})
    const day = dayIn(timeZone)
    assert.equal((await browser.history(`?from=${day}&to=${day}`)).length, 1, timeZone)
    const other = timeZone === 'Pacific/Kiritimati' ? dayIn('Pacific/Pago_Pago') : dayIn('Pacific/Kiritimati')
    if (other !== day) assert.equal((await browser.history(`?from=${other}&to=${other}`)).length, 0, timeZone)
  }
})

const refused: [what: string, body: object, field: string][] = [
  ['a time zone that is none', { time_zone: 'Europe/Atlantis' }, 'time_zone'],
  ['an offset, which PostgreSQL would read the other way round', { time_zone: '+02:00' }, 'time_zone'],
  ['a time zone with an end of the statement', { time_zone: "UTC'; drop table accounts" }, 'time_zone'],
  ['an empty time zone', { time_zone: '' }, 'time_zone'],
  ['a time zone that is no text', { time_zone: 7 }, 'time_zone'],
  ['a company of 121 characters', { company: 'x'.repeat(121) }, 'company'],
  ['a company with a control character', { company: 'Ana\u0007' }, 'company'],
  ['a company that turns the direction of its line', { company: 'Ana \u202e' }, 'company'],
  ['a tax id of 41 characters', { tax_id: '1'.repeat(41) }, 'tax_id'],
  ['a tax id with a line break', { tax_id: 'DE1\n2' }, 'tax_id'],
  ['mails that are neither on nor off', { mails: { receipts: 'no' } }, 'mails.receipts'],
]
test('what cannot be a setting is refused by its field, and nothing of the request is done', async () => {
  const { browser } = await person('dora')
  const before = (await browser.get('/settings')).body
  for (const [what, body, field] of refused) {
    const whole = { company: 'Something else', ...body }
    const answer = await browser.request<Problem>('PATCH', '/settings', whole, {})
    assert.equal(answer.status, 400, what)
    assert.equal(answer.body.code, 'invalid_request', what)
    assert.equal(answer.body.field, field, what)
    assert.match(answer.body.detail, /nothing was (done|changed)/, what)
  }
  assert.deepEqual((await browser.get('/settings')).body, before)
})

test('what is not a setting has no effect: nobody makes himself staff or rich', async () => {
  const { browser } = await person('eve')
  const before = { settings: await browser.get('/settings'), balance: await browser.balance() }
  const answer = await browser.request(
    'PATCH',
    '/settings',
    {
      role: 'admin',
      balance: '1000.00',
      available: '1000.00',
      username: 'demo',
      email: 'demo@sandbox.example',
      account_id: '1',
      id: 1,
      mails: { security: false },
      mail_receipts: false,
    },
    {},
  )
  assert.equal(answer.status, 200)
  assert.deepEqual(answer.body, before.settings.body)
  assert.deepEqual(await browser.balance(), before.balance)
  assert.equal((await browser.get('/me')).body['role'], 'customer')
})

test("an API key opens no settings, and nobody's cookie changes them from another site", async () => {
  const { browser, get, request } = await person('fay')
  for (const answer of [
    await get<Problem>('/settings'),
    await request<Problem>('PATCH', '/settings', { company: 'x' }, {}),
  ]) {
    assert.equal(answer.status, 403)
    assert.equal(answer.body.code, 'forbidden')
  }
  const foreign = await browser.request<Problem>(
    'PATCH',
    '/settings',
    { company: 'x' },
    { origin: 'https://evil.example' },
  )
  assert.equal(foreign.status, 403)
  assert.equal((await browser.get('/settings')).body['company'], null)
  assert.equal((await world.stranger().get('/settings')).status, 401)
})

test('two changes at once both count', async () => {
  const { browser } = await person('gil')
  await Promise.all([
    browser.request('PATCH', '/settings', { company: 'Gil Ltd' }, {}),
    browser.request('PATCH', '/settings', { tax_id: 'GB1' }, {}),
    browser.request('PATCH', '/settings', { mails: { receipts: false } }, {}),
    browser.request('PATCH', '/settings', { mails: { sign_ins: false } }, {}),
  ])
  const settings = (await browser.get<Settings>('/settings')).body
  assert.deepEqual([settings.company, settings.tax_id], ['Gil Ltd', 'GB1'])
  assert.deepEqual(settings.mails, { receipts: false, sign_ins: false })
})
