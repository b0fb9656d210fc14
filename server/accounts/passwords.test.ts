import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Overloaded } from '../platform/batch.ts'
import { createPasswords, whyNotPassword } from './passwords.ts'

const passwords = createPasswords()
const light = createPasswords({ memoryKib: 64, passes: 1 })

test('a password is kept as Argon2id with the figures of OWASP, and with a salt of its own', async () => {
  const [one, two] = [await passwords.hash('a stone, a lamp'), await passwords.hash('a stone, a lamp')]
  assert.match(one, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  assert.notEqual(one, two)
  assert.deepEqual(await passwords.verify('a stone, a lamp', one), { ok: true, outdated: false })
  assert.deepEqual(await passwords.verify('a stone, a lamb', one), { ok: false, outdated: false })
})

test('what was kept otherwise still opens, and says that it is outdated', async () => {
  // As better-auth 1.7 wrote it.
  const before =
    '0018e5296e53a0c689deef2d1921ba0f:b55f5c710a76dc6ada26f8960c60b7e2edfac9453de857f83e30ed5344088208c9e8eafe0e20a05b28632dee3297a6857abb154265fcff7ec5c9ab1c3bd02644'
  assert.deepEqual(await passwords.verify('päss', before), { ok: true, outdated: true })
  assert.deepEqual(await passwords.verify('pass', before), { ok: false, outdated: true })
  assert.deepEqual(await passwords.verify('päss', await light.hash('päss')), { ok: true, outdated: true })
  assert.deepEqual(await passwords.verify('', null), { ok: false, outdated: false })
  await assert.rejects(passwords.verify('x', 'plain text'), /in a form that nobody knows/)
})

test('any characters go, composed in whichever way; nothing is cut off', async () => {
  const composed = await light.hash('caf\u00e9 \u{1f41f} \u0001 ')
  assert.equal((await light.verify('cafe\u0301 \u{1f41f} \u0001 ', composed)).ok, true)
  assert.equal((await light.verify('caf\u00e9 \u{1f41f} \u0001', composed)).ok, false, 'a blank at the end counts')
  const long = 'x'.repeat(127)
  assert.equal((await light.verify(`${long}b`, await light.hash(`${long}a`))).ok, false)
})

test('beyond those that wait already nobody is let in, and the others are served', async () => {
  const answers = await Promise.allSettled(Array.from({ length: 120 }, () => light.hash('a stone, a lamp')))
  const refused = answers.filter((answer) => answer.status === 'rejected')
  assert.equal(refused.length, 18)
  assert.ok(refused.every((answer) => answer.reason instanceof Overloaded))
  assert.match(await light.hash('afterwards'), /^\$argon2id/)
})

test('what is guessed first may not be chosen', async () => {
  const of = { username: 'long.name', email: 'Other.Name@example.com' }
  const code = async (password: string) => (await whyNotPassword(password, of))?.code ?? null
  for (const common of [
    'password1',
    'PASSWORD1',
    'qwertyuiop',
    '12345678',
    'Long.Name',
    'other.name@EXAMPLE.com',
    'other.NAME',
    'ｐａｓｓｗｏｒｄ1',
  ])
    assert.equal(await code(common), 'password_too_common', common)
  for (const bad of ['', 'seven77', 'e\u0301'.repeat(7), 'x'.repeat(129)])
    assert.equal(await code(bad), 'invalid_request', bad)
  for (const good of ['x'.repeat(128), '🐟'.repeat(8), 'eight8_8', ' a b c d '])
    assert.equal(await code(good), null, good)
})
