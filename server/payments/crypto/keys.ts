/**
 * The keys from which addresses are derived, and the addresses: a fresh one for each top-up, watched for ever. Public keys only; nothing
 * else of the house sees one.
 */
import type pg from 'pg'
import type { Database, Queryable } from '../../platform/db.ts'
import { addressOf, type Written } from './address.ts'
import type { Family } from './assets.ts'
import { type AccountKey, keyOf } from './descriptor.ts'

/**
 * So many addresses beyond the last one that was given out are watched: what arrives on them is seen even by a database that was restored
 * from before they were given. Wallets look as far ahead, too (their gap limit is 20). Source: BIP-44.
 */
export const WATCHED_AHEAD = 20
/** Derived addresses that are remembered: one costs a millisecond, and a page of top-ups shows a hundred. */
const REMEMBERED_MAX = 20_000
/** The last index that is no hardened one. Source: BIP-32. */
const INDEX_MAX = 0x7fffffff

export type Keys = ReturnType<typeof createKeys>
export type Given = { addressId: bigint; address: string }

/** A stored address that its key does not give: somebody changed the row. Nothing is shown then. */
export class AddressTampered extends Error {}

/** The settings cannot be used with what this database knows; the message is the whole sentence. */
export class KeysDoNotFit extends Error {}

