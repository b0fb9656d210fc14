/**
 * An extended public key, as wallets export it: read, held against what it must be, and written in the words of Bitcoin's descriptors.
 * Pure. What is refused is never repeated: a public key tells all addresses, and a private one everything.
 */

import { sha256 } from '@noble/hashes/sha2.js'
import { base58check } from '@scure/base'
import { HARDENED_OFFSET, HDKey } from '@scure/bip32'
import type { Environment, Family } from './assets.ts'

/** What kind of address a key is used for. `evm`: the account of an Ethereum-like network. */
export type ScriptKind = 'pkh' | 'sh_wpkh' | 'wpkh' | 'tr' | 'evm'

/** The key of a wallet's account (depth 3), of which the addresses are the children `/0/0`, `/0/1`, … */
export type AccountKey = {
  family: Family
  environment: Environment
  kind: ScriptKind
  /** Public key, kind and path, and nothing else: the same key is the same text, however it was given. */
  descriptor: string
  /** The same with where the key comes from in its wallet, `[fingerprint/84h/0h/0h]`, when that was given. Without checksum. */
  withOrigin: string
  /** The public key and the chain code, in hexadecimal: two that are equal give the same children. */
  identity: string
  /** The public key of the address with this index, 33 bytes. */
  child: (index: number) => Uint8Array
}

/** `why` goes on from the name of the setting, says what to do, and ends with a full stop. */
export type KeyRead = { ok: true; key: AccountKey } | { ok: false; why: string }

type Version = { name: string; environment: Environment; kind: ScriptKind | 'multisig'; of?: Family; private?: true }

/** What the first four bytes of an extended key say. Source: SLIP-132, and the chain parameters of Litecoin Core. */
const versions: ReadonlyMap<number, Version> = new Map([
  [0x0488b21e, { name: 'xpub', environment: 'main', kind: 'pkh' }],
  [0x049d7cb2, { name: 'ypub', environment: 'main', kind: 'sh_wpkh' }],
  [0x04b24746, { name: 'zpub', environment: 'main', kind: 'wpkh' }],
  [0x043587cf, { name: 'tpub', environment: 'test', kind: 'pkh' }],
  [0x044a5262, { name: 'upub', environment: 'test', kind: 'sh_wpkh' }],
  [0x045f1cf6, { name: 'vpub', environment: 'test', kind: 'wpkh' }],
  [0x019da462, { name: 'Ltub', environment: 'main', kind: 'pkh', of: 'ltc' }],
  [0x01b26ef6, { name: 'Mtub', environment: 'main', kind: 'sh_wpkh', of: 'ltc' }],
  [0x0436f6e1, { name: 'ttub', environment: 'test', kind: 'pkh', of: 'ltc' }],
  [0x0295b43f, { name: 'Ypub', environment: 'main', kind: 'multisig' }],
  [0x02aa7ed3, { name: 'Zpub', environment: 'main', kind: 'multisig' }],
  [0x024289ef, { name: 'Upub', environment: 'test', kind: 'multisig' }],
  [0x02575483, { name: 'Vpub', environment: 'test', kind: 'multisig' }],
  ...(
    [
      [0x0488ade4, 'xprv'],
      [0x049d7878, 'yprv'],
      [0x04b2430c, 'zprv'],
      [0x04358394, 'tprv'],
      [0x044a4e28, 'uprv'],
      [0x045f18bc, 'vprv'],
      [0x019d9cfe, 'Ltpv'],
      [0x01b26792, 'Mtpv'],
      [0x0436ef7d, 'ttpv'],
      [0x0295b005, 'Yprv'],
      [0x02aa7a99, 'Zprv'],
      [0x024285b5, 'Uprv'],
      [0x02575048, 'Vprv'],
    ] as const
  ).map(([bytes, name]): [number, Version] => [bytes, { name, environment: 'main', kind: 'pkh', private: true }]),
])

