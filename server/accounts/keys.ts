/**
 * API keys: what a program brings instead of a password. A key is shown once, when it is made; the database knows its hash. It may do
 * what its scopes say, from the addresses it names, until it expires or is revoked, and spend a day at most its cap, which the room
 * that spends enforces (orders/place.sql).
 */
import { createHash } from 'node:crypto'
import { BlockList, isIP } from 'node:net'
import type { ApiKey, KeyScope } from '../../contract/contract.ts'
import { micros, printAmount, type Usd } from '../../contract/money.ts'
import type { Announce } from '../platform/announce.ts'
import type { Refused } from '../platform/answer.ts'
import { pause, type WireClock } from '../platform/clock.ts'
import type { Database, Queryable, Row } from '../platform/db.ts'
import { newId, newSecret, printId } from '../platform/ids.ts'
import type { Log } from '../platform/log.ts'
import type { Role } from './accounts.ts'

/** Keys of one account that work at the same time. Source: some for each program of a team, and a list that one still reads. */
export const KEYS_MAX = 20
/** Keys that one account is given within a day, revoked ones too: each is a row that is kept for good. */
const KEYS_A_DAY_MAX = 100
/** Addresses and networks that one key may be used from. */
export const ADDRESSES_MAX = 20
/** The farthest end that a key may be given. Unit: days. */
export const KEY_LIFE_DAYS_MAX = 3_650
/** Of 62 letters and digits: 190 bits, of which the prefix shows 24. */
const SECRET_CHARACTERS = 32
const KEY_PREFIX_LENGTH = 8
const DAY_MS = 86_400_000
const keyPattern = /^msk_[A-Za-z0-9_]{8,80}$/

/** How late "last used" may be. Unit: seconds. */
const USES_WRITTEN_SECONDS = 5
/** Keys whose use waits to be written; more, and it is written at once. */
const USES_WAITING_MAX = 5_000

/** What a key says of whoever sends it. `id` is the database's own; on the wire a key is `key_…`. */
export type KeyOfCaller = { id: bigint; scopes: readonly KeyScope[]; dailyCap: Usd | null }

export type KeyHolder = {
  account: { account_id: string; username: string; role: Role; time_zone: string }
  key: KeyOfCaller
}

/** What somebody asks a new key to be. */
export type KeyWish = {
  name: string
  scopes: readonly KeyScope[]
  dailyCap: Usd | null
  /** As `readAddresses` answers them. */
  addresses: readonly string[]
  expiresAt: Date | null
}

type KeyRow = Pick<
  Row<'api_keys'>,
  | 'id'
  | 'public_id'
  | 'name'
  | 'prefix'
  | 'scopes'
  | 'daily_cap'
  | 'addresses'
  | 'created_at'
  | 'expires_at'
  | 'revoked_at'
  | 'last_used_at'
  | 'last_used_address'
>
const COLUMNS =
  'id, public_id, name, prefix, scopes, daily_cap, addresses, created_at, expires_at, revoked_at, last_used_at, last_used_address'

