/**
 * The operator's hand on the addresses that customers pay to. The server has public keys only: whoever has the wallet moves the coins.
 *
 *   npm run crypto -- keys            the first three addresses of each key that is set: compare them with your wallet before anybody pays
 *   npm run crypto -- addresses       what each key has given out, its descriptor for your wallet, and how far the wallet must look ahead
 *   npm run crypto -- sweep [--all] [--key N]
 *                                     what lies where, as CSV (address,index,asset,balance), for sweeping offline
 *
 * `keys` reads the settings only. The others need DATABASE_URL, and `sweep` the nodes: it asks them about the addresses that payments came
 * to (`--all`: all that were given out) of the keys that are in use (`--key`: of one, by its number in `addresses`). Exits with 1 and a
 * sentence when it cannot.
 */
import { parseArgs } from 'node:util'
import { readCryptoSettings, readKeySettings } from './config.ts'
import { addressOf } from './payments/crypto/address.ts'
import { assetsOn, type Family, networkOf, networks, printUnits } from './payments/crypto/assets.ts'
import { NodeTrouble } from './payments/crypto/chain.ts'
import { openByNodes } from './payments/crypto/crypto.ts'
import { type AccountKey, exportedKey, keyOf, type ScriptKind } from './payments/crypto/descriptor.ts'
import { wireClock } from './platform/clock.ts'
import { type Database, openDatabase } from './platform/db.ts'

const SHOWN = 3
/** How far wallets look ahead by themselves. Source: BIP-44. */
const GAP_USUAL = 20
const ADDRESSES_PER_CALL = 500
const ADDRESSES_MAX = 1_000_000

const USAGE =
  'Say what to do: npm run crypto -- keys, npm run crypto -- addresses, or npm run crypto -- sweep [--all] [--key N].'

const kinds: Readonly<Record<ScriptKind, string>> = {
  pkh: 'legacy addresses',
  sh_wpkh: 'nested SegWit addresses',
  wpkh: 'native SegWit addresses',
  tr: 'Taproot addresses',
  evm: 'addresses of Ethereum and its like',
}

type Env = Record<string, string | undefined>
type Say = (line: string) => void

class CannotDo extends Error {}

if (import.meta.main) {
  try {
    await walletByHand(process.argv.slice(2), process.env, {
      say: (line) => void process.stdout.write(`${line}\n`),
      note: (line) => void process.stderr.write(`${line}\n`),
    })
  } catch (error) {
    const sentence = inWords(error)
    if (sentence === null) throw error
    process.stderr.write(`${sentence}\n`)
    process.exitCode = 1
  }
}

/** `say` takes what was asked for, `note` what is beside it. */
export async function walletByHand(args: string[], env: Env, to: { say: Say; note: Say }): Promise<void> {
  const { verb, all, key } = readArgs(args)
  if (verb === 'keys') return showKeys(env, to.say)
  const url = env['DATABASE_URL']
  if (!url) throw new CannotDo('DATABASE_URL is missing: set it to the database of the installation.')
  const database = openDatabase({ url, role: 'mobilesms_app', connectionsMax: 2, onIdleError: () => {} })
  try {
    if (verb === 'addresses') await showAddresses(database, env, to.say)
    else await sweep(database, env, { all, key }, to)
  } finally {
    await database.close()
  }
}

function readArgs(args: string[]): { verb: 'keys' | 'addresses' | 'sweep'; all: boolean; key: string | null } {
  let given: ReturnType<typeof parse>
  try {
    given = parse(args)
  } catch (error) {
    throw new CannotDo(`${(error as Error).message}. ${USAGE}`)
  }
  const [verb, ...more] = given.positionals
  const { all, key = null } = given.values
  if ((verb !== 'keys' && verb !== 'addresses' && verb !== 'sweep') || more.length > 0) throw new CannotDo(USAGE)
  if (verb !== 'sweep' && (all || key !== null)) throw new CannotDo(USAGE)
  if (key !== null && !/^\d{1,9}$/.test(key))
    throw new CannotDo(`--key is "${key}": give the number of a key, as npm run crypto -- addresses shows it.`)
  return { verb, all, key }
}

