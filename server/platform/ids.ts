/** Ids and randomness. Nothing else in the server may make either. */
import { createHash, hash, randomBytes, randomFillSync, randomInt } from 'node:crypto'
import { wireClock } from './clock.ts'

// Asked of the system for many ids at once: it answers a page as quickly as sixteen bytes. No byte is used twice.
const pool = Buffer.alloc(4096)
let used = pool.length

/** A fresh id: UUIDv7, so that indexes grow at their end. */
export function newId(now: Date = wireClock.now()): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const bytes = pool.subarray(used, used + 16)
  used += 16
  bytes.writeUIntBE(now.getTime(), 0, 6)
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return dashed(bytes.toString('hex'))
}

/**
 * The id of what follows from something: the time prefix of its origin, then a hash of origin, purpose and number (UUIDv8).
 * A repetition derives the same id and is therefore the same command. clock.sql derives the same in the database.
 */
export function derivedId(origin: string, purpose: string, number = 1): string {
  const hex = hash('sha256', `${origin}:${purpose}:${number}`)
  const variant = (8 + (Number.parseInt(hex.slice(3, 5), 16) & 3)).toString(16)
  return dashed(`${origin.replaceAll('-', '').slice(0, 12)}8${hex.slice(0, 3)}${variant}${hex.slice(5, 20)}`)
}

/**
 * What ids are derived from that follow from a fact of the outside, which has an id of its own kind and no row of ours: the same
 * instant always gives the same origin. Let the purpose name the fact.
 */
export function originAt(instant: Date): string {
  return dashed(`${instant.getTime().toString(16).padStart(12, '0')}${'0'.repeat(20)}`)
}

function dashed(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-')
}

const LETTERS_AND_DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** A secret that people copy: letters and digits, 5.95 random bits in each. */
export function newSecret(characters: number): string {
  return Array.from({ length: characters }, () => LETTERS_AND_DIGITS[randomInt(LETTERS_AND_DIGITS.length)]).join('')
}

/** Random bytes, for a token that is sent once and kept as its hash. At least 16 (128 bits) where guessing would open something. */
export function randomToken(bytes: number): Buffer {
  return randomBytes(bytes)
}

/** What a token is recognised by. Tokens are long and random, so a plain hash is enough: nobody can try them all. */
export function hashOfToken(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

/** What an id is of; it stands before the id wherever one is printed, so that logs explain themselves. */
export type IdPrefix = 'ord' | 'msg' | 'top' | 'trf' | 'ref' | 'dsp' | 'req' | 'key' | 'ses' | 'rec' | 'rev' | 'pay'

/** `ord_` and the 32 hexadecimal digits of the id. */
export function printId(prefix: IdPrefix, id: string): string {
  return `${prefix}_${id.replaceAll('-', '')}`
}

/** The id inside a printed one; null when it is not one of this kind (answer `not_found`). */
export function readId(prefix: IdPrefix, printed: string): string | null {
  const match = /^([a-z]{3})_([0-9a-f]{32})$/.exec(printed)
  return match && match[1] === prefix ? dashed(match[2]!) : null
}

/**
 * An order number: twelve random decimal digits, so that nobody can tell one order's number from another's. Below 2^53.
 * A collision meets the unique constraint and the order is placed again with another number.
 */
export function newOrderNumber(): bigint {
  return BigInt(randomInt(100_000, 1_000_000)) * 1_000_000n + BigInt(randomInt(0, 1_000_000))
}