export function createKeys(settings: {
  database: Database
  announce: Pick<Announce, 'publish'>
  clock: WireClock
  log: Log
  /** Tells the owner, in the transaction that makes the key. */
  tellOwner: (tx: Queryable, accountId: bigint, key: { name: string; prefix: string }) => Promise<void>
}) {
  const { announce, database, clock, log } = settings
  const uses = createUses(database, log)

  function onWire(row: KeyRow): ApiKey {
    const status = row.revoked_at ? 'revoked' : isOver(row.expires_at, clock) ? 'expired' : 'works'
    return {
      id: printId('key', row.public_id),
      name: row.name,
      prefix: row.prefix,
      status,
      scopes: row.scopes as KeyScope[],
      daily_cap: row.daily_cap === null ? null : printAmount(micros(row.daily_cap)),
      addresses: row.addresses,
      created_at: row.created_at.toISOString(),
      expires_at: row.expires_at?.toISOString() ?? null,
      revoked_at: row.revoked_at?.toISOString() ?? null,
      last_used_at: row.last_used_at?.toISOString() ?? null,
      last_used_address: row.last_used_address,
    }
  }

  return {
    /**
     * Who sends this key from this address, or why it is worth nothing: `unauthenticated` when it is unknown, revoked or expired,
     * `forbidden` from another address than it names. One look-up by the key's hash. `used`: somebody asked for something just now, and
     * not only a stream that stands open.
     */
    async holderOf(key: string, address: string, used = true): Promise<KeyHolder | Refused> {
      const unknown: Refused = {
        code: 'unauthenticated',
        detail: 'This API key is not known. Check that it was copied whole; it begins with msk_.',
      }
      if (!keyPattern.test(key)) return unknown
      const { rows } = await database.pool.query<
        KeyHolder['account'] & Pick<KeyRow, 'id' | 'scopes' | 'daily_cap' | 'addresses' | 'expires_at' | 'revoked_at'>
      >({
        name: 'key_holder',
        text: `
          select a.id as account_id, a.username, a.role, a.time_zone,
                 k.id, k.scopes, k.daily_cap, k.addresses, k.expires_at, k.revoked_at
            from api_keys k
            join accounts a on a.id = k.account_id
           where k.sha256 = $1`,
        values: [digest(key)],
      })
      const row = rows[0]
      if (!row) return unknown
      if (row.revoked_at) {
        return {
          code: 'unauthenticated',
          detail: `This API key was revoked at ${row.revoked_at.toISOString()}. Use another one, or make one in Settings.`,
        }
      }
      if (isOver(row.expires_at, clock)) {
        return {
          code: 'unauthenticated',
          detail: `This API key expired at ${row.expires_at!.toISOString()}. Make another one in Settings.`,
        }
      }
      if (row.addresses.length > 0 && !isAmong(address, row.addresses)) {
        return {
          code: 'forbidden',
          detail: `This API key may not be used from ${address}: it names the addresses it works from. Use it from one of those, or make a key that names this one too; nothing was done.`,
          extra: { address },
        }
      }
      if (used) uses.note(row.id, { at: clock.now(), address })
      const { account_id, username, role, time_zone } = row
      return {
        account: { account_id, username, role, time_zone },
        key: {
          id: BigInt(row.id),
          scopes: row.scopes as KeyScope[],
          dailyCap: row.daily_cap === null ? null : micros(row.daily_cap),
        },
      }
    },

    /** Newest first. `works`: those that can be used; `ended`: revoked or expired. */
    async list(
      accountId: bigint,
      filter: { limit: number; before: string | null; which: 'works' | 'ended' | undefined },
    ): Promise<{ items: ApiKey[]; next: string | null }> {
      const { rows } = await database.pool.query<KeyRow>(
        `select ${COLUMNS}
           from api_keys
          where account_id = $1
            and ($2::bigint is null or id < $2)
            and ($3::text is null or (revoked_at is null and (expires_at is null or expires_at > $4)) = ($3 = 'works'))
          order by id desc
          limit $5`,
        [accountId, filter.before, filter.which ?? null, clock.now(), filter.limit + 1],
      )
      const page = rows.slice(0, filter.limit)
      return { items: page.map(onWire), next: rows.length > filter.limit ? page.at(-1)!.id : null }
    },

    /**
     * Makes a key. `secret` is the key itself: whoever gets this answer is the only one who ever sees it. Refused: more than KEYS_MAX
     * that work (`too_many_keys`), more than KEYS_A_DAY_MAX made within 24 hours (`rate_limited`); an Idempotency-Key that has made a
     * key already, since that key cannot be shown again.
     */
    async create(
      accountId: bigint,
      wish: KeyWish,
      idempotencyKey: string | null,
    ): Promise<{ ok: true; key: ApiKey; secret: string } | ({ ok: false } & Refused)> {
      const secret = `msk_${newSecret(SECRET_CHARACTERS)}`
      const publicId = newId()
      return database.transaction(async (tx) => {
        // One after the other: twenty at once must not each find room for one more.
        await tx.query('select from accounts where id = $1 for no key update', [accountId])
        const { rows } = await tx.query<{ live: number; today: number; bound: boolean }>(
          `select (count(*) filter (where revoked_at is null and (expires_at is null or expires_at > $2)))::int as live,
                  (count(*) filter (where created_at > $4))::int as today,
                  exists (select from idempotency_keys where account_id = $1 and key = $3) as bound
             from api_keys
            where account_id = $1`,
          [accountId, clock.now(), idempotencyKey, new Date(clock.now().getTime() - DAY_MS)],
        )
        if (rows[0]!.bound) return shownBefore
        if (rows[0]!.live >= KEYS_MAX) {
          return {
            ok: false,
            code: 'too_many_keys',
            detail: `You have ${KEYS_MAX} API keys that work, and more are not given. Revoke one that you do not use, then make this one; no key was made.`,
            extra: { limit: KEYS_MAX },
          }
        }
        if (rows[0]!.today >= KEYS_A_DAY_MAX) {
          return {
            ok: false,
            code: 'rate_limited',
            detail: `You made ${KEYS_A_DAY_MAX} API keys within a day, and more are not given. Use one of those that work, or make another tomorrow; no key was made.`,
            extra: { limit: KEYS_A_DAY_MAX },
            retryAfterSeconds: 3600,
          }
        }
        if (idempotencyKey !== null) {
          // An order may bind the same word at this moment.
          const bound = await tx.query(
            `insert into idempotency_keys (account_id, key, fingerprint, subject)
             values ($1, $2, 'api key', $3) on conflict do nothing`,
            [accountId, idempotencyKey, publicId],
          )
          if (bound.rowCount === 0) return shownBefore
        }
        const made = await tx.query<KeyRow>(
          `insert into api_keys (account_id, public_id, name, scopes, daily_cap, addresses, expires_at, prefix, sha256, created_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           returning ${COLUMNS}`,
          [
            accountId,
            publicId,
            wish.name,
            wish.scopes,
            wish.dailyCap,
            wish.addresses,
            wish.expiresAt,
            secret.slice(0, KEY_PREFIX_LENGTH),
            digest(secret),
            clock.now(),
          ],
        )
        await settings.tellOwner(tx, accountId, { name: wish.name, prefix: made.rows[0]!.prefix })
        return { ok: true, key: onWire(made.rows[0]!), secret }
      })
    },

    /** Ends a key, for good, and the streams that it opened; a second time changes nothing. Null: no such key among the account's. */
    async revoke(accountId: bigint, publicId: string): Promise<ApiKey | null> {
      const { rows } = await database.pool.query<KeyRow>(
        `update api_keys
            set revoked_at = coalesce(revoked_at, $3)
          where account_id = $1 and public_id = $2
         returning ${COLUMNS}`,
        [accountId, publicId, clock.now()],
      )
      if (!rows[0]) return null
      announce.publish({ what: 'access', accountId })
      return onWire(rows[0])
    },

    /** Gives an account a key that is known beforehand, with every scope; the same again changes nothing. */
    async give(accountId: bigint, key: string): Promise<void> {
      if (!keyPattern.test(key)) throw new Error('An API key is msk_ and 8 to 80 letters, digits and underscores')
      await database.pool.query(
        `insert into api_keys (account_id, public_id, name, scopes, prefix, sha256)
         values ($1, $2, 'First key', '{read,order,topup}', $3, $4) on conflict (sha256) do nothing`,
        [accountId, newId(), key.slice(0, KEY_PREFIX_LENGTH), digest(key)],
      )
    },

    /** Writes what waits, and nothing after it. */
    close: uses.close,
  }
}

