/** The operator makes logins for the staff from a command line. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { createVisitor } from '../../test/visitor.ts'
import { startWorld, type World } from '../../test/world.ts'

let world: World
before(async () => {
  world = await startWorld()
})
after(() => world.stop())

const create = (...args: string[]) => run(['create', ...args])

/** Runs the program; `input` is what stands in its standard input. */
function run(args: string[], input = '', env: Record<string, string> = {}): Promise<{ code: number; said: string }> {
  const program = spawn(process.execPath, [join(import.meta.dirname, 'staff.ts'), ...args], {
    env: {
      DATABASE_URL: world.db.url,
      PUBLIC_URL: world.server.publicUrl,
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
      ...env,
    },
  })
  let said = ''
  for (const stream of [program.stdout, program.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  program.stdin.end(input)
  return new Promise((resolve) => program.on('close', (code) => resolve({ code: code ?? 1, said })))
}

test('the first member of staff chooses his password by a link that works once', async () => {
  const made = await create('--username', 'Anna', '--email', 'anna@sms.example')
  assert.equal(made.code, 0, made.said)
  assert.match(made.said, /The login anna \(admin\) is there/)
  const token = /^http:\/\/localhost:\d+\/password\/reset#([A-Za-z0-9_-]{43})$/m.exec(made.said)?.[1]
  assert.ok(token, made.said)

  const anna = createVisitor(world)
  assert.equal((await anna.signIn('anna', '')).status, 401, 'without a password nobody gets in')
  const password = 'a lamp in the harbour'
  assert.equal((await anna.post('/api/auth/password/reset', { token, password })).status, 200)
  assert.equal((await anna.post('/api/auth/password/reset', { token, password })).body.code, 'invalid_link')
  const signedIn = await anna.signIn('anna', password)
  assert.deepEqual([signedIn.status, signedIn.body.role], [200, 'staff'])
})

test('a password comes from standard input, and never from the command line', async () => {
  const password = 'a boat behind the mill'
  const approver = ['create', '--username', 'bo.b', '--email', 'bob@sms.example', '--role', 'approver']
  const shown = await run([...approver, '--password', password])
  assert.equal(shown.code, 1)
  assert.match(shown.said, /can be read by everybody on this machine/)
  const weak = await run([...approver, '--password-from-stdin'], 'password1\n')
  assert.deepEqual([weak.code, /tried first/.test(weak.said)], [1, true], weak.said)
  const made = await run([...approver, '--password-from-stdin'], `${password}\n`)
  assert.equal(made.code, 0, made.said)
  assert.doesNotMatch(made.said, /#|boat/)
  assert.equal((await createVisitor(world).signIn('bo.b', password)).body.role, 'staff')
})

const refused: [what: string, args: string[], sentence: RegExp][] = [
  ['nothing', [], /Say what to make: npm run staff -- create --username/],
  ['another verb', ['delete', '--username', 'anna', '--email', 'a@sms.example'], /Say what to make/],
  ['an option that is none', ['create', '--name', 'anna'], /Say what to make/],
  [
    'another role',
    ['create', '--username', 'carl', '--email', 'c@sms.example', '--role', 'boss'],
    /choose admin or approver/,
  ],
  ['a name that is taken', ['create', '--username', 'staff', '--email', 'c@sms.example'], /The name staff is taken/],
  [
    'an address that is taken',
    ['create', '--username', 'carl', '--email', 'DEMO@sandbox.example'],
    /has the address DEMO@/,
  ],
  ['a name with a look-alike', ['create', '--username', 'сarl', '--email', 'c@sms.example'], /letters from a to z/],
  ['half an address', ['create', '--username', 'carl', '--email', 'c@'], /not an e-mail address/],
]
for (const [what, args, sentence] of refused) {
  test(`refused in words: ${what}`, async () => {
    const answer = await run(args)
    assert.equal(answer.code, 1)
    assert.match(answer.said, sentence)
    assert.doesNotMatch(answer.said, /\n\s+at /)
  })
}

test('a database that is not there, or was never started, is named', async () => {
  const args = ['create', '--username', 'carl', '--email', 'c@sms.example']
  const nowhere = await run(args, '', { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' })
  assert.match(nowhere.said, /The database cannot be used .*check DATABASE_URL/)
  const owner = new pg.Client({ connectionString: world.db.url })
  await owner.connect()
  await owner.query(`create database ${world.db.name}_bare`)
  try {
    const bare = new URL(world.db.url)
    bare.pathname = `/${world.db.name}_bare`
    const empty = await run(args, '', { DATABASE_URL: bare.toString() })
    assert.deepEqual([empty.code, /start the server once/.test(empty.said)], [1, true], empty.said)
  } finally {
    await owner.query(`drop database ${world.db.name}_bare with (force)`)
    await owner.end()
  }
})
