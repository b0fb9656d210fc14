/**
 * Passwords: which may be chosen, and how they are kept.
 *
 * Kept as Argon2id, 19 MiB, two passes, one lane. Source: OWASP, Password Storage Cheat Sheet (its first choice for Argon2id).
 * Hashes that the former sign-in library made (scrypt) still open their login, and are replaced by the first sign-in.
 */
import { argon2, type BinaryLike, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { Refused } from '../platform/answer.ts'
import { Overloaded } from '../platform/batch.ts'
import { randomToken } from '../platform/ids.ts'

/** Characters as people count them: code points. Source: NIST SP 800-63B, 3.1.1.2, where 8 is the least and 64 must be possible. */
export const PASSWORD_CHARACTERS_MIN = 8
export const PASSWORD_CHARACTERS_MAX = 128

/** What one hash costs. Unit of memory: KiB. */
export type PasswordWork = { memoryKib: number; passes: number }
const WORK: PasswordWork = { memoryKib: 19_456, passes: 2 }
const LANES = 1
const SALT_BYTES = 16
const HASH_BYTES = 32
/** Half of Node's pool of four threads: files and names are read by the others while many sign in. */
const HASHES_AT_ONCE_MAX = 2
/** Some three seconds' worth of waiting; who comes then is asked to come back. */
const HASHES_WAITING_MAX = 100

/** What a password must not repeat. */
export type PasswordOf = { username: string; email: string }

/**
 * Why this password may not be chosen; null: it may. Any character goes, spaces too; nothing is cut off. It is looked at as it is
 * kept: a common one is common in letters of another width, too.
 */
export async function whyNotPassword(given: string, { username, email }: PasswordOf): Promise<Refused | null> {
  const password = asTyped(given)
  const characters = [...password].length
  if (characters < PASSWORD_CHARACTERS_MIN || characters > PASSWORD_CHARACTERS_MAX) {
    return {
      code: 'invalid_request',
      detail: `A password has ${PASSWORD_CHARACTERS_MIN} to ${PASSWORD_CHARACTERS_MAX} characters, and this one has ${characters}. Choose another one; 15 and more are hard to guess. Nothing was changed.`,
      field: 'password',
    }
  }
  const common = await commonPasswords()
  const lower = password.toLowerCase()
  if (common.has(password) || common.has(lower)) {
    return {
      code: 'password_too_common',
      detail:
        'This password is among those that are tried first, because so many people use it. Choose another one, such as three or four words that do not belong together. Nothing was changed.',
      field: 'password',
    }
  }
  if ([username, email, email.split('@')[0]].some((name) => name?.toLowerCase() === lower)) {
    return {
      code: 'password_too_common',
      detail:
        'This password is your username or your e-mail. Choose one that nobody can read there. Nothing was changed.',
      field: 'password',
    }
  }
  return null
}

export type Passwords = ReturnType<typeof createPasswords>

/** `work` is for tests, which would otherwise spend their time on it. */
export function createPasswords(work: PasswordWork = WORK) {
  const inTurn = createTurns()
  return {
    async hash(password: string): Promise<string> {
      const salt = randomToken(SALT_BYTES)
      const hash = await inTurn(() => argon2id(password, salt, work))
      return `$argon2id$v=19$m=${work.memoryKib},t=${work.passes},p=${LANES}$${unpadded(salt)}$${unpadded(hash)}`
    },

    /**
     * Whether it is the password of this hash; without one the same work is done, and the answer is no. `outdated`: hash it anew.
     * Throws Overloaded when too many wait.
     */
    async verify(password: string, kept: string | null): Promise<{ ok: boolean; outdated: boolean }> {
      const now = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=1\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(kept ?? '')
      if (now) {
        const its = { memoryKib: Number(now[1]), passes: Number(now[2]) }
        const computed = await inTurn(() => argon2id(password, Buffer.from(now[3]!, 'base64'), its))
        const ok = timingSafeEqual(computed, Buffer.from(now[4]!, 'base64'))
        return { ok, outdated: its.memoryKib !== work.memoryKib || its.passes !== work.passes }
      }
      const before = /^([0-9a-f]{32}):([0-9a-f]{128})$/.exec(kept ?? '')
      if (before) {
        const computed = await inTurn(() => scryptAsBefore(password, before[1]!))
        return { ok: timingSafeEqual(computed, Buffer.from(before[2]!, 'hex')), outdated: true }
      }
      if (kept !== null) throw new Error('A password is kept in a form that nobody knows')
      await inTurn(() => argon2id(password, randomToken(SALT_BYTES), work))
      return { ok: false, outdated: false }
    },
  }
}

/** The same characters are the same password, whichever way a keyboard composes them. */
function asTyped(password: string): string {
  return password.normalize('NFKC')
}

const argon2Of = promisify(argon2)
function argon2id(password: string, salt: Buffer, { memoryKib, passes }: PasswordWork): Promise<Buffer> {
  return argon2Of('argon2id', {
    message: asTyped(password),
    nonce: salt,
    memory: memoryKib,
    passes,
    parallelism: LANES,
    tagLength: HASH_BYTES,
  })
}

const scryptOf = promisify<BinaryLike, BinaryLike, number, object, Buffer>(scrypt)
/** better-auth 1.7: N 16384, r 16, p 1, 64 bytes; the salt is the text of its hexadecimal digits. */
function scryptAsBefore(password: string, salt: string): Promise<Buffer> {
  return scryptOf(asTyped(password), salt, 64, { N: 16_384, r: 16, p: 1, maxmem: 64 * 1024 * 1024 })
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}

/**
 * The passwords that are guessed first. Those with fewer characters than ours must have are not kept: about 18,000 stay. Read with the
 * first password that is chosen.
 */
let common: Promise<ReadonlySet<string>> | null = null
function commonPasswords(): Promise<ReadonlySet<string>> {
  common ??= import('@zxcvbn-ts/language-common').then(
    ({ dictionary }) =>
      new Set(dictionary['passwords-common'].filter((password) => password.length >= PASSWORD_CHARACTERS_MIN)),
  )
  return common
}

/** So many at once, so many waiting; beyond that nobody is let in. */
function createTurns() {
  let working = 0
  const waiting: (() => void)[] = []
  return async <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (working >= HASHES_AT_ONCE_MAX) {
      if (waiting.length >= HASHES_WAITING_MAX)
        throw new Overloaded(`${waiting.length} passwords wait to be checked`, { retryAfterSeconds: 3 })
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else working++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else working--
    }
  }
}