const shownBefore: { ok: false } & Refused = {
  ok: false,
  code: 'idempotency_key_reused',
  detail:
    'This Idempotency-Key was used before, and an API key is shown only once. Look at your list of keys: revoke the one that you did not see, then make another with another Idempotency-Key. No key was made.',
  field: 'Idempotency-Key',
}

/**
 * When and from where each key was used last: gathered here, and written in one statement every few seconds, since a write per
 * request would cost more than the request's own look-up.
 */
function createUses(database: Database, log: Log) {
  let waiting = new Map<string, { at: Date; address: string }>()
  const closing = new AbortController()
  let writing: Promise<void> | null = null

  async function write(): Promise<void> {
    const uses = [...waiting]
    waiting = new Map()
    if (uses.length === 0) return
    try {
      // Locked in the order of their ids, as whoever else locks several of them.
      await database.pool.query(
        `with used as (
           select u.id, u.at, u.address
             from unnest($1::bigint[], $2::timestamptz[], $3::text[]) u(id, at, address)
             join api_keys k on k.id = u.id
            order by u.id
              for no key update of k)
         update api_keys k
            set last_used_at = u.at, last_used_address = u.address
           from used u
          where k.id = u.id
            and (k.last_used_at is null or k.last_used_at < u.at)`,
        [uses.map(([id]) => id), uses.map(([, use]) => use.at), uses.map(([, use]) => use.address)],
      )
    } catch (error) {
      log.warn({ err: error }, 'When API keys were used last could not be written; it is tried again')
      for (const [id, use] of uses) if (!waiting.has(id)) waiting.set(id, use)
    }
  }

  /** Until nothing waits: a key that nobody uses costs nothing. */
  async function writeLater(): Promise<void> {
    while (waiting.size > 0 && !closing.signal.aborted) {
      await pause(USES_WRITTEN_SECONDS * 1000, closing.signal)
      await write()
    }
    writing = null
  }

  return {
    note(id: string, use: { at: Date; address: string }): void {
      waiting.set(id, use)
      if (closing.signal.aborted) return
      if (waiting.size >= USES_WAITING_MAX) void write()
      else writing ??= writeLater()
    },
    async close(): Promise<void> {
      closing.abort()
      await writing
      await write()
    },
  }
}

