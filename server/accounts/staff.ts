/**
 * Makes a login for a member of staff: the only way to the first one of a production installation.
 *
 *   npm run staff -- create --username anna --email anna@sms.example [--role admin|approver] [--password-from-stdin]
 *
 * Prints a link that sets the first password, once, within 24 hours; or reads the password from standard input, as one line. Never
 * from the command line, which everybody on the machine can read. Needs DATABASE_URL, and PUBLIC_URL for the link. Exits with 1 and a
 * sentence when it does nothing.
 */
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { type Database, openDatabase } from '../platform/db.ts'
import type { Role } from './accounts.ts'
import { makeLink } from './joining.ts'
import { LINK_SECONDS, linkTo } from './letters.ts'
import { readEmail, readUsername } from './names.ts'
import { createPasswords, whyNotPassword } from './passwords.ts'

class CannotCreate extends Error {}

type Wish = { username: string; email: string; role: Role; password: string | null }

const USAGE =
  'Say what to make: npm run staff -- create --username <name> --email <address> [--role admin|approver] [--password-from-stdin].'

if (import.meta.main) {
  try {
    process.stdout.write(`${await run(process.argv.slice(2), process.env)}\n`)
  } catch (error) {
    if (!(error instanceof CannotCreate)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}

/** What was done, in words. */
async function run(args: string[], env: Record<string, string | undefined>): Promise<string> {
  const wish = await readWish(args)
  const url = env['DATABASE_URL']
  if (!url) throw new CannotCreate('DATABASE_URL is missing: set it to the database of the installation.')
  const onIdleError = () => {}
  const auth = openDatabase({ url, role: 'mobilesms_auth', connectionsMax: 1, onIdleError })
  const house = openDatabase({ url, role: 'mobilesms_app', connectionsMax: 1, onIdleError })
  try {
    const publicUrl = await publicUrlOf(house, env)
    const { userId, token } = await create(auth, wish)
    await house.pool.query('select account_open($1)', [userId])
    const made = `The login ${wish.username} (${wish.role}) is there.`
    if (token === null) return `${made} Sign in at ${publicUrl}/sign-in.`
    return `${made} Its first password is chosen here, once, within ${LINK_SECONDS.first_password / 3600} hours:\n${linkTo(publicUrl, 'first_password', token)}`
  } catch (error) {
    throw inWords(error)
  } finally {
    await auth.close()
    await house.close()
  }
}

async function readWish(args: string[]): Promise<Wish> {
  let given: ReturnType<typeof parse>
  try {
    given = parse(args)
  } catch (error) {
    throw new CannotCreate(`${(error as Error).message}. ${USAGE}`)
  }
  const { positionals, values } = given
  if (values.password !== undefined) {
    throw new CannotCreate(
      'A password on the command line can be read by everybody on this machine: leave --password out, and choose it by the link; or write it to standard input with --password-from-stdin.',
    )
  }
  if (positionals.join(' ') !== 'create' || values.username === undefined || values.email === undefined)
    throw new CannotCreate(USAGE)
  const { role } = values
  if (role !== 'admin' && role !== 'approver')
    throw new CannotCreate(`There is no role "${role}": choose admin or approver.`)
  const name = readUsername(values.username, 'staff')
  if (!name.ok) throw new CannotCreate(name.detail)
  const address = readEmail(values.email)
  if (!address.ok) throw new CannotCreate(address.detail)
  const wish: Omit<Wish, 'password'> = { username: name.username, email: address.email, role }
  if (!values['password-from-stdin']) return { ...wish, password: null }
  const password = (await text(process.stdin)).replace(/\r?\n$/, '')
  const weak = await whyNotPassword(password, wish)
  if (weak) throw new CannotCreate(weak.detail)
  return { ...wish, password }
}

function parse(args: string[]) {
  return parseArgs({
    args,
    allowPositionals: true,
    options: {
      username: { type: 'string' },
      email: { type: 'string' },
      role: { type: 'string', default: 'admin' },
      password: { type: 'string' },
      'password-from-stdin': { type: 'boolean', default: false },
    },
  })
}

/** Where people of this installation open its pages. */
async function publicUrlOf(house: Database, env: Record<string, string | undefined>): Promise<string> {
  const { rows } = await house.pool.query<{ mode: string }>('select mode from installation')
  const given = env['PUBLIC_URL']?.replace(/\/$/, '')
  if (given) return given
  if (rows[0]?.mode === 'production')
    throw new CannotCreate(
      'PUBLIC_URL is missing: set it to the https:// address that people use, as the server has it.',
    )
  return `http://localhost:${env['PORT'] || '3000'}`
}

async function create(auth: Database, wish: Wish): Promise<{ userId: string; token: string | null }> {
  const { username, email, role, password } = wish
  const hash = password === null ? null : await createPasswords().hash(password)
  return auth.transaction(async (tx) => {
    // The address is taken for proven: whoever may run this says whose it is.
    const { rows } = await tx.query<{ id: string }>(
      `insert into "user" ("name", "email", "emailVerified", "username", "role")
       values ($1, $2, true, $1, $3)
       on conflict do nothing
       returning "id"`,
      [username, email, role],
    )
    const userId = rows[0]?.id
    if (!userId) throw new CannotCreate(await whyNot(tx, wish))
    if (hash === null) return { userId, token: await makeLink(tx, 'first_password', { userId }) }
    await tx.query(
      `insert into "account" ("accountId", "providerId", "userId", "password", "updatedAt")
       values ($1::uuid, 'credential', $1::uuid, $2, now())`,
      [userId, hash],
    )
    return { userId, token: null }
  })
}

async function whyNot(tx: Pick<Database['pool'], 'query'>, { username, email }: Wish): Promise<string> {
  const { rowCount } = await tx.query('select from "user" where "username" = $1', [username])
  if (rowCount === 1) return `The name ${username} is taken: choose another one. Nothing was made.`
  return `Another login has the address ${email}: give another one. Nothing was made.`
}

/** What the operator must do, where it is not a bug. */
function inWords(error: unknown): unknown {
  const { code, message } = error as { code?: string; message: string }
  if (code === '42P01' || code === '3F000')
    return new CannotCreate('This database has no tables yet: start the server once, then make the login.')
  if (code && /^(E[A-Z]+|08...|57P0.|28...|3D000|42501)$/.test(code))
    return new CannotCreate(`The database cannot be used (${message}): check DATABASE_URL and that it runs.`)
  return error
}