const XPUB = 0x0488b21e
const TPUB = 0x043587cf
/** `wpkh([…]xpub…/0/*)` needs 150; nothing that is right is longer than this. */
const CHARACTERS_MAX = 400
const EXTENDED_KEY_BYTES = 78
const ACCOUNT_DEPTH = 3

const familyNames: Readonly<Record<Family, string>> = { btc: 'Bitcoin', ltc: 'Litecoin', evm: 'Ethereum' }
/** The coin's number in the path of its keys. Source: SLIP-44; 1 is every coin's test network. */
const coinTypes: Readonly<Record<Family, Readonly<Record<Environment, number>>>> = {
  btc: { main: 0, test: 1 },
  ltc: { main: 2, test: 1 },
  evm: { main: 60, test: 60 },
}

/** As `sh(wpkh(…))` is written around the key. */
const wrappings: Readonly<Record<ScriptKind, readonly [open: string, close: string]>> = {
  pkh: ['pkh(', ')'],
  sh_wpkh: ['sh(wpkh(', '))'],
  wpkh: ['wpkh(', ')'],
  tr: ['tr(', ')'],
  // Not one of Bitcoin's: it keeps what we store in one shape.
  evm: ['evm(', ')'],
}

const PRIVATE =
  'has a private key in it. Nobody may see that, and the server never needs it: treat it as seen by others, move its coins, and set the extended public key of another account (xpub…, ypub… or zpub…) instead.'
const DAMAGED =
  'has a key whose checksum does not fit: a character is missing or wrong. Copy it again, whole, from your wallet.'
const NOT_A_KEY =
  'is no extended public key: set it to the xpub…, ypub… or zpub… of an account in your wallet, or to a descriptor such as wpkh([fingerprint/84h/0h/0h]xpub…/0/*).'

/**
 * Reads what an operator set: an extended public key by its SLIP-132 version, or a descriptor of one key with or without checksum.
 * Refused: anything private, a wrong checksum, another depth than 3, another path than `/0/*`, hardened children, several keys, and a key
 * of another network than `environment` has.
 */