/**
 * Addresses and networks as people write them: `192.0.2.7`, `2001:db8::/32`. Answers them without repetitions, or the first that
 * cannot be read.
 */
export function readAddresses(
  texts: readonly string[],
): { ok: true; addresses: string[] } | { ok: false; text: string } {
  const addresses = new Set<string>()
  for (const text of texts) {
    const address = text.trim().toLowerCase()
    if (!networkOf(address)) return { ok: false, text }
    addresses.add(address)
  }
  return { ok: true, addresses: [...addresses] }
}

function networkOf(text: string): { address: string; bits: number; family: 'ipv4' | 'ipv6' } | null {
  const [address = '', bits, ...more] = text.split('/')
  const version = address.includes('%') ? 0 : isIP(address) // a zone is a matter of one machine only
  if (version === 0 || more.length > 0) return null
  const bitsMax = version === 4 ? 32 : 128
  if (bits !== undefined && (!/^\d{1,3}$/.test(bits) || Number(bits) > bitsMax)) return null
  return { address, bits: bits === undefined ? bitsMax : Number(bits), family: version === 4 ? 'ipv4' : 'ipv6' }
}

/** Read lists of addresses, by their text: reading twenty costs more than the look-up of the key. */
const lists = new Map<string, BlockList>()
const LISTS_MAX = 1_000

function isAmong(address: string, allowed: readonly string[]): boolean {
  const version = isIP(address)
  if (version === 0) return false
  const text = allowed.join(' ')
  const list = lists.get(text) ?? listOf(allowed)
  // At the end of the map, so that the first of it is the one that was asked longest ago.
  lists.delete(text)
  lists.set(text, list)
  if (lists.size > LISTS_MAX) lists.delete(lists.keys().next().value!)
  return list.check(address, version === 4 ? 'ipv4' : 'ipv6')
}

function listOf(allowed: readonly string[]): BlockList {
  const list = new BlockList()
  for (const text of allowed) {
    const network = networkOf(text)
    if (network) list.addSubnet(network.address, network.bits, network.family)
  }
  return list
}

function isOver(expiresAt: Date | null, clock: WireClock): boolean {
  return expiresAt !== null && expiresAt <= clock.now()
}

/** Keys are long and random, so a plain hash is enough: nobody can try them all. */
function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}
