import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { evmAddress, evmScriptOf, readEvmAddress } from './address.ts'

// Source: EIP-55, its own examples.
const examples = [
  '0x52908400098527886E0F7030069857D2E4169EE7',
  '0x8617E340B3D01FA5F11F306F4090FD50E238070D',
  '0xde709f2102306220921060314715629080e2fb77',
  '0x27b1fdb04752bbc536007a920d24acb045561c26',
  '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
  '0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359',
  '0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB',
  '0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb',
]

test('an address is shown with the checksum that wallets know, and read back as the same bytes', () => {
  for (const written of examples) {
    assert.equal(evmAddress(written.slice(2)), written)
    assert.equal(bytesToHex(readEvmAddress(written)!), written.slice(2).toLowerCase())
    assert.equal(evmAddress(readEvmAddress(` ${written.toLowerCase()} `)!), written)
  }
})

test('a mistyped letter, a cut address and what is none are not taken', () => {
  const wrong = examples[4]!.replace('A', 'a')
  for (const written of [wrong, examples[4]!.slice(0, -1), `${examples[4]}0`, examples[4]!.slice(2), '', '0x', 'bc1q'])
    assert.equal(readEvmAddress(written), null, written)
})

test('the address of a public key is the one that every wallet derives', () => {
  // Source: the first account of the well-known test seed (test test … junk), m/44'/60'/0'/0/0.
  const key = hexToBytes('038318535b54105d4a7aae60c08fc45f9687181b4fdfc625bd1a753fa7397fed75')
  assert.equal(evmAddress(evmScriptOf(key)), '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266')
})