export function readKey(family: Family, environment: Environment, text: string): KeyRead {
  const refuse = (why: string): KeyRead => ({ ok: false, why })
  const given = text.trim()
  if (looksPrivate(given)) return refuse(PRIVATE)
  if (given.length > CHARACTERS_MAX) return refuse(NOT_A_KEY)

  const [body = '', sum, ...more] = given.split('#')
  if (more.length > 0) return refuse(NOT_A_KEY)
  if (sum !== undefined && sum !== descriptorChecksum(body))
    return refuse('has a descriptor whose checksum does not fit: copy it again, whole, from your wallet.')
  const kinds = Object.keys(wrappings) as ScriptKind[]
  const wrapped = kinds.find((kind) => body.startsWith(wrappings[kind][0]) && body.endsWith(wrappings[kind][1]))
  if (wrapped === undefined && body.includes('('))
    return refuse(
      'has a descriptor of a kind that is not used here: one key in pkh(…), sh(wpkh(…)), wpkh(…) or tr(…) is.',
    )
  const [open, close] = wrapped === undefined ? ['', ''] : wrappings[wrapped]
  const inner = body.slice(open.length, body.length - close.length)
  if (inner.includes(',')) return refuse('has a descriptor with several keys: give one that has one key.')

  const match = /^(?:\[([0-9a-f]{8})((?:\/\d{1,10}['h]?)*)\])?([^/[\]]+)(\/.*)?$/i.exec(inner)
  if (!match) return refuse(NOT_A_KEY)
  const [, fingerprint, originPath = '', encoded = '', path] = match
  if (path !== undefined && /\d['h](\/|$)|\*['h]/i.test(path))
    return refuse(
      'asks for hardened children, which no public key can make: let the path after the key be /0/* without h and without an apostrophe.',
    )
  // BIP-389 writes the branch for receiving and the one for change as one.
  if (path === undefined ? wrapped !== undefined : path !== '/0/*' && path !== '/<0;1>/*')
    return refuse('has another path after the key than /0/*: end it with that, the branch on which wallets receive.')

  const read = decode(encoded)
  if (read === 'damaged') return refuse(DAMAGED)
  if (read === 'private') return refuse(PRIVATE)
  if (read === 'other') return refuse(NOT_A_KEY)
  const { bytes, version } = read
  if (version.kind === 'multisig')
    return refuse(
      `is a ${version.name}, which is for wallets of several signatures: give the key of an account with one.`,
    )
  if (version.of && version.of !== family)
    return refuse(`is a key of ${familyNames[version.of]}: give one of ${familyNames[family]}.`)
  if (version.environment !== environment)
    return refuse(
      environment === 'main'
        ? `is a key of a test network (${version.name}…) and MODE is production: give a key of the main network.`
        : `is a key for real money (${version.name}…) and MODE is sandbox: leave it out, the sandbox has its own, or give a key of a test network (tpub…, upub…, vpub…).`,
    )
  const kind = kindOf(family, wrapped, version)
  if (kind === null)
    return refuse(
      family === 'evm'
        ? 'is for Bitcoin-like addresses: give the xpub… of an account of Ethereum (m/44h/60h/0h).'
        : wrapped === 'evm'
          ? `is for Ethereum: give a key of ${familyNames[family]}.`
          : `has a ${version.name} in a descriptor: descriptors hold keys as ${environment === 'main' ? 'xpub' : 'tpub'}….`,
    )

  let account: HDKey
  try {
    account = HDKey.fromExtendedKey(encodeKey(bytes, XPUB))
  } catch {
    return refuse('has a key that no wallet can have made: copy it again, whole, from your wallet.')
  }
  if (account.depth !== ACCOUNT_DEPTH)
    return refuse(
      `has a key of depth ${account.depth}${account.depth === 0 ? ', the root of the whole wallet' : ''}: give that of an account, of depth 3 (such as m/84h/0h/0h).`,
    )
  let origin = ''
  if (fingerprint !== undefined) {
    const steps = originPath.split('/').slice(1)
    const numbers = steps.map((step) => (/\d+$/.test(step) ? null : Number.parseInt(step, 10)))
    if (steps.length !== ACCOUNT_DEPTH || account.index - HARDENED_OFFSET !== numbers[2])
      return refuse('has a key that does not lie at the path written before it: copy the descriptor again, whole.')
    const coin = coinTypes[family][environment]
    if (numbers[1] !== coin)
      return refuse(
        `has a key that lies at the path of another network: the second number of ${familyNames[family]}'s is ${coin}h here.`,
      )
    origin = `[${fingerprint.toLowerCase()}/${numbers.map((number) => `${number}h`).join('/')}]`
  }

  const [before, after] = wrappings[kind]
  const plain = encodeKey(bytes, environment === 'main' ? XPUB : TPUB)
  const branch = account.deriveChild(0)
  return {
    ok: true,
    key: {
      family,
      environment,
      kind,
      descriptor: `${before}${plain}/0/*${after}`,
      withOrigin: `${before}${origin}${plain}/0/*${after}`,
      identity: Buffer.from(bytes.subarray(13)).toString('hex'),
      child: (index) => branch.deriveChild(index).publicKey!,
    },
  }
}

/** A key as a row or a checked setting has it. Throws where it is not one. */
export function keyOf(family: Family, descriptor: string): AccountKey {
  const environment = /\btpub/.test(descriptor) ? 'test' : 'main'
  const read = readKey(family, environment, descriptor)
  if (!read.ok) throw new Error(`A stored key of ${family} cannot be used: it ${read.why}`)
  return read.key
}

/** Null: such a key is not for such addresses. */
function kindOf(family: Family, wrapped: ScriptKind | undefined, version: Version): ScriptKind | null {
  const isPlain = version.name === 'xpub' || version.name === 'tpub'
  if (family === 'evm') return isPlain && (wrapped === undefined || wrapped === 'evm') ? 'evm' : null
  if (wrapped === 'evm') return null
  if (wrapped === undefined) return version.kind as ScriptKind
  return isPlain ? wrapped : null
}

function decode(encoded: string): { bytes: Uint8Array; version: Version } | 'damaged' | 'private' | 'other' {
  let bytes: Uint8Array
  try {
    bytes = base58check(sha256).decode(encoded)
  } catch {
    return mayBeAKey(encoded) ? 'damaged' : 'other'
  }
  // A single private key as wallets export it (WIF).
  if ((bytes.length === 33 || bytes.length === 34) && [0x80, 0xb0, 0xef].includes(bytes[0]!)) return 'private'
  if (bytes.length !== EXTENDED_KEY_BYTES) return 'other'
  // The library takes either kind without a word; a private key begins with a zero, whatever its version says.
  const version = versions.get(Buffer.from(bytes).readUInt32BE(0))
  if (bytes[45] === 0 || version?.private) return 'private'
  return version ? { bytes, version } : 'other'
}

function mayBeAKey(encoded: string): boolean {
  return /^[A-Za-z]{1}(pub|tub)[A-Za-z0-9]{20,}$/.test(encoded)
}

/** Also where it is damaged or part of something else: what is private is said first. */
function looksPrivate(text: string): boolean {
  if (/(?:[xyztuvYZUV]prv|[LMt]tpv)[1-9A-HJ-NP-Za-km-z]{20}/.test(text)) return true
  if (/^(0x)?[0-9a-f]{64}$/i.test(text)) return true
  // The words of a wallet (BIP-39 has 12 to 24).
  return /^[a-z]{3,8}(\s+[a-z]{3,8}){11,23}$/i.test(text)
}

function encodeKey(bytes: Uint8Array, version: number): string {
  const changed = Buffer.from(bytes)
  changed.writeUInt32BE(version, 0)
  return base58check(sha256).encode(changed)
}

// ── The checksum of descriptors ─────────────────────────────────────────────────────────────────────────────────────
// Source: BIP-380. It finds every error of up to three characters.

const INPUT_CHARACTERS =
  '0123456789()[],\'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#"\\ '
const CHECKSUM_CHARACTERS = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'
const GENERATOR = [0xf5dee51989n, 0xa9fdca3312n, 0x1bab10e32dn, 0x3706b1677an, 0x644d626ffdn]

/** The eight characters after `#`; null: it has a character that no descriptor has. */
export function descriptorChecksum(descriptor: string): string | null {
  const symbols: bigint[] = []
  const groups: number[] = []
  for (const character of descriptor) {
    const value = INPUT_CHARACTERS.indexOf(character)
    if (value < 0) return null
    symbols.push(BigInt(value & 31))
    groups.push(value >> 5)
    if (groups.length === 3) symbols.push(BigInt(groups[0]! * 9 + groups[1]! * 3 + groups[2]!))
    if (groups.length === 3) groups.length = 0
  }
  if (groups.length === 1) symbols.push(BigInt(groups[0]!))
  if (groups.length === 2) symbols.push(BigInt(groups[0]! * 3 + groups[1]!))
  let sum = 1n
  for (const symbol of [...symbols, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n]) {
    const top = sum >> 35n
    sum = ((sum & 0x7ffffffffn) << 5n) ^ symbol
    for (let bit = 0; bit < 5; bit++) if ((top >> BigInt(bit)) & 1n) sum ^= GENERATOR[bit]!
  }
  sum ^= 1n
  return Array.from({ length: 8 }, (_, at) => CHECKSUM_CHARACTERS[Number((sum >> BigInt(5 * (7 - at))) & 31n)]).join('')
}

/** As wallets import it. Of Ethereum the extended key itself: wallets know no descriptors there. */
export function exportedKey(key: AccountKey): string {
  if (key.kind === 'evm') return key.withOrigin.replace(/^evm\(/, '').replace(/\)$/, '')
  return `${key.withOrigin}#${descriptorChecksum(key.withOrigin)}`
}
