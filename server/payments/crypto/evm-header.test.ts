import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headerHash } from './evm-header.ts'

// Source: Ethereum's first block, as every node tells it.
const genesis = {
  difficulty: '0x400000000',
  extraData: '0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa',
  gasLimit: '0x1388',
  gasUsed: '0x0',
  hash: '0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3',
  logsBloom: `0x${'00'.repeat(256)}`,
  miner: `0x${'00'.repeat(20)}`,
  mixHash: `0x${'00'.repeat(32)}`,
  nonce: '0x0000000000000042',
  number: '0x0',
  parentHash: `0x${'00'.repeat(32)}`,
  receiptsRoot: '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421',
  sha3Uncles: '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347',
  size: '0x21c',
  stateRoot: '0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544',
  timestamp: '0x0',
  totalDifficulty: '0x400000000',
  transactions: [],
  transactionsRoot: '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421',
  uncles: [],
}

test('the first block of Ethereum hashes to its hash, and with another digit to another', () => {
  assert.equal(headerHash(genesis), genesis.hash)
  assert.notEqual(headerHash({ ...genesis, timestamp: '0x1' }), genesis.hash)
})

test('of a header with fields that are not known, or without some, nothing is said', () => {
  assert.equal(headerHash({ ...genesis, l1BlockNumber: '0x1' }), null)
  assert.equal(headerHash({ ...genesis, nonce: null }), null)
  assert.equal(headerHash({ ...genesis, requestsHash: genesis.parentHash }), null)
  assert.equal(headerHash({ ...genesis, number: 5 }), null)
})