function parse(args: string[]) {
  return parseArgs({
    args,
    allowPositionals: true,
    options: { all: { type: 'boolean', default: false }, key: { type: 'string' } },
  })
}

function showKeys(env: Env, say: Say): void {
  const read = readKeySettings(env)
  if (!read.ok) throw new CannotDo(read.problems.join('\n'))
  if (read.keys.length === 0)
    throw new CannotDo(
      'No key is set: set BITCOIN_KEY, LITECOIN_KEY or EVM_KEY to the extended public key of an account.',
    )
  for (const { name, family, key: text } of read.keys) {
    const key = keyOf(family, text)
    say(`${name}: ${kinds[key.kind]}`)
    for (let index = 0; index < SHOWN; index++) say(`  ${index}  ${addressOf(key, index).address}`)
    if (key.kind === 'pkh')
      say(
        '  (An xpub without more means these. Where your wallet shows others, write the descriptor, such as wpkh(xpub…/0/*).)',
      )
    say(`  ${exportedKey(key)}`)
  }
  say(
    'Compare them with the first receiving addresses of your wallet. Where one differs, do not start: nobody could spend what arrives.',
  )
}

type KeyRow = {
  id: string
  family: Family
  descriptor: string
  active: boolean
  next_index: number
  watched: number
  paid: number
  highest_paid: number | null
  longest_gap: number
  created_at: Date
}

/** The gap of an address that was paid to: how many before it in a row were not. A wallet that looks less far ahead does not see it. */
async function keyRows(database: Database): Promise<KeyRow[]> {
  const { rows } = await database.pool.query<KeyRow>(
    `with paid as (
       select a.key_id, a.index, a.index - coalesce(lag(a.index) over (partition by a.key_id order by a.index), -1) - 1 as gap
         from crypto_addresses a
        where exists (select from crypto_payments p where p.address_id = a.id and p.height is not null)
     )
     select k.id, k.family, k.descriptor, k.active, k.next_index, k.created_at,
            (select coalesce(max(a.index), -1) from crypto_addresses a where a.key_id = k.id) as watched,
            count(paid.index)::int as paid, max(paid.index) as highest_paid, coalesce(max(paid.gap), 0)::int as longest_gap
       from crypto_keys k
       left join paid on paid.key_id = k.id
      group by k.id
      order by k.family, k.id`,
  )
  return rows
}

async function showAddresses(database: Database, env: Env, say: Say): Promise<void> {
  const rows = await keyRows(database)
  if (rows.length === 0) throw new CannotDo('No key was ever used here: set one, and start the server once.')
  const read = readKeySettings(env)
  const withOrigin = new Map(
    (read.ok ? read.keys : []).map(({ family, key }): [string, AccountKey] => {
      const found = keyOf(family, key)
      return [found.descriptor, found]
    }),
  )
  for (const row of rows) {
    const key = withOrigin.get(row.descriptor) ?? keyOf(row.family, row.descriptor)
    const since = row.created_at.toISOString().slice(0, 10)
    say(`Key ${row.id}, ${titleOf(row.family)}, since ${since}: ${row.active ? 'in use' : 'replaced, still watched'}`)
    say(`  ${exportedKey(key)}`)
    say(
      `  given out: ${row.next_index === 0 ? 'none' : `${row.next_index}, the highest with index ${row.next_index - 1}`}`,
    )
    say(`  watched: to index ${row.watched}`)
    if (row.highest_paid === null) say('  paid to: none yet')
    else {
      say(`  paid to: ${row.paid}, the highest with index ${row.highest_paid}`)
      say(
        `  longest gap before a payment: ${row.longest_gap}${
          row.longest_gap < GAP_USUAL
            ? ', which every wallet sees'
            : `; set the gap limit of your wallet to ${row.longest_gap + 1} or more, or import the range 0 to ${row.watched}`
        }`,
      )
    }
  }
}

