/**
 * Addresses: what blocks speak of (the output's script; of EVM the 20 bytes), and the words that people copy. Pure. One of EVM serves all
 * such networks.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { Address, OutScript, p2pkh, p2sh, p2tr, p2wpkh } from '@scure/btc-signer'
import type { Environment, Family } from './assets.ts'
import type { AccountKey } from './descriptor.ts'

export type Written = { address: string; script: Uint8Array }

type Prefixes = { bech32: string; pubKeyHash: number; scriptHash: number; wif: number }

/** What addresses begin with; `test` is each coin's network for tests (regtest). Source: the chain parameters of both Cores. */
export const prefixes: Readonly<Record<Exclude<Family, 'evm'>, Readonly<Record<Environment, Prefixes>>>> = {
  btc: {
    main: { bech32: 'bc', pubKeyHash: 0x00, scriptHash: 0x05, wif: 0x80 },
    test: { bech32: 'bcrt', pubKeyHash: 0x6f, scriptHash: 0xc4, wif: 0xef },
  },
  ltc: {
    main: { bech32: 'ltc', pubKeyHash: 0x30, scriptHash: 0x32, wif: 0xb0 },
    test: { bech32: 'rltc', pubKeyHash: 0x6f, scriptHash: 0x3a, wif: 0xef },
  },
}

/** The address with this index (0 to 2147483647) of a key. */
export function addressOf(key: AccountKey, index: number): Written {
  const publicKey = key.child(index)
  if (key.family === 'evm') {
    const script = evmScriptOf(publicKey)
    return { address: evmAddress(script), script }
  }
  const network = prefixes[key.family][key.environment]
  switch (key.kind) {
    case 'pkh':
      return written(p2pkh(publicKey, network))
    case 'sh_wpkh':
      return written(p2sh(p2wpkh(publicKey, network), network))
    case 'wpkh':
      return written(p2wpkh(publicKey, network))
    case 'tr':
      return written(p2tr(publicKey.subarray(1), undefined, network))
    case 'evm':
      throw new Error(`A key of ${key.family} has no addresses of Ethereum`)
  }
}

function written(payment: { address?: string; script: Uint8Array }): Written {
  return { address: payment.address!, script: payment.script }
}

/** What an address that somebody typed stands for, of whatever kind. Null: no address of this network. */
export function readAddress(family: Family, environment: Environment, text: string): Written | null {
  if (family === 'evm') {
    const script = readEvmAddress(text)
    return script && { address: evmAddress(script), script }
  }
  const given = text.trim()
  if (given.length > UTXO_CHARACTERS_MAX) return null
  const network = Address(prefixes[family][environment])
  try {
    const decoded = network.decode(given)
    return { address: network.encode(decoded), script: OutScript.encode(decoded) }
  } catch {
    return null
  }
}

/** The longest is a bech32 one. Source: BIP-173. */
const UTXO_CHARACTERS_MAX = 90

/** The 20 bytes of a public key's address: the end of the hash of the key, uncompressed. Takes it compressed (33 bytes) or not (65). */
export function evmScriptOf(publicKey: Uint8Array): Uint8Array {
  return keccak_256(secp256k1.Point.fromBytes(publicKey).toBytes(false).subarray(1)).subarray(12)
}

/** As wallets write it: large letters are a checksum (EIP-55). Takes the 20 bytes, or their hexadecimal without 0x. */
export function evmAddress(script: Uint8Array | string): string {
  const digits = (typeof script === 'string' ? script : bytesToHex(script)).toLowerCase()
  if (!/^[0-9a-f]{40}$/.test(digits)) throw new Error('An address of an EVM network is of 20 bytes')
  const check = bytesToHex(keccak_256(utf8ToBytes(digits)))
  return `0x${[...digits].map((digit, at) => (Number.parseInt(check[at]!, 16) >= 8 ? digit.toUpperCase() : digit)).join('')}`
}

/**
 * The 20 bytes of what a person typed; null: that is no address. In one case throughout it carries no checksum and is taken; in mixed
 * case the checksum must be right, because then a letter was mistyped or the address was cut and glued.
 */
export function readEvmAddress(written: string): Uint8Array | null {
  const digits = /^0x([0-9a-fA-F]{40})$/.exec(written.trim())?.[1]
  if (digits === undefined) return null
  const isPlain = digits === digits.toLowerCase() || digits === digits.toUpperCase()
  if (!isPlain && evmAddress(digits) !== `0x${digits}`) return null
  return hexToBytes(digits.toLowerCase())
}
