/** Addresses of EVM networks: the 20 bytes that blocks speak of, and the words that people copy. Pure; one of them serves all such networks. */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'

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