export function createKeys(dependencies: {
  database: Database
  /** The key of each family that has one, as the settings have it. */
  settings: { keys: readonly { family: Family; key: string }[] }
}) {
  const { database } = dependencies
  const keys = new Map<Family, AccountKey>(
    dependencies.settings.keys.map(({ family, key }) => [family, keyOf(family, key)]),
  )
  const byDescriptor = new Map<string, AccountKey>([...keys.values()].map((key) => [key.descriptor, key]))
  const remembered = new Map<string, Written>()

  /**
   * Brings the rows to what the settings say: the key of each family that gives new addresses, and the addresses watched ahead. A key that
   * was not there before is another row, and those of the old one stay watched. Safe to run at every start, and by several at once.
   */
  async function settle(): Promise<void> {
    await database.transaction(async (tx) => {
      await tx.query('select pg_advisory_xact_lock($1)', [SETTLE_LOCK])
      await tx.query('update crypto_keys set active = false where active and descriptor <> all ($1)', [
        [...keys.values()].map((key) => key.descriptor),
      ])
      for (const key of keys.values()) {
        await tx.query(
          `insert into crypto_keys (family, descriptor, active, created_at) values ($1, $2, true, house_now())
           on conflict (descriptor) do update set active = true
           where not crypto_keys.active and crypto_keys.family = excluded.family`,
          [key.family, key.descriptor],
        )
        const { rows } = await tx.query<{ id: string; family: Family; next_index: number }>(
          'select id, family, next_index from crypto_keys where descriptor = $1 for update',
          [key.descriptor],
        )
        const row = rows[0]!
        if (row.family !== key.family)
          throw new KeysDoNotFit(
            `The key that is set for ${key.family} gave out addresses of ${row.family} before: each coin needs an account of its own. Set another one.`,
          )
        const { rows: there } = await tx.query<{ index: number }>(
          'select index from crypto_addresses where key_id = $1 and index >= $2',
          [row.id, row.next_index],
        )
        const known = new Set(there.map(({ index }) => index))
        const missing = Array.from({ length: WATCHED_AHEAD }, (_, ahead) => row.next_index + ahead)
        for (const index of missing) if (!known.has(index)) await watch(tx, row.id, key, index)
      }
    })
  }

  async function watch(tx: pg.PoolClient, keyId: string, key: AccountKey, index: number): Promise<void> {
    if (index > INDEX_MAX) return
    const { address, script } = derive(key, index)
    await tx.query(
      `insert into crypto_addresses (key_id, index, family, script, address) values ($1, $2, $3, $4, $5)
       on conflict (key_id, index) do nothing`,
      [keyId, index, key.family, script, address],
    )
  }

  /**
   * The next address, for this top-up and no other. Its key's row is locked until the caller's transaction ends, so no two get the same
   * one, and one that is rolled back is the next one again. Null: the settings of this process are not those of the house any more.
   */
  async function give(
    tx: pg.PoolClient,
    to: { family: Family; accountId: bigint; topupId: string },
  ): Promise<Given | null> {
    const key = keys.get(to.family)
    if (!key) return null
    const { rows } = await tx.query<{ id: string; index: number }>(
      `update crypto_keys set next_index = next_index + 1
        where family = $1 and descriptor = $2 and active
       returning id, next_index - 1 as index`,
      [to.family, key.descriptor],
    )
    const row = rows[0]
    if (!row) return null
    if (row.index > INDEX_MAX) throw new Error(`The key of ${to.family} has no addresses left`)
    await watch(tx, row.id, key, row.index + WATCHED_AHEAD)
    const { address, script } = derive(key, row.index)
    // With the script in the condition: an address that somebody has put in its place is not given to anybody.
    const given = await tx.query<{ id: string }>(
      `update crypto_addresses
          set account_id = $3, topup_id = $4, given_at = house_now()
        where key_id = $1 and index = $2 and account_id is null and script = $5 and address = $6
       returning id`,
      [row.id, row.index, to.accountId, to.topupId, script, address],
    )
    if (given.rowCount !== 1)
      throw new AddressTampered(`The address with the index ${row.index} of ${to.family} is not as its key gives it`)
    return { addressId: BigInt(given.rows[0]!.id), address }
  }

  /** Derived anew from its key, and held against the row. Throws `AddressTampered` where they differ: show nothing then. */
  async function rederived(addressId: bigint): Promise<string> {
    return (await rederivedAll(database.pool, [addressId])).get(addressId)!
  }

  /** The same for a page of them. */
  async function rederivedAll(db: Queryable, addressIds: readonly bigint[]): Promise<Map<bigint, string>> {
    if (addressIds.length === 0) return new Map()
    const { rows } = await db.query<{
      id: string
      index: number
      family: Family
      address: string
      script: Buffer
      descriptor: string
      key_family: Family
    }>(
      `select a.id, a.index, a.family, a.address, a.script, k.descriptor, k.family as key_family
         from crypto_addresses a
         join crypto_keys k on k.id = a.key_id
        where a.id = any ($1)`,
      [addressIds],
    )
    const found = new Map<bigint, string>()
    for (const row of rows) {
      const key = keyWith(row.key_family, row.descriptor)
      const { address, script } = derive(key, row.index)
      if (row.family !== key.family || row.address !== address || !row.script.equals(script))
        throw new AddressTampered(`The stored address ${row.id} is not as its key gives it`)
      found.set(BigInt(row.id), address)
    }
    const missing = addressIds.find((id) => !found.has(id))
    if (missing !== undefined) throw new Error(`There is no address ${missing}`)
    return found
  }

  function keyWith(family: Family, descriptor: string): AccountKey {
    const known = byDescriptor.get(descriptor)
    if (known) return known
    // Not more of them than keys were ever set.
    const key = keyOf(family, descriptor)
    byDescriptor.set(descriptor, key)
    return key
  }

  function derive(key: AccountKey, index: number): Written {
    const name = `${index} ${key.descriptor}`
    const known = remembered.get(name)
    if (known) return known
    const made = addressOf(key, index)
    if (remembered.size >= REMEMBERED_MAX) remembered.delete(remembered.keys().next().value!)
    remembered.set(name, made)
    return made
  }

  return {
    give,
    rederived,
    rederivedAll,
    settle,
    /** Whether new addresses of this family can be given out at all. */
    has: (family: Family): boolean => keys.has(family),
  }
}

/** An arbitrary constant: two starts settle one after the other. */
const SETTLE_LOCK = 7_203_030