async function sweep(
  database: Database,
  env: Env,
  wish: { all: boolean; key: string | null },
  { say, note }: { say: Say; note: Say },
): Promise<void> {
  const read = readCryptoSettings(env)
  if (!read.ok) throw new CannotDo(read.problems.join('\n'))
  const keys = await keyRows(database)
  const wanted = keys.filter((row) => (wish.key === null ? row.active : row.id === wish.key))
  if (wanted.length === 0)
    throw new CannotDo(
      wish.key === null
        ? 'No key is in use here: set one, and start the server once.'
        : `There is no key ${wish.key}: npm run crypto -- addresses shows those that are there.`,
    )
  const ended = new AbortController()
  const open = openByNodes({ clock: wireClock, signal: ended.signal })
  say('address,index,asset,balance')
  for (const row of wanted) {
    const addresses = await addressesOf(database, row, wish.all)
    const itsNetworks = read.crypto.networks.filter(({ name }) => networkOf(name).family === row.family)
    if (itsNetworks.length === 0)
      note(`Key ${row.id} of ${titleOf(row.family)} is left out: no nodes are set for its networks.`)
    for (const network of itsNetworks) {
      const { chain } = open(network, read.mode === 'production' ? 'main' : 'test')
      for (const asset of assetsOn([network.name])) {
        for (let from = 0; from < addresses.length; from += ADDRESSES_PER_CALL) {
          const part = addresses.slice(from, from + ADDRESSES_PER_CALL)
          const balances = await chain.balances(
            asset.code,
            part.map(({ script }) => script),
          )
          for (const [at, units] of balances.entries())
            if (units > 0n)
              say(`${part[at]!.address},${part[at]!.index},${asset.code},${printUnits(units, asset.decimals)}`)
        }
      }
    }
  }
  const others = keys.filter((row) => row.paid > 0 && !wanted.includes(row))
  if (wish.key === null && others.length > 0)
    note(
      `Payments also came to addresses of replaced keys: ${others.map(({ id }) => `--key ${id}`).join(', ')} lists what lies there.`,
    )
}

/** Derived anew: what somebody put into the rows is not swept. */
async function addressesOf(
  database: Database,
  row: KeyRow,
  all: boolean,
): Promise<{ index: number; address: string; script: string }[]> {
  const { rows } = await database.pool.query<{ index: number }>(
    `select a.index
       from crypto_addresses a
      where a.key_id = $1
        and (exists (select from crypto_payments p where p.address_id = a.id) or ($2 and a.topup_id is not null))
      order by a.index
      limit $3`,
    [row.id, all, ADDRESSES_MAX],
  )
  const key = keyOf(row.family, row.descriptor)
  return rows.map(({ index }) => {
    const { address, script } = addressOf(key, index)
    return { index, address, script: Buffer.from(script).toString('hex') }
  })
}

function titleOf(family: Family): string {
  return networks
    .filter((network) => network.family === family)
    .map(({ title }) => title)
    .join(', ')
}

/** What the operator must do, where it is not a bug. */
function inWords(error: unknown): string | null {
  if (error instanceof CannotDo) return error.message
  if (error instanceof NodeTrouble)
    return `A node cannot be used (${error.message}): the list is not whole. Check that it runs, and try again.`
  const { code, message } = error as { code?: string; message: string }
  if (code === '42P01' || code === '3F000') return 'This database has no tables yet: start the server once.'
  if (code && /^(E[A-Z]+|08...|57P0.|28...|3D000|42501)$/.test(code))
    return `The database cannot be used (${message}): check DATABASE_URL and that it runs.`
  return null
}
